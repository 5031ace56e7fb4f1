"""Middleware from a file of settings, put around an application."""

import sys
from types import ModuleType

import pytest

from breezeway import middleware, wrapping
from breezeway.config.middleware_tables import MiddlewareTable
from breezeway.errors import ApplicationFailedError, ApplicationNotFoundError, UsageError
from breezeway.middleware.stack import unset

PLACE = "breezeway.toml, line 3"


class Piece:
    """Says its name before the application's answer."""

    def __init__(self, application=unset, *, name="x", numbers=()):
        if not isinstance(name, str):
            raise ValueError(f"name must be text, not {name!r}")
        self.application = application
        self.name = name

    def __call__(self, environ, start_response):
        return [self.name.encode(), *self.application(environ, start_response)]


class Alone:
    """Goes around nothing."""

    def __call__(self, environ, start_response):
        return []


@pytest.fixture(autouse=True)
def pieces(monkeypatch):
    """Have pieces of one's own, in the package and in a module."""
    monkeypatch.setattr(middleware, "PIECES", {"Piece": "piece", "Alone": "alone"})
    monkeypatch.setitem(vars(middleware), "Piece", Piece)
    monkeypatch.setitem(vars(middleware), "Alone", Alone)
    module = ModuleType("own_pieces")
    module.Own = Piece
    module.broken = lambda application: 1 / 0
    module.number = 5
    monkeypatch.setitem(sys.modules, "own_pieces", module)


def wrap(tmp_path, *tables):
    """Wrap an application that says its own name."""
    made = [MiddlewareTable(use, options, PLACE) for use, options in tables]
    return wrapping.wrap(lambda environ, start_response: [b"app"], made, str(tmp_path))


def test_the_first_is_the_outermost(tmp_path):
    """The tables read from the outside in; pieces of both kinds."""
    found = wrap(tmp_path, ("Piece", {"name": "a"}), ("own_pieces:Own", {"name": "b"}))
    assert found({}, None) == [b"a", b"b", b"app"]


@pytest.mark.parametrize(
    ("use", "options", "message", "hint"),
    [
        ("Peice", {}, "there is no middleware 'Peice'", "Did you mean 'Piece'?"),
        ("piece", {}, "there is no middleware 'piece'", "Did you mean 'Piece'?"),
        ("Xyzzy", {}, "there is no middleware 'Xyzzy'", "A piece of your own is named as"),
        ("Piece", {"nam": 1}, "Piece has no option 'nam'", "Did you mean 'name'?"),
        ("Piece", {"threads": 1}, "Piece has no option 'threads'", "threads is a setting"),
        ("Piece", {"zz": 1}, "Piece has no option 'zz'", "Options there: name, numbers"),
        ("Piece", {"application": 1}, "Piece has no option 'application'", "Options there"),
        ("Piece", {"name": 1}, "Piece: name must be text, not 1", ""),
        ("own_pieces:Own", {"name": 1}, "own_pieces:Own: name must be text", ""),
        ("Alone", {}, "Alone does not go around an application", "Dispatch mounts"),
    ],
)
def test_mistakes(tmp_path, use, options, message, hint):
    """A mistake in a table is told with its place."""
    with pytest.raises(UsageError) as caught:
        wrap(tmp_path, (use, options))
    assert caught.value.message.startswith(f"{PLACE}: {message}")
    assert caught.value.hint.startswith(hint)


def test_code_that_fails(tmp_path):
    """A piece of the user's own that fails when it is made shows the user's traceback."""
    with pytest.raises(ApplicationFailedError) as caught:
        wrap(tmp_path, ("own_pieces:broken", {}))
    assert "ZeroDivisionError" in caught.value.detail


@pytest.mark.parametrize("use", ["own_pieces:Owm", "own_pieces:number", "no_such_module:X"])
def test_not_there(tmp_path, use):
    """What is named as MODULE:NAME has to be there, and callable."""
    with pytest.raises(ApplicationNotFoundError):
        wrap(tmp_path, (use, {}))


class TestStack:
    def test_reads_from_the_outside_in(self):
        """The first piece is the outermost; a plain callable is one, too."""

        def shout(application):
            return lambda environ, start_response: [b"!", *application(environ, start_response)]

        inner = Piece(name="b")
        found = middleware.stack(lambda e, s: [b"app"], Piece(name="a"), shout, inner)
        assert found({}, None) == [b"a", b"!", b"b", b"app"]

    def test_a_piece_has_one_application(self):
        """A piece cannot stand in two stacks."""
        piece = Piece()
        middleware.stack(lambda e, s: [], piece)
        with pytest.raises(ValueError, match="Piece has an application already"):
            middleware.stack(lambda e, s: [], piece)

    def test_without_an_application(self):
        """A piece that nobody gave an application says so when it is asked."""
        with pytest.raises(RuntimeError, match="has no application"):
            Piece()({}, None)
