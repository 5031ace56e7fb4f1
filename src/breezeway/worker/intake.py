"""Collects a request that does not come at one go: head, then body, then what was sent ahead.

It is the general road from received bytes to a complete request; `connection` has a shorter one for a
head that is all there. It makes no difference in which pieces the bytes come.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Callable
from functools import partial
from typing import IO, Final, NamedTuple

from breezeway.config.settings import Settings
from breezeway.gateway.input import EMPTY_INPUT, BodyStore, Spool
from breezeway.gateway.memory_budget import MemoryBudget
from breezeway.gateway.types import Environ
from breezeway.http1.body import Body, ChunkedBody, CountedBody
from breezeway.http1.errors import ProtocolError
from breezeway.http1.head import CHUNKED, EXPECT_CONTINUE, Head, Parser, leading_empty_line

HEADS_MEMORY_BYTES: Final = 64 * 1024 * 1024
"""What all heads of a worker that are not complete take of its memory, beside the first bytes of each.
Ten thousand slow clients would take 640 MiB otherwise, with heads of 64 KiB each."""

UNCOUNTED_BYTES: Final = 8 * 1024
"""Of each such head: nearly all are smaller, so that these are served however many others there are."""


class Request(NamedTuple):
    """A complete request.

    `body` is None when the application is called before it has come: because the client waits
    for `100 Continue` to send it, or because the application reads it as it comes.
    """

    head: Head
    body: IO[bytes] | None
    trailers: list[tuple[str, str]]


class Intake:
    """The input of one connection."""

    __slots__ = (
        "_ahead",
        "_body",
        "_buffer",
        "_heads",
        "_held",
        "_parser",
        "_received",
        "_refused",
        "_scanned",
        "_spool",
        "_store",
        "_streams",
        "_waited",
        "_waits_since",
        "head",
        "method_head",
        "started",
        "streamed",
    )

    def __init__(
        self,
        parser: Parser,
        store: BodyStore,
        heads: MemoryBudget,
        streams: tuple[str, ...] = (),
    ) -> None:
        """`store` is where bodies are collected, `heads` what is left for heads.

        `streams` are the beginnings of the paths where applications read bodies as they come.
        """
        self._parser = parser
        self._store = store
        self._streams = streams
        self._heads = heads
        self._held = 0  # of that, by this one
        self._buffer = bytearray()  # of a head that is not complete, or sent ahead
        self._scanned = 0
        self._refused = b""  # the head that was
        self.head: Head | None = None
        """Of the request whose body is being collected."""
        self._body: Body | None = None
        self._spool: Spool | None = None
        self.streamed = False
        """The body goes to the application as it comes."""
        self._ahead = b""  # of such a body, what has come with its head
        self._received = 0  # bytes of the body on the wire
        self._waits_since = self._waited = 0.0
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

    @property
    def blank(self) -> bool:
        """Whether nothing is there of the next request but an empty line, or half of one."""
        return bytes(self._buffer) in (b"\r", b"\r\n")

    def receive_size(self, most: int, ahead: int) -> int:
        """Return how many bytes to receive at a time: `most`, but of what comes after a body `ahead`.

        That waits uncounted while the request is answered. Of chunks, which may cost much for each
        byte, it is no more than that, either, and of heads.
        """
        head = self.head
        if self._body is None or head is None or head.length == CHUNKED:
            return ahead
        return min(most, head.length - self._received + ahead)

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
                self._hold(self._scanned)
                return None
            head = self._parse(end, base)
            if not head.length:
                return Request(head, EMPTY_INPUT, [])
            if head.flags & EXPECT_CONTINUE and not self._buffer:
                self.head = head
                return Request(head, None, [])
            self.expect_body(head)
            data = bytes(self._buffer)
            self._buffer.clear()
            if self.streamed:
                return self._take_beginning(head, data)
        return self._take_body(data)

    def _hold(self, size: int) -> None:
        """Account for the memory that a head takes.

        Raises:
            ProtocolError: there is none left.
        """
        counted = max(0, size - UNCOUNTED_BYTES)
        if counted > self._held:
            if not self._heads.take(counted - self._held):
                raise ProtocolError(
                    503, "too much memory is taken by requests that are not complete"
                )
        elif counted < self._held:
            self._heads.give_back(self._held - counted)
        self._held = counted

    def _parse(self, end: int, base: Environ) -> Head:
        raw = bytes(self._buffer[leading_empty_line(self._buffer) : end])
        del self._buffer[:end]
        self._hold(0)
        self._scanned = 0
        self.started = 0.0
        try:
            return self._parser.parse(raw, base)
        except ProtocolError:
            self._refused = raw
            raise

    def begun(self) -> Head:
        """Return the head of a request that is refused, or as much of it as was understood."""
        if self.head is not None:
            return self.head
        raw = self._refused or bytes(self._buffer)
        line, end, _ = raw[leading_empty_line(raw) :].partition(b"\r\n")
        environ: Environ = {"REQUEST_METHOD": "-"}
        if end:
            with contextlib.suppress(ProtocolError):
                environ = self._parser.environ_of_line(line)
        return Head(raw=raw, block=b"", environ=environ, length=0, flags=0)

    def expect_body(self, head: Head) -> None:
        """Take what follows as the body of `head`."""
        self.head = head
        self._spool = Spool(self._store)
        limit = self._parser.limits.body
        self._body = ChunkedBody(limit) if head.length == CHUNKED else CountedBody(head.length)
        self._received = 0
        head.whole = head.size
        self._waited = 0.0
        self._waits_since = time.monotonic()
        environ = head.environ
        path = environ["SCRIPT_NAME"] + environ["PATH_INFO"] if self._streams else ""
        self.streamed = path.startswith(self._streams)

    def _feed(self, data: bytes) -> bytes:
        """Return the content in what was received; keep what comes after the body."""
        body = self._body
        assert body is not None
        self._received += len(data)
        self._note_received()
        content = body.feed(data)
        if body.done:
            self._received -= len(body.rest)
            self._note_received()
            self._buffer += body.rest
        return content

    def _note_received(self) -> None:
        if self.head is not None:
            self.head.whole = self.head.size + self._received

    def _take_body(self, data: bytes) -> Request | None:
        assert self._body is not None
        assert self._spool is not None
        assert self.head is not None
        content = self._feed(data)
        if content:
            self._spool.write(content)
        if not self._body.done:
            return None
        request = Request(self.head, self._spool.finish(), self._body.trailers)
        self._body = self._spool = self.head = None
        return request

    # --- a body that the application reads as it comes -------------------------------------------

    def _take_beginning(self, head: Head, data: bytes) -> Request:
        assert self._body is not None
        self._ahead = self._feed(data)
        if not self._body.done:
            return Request(head, None, [])
        request = Request(head, io.BytesIO(self._ahead), self._body.trailers)
        self._end_stream()
        return request

    def ahead(self) -> bytes:
        """Return the content that has come with the head, once."""
        content, self._ahead = self._ahead, b""
        return content

    def take_piece(self, data: bytes) -> tuple[bytes, list[tuple[str, str]] | None]:
        """Return the content in what was received, and the trailers if that is the end.

        Raises:
            ProtocolError: the request is refused.
        """
        body = self._body
        assert body is not None
        content = self._feed(data)
        if not body.done:
            return content, None
        self._end_stream()
        return content, body.trailers

    def _end_stream(self) -> None:
        self._body = self._spool = self.head = None
        self._ahead = b""
        self.streamed = False

    def collect(self) -> None:
        """Keep the body until it is complete, after all.

        Raises:
            OSError: there is no room on the disk.
        """
        self.streamed = False
        if self._spool is not None:
            self._spool.write(self.ahead())

    # --- time ------------------------------------------------------------------------------------

    def want(self, now: float) -> None:
        """Note that from now on, in monotonic seconds, the client is to send."""
        self._waits_since = now

    def pause(self, now: float) -> None:
        """Note that the client need not send for the time being."""
        self._waited += now - self._waits_since

    def too_slow_at(self, rate: int, after: float) -> float:
        """Return when the body will have been too slow, if nothing more of it comes.

        That is, below `rate` bytes a second on average, of the time in which it was waited for;
        the first `after` seconds do not count. Both times are monotonic seconds.
        """
        due = max(after, self._received / rate) if rate else math.inf
        return self._waits_since - self._waited + due

    def note_start(self) -> float:
        """Note when a head has begun; return it, in monotonic seconds."""
        if not self.started:
            self.started = time.monotonic()
        return self.started

    def close(self) -> None:
        """Throw away what was collected."""
        self._hold(0)
        if self._spool is not None:
            self._spool.close()


def intakes(parser: Parser, settings: Settings) -> Callable[[], Intake]:
    """Return what makes the intakes of a worker's connections, which share its memory."""
    store = BodyStore(settings.body_memory, settings.temp_dir)
    heads = MemoryBudget(HEADS_MEMORY_BYTES)
    return partial(Intake, parser, store, heads, settings.stream_body)


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
