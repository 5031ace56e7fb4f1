r"""The body of a request as it comes off the wire: counted bytes or chunks (RFC 9112 sections 6, 7).

A decoder is fed whatever has arrived and gives back the content in it. When `done` is true,
`rest` holds what came after the body: the beginning of the next request.

    decoder = ChunkedBody(limit=1000)
    decoder.feed(b"5\r\nhel")  # -> b"hel"
    decoder.feed(b"lo\r\n0\r\n\r\nGET")  # -> b"lo"; decoder.done, decoder.rest == b"GET"

It makes no difference in which pieces the bytes come: the same content or the same error.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from breezeway.http1.errors import ProtocolError
from breezeway.http1.grammar import CHUNK_LINE, FIELD_VALUE, TOKEN
from breezeway.http1.limits import (
    CHUNK_EXTENSION_BYTES,
    CHUNK_LINE_BYTES,
    CHUNK_SIZE_DIGITS,
    TRAILER_BYTES,
    TRAILER_FIELDS,
)

# What the next byte of a chunked body belongs to.
_LINE, _DATA, _DATA_END, _TRAILERS = range(4)

_FORBIDDEN_TRAILERS: Final = frozenset(
    # RFC 9110 section 6.5.1: framing, routing, authentication, request modifiers, content format.
    b"transfer-encoding content-length host trailer te connection expect upgrade keep-alive "
    b"authorization proxy-authorization cookie set-cookie cache-control max-forwards range "
    b"content-encoding content-type content-range "
    # What a header field is dropped for: nobody is to be believed about the client here.
    b"forwarded x-real-ip proxy".split()
)

# Runs of chunks of 1 to 15 bytes without extensions are taken by the regex engine: a body of
# single bytes costs 22 ms of CPU for each MB on the wire instead of 230, a tenth of what small requests
# of as many bytes cost. Larger chunks go step by step, at 72 ms for each MB at worst (16 bytes each).
_SMALL: Final = b"|".join(b"(?i:%x)\\r\\n.{%d}" % (size, size) for size in range(1, 16))
_SMALL_RUN: Final = re.compile(rb"(?s:0{0,%d}(?:%b)\r\n)++" % (CHUNK_SIZE_DIGITS - 1, _SMALL))
_SMALL_CHUNK: Final = re.compile(rb"(?s:0*(%b)\r\n)" % _SMALL)
_SMALL_LINE_BYTES: Final = len(b"1\r\n")


class Body(Protocol):
    """What both decoders have in common."""

    done: bool
    rest: bytes
    trailers: list[tuple[str, str]]

    def feed(self, data: bytes) -> bytes:
        """Take what has arrived, return the content in it."""


class CountedBody:
    """A body whose Content-Length is known."""

    __slots__ = ("_missing", "done", "rest", "trailers")

    def __init__(self, length: int) -> None:
        self._missing = length
        self.done = length == 0
        self.rest = b""
        self.trailers: list[tuple[str, str]] = []

    def feed(self, data: bytes) -> bytes:
        """Take what has arrived, return the content in it."""
        content = data[: self._missing]
        self._missing -= len(content)
        if not self._missing:
            self.done = True
            self.rest = data[len(content) :]
        return content


class ChunkedBody:
    """A body in the chunked transfer coding.

    chunked-body = *chunk last-chunk trailer-section CRLF             RFC 9112 section 7.1
    chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
    """

    __slots__ = (
        "_buffer",
        "_expects",
        "_extensions",
        "_missing",
        "_room",
        "done",
        "rest",
        "trailers",
    )

    def __init__(self, limit: int) -> None:
        """`limit`: the most content that is accepted, in bytes."""
        self._buffer = b""
        self._expects = _LINE
        self._missing = 0  # bytes of the current chunk's data
        self._room = limit
        self._extensions = 0
        self.done = False
        self.rest = b""
        self.trailers: list[tuple[str, str]] = []

    def feed(self, data: bytes) -> bytes:
        """Take what has arrived, return the content in it.

        Raises:
            ProtocolError: 400 malformed, 413 more content than the limit, 431 too long a trailer.
        """
        data = self._buffer + data
        content: list[bytes] = []
        position = 0
        while not self.done:
            if self._expects == _LINE:
                position = self._small_chunks(data, position, content)
            taken = self._step(data, position, content)
            if not taken:
                break
            position += taken
        self._buffer = data[position:]
        if self.done:
            self.rest, self._buffer = self._buffer, b""
        return b"".join(content)

    def _small_chunks(self, data: bytes, position: int, content: list[bytes]) -> int:
        """Take the small chunks at `position`, if there are any; return where they end."""
        run = _SMALL_RUN.match(data, position)
        if run is None:
            return position
        chunks = _SMALL_CHUNK.findall(data, position, run.end())
        joined = b"".join([chunk[_SMALL_LINE_BYTES:] for chunk in chunks])
        if len(joined) > self._room:  # it is told step by step
            return position
        self._room -= len(joined)
        content.append(joined)
        return run.end()

    def _step(self, data: bytes, position: int, content: list[bytes]) -> int:
        """Take the next part of the body; return its length, 0 when too little of it is there."""
        if self._expects == _LINE:
            return self._chunk_line(data, position)
        if self._expects == _TRAILERS:
            return self._trailer_section(data, position)
        if self._expects == _DATA:
            piece = data[position : position + self._missing]
            content.append(piece)
            self._missing -= len(piece)
            if not self._missing:
                self._expects = _DATA_END
            return len(piece)
        if len(data) - position < 2:
            return 0
        if not data.startswith(b"\r\n", position):
            raise ProtocolError(400, "chunk data does not end with CRLF")
        self._expects = _LINE
        return 2

    def _chunk_line(self, data: bytes, position: int) -> int:
        end = _line_end(data, position, CHUNK_LINE_BYTES, 400)
        if end < 0:
            return 0
        match = CHUNK_LINE.fullmatch(data, position, end)
        if match is None or len(match[1]) > CHUNK_SIZE_DIGITS:
            raise ProtocolError(400, "malformed chunk size or extension")
        self._extensions += len(match[2])
        if self._extensions > CHUNK_EXTENSION_BYTES:
            raise ProtocolError(400, "too many chunk extensions")
        size = int(match[1], 16)
        if size > self._room:
            raise ProtocolError(413, "request body is over the limit")
        self._room -= size
        self._missing = size
        self._expects = _DATA if size else _TRAILERS
        return end + 2 - position

    def _trailer_section(self, data: bytes, position: int) -> int:
        if data.startswith(b"\r\n", position):
            self.done = True
            return 2
        end = _line_end(data, position, TRAILER_BYTES, 431)
        if end < 0:
            return 0
        if len(self.trailers) >= TRAILER_FIELDS:
            raise ProtocolError(431, "too many trailer fields")
        self.trailers.append(_trailer(data[position:end]))
        if sum(len(name) + len(value) for name, value in self.trailers) > TRAILER_BYTES:
            raise ProtocolError(431, "trailer section too long")
        return end + 2 - position


def _line_end(data: bytes, position: int, limit: int, status: int) -> int:
    """Find the CRLF that ends the line at `position`; -1 when it is not there yet.

    A line over `limit` bytes is refused with `status`.
    """
    end = data.find(b"\r\n", position, position + limit + 2)
    line_feed = data.find(b"\n", position, end if end >= 0 else position + limit + 2)
    if line_feed >= 0:
        raise ProtocolError(400, "bare LF in a chunked body")
    if end < 0 and len(data) - position >= limit + 2:
        raise ProtocolError(status, f"line of a chunked body is over {limit} bytes")
    return end


def _trailer(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or TOKEN.fullmatch(name) is None or FIELD_VALUE.fullmatch(value) is None:
        raise ProtocolError(400, "malformed trailer field")
    alike = name.lower().replace(b"_", b"-")
    if alike in _FORBIDDEN_TRAILERS or alike.startswith(b"x-forwarded-"):
        raise ProtocolError(400, "trailer field that must not be one")
    return name.decode("ascii"), value.decode("latin-1")
