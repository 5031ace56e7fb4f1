"""breezeway dev: reload, debugger and readable lines, on this machine alone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import falcon
import pytest

from breezeway.config.sources import Resolved, resolve
from breezeway.errors import UsageError
from breezeway.project import development
from breezeway.web import App, Templates

from .middleware.calling import call
from .process.server import Server, children_of, eventually

DEADLINE_SECONDS = 30.0

SHOP = """
from breezeway.middleware import Static
from breezeway.web import App
app = App()

def wsgi_app(environ, start_response, rest=app.wsgi_app):
    if environ["PATH_INFO"] != "/lie":
        return rest(environ, start_response)
    start_response("200 OK", [("Content-Length", "10")])
    return [b"x"]

app.wsgi_app = Static(wsgi_app, directory="static", prefix="/own")

@app.get("/")
def home():
    return "version 1"

@app.get("/fail")
def fail():
    answer = 6 * 9
    raise LookupError("no such order")

@app.error(500)
def failed(request, error):
    return " ".join(["our", "own", "page"])
"""

SETTINGS = """
workers = 3
access_log = true

[[middleware]]
use = "Errors"

[[middleware]]
use = "Static"
directory = "static"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Give a directory with an application, and settings for production."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "breezeway.toml").write_text(SETTINGS)
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "site.css").write_text("one")
    return tmp_path


@contextmanager
def developing(
    directory: Path, *options: str, until: str = r"Serving shop:app on (\S+)"
) -> Iterator[Server]:
    """Run the command; wait `until` a line of its log, which has the URL if it is known then."""
    command = [sys.executable, "-m", "breezeway", "dev", "shop:app", "--bind", "127.0.0.1:0"]
    server = Server(directory, [*command, "--control-socket", "off", *options], {})
    try:
        server.url = server.log.wait_for(until)[1]
        yield server
    finally:
        server.kill()


def ask(server: Server, path: str, accept: str = "text/html") -> tuple[int, str]:
    """Ask as a browser does; return status and content."""
    request = urllib.request.Request(f"{server.url}{path}", headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_develops(directory: Path) -> None:
    """A failure is shown, whatever answers for it otherwise; lines can be read; a save is seen."""
    with developing(directory) as server:
        status, page = ask(server, "/fail")
        assert status == 500
        assert "no such order" in page
        assert "answer" in page
        assert "our own page" not in page
        server.log.wait_for(r"PIN of the debugger")
        server.out.wait_for(r" GET    /fail 500 ")
        assert ask(server, "/lie")[0] == 500
        server.out.wait_for(r" GET    /lie 500 ")
        assert ask(server, "/static/site.css") == (200, "one")
        assert ask(server, "/own/site.css") == (200, "one")
        (directory / "static" / "site.css").write_text("another")
        assert ask(server, "/static/site.css") == (200, "another")
        assert ask(server, "/own/site.css") == (200, "another")
        (directory / "static" / "new.css").write_text("new")
        assert ask(server, "/static/new.css") == (200, "new")
        server.deploy(SHOP.replace("version 1", "version 2"), "shop.py")
        eventually(lambda: ask(server, "/") == (200, "version 2"), "the new version")
        server.out.wait_for(r" GET    / 200 ")


HANGS = "import time\nprint('it hangs', flush=True)\ntime.sleep(600)\n"
"""Far beyond the timeout for a worker that starts, and that beyond the deadlines of the tests."""


def test_save_after_one_that_hangs(directory: Path) -> None:
    """What hangs when it is loaded gives way to the next save; nobody waits for a timeout."""
    with developing(directory) as server:
        server.deploy(HANGS, "shop.py")
        server.out.wait_for("it hangs")
        assert ask(server, "/") == (200, "version 1")
        server.deploy(SHOP.replace("version 1", "version 2"), "shop.py")
        eventually(lambda: ask(server, "/") == (200, "version 2"), "the new version")
        assert not server.log.find("ERROR|WARN")


def test_save_after_a_start_that_hangs(directory: Path) -> None:
    """So does what hangs from the start."""
    (directory / "shop.py").write_text(HANGS)
    with developing(directory, until="(Watching)") as server:
        server.out.wait_for("it hangs")
        server.deploy(SHOP, "shop.py")
        server.url = server.log.wait_for(r"Serving shop:app on (\S+)")[1]
        eventually(lambda: ask(server, "/") == (200, "version 1"), "the version that is loaded")


def test_templates_are_watched(directory: Path) -> None:
    """A template that is saved begins a reload, wherever below the application it is."""
    template = directory / "shop_pages" / "templates" / "home.html"
    template.parent.mkdir(parents=True)
    template.write_text("one")
    with developing(directory) as server:
        template.write_text("two")
        server.log.wait_for(r"home\.html changed")
        server.log.wait_for(r"reloaded shop:app")


def test_end_of_the_watcher_is_told(directory: Path) -> None:
    """Nobody waits for a reload that does not come any more."""
    with developing(directory, "--control-socket", "control") as server:
        (watcher,) = children_of(server.process.pid).keys() - set(server.workers())
        os.kill(watcher, signal.SIGKILL)
        server.log.wait_for(r"the process that watches the files was killed by SIGKILL")
        assert ask(server, "/")[0] == 200


def test_without_debugger(directory: Path) -> None:
    """--no-debugger: the application's own page, any address, several workers, the usual log."""
    options = (
        "--no-debugger",
        "--workers",
        "2",
        "--bind",
        "0.0.0.0:0",
        "--access-log-format",
        "combined",
    )
    with developing(directory, *options) as server:
        assert ask(server, "/fail") == (500, "our own page")
        server.out.wait_for(r'"GET /fail HTTP/1\.1" 500')


def test_without_lines(directory: Path) -> None:
    """--no-access-log: no lines at all."""
    with developing(directory, "--no-access-log") as server:
        assert ask(server, "/")[0] == 200
    assert server.out.text == ""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--bind", ":8000"), "loopback addresses alone, not for :8000 (--bind)"),
        (("--bind", "127.0.0.1:0", "--bind", "192.0.2.1:80"), "not for 192.0.2.1:80"),
        (("--bind", "shop.example:8000"), "not for shop.example:8000"),
        (("--workers", "2"), "with 2 workers"),
        (("--no-reload",), "needs --reload"),
        (("--server-name", "shop.example"), "the name 'shop.example' (--server-name)"),
    ],
)
def test_refuses(directory: Path, options: tuple[str, ...], told: str) -> None:
    """Where the debugger would not run, the command says so, and how to do without it."""
    done = subprocess.run(
        [sys.executable, "-m", "breezeway", "dev", "shop:app", *options],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert "--no-debugger" in done.stderr


FRAMEWORKS = {
    "flask": """
import flask
app = flask.Flask("shop")

@app.get("/fail")
def fail():
    raise LookupError("no such order")
""",
    "bottle": """
import bottle
app = bottle.Bottle()

@app.get("/fail")
def fail():
    raise LookupError("no such order")
""",
    "django": """
from django.conf import settings
settings.configure(ROOT_URLCONF="shop", ALLOWED_HOSTS=["*"])
from django.core.wsgi import get_wsgi_application
from django.urls import path

def fail(request):
    raise LookupError("no such order")

urlpatterns = [path("fail", fail)]
app = get_wsgi_application()
""",
}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_other_frameworks(directory: Path, name: str) -> None:
    """Failures of applications of other frameworks are shown, too, and not with --no-debugger."""
    (directory / "shop.py").write_text(FRAMEWORKS[name])
    for options in ((), ("--no-debugger",)):
        with developing(directory, *options) as server:
            status, page = ask(server, "/fail")
            assert status == 500
            assert ("no such order" in page) is not bool(options)


def test_falcon(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Falcon's answer for failures gives way to the debugger; those for its own errors are as they were."""
    monkeypatch.setattr("breezeway.web.templates._reload", False)

    class Orders:
        def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
            if request.params:
                raise falcon.HTTPNotFound(description="nobody has ordered this")
            raise LookupError("no such order")

    application = falcon.App()
    application.add_route("/", Orders())
    wrapped = development.wrap(
        application, settled(directory), lambda app, resolved: app, debugger=True
    )
    here = {"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "localhost", "HTTP_HOST": "localhost"}
    assert b"LookupError: no such order" in call(wrapped, **here).body
    result = call(wrapped, "/?a=b", **here)
    assert (result.code, b"nobody has ordered this" in result.body) == (404, True)


# --- what a command line and a file come to --------------------------------------------------------


def settled(directory: Path, **given: object) -> Resolved:
    """Resolve what the command would."""
    found = resolve(development.options(given), {}, str(directory))
    return development.with_lines(found, given)


def test_production_does_not_count(directory: Path) -> None:
    """What the file says for production gives way; the command line is heard."""
    log = 'access_log_file = "log"\naccess_log_format = "json"\naccess_log_slow = "1s"\n'
    (directory / "breezeway.toml").write_text(log + SETTINGS)
    found = settled(directory).settings
    assert (found.reload, found.workers, found.access_log) == (True, 1, True)
    assert (found.access_log_file, found.access_log_format, found.access_log_slow) == (
        None,
        "line",
        None,
    )
    options = {"access_log": False, "workers": 2, "reload": False, "access_log_format": "combined"}
    found = settled(directory, **options).settings
    assert (found.reload, found.workers, found.access_log) == (False, 2, False)
    assert (found.access_log_file, found.access_log_format) == (None, "combined")


@pytest.mark.parametrize(
    "bind", ["127.0.0.1:0", "localhost:80", "[::1]:80", "127.8.9.1:1", "unix:/x/y", "fd://3"]
)
def test_addresses_of_this_machine(directory: Path, bind: str) -> None:
    """Loopback addresses and unix sockets are right."""
    development.check(settled(directory, bind=(bind,)))


def test_an_address_of_the_file(directory: Path) -> None:
    """One that the file has is told with its place."""
    (directory / "breezeway.toml").write_text('\nbind = "0.0.0.0:80"\n')
    with pytest.raises(UsageError, match=re.escape("0.0.0.0:80 (breezeway.toml, line 2)")):
        development.check(settled(directory))


def test_templates_are_read_again(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are there, and those that are made later; a name that is not there stays nothing."""
    monkeypatch.setattr("breezeway.web.templates._reload", False)
    (directory / "mail.txt").write_text("1{{ nobody }}")
    before = Templates(directory)
    assert before.render("mail.txt") == "1"

    def around(application, resolved):  # type: ignore[no-untyped-def]
        return application

    wrapped = development.wrap(App(), settled(directory), around, debugger=False)
    assert isinstance(wrapped, App)
    after = Templates(directory)
    assert after.render("mail.txt") == "1"
    (directory / "mail.txt").write_text("2{{ nobody }}")
    os.utime(directory / "mail.txt", (1, 1))
    assert (before.render("mail.txt"), after.render("mail.txt")) == ("2", "2")
