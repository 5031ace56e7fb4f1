"""Messages for the next page: taken once, bounded, and harmless."""

from __future__ import annotations

from typing import Any

import pytest

from breezeway.web import Request, flash, flashes
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
        flash(asked(session), f"{number}{'x' * 1000}")
    found = flashes(asked(session))
    assert len(found) == MOST
    assert found[-1].text.startswith(str(MOST + 4))
    assert all(len(each.text) == LONGEST for each in found)


@pytest.mark.parametrize("kept", [None, 5, "ab", {"a": 1}, [5], [["a"]], [["a", 1]], [[1, "a"]]])
def test_what_another_version_has_left(kept):
    """What is none is left out."""
    assert flashes(asked({KEY: kept})) == []


def test_without_sessions():
    """It is told what is missing."""
    with pytest.raises(RuntimeError, match="sessions"):
        flash(asked(), "a")
    with pytest.raises(RuntimeError, match="sessions"):
        flashes(asked())
