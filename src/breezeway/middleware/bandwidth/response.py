"""A response on its way through `Bandwidth`.

The head is kept until it is known whether all may go at once, or whether there is a place among those
that are slowed down: past that point a refusal would come too late.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import sleep
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.bandwidth.pace import Pace
from breezeway.middleware.rate_limit.refusals import Refusals
from breezeway.semantics.fields import Headers, content_length


@dataclass(frozen=True, slots=True)
class Limit:
    """What all responses share."""

    rate: float
    """Bytes a second."""
    burst: int
    """Bytes that may go at once."""
    piece: int
    """Bytes between two pauses."""
    pace: Pace | None
    """None if each response has its own."""
    places: threading.Semaphore
    """For those that are slowed down."""
    retry: tuple[str, str]
    refusals: Refusals


class Response:
    """One response; the iterable that the server gets, if it is slowed down or nobody knows yet."""

    # Defaults stand in the class: most responses need few of these, and to set them all takes as long
    # as everything else.
    _status: str | None = None
    """Of a head that the server has not got yet."""
    _exc_info: Any = None
    _write: Callable[[bytes], object] | None = None
    """The server's, which has got the head."""
    _pace: Pace | None = None
    """There is one if the response is slowed down; it has a place then."""
    _refusal: list[bytes] | None = None
    _block = b""
    """What is sent in pieces, from `_at` on."""
    _at = 0
    _left: int | None = None
    """Bytes of a file that are still to be sent."""
    _source: object = None

    def __init__(
        self, limit: Limit, key: str, environ: WSGIEnvironment, start_response: StartResponse
    ) -> None:
        self._limit = limit
        self._key = key
        self._environ = environ
        self._start_response = start_response

    def start_response(
        self, status: str, headers: Headers, exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """Keep the head until it is known whether there is a place for its content."""
        if self._refusal is not None:
            return self.write
        if self._write is not None:
            # What replaces a response that was let go is let go: it is an error's.
            self._write = self._pass_on(status, headers, exc_info)
            return self.write
        if exc_info is None and self._status is not None:
            raise AssertionError("start_response was called a second time without exc_info")
        length = content_length(headers)
        if length is not None and self._fits(status, length):
            self._status = None
            self._write = write = self._pass_on(status, headers, exc_info)
            return write
        self._status, self._headers, self._exc_info = status, headers, exc_info
        return self.write

    def write(self, data: bytes) -> None:
        """Send a block at once, or in time."""
        if self._status is not None:
            self._begin(None)
        if self._refusal is None:
            assert self._write is not None
            if self._pace is None:
                self._write(data)
                return
            piece = self._limit.piece
            for at in range(0, len(data), piece):
                self._write(self._in_time(data[at : at + piece]))

    def _begin(self, length: int | None) -> None:
        """Decide about a head that did not say that its content is short."""
        limit, status, headers = self._limit, self._status, self._headers
        assert status is not None
        self._status = None
        if content_length(headers) is not None:
            length = None
        if not self._fits(status, length):
            if not limit.places.acquire(blocking=False):
                return self._refuse()
            self._pace = limit.pace or Pace(limit.rate, limit.burst)
        exc_info, self._exc_info = self._exc_info, None
        self._write = self._pass_on(status, headers, exc_info)
        return None

    def _fits(self, status: str, length: int | None) -> bool:
        """Tell whether so many bytes may go at once; they are taken then."""
        limit = self._limit
        if length is not None and limit.pace is None and length <= limit.burst:
            return True
        if length == 0 or self._environ["REQUEST_METHOD"] == "HEAD" or status[:3] in ("204", "304"):
            return True
        return length is not None and limit.pace is not None and limit.pace.fits(self._key, length)

    def _pass_on(self, status: str, headers: Headers, exc_info: Any) -> Callable[[bytes], object]:
        if exc_info is None:
            return self._start_response(status, headers)
        return self._start_response(status, headers, exc_info)

    def _refuse(self) -> None:
        limit = self._limit
        limit.refusals.tell(self._key, "as many responses as may be are being slowed down")
        status, headers = "503 Service Unavailable", [limit.retry]
        self._refusal = answer(self._environ, self._start_response, status, headers=headers)

    # --- the body --------------------------------------------------------------------------------

    def returned(self, blocks: Iterable[bytes]) -> Iterable[bytes]:
        """Take what the application has returned; return what the server gets."""
        if self._write is not None and self._pace is None:
            return blocks
        self._source = blocks
        try:
            kind = type(blocks)
            if self._status is not None:
                self._begin(sum(map(len, blocks)) if kind is list or kind is tuple else None)
            if self._refusal is not None:
                self.close()
                return self._refusal
            if self._write is not None and self._pace is None:
                return blocks
            if self._pace and kind is self._environ.get("wsgi.file_wrapper"):
                self._left = content_length(self._headers)  # a file may have more than is meant
            self._blocks = iter(blocks)
        except BaseException:
            self.close()
            raise
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._at >= len(self._block):
            if self._left == 0:
                raise StopIteration
            block = self._next_block()
            if self._pace is None or not block:
                return block
            if self._left is not None:
                block = block[: self._left]
                self._left -= len(block)
            self._block, self._at = block, 0
        at = self._at
        self._at = at + self._limit.piece
        return self._in_time(self._block[at : self._at])

    def _next_block(self) -> bytes:
        if self._refusal is not None:
            raise StopIteration
        try:
            block = next(self._blocks)
        except StopIteration:
            if self._status is None:
                raise
            block = b""  # the head of a response without content
        if self._status is not None:
            self._begin(None)
            if self._refusal is not None:
                return b"".join(self._refusal)
        return block

    def _in_time(self, piece: bytes) -> bytes:
        assert self._pace is not None
        seconds = self._pace.take(self._key, len(piece))
        if seconds > 0.0:
            sleep(seconds)
        return piece

    def close(self) -> None:
        """Give the place back, and close the application's iterable, each once."""
        pace, self._pace = self._pace, None
        if pace is not None:
            self._limit.places.release()
        source, self._source = self._source, None
        close = getattr(source, "close", None)
        if close is not None:
            close()
