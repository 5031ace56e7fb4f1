"""Collects a request that does not come at one go: head, then body, then what was sent ahead.

It is the general road from received bytes to a complete request; `connection` has a shorter one for a
head that is all there. It makes no difference in which pieces the bytes come.
"""

from __future__ import annotations

import io
import time
from typing import IO, NamedTuple

from breezeway.gateway.input import EMPTY_INPUT, Spool
from breezeway.gateway.types import Environ
from breezeway.http1.body import Body, ChunkedBody, CountedBody
from breezeway.http1.head import CHUNKED, EXPECT_CONTINUE, Head, Parser, leading_empty_line


class Request(NamedTuple):
    """A complete request; `body` is None when the client waits for `100 Continue` to send it."""

    head: Head
    body: IO[bytes] | None
    trailers: list[tuple[str, str]]


class Intake:
    """The input of one connection."""

    __slots__ = (
        "_body",
        "_buffer",
        "_head",
        "_memory",
        "_parser",
        "_scanned",
        "_spool",
        "method_head",
        "started",
    )

    def __init__(self, parser: Parser, body_memory: int) -> None:
        """`body_memory`: how much of a body is kept in memory, in bytes."""
        self._parser = parser
        self._memory = body_memory
        self._buffer = bytearray()  # of a head that is not complete, or sent ahead
        self._scanned = 0
        self._head: Head | None = None  # whose body is being collected
        self._body: Body | None = None
        self._spool: Spool | None = None
        self.method_head = False
        """The current request is a HEAD: what answers it has no body."""
        self.started = 0.0
        """When the first byte of the current head came, in monotonic seconds; 0: not yet."""

    def __bool__(self) -> bool:
        """Whether bytes are there that were not asked for yet."""
        return bool(self._buffer)

    @property
    def in_body(self) -> bool:
        """Whether the head is complete and the body is not."""
        return self._body is not None

    def take(self, data: bytes, base: Environ) -> Request | None:
        """Add what was received; return the next request if it is complete.

        Raises:
            ProtocolError: the request is refused.
            OSError: the body does not fit on the disk.
        """
        if self._body is None:
            self._buffer += data
            self.method_head = self._buffer.startswith((b"HEAD ", b"\r\nHEAD "))
            end = self._parser.head_end(self._buffer, self._scanned) if self._buffer else 0
            if not end:
                self._scanned = len(self._buffer)
                return None
            head = self._parse(end, base)
            if not head.length:
                return Request(head, EMPTY_INPUT, [])
            if head.flags & EXPECT_CONTINUE and not self._buffer:
                self._head = head
                return Request(head, None, [])
            self.expect_body(head)
            data = bytes(self._buffer)
            self._buffer.clear()
        return self._take_body(data)

    def _parse(self, end: int, base: Environ) -> Head:
        raw = bytes(self._buffer[leading_empty_line(self._buffer) : end])
        del self._buffer[:end]
        self._scanned = 0
        self.started = 0.0
        return self._parser.parse(raw, base)

    def expect_body(self, head: Head) -> None:
        """Take what follows as the body of `head`."""
        self._head = head
        self._spool = Spool(self._memory)
        limit = self._parser.limits.body
        self._body = ChunkedBody(limit) if head.length == CHUNKED else CountedBody(head.length)

    def _take_body(self, data: bytes) -> Request | None:
        assert self._body is not None
        assert self._spool is not None
        assert self._head is not None
        content = self._body.feed(data)
        if content:
            self._spool.write(content)
        if not self._body.done:
            return None
        request = Request(self._head, self._spool.finish(), self._body.trailers)
        self._buffer += self._body.rest
        self._body = self._spool = self._head = None
        return request

    def note_start(self) -> float:
        """Note when a head has begun; return it, in monotonic seconds."""
        if not self.started:
            self.started = time.monotonic()
        return self.started

    def close(self) -> None:
        """Throw away what was collected."""
        if self._spool is not None:
            self._spool.close()


def fill_environ(request: Request) -> Environ:
    """Make the environ of one request: a copy of its head's, with what the body adds."""
    environ = request.head.environ.copy()
    if request.body is None or request.body is EMPTY_INPUT:
        return environ
    environ["wsgi.input"] = request.body
    if request.head.length == CHUNKED:
        # The coding is taken off and the length is known: applications need not tell the two apart.
        size = request.body.seek(0, io.SEEK_END)
        request.body.seek(0)
        environ["CONTENT_LENGTH"] = str(size)
        if request.trailers:
            environ["breezeway.trailers"] = request.trailers
    return environ
