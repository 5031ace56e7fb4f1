"""Attempts at request smuggling, put together from their parts: every disguise with every framing.

A head says in one way or another how long its body is, and hides one of the ways from one of two
servers; the body is made so that what is the rest of it to one is a request to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from ..fuzz.nearly import (
    CHUNKED_ENDS,
    DATA_ENDS,
    NAME_CHANGES,
    ODD_CODINGS,
    ODD_LENGTHS,
    ODD_SIZES,
    ODD_TRAILERS,
    SMUGGLED,
)

HEAD = b"POST /sent HTTP/1.1\r\nHost: a\r\n"
AFTER = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"

CODING = b"Transfer-Encoding: chunked"
SHORT = b"0\r\n\r\n" + SMUGGLED
"""Ends at once by its chunks; CL.TE."""

LONG = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
"""One chunk that holds a request; TE.CL, by the length of its first line."""

BODIES = [(SHORT, len(SHORT)), (LONG, 4), (SMUGGLED, len(SMUGGLED)), (SMUGGLED, 0)]

VERSIONS = [b"1.1", b"1.0"]


def attempts() -> Iterator[bytes]:
    """Write every attempt once."""
    seen = set()
    for data in (*_heads(), *_chunks(), *_hops(), *_splits()):
        if data not in seen:
            seen.add(data)
            yield data


def _heads() -> Iterator[bytes]:
    for body, length in BODIES:
        counted = b"Content-Length: %d" % length
        codings = [b"Transfer-Encoding: " + value for value in ODD_CODINGS]
        codings += [change % b"Transfer-Encoding" + b": chunked" for change in NAME_CHANGES]
        for coding in [*codings, CODING]:
            for fields in ([coding], [counted, coding], [coding, counted], [coding, CODING]):
                yield _written(fields, body)
        values = [_filled(value, length) for value in ODD_LENGTHS]
        lengths = [b"Content-Length: " + value for value in values]
        lengths += [change % b"Content-Length" + b": %d" % length for change in NAME_CHANGES]
        for other in [*lengths, b"Content-Length: %d" % (length + 1), counted]:
            for fields in ([other], [other, counted], [counted, other], [other, CODING]):
                yield _written(fields, body)


def _filled(value: bytes, length: int) -> bytes:
    return value % ((length,) * value.count(b"%"))


def _written(fields: list[bytes], body: bytes) -> bytes:
    return HEAD + b"\r\n".join([*fields, b"", b""]) + body + AFTER


def _chunks() -> Iterator[bytes]:
    """Write the tricks with where a chunk line, its extension, its data, or the body ends."""
    for size, end in product([*ODD_SIZES, b"%x", b"%x;a=b"], DATA_ENDS):
        for content in (b"hello", SMUGGLED):
            line = size % len(content) if b"%" in size else size
            for line_end in (b"\r\n", b"\n", b"\r"):
                chunk = line + line_end + content + end
                yield _written([CODING], chunk + b"0\r\n\r\n")
    for trailer, end in product([b"", *ODD_TRAILERS], CHUNKED_ENDS):
        yield _written([CODING], b"5\r\nhello\r\n0\r\n" + trailer + end + SMUGGLED)


def _hops() -> Iterator[bytes]:
    """Write fields that a proxy takes off because Connection names them, Expect, and Upgrade."""
    for name in (b"Content-Length", b"Transfer-Encoding", b"Host", b"X-Seen-Id", b"Connection"):
        for fields in ([CODING], [b"Content-Length: %d" % len(SMUGGLED)]):
            for spelt in (b"Connection", b"connection ", b"Connection\t"):
                yield _written([*fields, spelt + b": close, " + name], LONG)
                yield _written([spelt + b": " + name, *fields], LONG)
    for value in (
        b"100-continue",
        b"100-Continue",
        b"y 100-continue",
        b"100-continue, x",
        b"x",
        b"",
    ):
        for change in (b"%s", b"%s ", b"%s\t", b"X: y\r\n %s", b"X: y\n%s"):
            expect = change % b"Expect" + b": " + value
            yield _written([expect, b"Content-Length: %d" % len(SMUGGLED)], SMUGGLED)
            yield _written([expect, CODING], LONG)
            yield _written([expect], SMUGGLED)
    for protocol in (b"h2c", b"websocket", b"HTTP/2.0", b"TLS/1.0"):
        upgrade = [b"Upgrade: " + protocol, b"Connection: Upgrade, HTTP2-Settings"]
        yield _written([*upgrade, b"HTTP2-Settings: AAMAAABk"], SMUGGLED)
        yield _written([*upgrade, b"Content-Length: %d" % len(SMUGGLED)], SMUGGLED)


def _splits() -> Iterator[bytes]:
    """Write heads that end earlier for one server than for another, and lines that are two."""
    ends = [
        b"\n\n",
        b"\r\r",
        b"\n\r\n",
        b"\r\n\n",
        b"\r\n \r\n",
        b"\r\n\0\r\n",
        b"\r\n:\r\n",
        b"\r\n\r",
    ]
    for end in ends:
        yield b"GET /sent HTTP/1.1\r\nHost: a\r\nX-A: b" + end + SMUGGLED + AFTER
        yield b"GET /sent HTTP/1.1\r\nHost: a" + end + b"X-A: b\r\n\r\n" + AFTER
    for target in (
        b"/%0d%0aX-A:%20b",
        b"/\r\nX-A: b",
        b"/ HTTP/1.1\r\nX-A: b\r\n\r\nGET /",
        b"/\nX: b",
    ):
        yield b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n" + AFTER
    for host, target in product(
        (b"a", b"b", b"a:80", b"", b"a\0b", b"a/b"), (b"http://a/", b"http://b/x")
    ):
        yield b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n" + AFTER
    for line in (
        b"GET /sent",
        b"GET /sent HTTP/0.9",
        b"GET /sent HTTP/1.0",
        b"GET /sent\tHTTP/1.1",
    ):
        yield line + b"\r\n" + AFTER
        yield line + b"\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" + AFTER
