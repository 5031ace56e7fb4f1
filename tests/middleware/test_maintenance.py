"""A page for the time of maintenance."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from breezeway.middleware import Maintenance
from breezeway.middleware import maintenance as module

from .calling import Counted, call

SECRET = "0123456789abcdef"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


def test_off() -> None:
    """It has nothing to do until it is told."""
    assert call(Maintenance(Counted(b"hello"))).body == b"hello"


@pytest.mark.parametrize(
    ("accept", "kind", "found"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8", "<p>Back at 5"),
        ("application/json", "application/json", '"message": "Back at 5 &"'),
        ("application/json, */*", "application/json", "maintenance"),
        ("*/*", "text/plain; charset=utf-8", "Back at 5 &\n"),
        (None, "text/plain; charset=utf-8", "Back at 5 &\n"),
        ("image/png", "text/plain; charset=utf-8", "Back at 5 &\n"),
        ("text/html;q=0", "text/plain; charset=utf-8", "Back at 5 &\n"),
    ],
)
def test_answer(accept: str | None, kind: str, found: str) -> None:
    """The answer is 503 in the form that the client wants, and says when to come back."""
    application = Counted(b"hello")
    piece = Maintenance(application, on=True, message="Back at 5 &", retry_after=60)
    result = call(piece, fields={} if accept is None else {"Accept": accept})
    assert result.status == "503 Service Unavailable"
    assert (result["content-type"], result["retry-after"]) == (kind, "60")
    assert (result["cache-control"], result["vary"]) == ("no-store", "Accept")
    assert found in result.body.decode()
    assert application.calls == 0
    if kind.endswith("json"):
        assert json.loads(result.body)["error"] == "maintenance"
    if "html" in kind:
        assert b"Back at 5 &amp;" in result.body
    head = call(piece, "/", "HEAD", fields={} if accept is None else {"Accept": accept})
    assert (head["content-length"], head.body) == (str(len(result.body)), b"")


def test_own_page() -> None:
    """HTML of one's own takes the place of the page."""
    piece = Maintenance(Counted(), on=True, page="<h1>{Gone}</h1>")
    assert call(piece, fields={"Accept": "text/html"}).body == b"<h1>{Gone}</h1>"


def test_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on while the file is there, which is looked at once a second at most."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    file = tmp_path / "down"
    piece = Maintenance(Counted(b"hello"), file=str(file))
    looks = []
    exists = os.path.exists
    monkeypatch.setattr(module.os.path, "exists", lambda path: looks.append(path) or exists(path))
    assert call(piece).code == 200
    file.touch()
    assert call(piece).code == 200
    assert len(looks) == 1
    clock.now += 1
    assert call(piece).code == 503
    file.unlink()
    assert call(piece).code == 503
    clock.now += 1
    assert call(piece).code == 200
    assert len(looks) == 3


def test_callable(tmp_path: Path) -> None:
    """A callable is asked at each request; the file counts as well."""
    on = [False]
    file = tmp_path / "down"
    piece = Maintenance(Counted(b"hello"), on=lambda: on[0], file=str(file))
    assert call(piece).code == 200
    on[0] = True
    assert call(piece).code == 503
    file.touch()
    on[0] = False
    piece._look_again = 0.0
    assert call(piece).code == 503


@pytest.mark.parametrize(
    ("path", "more", "code"),
    [
        ("/", {}, 503),
        ("/", {"REMOTE_ADDR": "10.1.2.3"}, 200),
        ("/", {"REMOTE_ADDR": "::ffff:10.1.2.3"}, 200),
        ("/", {"REMOTE_ADDR": "11.1.2.3"}, 503),
        ("/", {"REMOTE_ADDR": ""}, 503),
        ("/", {"HTTP_X_FORWARDED_FOR": "10.1.2.3"}, 503),
        ("/health", {}, 200),
        ("/health/db", {}, 200),
        ("/health/../admin", {}, 503),
        ("/health/..", {}, 503),
        ("/health/..;/admin", {}, 503),
        ("/x/../health", {}, 503),
        ("/healthy", {}, 503),
        ("/api", {"SCRIPT_NAME": "/health"}, 200),
        ("/", {"HTTP_X_MAINTENANCE": SECRET}, 200),
        ("/", {"HTTP_X_MAINTENANCE": SECRET[:-1]}, 503),
        ("/", {"HTTP_X_MAINTENANCE": "caf\xe9"}, 503),
        ("/", {"HTTP_COOKIE": f"a=b; maintenance={SECRET}"}, 200),
        ("/", {"HTTP_COOKIE": f"maintenance=x; maintenance={SECRET};c"}, 200),
        ("/", {"HTTP_COOKIE": f"xmaintenance={SECRET}"}, 503),
    ],
)
def test_who_gets_through(path: str, more: dict[str, Any], code: int) -> None:
    """Networks, paths and the secret let through, and nothing that only looks like them."""
    piece = Maintenance(
        Counted(b"hello"), on=True, allow=["10.0.0.0/8"], paths=["/health/"], secret=SECRET
    )
    assert call(piece, path, **more).code == code


def test_a_text_is_a_list_of_one() -> None:
    """A network or a path may stand by itself."""
    piece = Maintenance(Counted(b"hello"), on=True, allow="10.0.0.0/8", paths="/health")
    assert call(piece, "/health").code == call(piece, REMOTE_ADDR="10.0.0.1").code == 200
    assert call(piece).code == 503


def test_no_secret_is_none() -> None:
    """Without a secret an empty one does not let through."""
    assert call(Maintenance(Counted(), on=True), HTTP_X_MAINTENANCE="").code == 503


@pytest.mark.parametrize(
    "options",
    [
        {"file": 5},
        {"on": "yes"},
        {"on": 1},
        {"allow": ["10.0.0.1/8"]},
        {"allow": 5},
        {"allow": [5]},
        {"paths": ["health"]},
        {"paths": ["/"]},
        {"secret": "short"},
        {"secret": "0123456789abcdef;"},
        {"retry_after": -1},
        {"retry_after": True},
        {"message": None},
        {"page": 5},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    """What cannot be is told at construction, by the name of the option."""
    with pytest.raises(ValueError, match=rf"\A{next(iter(options))}\b"):
        Maintenance(Counted(), **options)
