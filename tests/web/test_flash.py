"""Messages for the next page: taken once, bounded, and harmless."""

from __future__ import annotations

from typing import Any

import pytest

from breezeway.testing import Client
from breezeway.web import App, Request, flash, flashes
from breezeway.web.flash import KEY, LONGEST, MOST

from ..middleware.calling import make_environ


def asked(session: Any = None) -> Request:
    """Make a request of a visitor."""
    return Request(make_environ(**({} if session is None else {"breezeway.session": session})))


def test_taken_once():
    """The next page has them, all its parts alike; the one after that does not."""
    session: dict[str, Any] = {}
    flash(asked(session), "Saved")
    flash(asked(session), "Twice", "error")
    page = asked(session)
    assert flashes(page) == [("Saved", "info"), ("Twice", "error")]
    assert flashes(page) == [("Saved", "info"), ("Twice", "error")]
    assert flashes(asked(session)) == []
    assert session == {}


def test_nothing_is_written_for_nothing():
    """A page without messages does not change the session."""

    class Kept(dict):
        def pop(self, *_: Any) -> Any:
            raise AssertionError

    assert flashes(asked(Kept(user=1))) == []


def test_bounds():
    """The newest stay, and a long one is cut."""
    session: dict[str, Any] = {}
    for number in range(MOST + 5):
        flash(asked(session), f"{number}")
    assert [each.text for each in flashes(asked(session))] == [f"{n}" for n in range(5, MOST + 5)]
    flash(asked(session), "x" * 1000)
    (found,) = flashes(asked(session))
    assert len(found.text) == LONGEST


@pytest.mark.parametrize("character", ["x", "ü", "\N{SNOWMAN}", "\N{PILE OF POO}", '"', "\0"])
def test_room_in_a_cookie(character):
    """However many there are, and whatever is in them, a cookie holds them."""
    app = App(sessions={"secret": "a secret that is long enough for it"})

    @app.get("/")
    def home(request: Request) -> str:
        flash(request, f"{request.query['n']}{character * 1000}", "success")
        return "Home"

    @app.get("/show")
    def show(request: Request) -> list[str]:
        return [each.text for each in flashes(request)]

    client = Client(app)
    for number in range(MOST):
        client.get("/", params={"n": number})
    found = client.get("/show").json()
    assert found
    assert found[-1].startswith(f"{MOST - 1}{character * 50}")
    assert found[-1].endswith("\N{HORIZONTAL ELLIPSIS}")


@pytest.mark.parametrize("kept", [None, 5, "ab", {"a": 1}, [5], [["a"]], [["a", 1]], [[1, "a"]]])
def test_what_another_version_has_left(kept):
    """What is none is left out."""
    assert flashes(asked({KEY: kept})) == []


def test_without_sessions():
    """It is told what is missing."""
    with pytest.raises(RuntimeError, match=r"App\(sessions="):
        flash(asked(), "a")
    with pytest.raises(RuntimeError, match=r"App\(sessions="):
        flashes(asked())
