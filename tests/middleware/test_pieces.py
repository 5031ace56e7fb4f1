"""What holds for every piece: how it is made, and what PEP 3333 asks of middleware."""

from __future__ import annotations

import inspect
import io
import re
import threading
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breezeway import middleware
from breezeway.middleware.stack import unset

from .calling import Counted, call, make_environ, run
from .pieces import PIECES

ROOT = Path(__file__).parents[2]
PLAIN = ("Content-Type", "text/plain")

BY_NAME = pytest.mark.parametrize("piece", PIECES)
CODES = (400, 401, 403, 404, 405, 406, 408, 411, 412, 413, 414, 415, 416, 417, 421, 429, 431, 503)
"""What a piece may answer to a malformed request."""

ALONE = {"Dispatch", "Proxy"}
"""Not made for one application: they take others."""


def test_every_piece_is_there() -> None:
    """No piece is left out of these tests and of the matrix."""
    assert sorted(PIECES) == sorted(middleware.PIECES)


@pytest.mark.parametrize("piece", middleware.PIECES)
def test_every_option_is_explained(piece: str) -> None:
    """Each option has only a name, and stands in the docstring of `__init__` and on its page."""
    made = getattr(middleware, piece)
    page = ROOT / "docs" / "middleware" / f"{middleware.PIECES[piece]}.md"
    text = page.read_text(encoding="utf-8")
    said = inspect.getdoc(made.__init__) or ""
    parameters = inspect.signature(made).parameters
    for name, parameter in parameters.items():
        if name != "application":
            assert piece in ALONE or parameter.kind is parameter.KEYWORD_ONLY, name
            assert f"`{name}`" in said, f"{name} is not in the docstring"
            assert re.search(rf"^\| `{name}`", text, re.MULTILINE), f"{name} is not on the page"
    assert piece == "Proxy" or parameters["application"].default is unset
    assert made.__doc__


@BY_NAME
def test_streaming(piece: str) -> None:
    """A block goes out before the next one is asked for."""
    application = Counted(b"first", b"second", b"third")
    found = PIECES[piece](application)(make_environ(), lambda *given: print)
    blocks = iter(found)
    assert next(block for block in blocks if block)
    assert application.yielded == 1 or piece == "Proxy"
    close(found)


def close(found: Any) -> None:
    """Do what a server does at the end."""
    getattr(found, "close", lambda: None)()


@BY_NAME
@pytest.mark.parametrize("blocks", [0, 1, 4])
def test_closes_once(piece: str, blocks: int) -> None:
    """However far the response came, the application's is closed once."""
    application = Counted(b"first", b"second", b"third")
    found = PIECES[piece](application)(make_environ(), lambda *given: print)
    taken = iter(found)
    for _ in range(blocks):
        next(taken, None)
    close(found)
    if piece != "Proxy":
        assert application.closed == 1


@BY_NAME
def test_failure_in_the_middle(piece: str) -> None:
    """An application that fails while it is iterated over is closed once, and its error is seen."""
    application = Counted(b"first", b"second")

    def failing(environ: Any, start_response: Any) -> Any:
        found = application(environ, start_response)

        class Blocks:
            def __iter__(self) -> Any:
                taken = iter(found)
                yield next(taken)
                raise LookupError("on purpose")

            def close(self) -> None:
                found.close()  # type: ignore[attr-defined]

        return Blocks()

    with pytest.raises(Exception):  # noqa: PT011  # Proxy has one of its own
        run(PIECES[piece](failing), make_environ())
    if piece != "Proxy":
        assert application.closed == 1


@BY_NAME
def test_write_and_exc_info(piece: str) -> None:
    """An application that uses write() and replaces its response is heard."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        try:
            raise LookupError("on purpose")
        except LookupError as error:
            trouble = (LookupError, error, error.__traceback__)
            write = start_response("404 Not Found", [PLAIN], trouble)
        write(b"first,")
        return [b"second"]

    result = call(PIECES[piece](application))
    assert (result.code, result.body) == (404, b"first,second")


@BY_NAME
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PATCH"])
def test_validates(piece: str, method: str) -> None:
    """wsgiref.validate on both sides finds nothing, and the content is the application's."""
    application = Counted(b"first,", b"", b"second")
    result = call(PIECES[piece](application), "/a/b?c=d", method, body=b"x=y")
    assert (result.status, result.body) == ("200 OK", b"first,second") or method != "GET"


WRAPS_FILES = {
    "Bandwidth",
    "Debugger",
    "Errors",
    "Lint",
    "OpenTelemetry",
    "Proxy",
    "Throttle",
}
"""Pieces whose business is each block, or the end."""


@BY_NAME
def test_file_goes_on_untouched(piece: str) -> None:
    """An object of wsgi.file_wrapper reaches the server as what it is, and is closed once."""

    class Wrapper:
        def __init__(self, filelike: Any, block_size: int = 8192) -> None:
            self.filelike = filelike
            self.close = filelike.close

        def __iter__(self) -> Any:
            return iter(lambda: self.filelike.read(8192), b"")

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "image/png"), ("Content-Length", "5")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"12345"))

    environ = make_environ(**{"wsgi.file_wrapper": Wrapper})
    found = PIECES[piece](application)(environ, lambda *given: print)
    assert type(found) is Wrapper or piece in WRAPS_FILES
    assert b"".join(found) == b"12345"
    close(found)


@BY_NAME
def test_threads(piece: str) -> None:
    """One piece serves many threads."""
    wrapped = PIECES[piece](echo)
    wrong: list[object] = []

    def ask() -> None:
        for number in range(20):
            result = call(wrapped, f"/{number}")
            if (result.code, result.body) != (200, f"/{number}".encode()):
                wrong.append(result)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def echo(environ: Any, start_response: Any) -> Any:
    """Answer with the path."""
    start_response("200 OK", [PLAIN])
    return [environ["PATH_INFO"].encode("latin-1")]


FIELDS = (
    *("ACCEPT", "ACCEPT_ENCODING", "AUTHORIZATION", "CACHE_CONTROL", "CONNECTION", "COOKIE"),
    *("CONTENT_ENCODING", "FORWARDED", "HOST", "IF_MATCH", "IF_MODIFIED_SINCE", "IF_NONE_MATCH"),
    *("IF_RANGE", "ORIGIN", "RANGE", "REFERER", "TRACEPARENT", "TRACESTATE", "USER_AGENT", "VIA"),
    *("ACCESS_CONTROL_REQUEST_METHOD", "ACCESS_CONTROL_REQUEST_HEADERS", "SEC_FETCH_SITE", "TE"),
    *("X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_REQUEST_ID", "X_CSRF_TOKEN"),
)
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
HOSTILE = st.one_of(
    LATIN,
    st.lists(
        st.sampled_from(
            [*',;= "/*-:@.', "gzip", "q=", "0", "1.5", "bytes=", "W/", "max-age", "00-", "null"]
        ),
        max_size=12,
    ).map("".join),
)


@BY_NAME
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "DELETE"]),
    path=LATIN.map(lambda text: f"/{text}"),
    query=LATIN,
    fields=st.dictionaries(st.sampled_from(FIELDS), HOSTILE, max_size=4),
)
def test_hostile_requests(
    piece: str, method: str, path: str, query: str, fields: dict[str, str]
) -> None:
    """Whatever a request says, it gets an answer and not an error."""
    environ = make_environ(method=method, body=b"x=y")
    environ |= {f"HTTP_{name}": value for name, value in fields.items()}
    environ |= {"PATH_INFO": path, "QUERY_STRING": query}
    result = run(made(piece), environ)
    assert result.code in (200, 204, 206, 304, 301, 302, 307, 308, *CODES), result


MADE: dict[str, WSGIApplication] = {}


def made(piece: str) -> WSGIApplication:
    """Return a piece that serves many examples."""
    return MADE.setdefault(piece, PIECES[piece](echo))
