"""Changing a response on its way out, block by block, with all that PEP 3333 allows an application.

An application may call `start_response` before it returns or when its iterable is first asked for a
block, twice with `exc_info`, and may send blocks with `write()`. `filtered` deals with that, so that a
piece of middleware says only what becomes of the head and of each block:

- A response that the filter leaves alone goes on as the application returned it, so that the server
  still sees a list or an object of `wsgi.file_wrapper` as what it is.
- A list or tuple is whole: it goes on as one block with its Content-Length.
- Everything else goes on block by block, each before the next one is asked for. A block of which
  nothing is left yet goes on as an empty one (PEP 3333, "Middleware Handling of Block Boundaries").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.semantics.fields import Headers, content_length


class Filter(Protocol):
    """What becomes of one response."""

    def start(self, status: str, headers: Headers, length: int | None) -> Headers | None:
        """Return the fields to send, or None to leave this response alone from here on.

        `headers` belongs to the filter. `length` is that of the content in bytes, None if nobody
        knows it yet. It is called again if the application replaces its response with `exc_info`.
        """

    def block(self, block: bytes) -> bytes:
        """Return what to send for a block of the application; it may be empty."""

    def end(self) -> bytes:
        """Return what is to be sent after the last block."""


def filtered(
    application: WSGIApplication,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    response_filter: Filter,
) -> Iterable[bytes]:
    """Call an application, and send its response through a filter."""
    response = Response(environ, start_response, response_filter)
    return response.returned(application(environ, response.start_response))


class Response:
    """One response, and the iterable that the server gets if it comes in blocks.

    `filtered` makes one for each request. A piece that can tell by the head alone that most responses
    are none of its business makes one only when it is needed: it hands the application's call on to
    `start_response`, and what the application returns to `returned`.
    """

    __slots__ = (
        "_blocks",
        "_changes",
        "_close",
        "_ended",
        "_environ",
        "_exc_info",
        "_filter",
        "_headers",
        "_pending",
        "_start_response",
        "_status",
        "_write",
    )

    def __init__(
        self, environ: WSGIEnvironment, start_response: StartResponse, response_filter: Filter
    ) -> None:
        self._environ = environ
        self._start_response = start_response
        self._filter = response_filter
        self._status: str | None = None
        self._pending = False
        """The application has called start_response, and the server's was not yet for that."""
        self._changes = False
        """The filter does not leave this response alone."""
        self._exc_info: Any = None
        self._write: Callable[[bytes], object] | None = None
        self._ended = False

    # --- what the application calls -----------------------------------------------------------------

    def start_response(
        self, status: str, headers: Headers, exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """Keep the head until it is needed."""
        if exc_info is None and self._status is not None:
            raise AssertionError("start_response was called a second time without exc_info")
        self._status, self._headers = status, headers
        self._exc_info = exc_info
        self._pending = True
        if self._write is not None:  # the server's was called: it knows what was sent by now
            self._begin(None)
        return self.write

    def write(self, data: bytes) -> None:
        """Send a block at once."""
        if self._pending:
            self._begin(None)
        assert self._write is not None
        self._write(self._filter.block(data) if self._changes else data)

    # --- the head -----------------------------------------------------------------------------------

    def _begin(self, length: int | None) -> None:
        """Call the server's start_response."""
        headers = self._decide(length)
        self._send_head(self._headers if headers is None else headers)

    def _decide(self, length: int | None) -> Headers | None:
        known = content_length(self._headers)
        assert self._status is not None
        headers = self._filter.start(
            self._status, self._headers[:], length if known is None else known
        )
        self._changes = headers is not None
        return headers

    def _send_head(self, headers: Headers) -> None:
        self._pending = False
        assert self._status is not None
        if self._exc_info is None:
            self._write = self._start_response(self._status, headers)
            return
        try:
            self._write = self._start_response(self._status, headers, self._exc_info)
        finally:
            self._exc_info = None  # no circle through the traceback

    # --- the body -----------------------------------------------------------------------------------

    def returned(self, blocks: Iterable[bytes]) -> Iterable[bytes]:
        """Take what the application has returned; return what the server gets."""
        try:
            if self._pending:
                if type(blocks) is list or type(blocks) is tuple:
                    return self._whole(blocks)
                self._begin(None)
                if not self._changes:
                    return blocks
            self._blocks: Iterator[bytes] = iter(blocks)
        except BaseException:
            _close(blocks)
            raise
        self._close = getattr(blocks, "close", None)
        return self

    def _whole(self, blocks: list[bytes] | tuple[bytes, ...]) -> Iterable[bytes]:
        is_head = self._environ["REQUEST_METHOD"] == "HEAD"
        length = sum(map(len, blocks))
        # The content that a HEAD is spared says nothing of its length.
        headers = self._decide(length if length or not is_head else None)
        if headers is None:
            self._send_head(self._headers)
            return blocks
        if is_head:
            self._send_head(headers)
            return iter(())  # a server makes a Content-Length of what it can count
        content = b"".join([*map(self._filter.block, blocks), self._filter.end()])
        if content_length(headers) is None:
            headers.append(("Content-Length", str(len(content))))
        self._send_head(headers)
        return [content]

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._ended:
            raise StopIteration
        try:
            block = next(self._blocks)
        except StopIteration:
            return self._end()
        except BaseException:
            self._ended = True  # who asks again must not get an end that makes it look whole
            raise
        if self._pending:
            self._begin(None)
        return self._filter.block(block) if self._changes else block

    def _end(self) -> bytes:
        self._ended = True
        if self._pending:
            self._begin(0 if self._write is None else None)
        tail = self._filter.end() if self._changes else b""
        if not tail:
            raise StopIteration
        return tail

    def close(self) -> None:
        """Close the application's iterable, once."""
        close, self._close = self._close, None
        if close is not None:
            close()


def _close(blocks: object) -> None:
    close = getattr(blocks, "close", None)
    if close is not None:
        close()
