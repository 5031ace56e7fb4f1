"""gunicorn's configuration becomes a breezeway.toml."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from breezeway.errors import UserError
from breezeway.migrate import gunicorn, migrate
from breezeway.migrate.gunicorn_notes import HARMLESS, NOTES
from breezeway.migrate.gunicorn_tls import SYSTEM_AUTHORITIES

from .loading import comments, load

SETTINGS = (Path(__file__).parent / "gunicorn_settings.txt").read_text().split()
"""All settings of gunicorn 27.0.1."""

SYNC = {"threads": 1}
"""What every file without threads sets."""

USUAL = {"trusted_headers": ("x-forwarded-for", "x-forwarded-proto")}
"""A field that the proxy leaves as the client has sent it must not be believed: X-Forwarded-Host, say."""


@pytest.fixture
def translate(tmp_path):
    """Return a function that translates a file: the settings, and the comments in one line."""

    def function(text):
        file = tmp_path / "gunicorn.conf.py"
        file.write_text(text)
        out = migrate(str(file))
        return load(out, tmp_path), comments(out)

    return function


def test_every_setting_is_known():
    """Each setting of gunicorn is translated or has a note; no note is for anything else."""
    translated = {
        name.removeprefix("_on_") for name in vars(gunicorn._Translation) if name[:4] == "_on_"
    }
    assert {*SETTINGS} - {"config"} == translated | NOTES.keys()
    assert not translated & NOTES.keys()
    assert HARMLESS.keys() <= NOTES.keys()


def test_notes_are_sentences():
    """Each note is a sentence or two."""
    assert all(re.fullmatch(r"['\w].*\.", note) for note in NOTES.values())


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("wsgi_app = 'shop.wsgi:app'", {"application": "shop.wsgi:app"}),
        ("wsgi_app = 'shop.wsgi'", {"application": "shop.wsgi:application"}),
        ("wsgi_app = 'shop:make_app(1)'", {"application": "shop:make_app(1)"}),
        ("bind = '0.0.0.0:80'", {"bind": ("0.0.0.0:80",)}),
        ("bind = ':80'", {"bind": ("0.0.0.0:80",)}),
        ("bind = ['[::1]:80', 'fd://3']", {"bind": ("[::1]:80", "fd://3")}),
        ("bind = ('localhost', '[::1]')", {"bind": ("localhost:8000", "[::1]:8000")}),
        ("bind = 'tcp://a:1, b:2'", {"bind": ("a:1", "b:2")}),
        ("bind = 'unix:/x'", {"bind": ("unix:/x",), "unix_mode": 0o777}),
        ("bind = 'unix:///x'; umask = 7", {"bind": ("unix:/x",), "unix_mode": 0o770}),
        ("bind = 'unix:x'; umask = '027'", {"bind": ("unix:x",), "unix_mode": 0o750}),
        ("backlog = 64", {"backlog": 64}),
        ("workers = 3", {"workers": 3}),
        ("workers = '3'", {"workers": 3}),
        ("threads = 4", {"threads": 4}),
        ("worker_class = 'gthread'; threads = 4", {"threads": 4}),
        ("worker_class = 'gthread'", {"threads": 1}),
        (
            "worker_class = 'gevent'; worker_connections = 500",
            {"threads": 64, "limit_connections": 500},
        ),
        ("threads = 4; worker_connections = '50'", {"threads": 4, "limit_connections": 50}),
        ("worker_connections = 500", {}),
        ("tmp_upload_dir = '/x'", {"temp_dir": "/x"}),
        ("worker_class = 'gunicorn.workers.ggevent.GeventWorker'", {"threads": 64}),
        ("max_requests = 1000", {"max_requests": 1000}),
        (
            "max_requests = 1000; max_requests_jitter = 50",
            {"max_requests": 1000, "max_requests_jitter": 50},
        ),
        ("max_requests = 0; max_requests_jitter = 0", {}),
        ("timeout = 20", {"worker_timeout": 20, "request_timeout": ("20s",)}),
        ("timeout = 20; threads = 2", {"worker_timeout": 20, "threads": 2}),
        ("timeout = 90; threads = 2", {"worker_timeout": 90, "boot_timeout": 90, "threads": 2}),
        ("timeout = 0", {}),
        ("graceful_timeout = 5", {"graceful_timeout": 5}),
        ("keepalive = 5", {}),
        ("keepalive = 5; threads = 2", {"keep_alive_timeout": 5, "threads": 2}),
        ("keepalive = 0; threads = 2", {"threads": 2}),
        ("limit_request_line = 4094", {"limit_request_line": 4094}),
        ("limit_request_line = 0", {}),
        ("limit_request_fields = 50", {"limit_fields": 50}),
        ("limit_request_field_size = 8190", {}),
        ("limit_request_field_size = 100000", {"limit_head": 165536}),
        ("reload = True", {"reload": True}),
        ("preload_app = True", {"preload": True}),
        ("raw_env = ['A=b', 'SCRIPT_NAME=/shop']", {"root_path": "/shop"}),
        ("pidfile = '/run/x.pid'", {"pid_file": "/run/x.pid"}),
        ("user = 'www-data'; group = 33", {"user": "www-data", "group": "33"}),
        ("accesslog = '-'", {"access_log": True}),
        ("accesslog = '/x'", {"access_log": True, "access_log_file": "/x"}),
        (
            "accesslog = '-'; access_log_format = '%(h)s %(D)s %({x-id}i)s'",
            {"access_log": True, "access_log_format": "%(h)s %(D)s %({x-id}i)s"},
        ),
        ("accesslog = None; errorlog = '-'", {}),
        ("errorlog = '/x'; loglevel = 'WARNING'", {"log_file": "/x", "log_level": "warning"}),
        ("control_socket_disable = True", {"control_socket": "off"}),
        ("chdir = '/'", {"app_dir": "/"}),
        (
            "forwarded_allow_ips = '10.0.0.1, ::1'",
            {"trusted_proxies": ("10.0.0.1", "::1"), **USUAL},
        ),
        ("forwarded_allow_ips = '*'", {"trusted_proxies": ("*",), **USUAL}),
        ("forwarded_allow_ips = ''", {}),
        (
            "forwarded_allow_ips = '::1'; bind = 'unix:/x'",
            {
                "bind": ("unix:/x",),
                "unix_mode": 0o777,
                "trusted_proxies": ("unix", "::1"),
                **USUAL,
            },
        ),
        ("proxy_protocol = True", {"proxy_protocol": ("127.0.0.1", "::1")}),
        ("proxy_protocol = 'v2'; proxy_allow_ips = '::1'", {"proxy_protocol": ("::1",)}),
        ("proxy_protocol = 'off'; proxy_allow_ips = '*'", {}),
        ("certfile = 'c'", {"certfile": ("c",)}),
        ("certfile = 'c'; keyfile = 'k'", {"certfile": ("c",), "keyfile": ("k",)}),
        ("keyfile = 'k'; ca_certs = 'a'; cert_reqs = 2", {}),
        ("certfile = 'c'; ca_certs = 'a'", {"certfile": ("c",)}),
        ("certfile = 'c'; ca_certs = 'a'; cert_reqs = 0", {"certfile": ("c",)}),
        (
            "certfile = 'c'; ca_certs = 'a'; cert_reqs = 1",
            {"certfile": ("c",), "ca_certs": "a", "client_certs": "optional"},
        ),
        (
            "import ssl; certfile = 'c'; ca_certs = 'a'; cert_reqs = ssl.CERT_REQUIRED",
            {"certfile": ("c",), "ca_certs": "a", "client_certs": "required"},
        ),
        (
            "certfile = 'c'; cert_reqs = '2'",
            {"certfile": ("c",), "ca_certs": SYSTEM_AUTHORITIES, "client_certs": "required"},
        ),
        ("certfile = 'c'; cert_reqs = 7; ca_certs = 'a'", {"certfile": ("c",)}),
        ("certfile = 3; keyfile = 'k'", {}),
    ],
)
def test_translation(translate, text, settings):
    """What has a counterpart is set, and nothing else."""
    assert translate(text)[0] == {**SYNC, **settings}


def test_working_directory_stays(translate):
    """A chdir to where gunicorn is started changes nothing."""
    assert translate("import os; chdir = os.getcwd()")[0] == SYNC


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("", "gunicorn was told on its command line what to serve"),
        ("daemon = True", "- daemon = True: Let systemd or a container"),
        ("keyfile = '/x'", "- keyfile = '/x': It needs a certfile."),
        ("certfile = 3", "- certfile = (3,): Here, certfile must be"),
        ("certfile = 'c'; bind = 'unix:x'", "gunicorn spoke TLS on unix sockets, too"),
        ("certfile = 'c'; ca_certs = 'a'", "- ca_certs = 'a': Without cert_reqs gunicorn asks no"),
        ("certfile = 'c'; cert_reqs = 7", "- cert_reqs = 7: gunicorn does not take this value."),
        ("certfile = 'c'; cert_reqs = 2", "A certificate of any of them passes: name your own."),
        ("ciphers = 'HIGH'", "- ciphers = 'HIGH': The cipher suites are fixed"),
        ("def ssl_context(conf, make): pass", "- ssl_context: Breezeway makes the context itself"),
        (
            "suppress_ragged_eofs = 1; ssl_version = 2",
            "- ssl_version = 2: Breezeway speaks TLS 1.2",
        ),
        ("worker_connections = 9", "- worker_connections = 9: Sync workers ignore it."),
        ("threads = 2; worker_connections = 9", "the connection that has idled longest is closed"),
        (
            "def post_fork(server, worker): pass",
            "- post_fork: Make it a function without arguments",
        ),
        ("def child_exit(server, worker): pass", "- child_exit: There is no hook"),
        ("worker_class = 'uvicorn.workers.UvicornWorker'", "Breezeway serves WSGI applications"),
        ("worker_class = 'x.Y'", "- worker_class = 'x.y': Breezeway has one kind of workers"),
        ("logconfig_dict = {'version': 1}", "- logconfig_dict = {'version': 1}: "),
        ("raw_env = ['A=secret']", "- raw_env = A: Set them where Breezeway is started"),
        ("timeout = 0", "- timeout = 0: The event loop of a worker is always watched"),
        ("timeout = 5", "A sync worker was killed when a request took longer."),
        ("keepalive = 3", "- keepalive = 3: Sync workers ignore it."),
        ("umask = 7", "- umask = 7: gunicorn's concerns unix sockets, and there are none."),
        ("bind = 'unix:x'", "Everybody may connect; 660 and a group"),
        ("bind = 'unix:x'; user = 'a'", "gunicorn gave the socket to the user and the group"),
        ("import multiprocessing; workers = 3", 'workers = "auto" is enough'),
        ("wsgi_app = 'shop.py'", "'shop.py:application' is a path"),
        ("threads = 0", "A sync worker takes one request at a time."),
        ("workers = 0", "- workers = 0: Here, workers must be at least 1."),
        ("workers = 'x'", "- workers = 'x': gunicorn does not take this value."),
        ("bind = 5", "- bind = 5: That is no address."),
        ("bind = 'a:b'", "- bind = ('a:b',): Here, bind 'a:b' has no port number"),
        ("umask = 'x'; bind = 'unix:x'", "- umask = 'x': That is no umask."),
        ("raw_env = 3", "- raw_env = 3: gunicorn does not take this value."),
        ("loglevel = 'loud'", "- log_level = 'loud': Here, log_level must be one of"),
        ("spew = 'a\\nb'", "- spew = 'a\\nb': Use a debugger"),
        ("pidfile = 'a\\nb = 1'", ""),
    ],
)
def test_comments(translate, text, comment):
    """What has no counterpart, or is not quite the same, is a comment."""
    assert comment in translate(text)[1]


@pytest.mark.parametrize(
    ("text", "told", "not_told"),
    [
        ("", 'request_timeout = ["30s"]', "not 2 s"),
        ("", "gunicorn listens on 0.0.0.0:$PORT", "workers stay"),
        ("", "forwarded_allow_ips: gunicorn takes wsgi.url_scheme from X-Forwarded-Proto", "x"),
        ("", 'trusted_proxies = ["127.0.0.1", "::1"], trusted_headers = ["x-forwarded-for', "unix"),
        ("bind = 'unix:/x'", 'trusted_proxies = ["unix"], trusted_headers = ["x-forw', "127.0"),
        ("threads = 2", "idle connections are kept 65 s, not 2 s", "sync worker"),
        ("threads = 2; keepalive = 9", "limit_body: a request body may have 1GiB", "not 2 s"),
        ("bind = ':1'; workers = 2", "limit_body", "PORT"),
        ("timeout = 3", "sync workers close each connection", "a sync worker is killed"),
        ("user = 'a'", "group: workers get the user's group", "x"),
        ("forwarded_allow_ips = '*'", "limit_body", "forwarded_allow_ips"),
        ("", "stream_body: the application is called when the request's body is there", "x"),
    ],
)
def test_differences(translate, text, told, not_told):
    """Defaults that differ and matter are told, if the file leaves them."""
    text = translate(text)[1].partition("Not as with gunicorn")[2]
    assert told in text
    assert not_told == "x" or not_told not in text


@pytest.mark.parametrize("name", sorted(NOTES))
def test_what_changes_nothing_is_left_out(translate, name):
    """A setting without a counterpart that is off or at its default needs no comment."""
    assert f"- {name}" not in translate(f"{name} = {HARMLESS.get(name)!r}")[1]


def test_secrets_are_not_repeated(translate):
    """Values of environment variables stay where they are."""
    assert "secret" not in translate("raw_env = ['A=secret']")[1]


class TestExecution:
    def test_is_executed(self, translate, tmp_path, monkeypatch, capsys):
        """The file is Python, with the working directory on sys.path; what it prints is not ours."""
        (tmp_path / "numbers_of_shop.py").write_text("N = 3\n")
        monkeypatch.chdir(tmp_path)
        text = "from numbers_of_shop import N\nprint('hello')\nworkers = N * 2 + 1\n"
        assert translate(text)[0] == {**SYNC, "workers": 7}
        streams = capsys.readouterr()
        assert "hello" in streams.err
        assert not streams.out

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("1 / 0\n", "failed with ZeroDivisionError."),
            ("1 +\n", "failed with SyntaxError."),
            ("import sys; sys.exit(3)\n", "failed with SystemExit."),
            ("import no_such_module\n", "failed with ModuleNotFoundError."),
        ],
    )
    def test_failure(self, translate, text, message):
        """A file that fails is told with its own traceback."""
        with pytest.raises(UserError) as caught:
            translate(text)
        assert message in caught.value.message
        assert caught.value.exit_code == 3
        assert "gunicorn.conf.py" in caught.value.detail
        assert "migrate" not in caught.value.detail

    def test_not_there(self, tmp_path):
        """A file that is not there is told."""
        with pytest.raises(UserError, match=r"cannot read x\.py: No such file") as caught:
            migrate("x.py")
        assert caught.value.exit_code == 2

    def test_neither(self):
        """A name of another kind is told."""
        with pytest.raises(UserError, match="neither gunicorn's configuration"):
            migrate("uwsgi.xml")


def test_check_accepts_it(tmp_path):
    """`breezeway check` takes what `breezeway migrate` prints."""
    (tmp_path / "shop.py").write_text("def app(environ, start_response): ...\n")
    (tmp_path / "gunicorn.conf.py").write_text(
        "import multiprocessing\n"
        "wsgi_app = 'shop:app'\nworkers = multiprocessing.cpu_count() * 2 + 1\n"
        "bind = ['127.0.0.1:8001', 'unix:shop.sock']\ntimeout = 45\nkeepalive = 5\n"
        "accesslog = '-'\nmax_requests = 1000\nmax_requests_jitter = 50\ndaemon = True\n"
        "def when_ready(server):\n    print('ready')\n"
    )
    command = [sys.executable, "-W", "error", "-m", "breezeway"]
    how = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 30, "env": os.environ}
    done = subprocess.run([*command, "migrate", "gunicorn.conf.py"], **how)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "breezeway.toml").write_text(done.stdout)
    done = subprocess.run([*command, "check"], **how)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("shop:app can be served; 9 settings are set")


def test_access_log_format(translate):
    """Who has gunicorn's lines by default is told how to keep them; a wrong atom is told, too."""
    assert "makes gunicorn's" in translate("accesslog = '-'")[1]
    settings, comments = translate("accesslog = '-'; access_log_format = '%(z)s'")
    assert "access_log_format" not in settings
    assert "has no atom 'z'" in comments
    assert "makes gunicorn's" not in comments
