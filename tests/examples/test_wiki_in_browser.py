"""The wiki of the examples in a real browser: what people do with it, and what must never happen."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.testing import LiveServer

from .browser import Person, browser
from .wiki_in import wiki_in

pytestmark = pytest.mark.once

PASSWORD = "correct horse battery"

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}

Open = Callable[..., Person]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Run the browser."""
    with browser() as running:
        yield running


@pytest.fixture
def wiki(tmp_path: Path) -> Iterator[str]:
    """Serve a wiki with nothing in it; return its URL."""
    with (
        wiki_in(tmp_path / "data", upload_megabytes=1) as application,
        LiveServer(application) as server,
    ):
        yield server.url


@pytest.fixture
def open_window(chromium: Any, wiki: str) -> Iterator[Open]:
    """Give people windows of their own; what should never be was in none of them."""
    people: list[Person] = []

    def open_one(name: str = "", **options: Any) -> Person:
        people.append(Person(chromium, wiki, **options))
        if name:
            people[-1].send("/sign-up", {"name": name, "password": PASSWORD})
        return people[-1]

    yield open_one
    for person in people:
        person.close()
    assert [noticed for person in people for noticed in person.noticed] == []


def write(person: Person, title: str, text: str, summary: str = "") -> None:
    """Write a new page."""
    person.send("/new", {"title": title, "text": text, "summary": summary})


def upload(person: Person, name: str, kind: str, content: bytes) -> None:
    """Upload a file to the page whose files are shown."""
    file = {"name": name, "mimeType": kind, "buffer": content}
    person.page.get_by_label("A picture").set_input_files(file)
    person.press("Upload")


def picture(width: int, height: int) -> bytes:
    """Return a PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = (b"\0" + b"\x0f\x76\x6e" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# --- what people do --------------------------------------------------------------------------------------


def test_account(open_window: Open) -> None:
    """Sign up, log out, and log in on the way to a page for which one has to be."""
    ann = open_window()
    page = ann.go("/sign-up")
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    ann.press("Sign up")
    assert page.get_by_role("status").inner_text() == "Hello, ann"
    ann.press("Log out")
    ann.go("/new")
    assert page.url.endswith("/log-in?next=%2Fnew")
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill("wrong password")
    ann.press("Log in")
    assert "nobody of this name" in page.get_by_role("alert").inner_text()
    page.get_by_label("Password").fill(PASSWORD)
    ann.press("Log in")
    assert page.url.endswith("/new")


def test_page(open_window: Open) -> None:
    """Write a page, look at it before it is saved, change it, compare, search: mostly by keyboard."""
    ann = open_window("ann")
    page = ann.go("/new")
    page.get_by_label("Title").fill("Front page")
    page.get_by_label("Text").fill("Of *zebras*, and [[Other animals]].")
    ann.press("Preview")
    assert page.get_by_role("region", name="Preview").locator("em").inner_text() == "zebras"
    with page.expect_navigation():
        page.get_by_label("Text").press("Control+Enter")
    assert page.get_by_role("status").inner_text() == "Saved as version 1"
    assert page.get_by_role("link", name="Other animals").get_attribute("class") == "missing"
    with page.expect_navigation():
        page.keyboard.press("e")
    page.get_by_label("Text").fill("Of *zebras* and gnus.")
    page.get_by_label("What have you changed?").fill("Gnus")
    ann.press("Save")
    ann.follow("History")
    page.get_by_role("row", name="Gnus").wait_for()
    ann.press("Compare")
    assert "gnus" in page.locator("ins").inner_text()
    page.keyboard.press("/")
    page.keyboard.type("zeb")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("mark").inner_text() == "zebras"


def test_text_that_is_not_saved(open_window: Open) -> None:
    """A page is not left with a text that was not saved, unless one says so."""
    ann = open_window("ann")
    page = ann.go("/new")
    page.get_by_label("Text").press_sequentially("Unsaved")
    with page.expect_event("dialog"):
        page.get_by_role("link", name="Changes").click()
    assert ann.noticed == ["dialog: "]
    assert page.url.endswith("/new")
    ann.noticed.clear()


def test_upload_and_fetch(open_window: Open) -> None:
    """A picture is shown in its page, another file is saved as it was, a large one is refused."""
    ann = open_window("ann")
    write(ann, "Cats", "![A cat](a%20cat.png)\n\nand [a paper](paper.pdf)")
    page = ann.go("/pages/cats/files")
    upload(ann, "a cat.png", "image/png", picture(40, 30))
    assert page.get_by_role("status").inner_text() == "Uploaded a cat.png"
    upload(ann, "paper.pdf", "application/pdf", b"%PDF-1.7 and so on")
    upload(ann, "film.mp4", "video/mp4", bytes(1024 * 1024 + 1))
    assert page.locator("#file-fault").inner_text() == "A file has at most 1 MB."

    ann.go("/pages/cats")
    page.wait_for_function("document.querySelector('.prose img').naturalWidth == 40")
    with page.expect_download() as download:
        page.get_by_role("link", name="a paper").click()
    assert download.value.suggested_filename == "paper.pdf"
    assert Path(download.value.path()).read_bytes() == b"%PDF-1.7 and so on"

    ann.follow("Files")
    ann.press("Delete paper.pdf")
    assert page.get_by_role("status").inner_text() == "Deleted paper.pdf"
    assert page.locator(".files li").count() == 1


def test_conflict_of_two_editors(open_window: Open) -> None:
    """The second of two editors is shown both texts, brings them together, and nothing is lost."""
    ann, bob = open_window("ann"), open_window("bob")
    write(ann, "Shared", "one\n\ntwo")
    for person in (ann, bob):
        person.go("/pages/shared/edit")
    ann.page.get_by_label("Text").fill("one of ann\n\ntwo")
    ann.press("Save")
    bob.page.get_by_label("Text").fill("one\n\ntwo of bob")
    bob.press("Save")

    page = bob.page
    assert "ann saved version 2" in page.get_by_role("alert").inner_text()
    assert page.locator("#their-text").inner_text() == "one of ann\n\ntwo"
    assert page.locator("#your-text").inner_text() == "one\n\ntwo of bob"
    assert page.get_by_label("Text").input_value() == "one\n\ntwo of bob"
    assert ann.go("/pages/shared").locator(".prose").inner_text() == "one of ann\n\ntwo"

    page.get_by_label("Text").fill("one of ann\n\ntwo of bob")
    bob.press("Save this one")
    assert page.get_by_role("status").inner_text() == "Saved as version 3"
    bob.follow("History")
    assert page.locator("tbody tr").count() == 3
    assert ann.go("/pages/shared").locator(".prose").inner_text() == "one of ann\n\ntwo of bob"


# --- what must never happen ------------------------------------------------------------------------------

TAG = "<img src=x onerror=top.flag=1>"

ATTRIBUTE = '" autofocus onfocus=top.flag=1 x="'

MARKDOWN = f"""
<script>top.flag=1</script> {TAG} <svg onload=top.flag=1> [[{TAG}]] [[a|{TAG}]] <b onclick=x>
[one](javascript:top.flag=1) [two](JaVaScRiPt:top.flag=1) [three](java&#x0A;script:top.flag=1)
[four](data:text/html,<script>top.flag=1</script>) [five](<javascript:top.flag=1>)
[six](vbscript:x "{ATTRIBUTE}") [seven]({ATTRIBUTE}) <javascript:top.flag=1>
![x"onerror=top.flag=1](//x "t" onerror=top.flag=1) [[{ATTRIBUTE}]]

```"><script>top.flag=1</script>
{TAG}
```
"""

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>top.flag=1</script></svg>'

HTML = b"<!doctype html><script>top.flag=1</script>"


def unclean(page: Any) -> list[str]:
    """Return what has run, and what would run something: links of other schemes, handlers in tags."""
    page.wait_for_load_state("load")
    found: list[str] = page.evaluate(
        """() => [
            ...(window.flag === undefined ? [] : ['something has run']),
            ...[...document.querySelectorAll('*')].flatMap((each) =>
                each.getAttributeNames().filter((name) => name.startsWith('on')
                    || (['href', 'xlink:href', 'src', 'action', 'formaction'].includes(name)
                        && !/^https?:$/.test(new URL(each.getAttribute(name), document.baseURI).protocol)
                )).map((name) => `${each.tagName} ${name}=${each.getAttribute(name)}`))]"""
    )
    return found


def test_would_be_noticed(chromium: Any) -> None:
    """What is tried on the wiki does run where nothing is done against it, and is noticed."""

    def careless(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        text = {"/tag": TAG, "/attribute": f'<input value="{ATTRIBUTE}">'}.get(
            environ["PATH_INFO"], "<a href='javascript:1'>x</a><script>alert(1)</script>"
        )
        return [f"<!doctype html><title>x</title>{text}".encode()]

    with LiveServer(careless) as server:
        eve = Person(chromium, server.url)
        for path in ("/tag", "/attribute"):
            eve.go(path).wait_for_function("window.flag == 1")
            assert unclean(eve.page)
        assert unclean(eve.go("/link"))
        assert "dialog: 1" in eve.noticed
        eve.close()


def test_no_script_of_an_author(open_window: Open) -> None:
    """Whatever somebody enters, wherever: it is shown, and nothing of it runs."""
    eve = open_window(TAG)
    write(eve, f"A {TAG}", MARKDOWN, summary=f"{TAG}{ATTRIBUTE}")
    slug = "a-img-src-x-onerror-top-flag-1"
    page = eve.go(f"/pages/{slug}")
    assert TAG in page.locator("h1").inner_text()
    assert "<script>top.flag=1</script>" in page.locator(".prose").inner_text()
    assert unclean(page) == []
    eve.go(f"/pages/{slug}/edit")
    eve.press("Preview")
    assert unclean(page) == []
    page.get_by_label("Text").fill(f"{TAG} {ATTRIBUTE}")
    eve.press("Save")
    for path in (
        *("/pages", "/changes", f"/pages/{slug}/history", f"/pages/{slug}/edit"),
        *(f"/pages/{slug}/changes?old=1&new=2", f"/pages/{slug}/files", f"/pages/{TAG}"),
        *(
            f"/search?q={ATTRIBUTE}",
            f"/search?q={TAG}",
            "/search?q=onerror",
            f"/new?title={ATTRIBUTE}",
        ),
    ):
        assert unclean(eve.go(path)) == [], path
    assert page.get_by_label("Title").input_value() == ATTRIBUTE

    stranger = open_window()
    for path in ("javascript:top.flag=1", "//evil.example", f"/{ATTRIBUTE}"):
        assert unclean(stranger.go(f"/log-in?next={path}")) == []
    stranger.go("/log-in?next=javascript:top.flag=1")
    stranger.page.get_by_label("Name").fill(TAG)
    stranger.page.get_by_label("Password").fill(PASSWORD)
    stranger.press("Log in")
    assert stranger.page.url.endswith("/pages")
    assert unclean(stranger.page) == []


def test_no_script_of_a_file(open_window: Open) -> None:
    """A file is saved or shown as a picture; no page or script comes of it in the wiki's origin."""
    eve = open_window("eve")
    write(eve, "Files", "![x](x.svg) ![y](y.png) [z](z.html)")
    page = eve.go("/pages/files/files")
    files = [
        ("x.svg", "image/svg+xml", SVG),
        ("y.png", "text/html", picture(1, 1) + HTML),
        ("z.html", "text/html", HTML),
        (f"&lt;{TAG}.txt", "text/html", HTML),
    ]
    for name, kind, content in files:
        upload(eve, name, kind, content)
        assert unclean(page) == []
    # The toolkit takes < and > out of a name; what is left is shown as it is.
    assert page.locator(".name").first.inner_text() == "&lt;_img src=x onerror=top.flag=1_.txt"
    eve.go("/pages/files")
    page.wait_for_function("document.images[2].naturalWidth == 1")
    assert unclean(page) == []
    for name in ("x.svg", "z.html"):
        with page.expect_download() as download:
            page.locator(".attached").get_by_role("link", name=name).click()
        assert download.value.suggested_filename == name
    eve.go("/pages/files/files/y.png")
    assert page.evaluate("document.contentType") == "image/png"
    assert unclean(page) == []
    # Neither as a frame, nor as a script, nor as a style of a page of the wiki.
    for name in ("x.svg", "z.html", "y.png"):
        answer = page.request.get(f"/pages/files/files/{name}")
        assert answer.headers["content-security-policy"].endswith("; sandbox")
        assert answer.headers["x-content-type-options"] == "nosniff"


# --- wherever it is read ---------------------------------------------------------------------------------

WIDE = f"""\
# A heading with {"averyverylongword" * 6}

`{"code" * 40}` and https://example.org/{"path/" * 30}

    {"a line of code " * 20}

| {" | ".join("column" for _ in range(12))} |
| {" | ".join("---" for _ in range(12))} |
| {" | ".join("something" for _ in range(12))} |

![A large picture](large.png)
"""


def test_on_a_phone(open_window: Open) -> None:
    """No page has to be pushed aside to be read, and none is bright where dark ones are wanted."""
    ann = open_window("ann" + "a" * 37, **PHONE)
    write(ann, "T" * 90, "Short")
    slug = "t" * 90
    page = ann.go(f"/pages/{slug}/files")
    upload(ann, "large.png", "image/png", picture(900, 20))
    upload(ann, "n" * 150 + ".txt", "text/plain", b"text")
    ann.send(f"/pages/{slug}/edit", {"text": WIDE, "summary": "s" * 200, "base": "1"})
    for path in (
        *(f"/pages/{slug}", "/pages", "/changes", f"/pages/{slug}/edit", f"/pages/{slug}/history"),
        *(
            f"/pages/{slug}/changes?old=1&new=2",
            f"/pages/{slug}/files",
            "/search?q=code",
            "/nowhere",
        ),
    ):
        ann.go(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    for scheme, is_dark in (("light", False), ("dark", True)):
        page.emulate_media(color_scheme=scheme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in ground.strip("rgb()").split(",")) / 3
        assert (brightness < 128) == is_dark
