"""The wiki of the examples: accounts, editing, conflicts, files, search, and no script of an author's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.testing import Client

from .wiki_in import EXAMPLE, wiki_in

PASSWORD = "correct horse battery"
PNG = b"\x89PNG\r\n\x1a\n and so on"
OWN = {"headers": {"Sec-Fetch-Site": "same-origin"}}
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a wiki with nothing in it."""
    with wiki_in(tmp_path / "data", upload_megabytes=1) as application:
        yield application


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
        response = self.client.post(path, data={**self._hidden(path), **fields})
        assert response.status == status, response.text
        return str(response.text)

    def _hidden(self, path: str) -> dict[str, str]:
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', self.get(path)))

    def upload(self, path: str, name: str, content: bytes, status: int = 200) -> str:
        """Upload a file by the form of a page."""
        files = {"file": (name, content)}
        response = self.client.post(path, data=self._hidden(path), files=files)
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
    assert "<h1>Forbidden</h1>" in forged.text


def test_check(tmp_path: Path) -> None:
    """The command finds the example by its settings; the environment goes before them."""
    told = subprocess.run(
        [sys.executable, "-m", "breezeway", "check"],
        cwd=EXAMPLE,
        env={**os.environ, "WIKI_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    assert "can be served within 3 pieces of middleware" in told.stdout
    assert (tmp_path / "data" / "wiki.db").exists()


@pytest.mark.parametrize(
    ("name", "content", "disposition", "kind"),
    [
        ("cat.png", PNG, "inline", "image/png"),
        ("cat.svg", b"<svg onload='alert(1)'/>", "attachment", "application/octet-stream"),
        ("page.html", EVIL.encode(), "attachment", "application/octet-stream"),
        ("../../\u202eétc.txt", b"text", "attachment", "application/octet-stream"),
    ],
)
def test_upload_and_fetch(
    application: Any, name: str, content: bytes, disposition: str, kind: str
) -> None:
    """What was uploaded is fetched as it was; nothing but pictures without scripts is shown."""
    ann = Visitor(application, "ann")
    ann.send("/new", title="Cats", text="![A cat](cat.png)")
    ann.upload("/pages/cats/files", name, content)
    page = ann.get("/pages/cats")
    url = re.findall(r'href="(/pages/cats/files/[^"]+)"', page)[0]
    assert "/.." not in url
    assert "%E2%80%AE" not in url
    fetched = Visitor(application).client.get(url)
    assert fetched.content == content
    assert fetched.headers["Content-Type"] == kind
    assert fetched.headers["Content-Disposition"].startswith(disposition)
    assert fetched.headers["X-Content-Type-Options"] == "nosniff"
    assert fetched.headers["Content-Security-Policy"].endswith("; sandbox")
    assert 'src="/pages/cats/files/cat.png"' in page


@pytest.mark.parametrize(
    ("name", "content", "status", "says"),
    [
        ("cat.png", b"<html>", 422, "is none"),
        ("empty.txt", b"", 422, "nothing in this file"),
        ("kept.txt", b"again", 422, "of this name already"),
        ("large.bin", bytes(1024 * 1024 + 1), 413, "at most 1 MB"),
    ],
)
def test_refused_uploads(
    application: Any, tmp_path: Path, name: str, content: bytes, status: int, says: str
) -> None:
    """What cannot be kept is said in the form, and leaves nothing on the disk."""
    ann = Visitor(application, "ann")
    ann.send("/new", title="Cats", text="They purr")
    ann.upload("/pages/cats/files", "kept.txt", b"first")
    assert says in ann.upload("/pages/cats/files", name, content, status)
    (kept,) = (tmp_path / "data" / "uploads").iterdir()
    assert kept.read_bytes() == b"first"


def test_delete(application: Any, tmp_path: Path) -> None:
    """Who has uploaded a file takes it away, nobody else."""
    ann, bob = Visitor(application, "ann"), Visitor(application, "bob")
    ann.send("/new", title="Cats", text="They purr")
    ann.upload("/pages/cats/files", "a.txt", b"text")
    assert bob.client.post("/pages/cats/files/a.txt/delete", **OWN).status == 403
    assert "Deleted a.txt" in ann.client.post("/pages/cats/files/a.txt/delete", **OWN).text
    assert "no file of this name" in ann.get("/pages/cats/files/a.txt", 404)
    assert [*(tmp_path / "data" / "uploads").iterdir()] == []


def test_strangers_upload_nothing(application: Any) -> None:
    """Who is not logged in is asked to, before the file is read."""
    Visitor(application, "ann").send("/new", title="Cats", text="They purr")
    stranger = Visitor(application)
    answer = stranger.client.post("/pages/cats/files", files={"file": ("a.txt", b"text")}, **OWN)
    assert "<h1>Log in</h1>" in answer.text
    assert "no files yet" in stranger.get("/pages/cats/files")


@pytest.mark.parametrize("way", ["new", "restore"])
def test_conflict_where_nobody_edited(application: Any, way: str) -> None:
    """Two begin the same page, or one brings back what another changes: the form settles that, too."""
    ann, bob = Visitor(application, "ann"), Visitor(application, "bob")
    ann.send("/new", title="Shared", text="of ann")
    if way == "new":
        page = bob.client.post("/new", data={"title": "shared", "text": "of bob"}, **OWN)
    else:
        ann.send("/pages/shared/edit", text="again of ann")
        path = "/pages/shared/history/1/restore"
        page = bob.client.post(path, data={"base": "1"}, **OWN)
    assert page.status == 409
    form = re.findall(r'<form class="editor" method="post" action="([^"]+)"', page.text)
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    assert "Saved as version" in bob.client.post(form[0], data={**hidden, "text": "of both"}).text
    assert "of both" in ann.get("/pages/shared")
