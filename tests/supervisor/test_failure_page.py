"""What a browser and a script see while the application cannot be loaded."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from breezeway import importer
from breezeway.errors import ApplicationFailedError, ApplicationNotFoundError, UserError
from breezeway.supervisor import failure_page
from breezeway.testing import LiveServer

from ..wire.client import Client

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/<shop>/app.py", line 7, in <module>
    price("<script>")
    ~~~~~^^^^^^^^^^^^
  File "/srv/<shop>/price.py", line 12, in price
    raise ValueError(text)
ValueError: no price in "<script>"
second & last line
"""

FAILED = ApplicationFailedError(
    "importing '<shop>' failed with ValueError.", "Is <it> & that there?", detail=TRACEBACK
)


class Page(HTMLParser):
    """Collects the elements and texts of a page, and refuses one that is not well-formed."""

    VOID = frozenset({"meta", "link", "rect", "stop", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.texts[tag] = self.texts.get(tag, "") + data


class Answer:
    """What the application answers, under the validator of the standard library."""

    def __init__(self, error: UserError, method: str = "GET", accept: str = BROWSER) -> None:
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "QUERY_STRING": ""}
        if accept:
            environ["HTTP_ACCEPT"] = accept
        setup_testing_defaults(environ)
        environ["wsgi.input"] = io.BytesIO(b"a=b")

        def start_response(status: str, fields: list[tuple[str, str]], _: Any = None) -> Any:
            self.status, self.fields = status, dict(fields)
            return lambda data: None

        result = validator(failure_page.application(error))(environ, start_response)
        self.body = b"".join(result)
        result.close()  # type: ignore[attr-defined]
        self.text = self.body.decode()

    @property
    def page(self) -> Page:
        """The page, taken apart."""
        return Page(self.text)


class TestPage:
    def test_says_what_is_wrong(self) -> None:
        """The page has the message, the hint, the exception with its place, and the traceback."""
        answer = Answer(FAILED)
        texts = answer.page.texts
        assert answer.status == "500 Internal Server Error"
        assert answer.fields["Content-Type"] == "text/html; charset=utf-8"
        assert texts["title"] == "importing '<shop>' failed with ValueError · Breezeway"
        assert texts["h1"] == FAILED.message
        assert FAILED.hint in texts["p"]
        assert 'ValueError: no price in "<script>"\nsecond & last line' in texts["p"]
        assert "/srv/<shop>/price.py:12" in texts["p"]
        assert texts["pre"] == TRACEBACK.rstrip("\n")

    def test_everything_is_escaped(self) -> None:
        """Nothing of the error becomes markup, wherever it stands."""
        hostile = "\"'><script>alert(1)</script>"
        for detail in (hostile, f'  File "{hostile}", line 1{hostile}\n{hostile}', f"  {hostile}"):
            page = Answer(ApplicationFailedError(hostile, hostile, detail=detail)).page
            assert [tag for tag, _ in page.elements].count("script") == 1
            assert hostile in page.texts["pre"]

    def test_without_a_traceback(self) -> None:
        """A failure without a traceback and a hint has a page without the empty parts."""
        page = Answer(ApplicationNotFoundError("there is no module 'shop'.")).page
        assert page.texts["h1"] == "there is no module 'shop'."
        assert {tag for tag, _ in page.elements}.isdisjoint({"pre", "h2"})

    def test_names_that_are_not_utf_8(self) -> None:
        """A path with a byte that is no UTF-8 is shown, and does not stop the page."""
        error = ApplicationFailedError("failed.", detail='  File "/\udcff.py", line 1\nError')
        assert r"/\udcff.py" in Answer(error).text

    def test_needs_no_other_host(self) -> None:
        """The page takes nothing from elsewhere, not even from the application's own paths."""
        for _, attributes in Answer(FAILED).page.elements:
            assert "src" not in attributes
            assert str(attributes.get("href") or "data:").startswith("data:")

    def test_policy_allows_its_own_script_and_style(self) -> None:
        """The policy names the hashes of the page's script and style, and allows no other."""
        answer = Answer(FAILED)
        policy = answer.fields["Content-Security-Policy"]
        for kind in ("style", "script"):
            content = re.search(rf"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
            assert content is not None
            digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in policy
        assert policy.startswith("default-src 'none';")


class TestReload:
    def test_page_knows_its_failure(self) -> None:
        """The page has the value of the field by which it tells that something has changed."""
        answer = Answer(FAILED)
        assert answer.page.elements[0][1]["data-failure"] == answer.fields["Breezeway-Failure"]
        assert "Breezeway-Failure" in answer.page.texts["script"]

    def test_same_failure_has_the_same_value(self) -> None:
        """Workers agree on the value; another failure has another."""
        value = Answer(FAILED).fields["Breezeway-Failure"]
        assert Answer(FAILED, "HEAD", "*/*").fields["Breezeway-Failure"] == value
        other = ApplicationFailedError(FAILED.message, FAILED.hint, detail=TRACEBACK + "more")
        assert Answer(other).fields["Breezeway-Failure"] != value

    def test_without_scripts(self) -> None:
        """Where scripts are off, the page refreshes itself; but a form is not sent again."""
        assert '<noscript><meta http-equiv="refresh"' in Answer(FAILED).text
        assert "noscript" not in Answer(FAILED, "POST").text

    def test_nothing_is_cached(self) -> None:
        """No cache keeps a failure."""
        assert Answer(FAILED).fields["Cache-Control"] == "no-store"


class TestPlainText:
    @pytest.mark.parametrize(
        "accept", ["", "*/*", "application/json", "text/html;q=0", "text/html; q=0.000, */*"]
    )
    def test_for_who_does_not_ask_for_a_page(self, accept: str) -> None:
        """A client that does not say that it takes HTML gets what the terminal shows."""
        answer = Answer(FAILED, accept=accept)
        assert answer.status == "500 Internal Server Error"
        assert answer.fields["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.text == f"{TRACEBACK}{FAILED.message}\n{FAILED.hint}\n"

    @pytest.mark.parametrize("accept", ["text/html", "a/b;q=0, TEXT/HTML;level=1;q=0.4"])
    def test_not_for_browsers(self, accept: str) -> None:
        """Whoever takes HTML at all gets the page."""
        assert Answer(FAILED, accept=accept).fields["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
def test_other_methods(method: str) -> None:
    """Every method gets the error."""
    answer = Answer(FAILED, method)
    assert answer.fields["Content-Length"] == str(len(answer.body))
    assert answer.page.texts["h1"] == FAILED.message


def test_head() -> None:
    """HEAD is answered as GET, without the body."""
    answer = Answer(FAILED, "HEAD")
    assert answer.body == b""
    assert int(answer.fields["Content-Length"]) > 1000


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[UserError]:
    """Fail to load an application."""
    (tmp_path / "broken_shop.py").write_text("def app(:\n")
    before = sys.path[:]
    with pytest.raises(ApplicationFailedError) as caught:
        importer.load("broken_shop", str(tmp_path))
    yield caught.value
    sys.path[:] = before


def test_real_failure(broken: UserError, tmp_path: Path) -> None:
    """A syntax error in the user's file is shown with its place, by a real server."""
    with (
        LiveServer(failure_page.application(broken)) as server,
        Client(server.address) as client,
    ):
        response = client.get("/any/path?query", ("Accept", BROWSER))
        assert response.status == 500
        page = Page(response.body.decode())
        assert f"{tmp_path}/broken_shop.py:1" in page.texts["p"]
        assert "SyntaxError: invalid syntax" in page.texts["p"]
        assert "breezeway/importer.py" not in page.texts["pre"]
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b")
        assert b"SyntaxError" in client.response("POST").body
