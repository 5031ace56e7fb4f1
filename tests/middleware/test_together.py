"""All pieces around one application at once, in the order that the documentation gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from wsgiref.types import WSGIApplication

import pytest

from breezeway.middleware import Lint

from .calling import Counted, Result, make_environ
from .matrix_app import FILE, KINDS
from .pieces import PIECES

ORDER = (
    "ProxyHeaders",
    *("RequestId", "AccessLog", "Metrics", "Timing", "OpenTelemetry", "Profiler"),
    *("AllowedHosts", "HttpsRedirect", "Maintenance", "RateLimit", "Throttle", "Bandwidth"),
    *("BodyLimit", "Decompress"),
    *("Security", "Cors"),
    "Errors",
    *("Compress", "Conditional", "Cache"),
    *("Dispatch", "Static"),
    *("Sessions", "Csrf", "BasicAuth", "BearerAuth"),
)
"""From the outside in, as docs/middleware/index.md has it."""

APART = {"Debugger", "Lint", "Proxy"}
"""For development, around it all, and an application of its own."""

BODIES = {
    "block": b"<p>GET",
    "generator": b"first," + b"second," * 1000 + b"third",
    "file": FILE,
    "written": b"first,second",
    "empty": b"",
}


class Closes:
    """An application whose iterables count their `close()`; lists go on as they are."""

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application
        self.opened = self.closed = 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        found = self.application(environ, start_response)
        if type(found) in (list, tuple):
            return found
        self.opened += 1
        return _Closes(self, found)


class _Closes:
    def __init__(self, counts: Closes, blocks: Any) -> None:
        self._counts = counts
        self._blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def close(self) -> None:
        self._counts.closed += 1
        getattr(self._blocks, "close", bool)()


def together(application: WSGIApplication, order: tuple[str, ...] = ORDER) -> WSGIApplication:
    """Put the pieces around an application, and Lint on both sides of them."""
    made: WSGIApplication = Lint(application)
    for name in reversed(order):
        made = PIECES[name](made)
    return Lint(made)


def call(application: WSGIApplication, **request: Any) -> Result:
    """Send a request as a server does that knows where a body ends."""
    head: list[Any] = []
    blocks: list[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        assert exc_info is not None or not head
        head[:] = [status, headers]
        return blocks.append

    found: Any = application(make_environ(**request), start_response)
    try:
        blocks.extend(found)
    finally:
        getattr(found, "close", bool)()
    return Result(head[0], head[1], blocks)


def test_no_piece_is_left_out() -> None:
    """All that there are stand in the order."""
    assert {*ORDER} == PIECES.keys() - APART


@pytest.mark.parametrize("order", [ORDER, ORDER[::-1]], ids=["in order", "from behind"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", BODIES)
def test_same_bytes(kind: str, method: str, order: tuple[str, ...]) -> None:
    """What the application answers arrives, and its iterable is closed once."""
    application = Closes(KINDS[kind]())
    pieces = together(application, order)
    for _ in range(2):
        result = call(pieces, method=method)
        assert result.code == (204 if kind == "empty" else 200)
        assert result.body == BODIES[kind] or method == "HEAD"
    assert application.closed == application.opened


@pytest.mark.parametrize("order", [ORDER, ORDER[::-1]], ids=["in order", "from behind"])
def test_flask(order: tuple[str, ...]) -> None:
    """A form reaches a framework, and both of its cookies come back."""
    result = call(
        together(KINDS["flask"](), order),
        method="POST",
        fields={"Content-Type": "application/x-www-form-urlencoded"},
        body=b"said=hello&said=you",
    )
    assert result.body == b"<p>hello,you</p>" * 50
    assert {line.partition(";")[0] for line in result.all("Set-Cookie")} >= {"one=1", "two=2"}


def test_failure() -> None:
    """A failing application is a page of Errors, with the fields of what stands around it."""
    result = call(together(KINDS["failing"]()))
    assert result.code == 500
    assert result["X-Request-ID"]
    assert result["Content-Security-Policy"]


@pytest.mark.parametrize("order", [ORDER, ORDER[::-1]], ids=["in order", "from behind"])
def test_late_failure(order: tuple[str, ...]) -> None:
    """What was sent stays, and the rest is an error: nobody takes a part for the whole."""
    application = Closes(KINDS["failing_late"]())
    seen = b""

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info is not None and seen:
            raise exc_info[1]
        return bool

    found: Any = together(application, order)(make_environ(), start_response)
    taken = iter(found)
    seen = next(taken)
    with pytest.raises(LookupError):
        next(taken)
    found.close()
    assert seen == b"first"
    assert (application.opened, application.closed) == (1, 1)


WRAPS_FILES = {"OpenTelemetry", "Throttle", "Bandwidth", "Security", "Cors", "Errors", "Lint"}


def test_file_stays_one() -> None:
    """A file of the server's wrapper comes out as one, whatever Conditional puts in its place."""

    class Wrapper:
        def __init__(self, filelike: Any, block_size: int = 8192) -> None:
            self.filelike = filelike
            self.close = filelike.close

        def __iter__(self) -> Iterator[bytes]:
            return iter(lambda: self.filelike.read(8192), b"")

    application = KINDS["file"]()
    for name in reversed(ORDER):
        if name not in WRAPS_FILES:
            application = PIECES[name](application)
    environ = make_environ() | {"wsgi.file_wrapper": Wrapper}
    found: Any = application(environ, lambda *given: bool)
    assert type(found) is Wrapper
    assert b"".join(found) == FILE
    found.close()


@pytest.mark.parametrize("blocks", range(4))
@pytest.mark.parametrize("order", [ORDER, ORDER[::-1]], ids=["in order", "from behind"])
def test_client_leaves(order: tuple[str, ...], blocks: int) -> None:
    """However far the response came, the application is closed once, and streaming stays that."""
    application = Counted(b"first", b"second", b"third")
    found: Any = together(application, order)(make_environ(), lambda *given: bool)
    taken = iter(found)
    for _ in range(blocks):
        next(taken)
    found.close()
    assert application.closed == 1
    assert application.yielded == blocks


@pytest.mark.parametrize("order", [ORDER, ORDER[::-1]], ids=["in order", "from behind"])
def test_compressed(order: tuple[str, ...]) -> None:
    """A client that takes a coding gets it; one that takes none gets the same afterwards."""
    pieces = together(KINDS["generator"](), order)
    result = call(pieces, fields={"Accept-Encoding": "gzip"})
    assert result["Content-Encoding"] == "gzip"
    assert len(result.body) < len(BODIES["generator"])
    plain = call(pieces)
    assert (plain["Content-Encoding"], plain.body) == (None, BODIES["generator"])
