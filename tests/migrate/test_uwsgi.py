"""uWSGI's ini becomes a breezeway.toml."""

import os
import re

import pytest

from breezeway.errors import UserError
from breezeway.migrate import migrate
from breezeway.migrate.uwsgi_ini import Option, read
from breezeway.migrate.uwsgi_notes import ALWAYS, NOTES, UNKNOWN, note

from .loading import comments, load

BASE = {"threads": 1, "access_log": True}
"""What every file without threads and disable-logging sets."""


@pytest.fixture
def translate(tmp_path):
    """Return a function that translates options: the settings, and the comments in one line."""

    def function(*lines):
        file = tmp_path / "shop.ini"
        file.write_text("\n".join(["[uwsgi]", *lines]))
        out = migrate(str(file))
        return load(out, tmp_path), comments(out)

    return function


class TestIni:
    @pytest.fixture
    def options(self, tmp_path):
        """Return a function that reads a file."""

        def function(text):
            (tmp_path / "shop.ini").write_text(text)
            return [(option.name, option.value) for option in read(str(tmp_path / "shop.ini"))[0]]

        return function

    def test_sections_comments_and_repeated_keys(self, options):
        """One section counts; keys repeat and stay in order; a key without a value is true."""
        text = (
            "a = 0\n[other]\na = 1\n[uwsgi]\n; c\n# c\n\n a=2 \na = 3 = 4\nmaster\n"
            "[x]\na = 5\n[uwsgi]\nb =\n"
        )
        assert options(text) == [("a", "2"), ("a", "3 = 4"), ("master", "true"), ("b", "")]

    def test_placeholders(self, options, tmp_path, monkeypatch):
        """Values have variables of the file, of the environment, and about the file."""
        monkeypatch.setenv("WHO", "me")
        text = "[uwsgi]\nbase = /srv/%n\ndir = %(base)/x\nwho = $(WHO) $(NO_ONE) %(no)\n"
        assert options(text + "a = %d %s %c 100%% %k %z\n") == [
            ("base", "/srv/shop"),
            ("dir", "/srv/shop/x"),
            ("who", "me $(NO_ONE) %(no)"),
            ("a", f"{tmp_path}/ shop.ini {tmp_path.name} 100% %k %z"),
        ]

    def test_used_variables(self, tmp_path):
        """Names that others use are told."""
        (tmp_path / "x.ini").write_text("[uwsgi]\nbase = 1\na = %(base)\n")
        assert read(str(tmp_path / "x.ini")) == (
            [Option("base", "1"), Option("a", "1")],
            {"base"},
        )

    def test_no_section(self, tmp_path):
        """A file without the section is told, and so is one that is not there."""
        (tmp_path / "x.ini").write_text("[server:main]\nuse = egg:x\n")
        with pytest.raises(UserError, match=r"x.ini has no section \[uwsgi\]"):
            migrate(str(tmp_path / "x.ini"))
        with pytest.raises(UserError, match=r"cannot read y.ini: No such file"):
            migrate("y.ini")

    def test_bytes(self, tmp_path):
        """Bytes that are no text do no harm."""
        (tmp_path / "x.ini").write_bytes(b"[uwsgi]\nmodule = shop\nx = \xff\n")
        assert 'application = "shop:application"' in migrate(str(tmp_path / "x.ini"))


@pytest.mark.parametrize(
    ("lines", "settings"),
    [
        (["module = shop.wsgi"], {"application": "shop.wsgi:application"}),
        (["module = shop.wsgi:app"], {"application": "shop.wsgi:app"}),
        (["wsgi = shop", "callable = app"], {"application": "shop:app"}),
        (["w = shop:make_app()"], {"application": "shop:make_app()"}),
        (["wsgi-file = shop/wsgi.py"], {"application": "shop.wsgi:application"}),
        (["file = app.py", "callable = app"], {"application": "app:app"}),
        (
            ["wsgi-file = /srv/shop/app.py"],
            {"application": "app:application", "app_dir": "/srv/shop"},
        ),
        (
            ["chdir = /srv", "wsgi-file = /srv/shop/app.py"],
            {"application": "shop.app:application", "app_dir": "/srv"},
        ),
        (["wsgi-file = my-app.wsgi"], {}),
        (["mount = /shop=shop:app"], {"application": "shop:app"}),
        (
            ["mount = /shop=shop.py", "manage-script-name = true", "callable = app"],
            {"application": "shop:app", "root_path": "/shop"},
        ),
        (["http = :8080"], {"bind": ("0.0.0.0:8080",)}),
        (["http-socket = 127.0.0.1:80", "http = *:81"], {"bind": ("0.0.0.0:81", "127.0.0.1:80")}),
        (["http11-socket = [::1]:80"], {"bind": ("[::1]:80",)}),
        (["socket = /run/x.sock"], {"bind": ("unix:/run/x.sock",)}),
        (["s = x.sock", "chmod-socket"], {"bind": ("unix:x.sock",), "unix_mode": 0o666}),
        (["socket = x", "chmod-socket = 660"], {"bind": ("unix:x",), "unix_mode": 0o660}),
        (["socket = fd://3"], {"bind": ("fd://3",)}),
        (["socket = @abstract", "http = :1"], {"bind": ("0.0.0.0:1",)}),
        (["listen = 1024"], {"backlog": 1024}),
        (["processes = 1"], {"workers": 1}),
        (["workers = 4"], {"workers": 4, "preload": True}),
        (["p = 4", "lazy-apps = true"], {"workers": 4}),
        (["p = 4", "lazy-apps = false"], {"workers": 4, "preload": True}),
        (["threads = 4"], {"threads": 4}),
        (["gevent = 100"], {"threads": 64}),
        (["harakiri = 30"], {"request_timeout": ("30s",)}),
        (["harakiri = 0"], {}),
        (["max-requests = 1000"], {"max_requests": 1000}),
        (
            ["p = 3", "lazy-apps", "max-requests = 100", "max-requests-delta = 10"],
            {"workers": 3, "max_requests": 100, "max_requests_jitter": 30},
        ),
        (["max-worker-lifetime = 3600"], {"max_worker_age": 3600}),
        (["max-worker-lifetime = 0", "limit-post = 0", "post-buffering = 0"], {}),
        (["reload-on-rss = 200"], {"max_worker_memory": 200 * 1024**2}),
        (["evil-reload-on-rss = 200"], {"max_worker_memory": 200 * 1024**2}),
        (["reload-mercy = 8"], {"graceful_timeout": 8}),
        (["buffer-size = 4096"], {}),
        (["buffer-size = 32768"], {"limit_request_line": 32768}),
        (["b = 131072"], {"limit_request_line": 131072, "limit_head": 131072}),
        (["limit-post = 1048576"], {"limit_body": 1048576}),
        (["post-buffering = 8192"], {"body_memory": 8192}),
        (["http-keepalive = 30"], {"keep_alive_timeout": 30}),
        (["http-keepalive"], {}),
        (["socket-timeout = 9"], {"body_timeout": 9, "send_timeout": 9}),
        (["pidfile = /run/x.pid"], {"pid_file": "/run/x.pid"}),
        (["uid = www-data", "gid = 33"], {"user": "www-data", "group": "33"}),
        (["umask = 027"], {"umask": 0o27}),
        (["logto = /x"], {"log_file": "/x", "access_log_file": "/x"}),
        (["daemonize = /x"], {"log_file": "/x", "access_log_file": "/x"}),
        (
            ['log-format = %(addr) - %(user) [%(ltime)] "%(method) %(uri)" %(status) %(var.X)'],
            {"access_log_format": '%(h)s - %(u)s %(t)s "%(m)s %({RAW_URI}e)s" %(s)s %({X}e)s'},
        ),
        (["env = A=b", "env = SCRIPT_NAME=/shop/"], {"root_path": "/shop"}),
        (["pythonpath = /srv"], {"app_dir": "/srv"}),
        (["pythonpath = /a", "pp = /b"], {}),
        (["py-autoreload = 1"], {"reload": True}),
    ],
)
def test_translation(translate, lines, settings):
    """What has a counterpart is set, and nothing else."""
    assert translate(*lines)[0] == {**BASE, **settings}


def test_disable_logging(translate):
    """Requests are logged unless that is turned off."""
    assert translate("disable-logging = true")[0] == {"threads": 1}
    assert translate("L = false")[0] == BASE


def test_workers_for_each_cpu(translate, tmp_path):
    """%k is as many workers as CPUs, on whatever machine the file is read."""
    translate("processes = %k")
    assert 'workers = "auto"' in (tmp_path / "breezeway.toml").read_text()


@pytest.mark.parametrize(
    ("line", "comment"),
    [
        ("", "The file does not say what to serve."),
        ("socket = x", "The socket spoke the uwsgi protocol."),
        ("socket = @x", "- socket = @x: Take a unix socket with a path."),
        ("chmod-socket = 660", "- chmod-socket = 660: There is no unix socket."),
        ("ssl-verbose = true", "- ssl-verbose = true: Breezeway speaks TLS 1.2 and 1.3"),
        ("static-index = i.html", "- static-index = i.html: There is no index: a directory is 404"),
        ("mime-file = /x", "- mime-file = /x: A file's type is by its extension"),
        ("fileserve-mode = nginx", "- fileserve-mode = nginx: Files in static are sent from here"),
        ("http-raw-body", "- http-raw-body = true: stream_body = ['/PREFIX'] hands bodies"),
        ("http-enable-proxy-protocol = 1", "proxy_protocol names the networks"),
        ("log-x-forwarded-for", "- log-x-forwarded-for = true: The access log has the client"),
        ("shared-socket = :80", "- shared-socket = :80: Pass the socket as a file descriptor"),
        ("http = =3", "- http = =3: There is no such shared socket."),
        ("", "stream_body: the application is called when the request's body is there"),
        ("emperor = /etc", "- emperor = /etc: Run one server for each application"),
        ("cheaper = 2", "- cheaper = 2: The number of workers is fixed"),
        ("venv = /v", "- venv = /v: Install Breezeway into that virtual environment"),
        ("daemonize = /x", "- daemonize = /x: Let systemd or a container run"),
        ("env = A=secret", "- env = A: Set it where Breezeway is started"),
        ("touch-reload = /x", "- touch-reload = /x: 'breezeway ctl reload', or SIGHUP"),
        ("ini = other.ini", "- ini = other.ini: It is not followed"),
        ("if-env = X", "- if-env = X: The logic of the ini file is not executed"),
        (
            "log-format = %(wid) %(addr)",
            "- log-format = %(wid) %(addr): access_log_format may have",
        ),
        ("logto = udp:1.2.3.4:5", "- logto = udp:1.2.3.4:5: Log to standard error"),
        ("frobnicate = 1", "- frobnicate = 1: No counterpart is known."),
        ("wsgi-file = my-app.wsgi", "the file has no name that Python can import"),
        ("module = a b", "'a b:application' does not name an application."),
        ("master = true", "since Breezeway does so in any case: master."),
        ("processes = 2", "Without lazy-apps the application is loaded once"),
        ("threads = many", "- threads = many: 'many' is not a whole number."),
        ("harakiri = soon", "- harakiri = soon: That is no number."),
        ("uid = a b", "- user = 'a b': Here, user must be a name or a number"),
        ("buffer-size = 8192", "- buffer-size = 8192: limit_head is larger by default."),
        ("", "bind: the file has no address"),
        ("", "SIGTERM stops Breezeway"),
        ("", "requests in flight have 30 s to finish, not 60 s"),
        ("", "limit_body: a request body may have 1GiB"),
    ],
)
def test_comments(translate, line, comment):
    """What has no counterpart, or is not quite the same, is a comment."""
    assert comment in translate(line)[1]


def test_variables_are_no_options(translate):
    """A name that others use as a variable needs no comment."""
    text = translate("base = /srv", "unused = 1", "pidfile = %(base)/x")[1]
    assert "- base" not in text
    assert "- unused = 1: No counterpart is known." in text


def test_secrets_are_not_repeated(translate):
    """Values of environment variables stay where they are."""
    assert "secret" not in translate("env = A=secret")[1]


def test_text_stays_text(translate):
    """Whatever stands in the file, what comes out is TOML that says it."""
    assert translate('pidfile = a"b\\c')[0] == {**BASE, "pid_file": 'a"b\\c'}
    translate("x = \x1b[31m \u2028 y", "wsgi-file = \x07")


def test_notes():
    """The notes are patterns and sentences; each option has one."""
    assert all(re.compile(pattern) and text.endswith((".", "'.")) for pattern, text in NOTES)
    assert note("frobnicate") == UNKNOWN
    assert not [name for name in ALWAYS if name in ("threads", "workers")]


def test_example(translate, tmp_path, monkeypatch):
    """A usual file, as a whole."""
    monkeypatch.chdir(tmp_path)
    found, _ = translate(
        *("base = /srv/shop", "chdir = %(base)", "module = shop.wsgi:application", "master = true"),
        *("processes = 2", "threads = 2", "socket = %(base)/shop.sock", "chmod-socket = 660"),
        *("vacuum = true", "die-on-term = true", "harakiri = 30", "max-requests = 5000"),
    )
    assert found == {
        "application": "shop.wsgi:application",
        "app_dir": "/srv/shop",
        "access_log": True,
        "workers": 2,
        "threads": 2,
        "preload": True,
        "bind": ("unix:/srv/shop/shop.sock",),
        "unix_mode": 0o660,
        "request_timeout": ("30s",),
        "max_requests": 5000,
    }
    assert os.getcwd() == str(tmp_path)
