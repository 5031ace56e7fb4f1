"""The wiki of the examples: accounts, editing, conflicts, search, and no script of an author's."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.testing import Client

EXAMPLE = Path(__file__).parents[2] / "examples" / "wiki"
PASSWORD = "correct horse battery"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a wiki with nothing in it."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from wiki import application as module
    from wiki.settings import Settings

    opened: list[Any] = []
    open_database = module.open_database
    monkeypatch.setattr(
        module, "open_database", lambda path: opened.append(open_database(path)) or opened[-1]
    )
    yield module.make_application(Settings(data=tmp_path))
    for sessions in opened:
        sessions.kw["bind"].dispose()  # a server has them to its end
    for name in [name for name in sys.modules if name.partition(".")[0] == "wiki"]:
        del sys.modules[name]


class Visitor:
    """A browser, as far as forms go."""

    def __init__(self, application: Any, name: str = "") -> None:
        self.client = Client(application, follow_redirects=True)
        if name:
            self.send("/sign-up", name=name, password=PASSWORD)

    def get(self, path: str, status: int = 200) -> str:
        """Look at a page."""
        response = self.client.get(path)
        assert response.status == status, response.text
        return str(response.text)

    def send(self, path: str, status: int = 200, **fields: str) -> str:
        """Fill in the form of a page, with the hidden fields that it has."""
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', self.get(path)))
        response = self.client.post(path, data={**hidden, **fields})
        assert response.status == status, response.text
        return str(response.text)


def test_log_in(application: Any) -> None:
    """Who has an account logs in with the right password alone, and out again."""
    ann = Visitor(application, "ann")
    assert "Hello, ann" in ann.get("/") or "ann</span>" in ann.get("/")
    again = Visitor(application)
    again.send("/log-in", 401, name="ann", password="wrong")
    assert "ann</span>" in again.send("/log-in", name="ann", password=PASSWORD)


def test_edit_and_history(application: Any) -> None:
    """A page is written, changed, and what it was is kept."""
    ann = Visitor(application, "ann")
    ann.send("/new", title="First page", text="Some **bold** text")
    assert "<strong>bold</strong>" in ann.get("/pages/first-page")
    ann.send("/pages/first-page/edit", text="Other text", summary="Shorter")
    assert "Other text" in ann.get("/pages/first-page")
    assert "Shorter" in ann.get("/pages/first-page/history")
    assert "bold" in ann.get("/pages/first-page/history/1")


def test_conflict_of_two_editors(application: Any) -> None:
    """The second of two editors sees both versions, and nothing is lost."""
    ann, bob = Visitor(application, "ann"), Visitor(application, "bob")
    ann.send("/new", title="Shared", text="one\ntwo")
    editor = bob.get("/pages/shared/edit")
    ann.send("/pages/shared/edit", text="one of ann\ntwo")
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', editor))
    answer = bob.client.post("/pages/shared/edit", data={**hidden, "text": "one\ntwo of bob"})
    assert answer.status == 409
    assert "one of ann" in answer.text
    assert "two of bob" in answer.text
    assert "one of ann" in bob.get("/pages/shared")


def test_search(application: Any) -> None:
    """A word of a page finds it."""
    ann = Visitor(application, "ann")
    ann.send("/new", title="Zebras", text="They have stripes")
    assert "Zebras" in ann.get("/search?q=stripes")
    assert "Zebras" not in ann.get("/search?q=spots")


def test_no_script_of_an_author(application: Any) -> None:
    """Whatever an author writes, in text, title or summary, is text."""
    ann = Visitor(application, "ann")
    ann.send("/new", title=f"A {EVIL}", text=f"{EVIL} [x](javascript:alert(1))", summary=EVIL)
    slug = re.findall(r'href="(/pages/[^"/]+)"', ann.get("/pages"))[0]
    pages = [ann.get(path) for path in (slug, f"{slug}/history", "/pages", "/changes")]
    pages.append(ann.get(f"/search?q={EVIL}"))
    for page in pages:
        assert EVIL not in page
        assert 'href="javascript:' not in page


def test_strangers_write_nothing(application: Any) -> None:
    """Who is not logged in is asked to, and a form of another site is refused."""
    stranger = Visitor(application)
    assert "Log in" in stranger.get("/new")
    forged = stranger.client.post(
        "/new", data={"title": "x", "text": "y"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert forged.status == 403
