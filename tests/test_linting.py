"""`breezeway check --lint`: an application asked in every way."""

import sys
from types import ModuleType

import flask
import pytest

from breezeway import linting
from breezeway.cli import main
from breezeway.errors import ApplicationFailedError, UserError

from .middleware.pieces import PIECES


def good(environ, start_response):
    """Keep to PEP 3333."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one"
    yield b"two"


def bad(environ, start_response):
    """Break it, and take advice."""
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [b"x"]


def failing(environ, start_response):
    """Fail at one path."""
    if environ["PATH_INFO"] == "/boom":
        raise LookupError("on purpose")
    return good(environ, start_response)


def test_good():
    """Where there is nothing to say, a line says what was asked."""
    told = linting.check(good, "shop:app")
    assert told == "shop:app: 20 requests, no breach of PEP 3333."


def test_frameworks():
    """Flask keeps to it."""
    assert not linting.run(flask.Flask(__name__)).faults


def test_breach():
    """Breaches fail the check, each with the request, the clause, the fault and how to mend it."""
    with pytest.raises(UserError) as caught:
        linting.check(bad, "shop:app")
    assert caught.value.message == "shop:app: 20 requests, 1 breach of PEP 3333."
    assert 'GET /: breach of PEP 3333, "Other HTTP Features"\n' in caught.value.detail
    assert 'GET /: advice on PEP 3333, "Input and Error Streams"\n' in caught.value.detail


def test_failure():
    """An exception that leaves the application is told with the application's traceback."""
    with pytest.raises(ApplicationFailedError) as caught:
        linting.check(failing, "shop:app", ["/boom"])
    assert caught.value.message.endswith("no breach of PEP 3333, 1 exception.")
    assert "LookupError: on purpose" in caught.value.detail
    assert "breezeway/linting.py" not in caught.value.detail


def test_nothing_is_changed():
    """Methods that may change something go where nothing is."""
    seen = set()

    def application(environ, start_response):
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD", "OPTIONS"):
            seen.add(environ["PATH_INFO"])
        return good(environ, start_response)

    linting.run(application, ["/cart"])
    assert len(seen) == 1
    assert not seen & {"/", "/cart"}


@pytest.mark.parametrize(("application", "code"), [(good, 0), (bad, 1), (failing, 0)])
def test_command(monkeypatch, tmp_path, capsys, application, code):
    """The option of the command line."""
    module = ModuleType("linted")
    module.app = application
    monkeypatch.setitem(sys.modules, "linted", module)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["check", "linted", "--lint"])
    assert ended.value.code == code
    assert "linted: 20 requests" in "".join(capsys.readouterr())


class Careless:
    """Middleware that closes nothing, and leaves a number in the environ."""

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        """Answer in one block."""
        environ["careless"] = 1
        return [b"".join(self.application(environ, start_response))]


def test_middleware(monkeypatch, tmp_path, capsys):
    """What the middleware of the file of settings does to the application is told, too."""
    module = ModuleType("linted")
    module.app, module.Careless = good, Careless
    monkeypatch.setitem(sys.modules, "linted", module)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "breezeway.toml").write_text('[[middleware]]\nuse = "linted:Careless"\n')
    with pytest.raises(SystemExit) as ended:
        main(["check", "linted", "--lint"])
    told = "".join(capsys.readouterr())
    assert ended.value.code == 1
    assert 'GET /: breach of PEP 3333, "environ Variables", by the middleware\n' in told
    assert "  The iterable of '/' was never closed.\n" in told
    assert "BREW" not in told


@pytest.mark.parametrize("piece", sorted({*PIECES} - {"Proxy", "Lint"}))
def test_our_middleware(piece):
    """Ours keeps to it towards the application."""
    within = linting.Within(good)
    found = linting.run(PIECES[piece](within), within=within)
    assert not found.faults
    assert not found.failures
