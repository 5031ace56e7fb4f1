"""A second decoder of the chunked coding, as plain as can be: all bytes at once, one pattern a part.

It is what the one under test is compared with. It knows the grammar and the policy, and no limits but
those that `breezeway.http1.limits` counts in bytes.

chunked-body = *chunk last-chunk trailer-section CRLF                      RFC 9112 section 7.1
"""

from __future__ import annotations

import re
from typing import NamedTuple

from breezeway.http1 import limits

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = rb'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*"'
_SIZE_LINE = re.compile(
    rb"(?P<size>[0-9A-Fa-f]{1,16})(?P<extensions>(?:;%b(?:=(?:%b|%b))?)*)\r\n"
    % (_TOKEN, _TOKEN, _QUOTED)
)
_TRAILER = re.compile(rb"(?P<name>%b):(?P<value>[^\x00-\x08\x0a-\x1f\x7f]*)\r\n" % _TOKEN)

_NOT_AS_TRAILERS = {
    *("transfer-encoding", "content-length", "host", "trailer", "te", "connection", "expect"),
    *("upgrade", "keep-alive", "authorization", "proxy-authorization", "cookie", "set-cookie"),
    *("cache-control", "max-forwards", "range"),
    *("content-encoding", "content-type", "content-range"),
    *("forwarded", "x-real-ip", "proxy"),
}


class Refused(Exception):
    """The bytes cannot be the beginning of a chunked body."""


class Decoded(NamedTuple):
    """A complete body, and what comes after it."""

    content: bytes
    trailers: tuple[tuple[str, str], ...]
    rest: bytes


def decode(data: bytes) -> Decoded | None:
    """Decode a body; None when it is not complete, be it good so far or not.

    Raises:
        Refused: a line that is there whole is wrong.
    """
    content = b""
    extensions = 0
    while True:
        line, data = _line(data)
        if line is None:
            return None
        match = _SIZE_LINE.fullmatch(line)
        if match is None or len(line) > limits.CHUNK_LINE_BYTES + 2:
            raise Refused
        extensions += len(match["extensions"])
        if extensions > limits.CHUNK_EXTENSION_BYTES:
            raise Refused
        size = int(match["size"], 16)
        if not size:
            return _trailers(content, data)
        if len(data) < size + 2:
            return None
        content += data[:size]
        if data[size : size + 2] != b"\r\n":
            raise Refused
        data = data[size + 2 :]


def _trailers(content: bytes, data: bytes) -> Decoded | None:
    trailers: list[tuple[str, str]] = []
    while True:
        line, data = _line(data)
        if line is None:
            return None
        if line == b"\r\n":
            return Decoded(content, tuple(trailers), data)
        match = _TRAILER.fullmatch(line)
        if match is None:
            raise Refused
        alike = match["name"].decode().lower().replace("_", "-")
        if alike in _NOT_AS_TRAILERS or alike.startswith("x-forwarded-"):
            raise Refused
        trailers.append((match["name"].decode(), match["value"].strip(b" \t").decode("latin-1")))
        if (
            len(trailers) > limits.TRAILER_FIELDS
            or sum(map(_size, trailers)) > limits.TRAILER_BYTES
        ):
            raise Refused


def _size(trailer: tuple[str, str]) -> int:
    return len(trailer[0]) + len(trailer[1])


def _line(data: bytes) -> tuple[bytes | None, bytes]:
    end = data.find(b"\n")
    return (None, data) if end < 0 else (data[: end + 1], data[end + 1 :])
