"""Responses of upstreams, however their bytes are cut into pieces and whatever they are."""

from __future__ import annotations

import io
from http.client import HTTPException
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware.proxy.address import parse_address
from breezeway.middleware.proxy.errors import UpstreamError
from breezeway.middleware.proxy.upstream_answer import Answer

HEAD = b"HTTP/1.1 200 OK\r\nA: b\r\n"


class Wire:
    """A socket from which the pieces come, and then the end."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]

    def recv(self, size: int) -> bytes:
        """Return a piece, or what of it fits."""
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if len(piece) > size:
            self.pieces.insert(0, piece[size:])
        return piece[:size]

    def settimeout(self, seconds: float) -> None:
        """Do nothing."""
        assert seconds > 0

    def makefile(self, mode: str) -> io.BytesIO:
        """Return what http.client wants to have, and does not use."""
        return io.BytesIO()


class Asked:
    """A request."""

    wait = 5.0
    deadline = None
    longest_head = 65536
    is_reused = False
    is_cut = False
    closed = 0

    def __init__(self) -> None:
        self.connection = self

    def close(self) -> None:
        """Count, as the connection."""
        self.closed += 1


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes at some places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


def read(data: bytes, cuts: list[int], size: int = 65536, method: str = "GET") -> tuple[Any, bytes]:
    """Read a response in blocks of a size; return it with its content."""
    wire, asked = Wire(pieces_of(data, cuts)), Asked()
    response = Answer(wire, method=method, request=asked)  # type: ignore[arg-type]
    response.begin()
    found = []
    while block := response.read1(size):
        assert len(block) <= size
        found.append(block)
    assert response.isclosed()
    response.close()
    return asked, b"".join(found)


contents = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
places = st.lists(st.integers(0, 10_000), max_size=12)
sizes = st.integers(1, 50)


@given(contents, places, sizes, st.booleans())
def test_chunks(blocks: list[bytes], cuts: list[int], size: int, more: bool) -> None:
    """Chunks come out as they went in; what follows the last one closes the connection."""
    data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    data += b"".join(b"%x;x=y\r\n%s\r\n" % (len(block), block) for block in blocks)
    data += b"0\r\nT: u\r\n\r\n"
    asked, content = read(data + b"more" * more, [*cuts, len(data)] if not more else cuts, size)
    assert content == b"".join(blocks)
    assert asked.closed <= more


@given(st.binary(max_size=200), places, sizes)
def test_length(content: bytes, cuts: list[int], size: int) -> None:
    """A content with a length ends there."""
    data = HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content
    assert read(data, cuts, size)[1] == content


@given(st.binary(max_size=200), places, sizes)
def test_until_close(content: bytes, cuts: list[int], size: int) -> None:
    """A content without any framing ends with the connection."""
    assert read(HEAD + b"\r\n" + content, cuts, size)[1] == content


@given(st.binary(max_size=60), places, st.integers(1, 59))
def test_cut(content: bytes, cuts: list[int], missing: int) -> None:
    """A content that is shorter than it should be is an error, wherever it was cut."""
    data = HEAD + b"Content-Length: %d\r\n\r\n" % (len(content) + missing) + content
    with pytest.raises(HTTPException):
        read(data, cuts)
    chunks = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(content) + missing,
        content + bytes(missing),
    )
    with pytest.raises(HTTPException):
        read(chunks[: -min(missing, 6 + len(content) + missing)], cuts)


tokens = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200",
        b"HTTP/1.1 100 ",
        b"HTTP/1.1 204 x",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b":",
        b"Content-Length: 3",
        b"Content-Length:5, 5",
        b"Transfer-Encoding: chunked",
        b'Connection: close, "',
        b"3",
        b"abc",
        b"0",
        b"\x00",
        b"\xff",
        b";",
    ]
)


@given(
    st.lists(tokens | st.binary(max_size=4), max_size=30), places, st.sampled_from(["GET", "HEAD"])
)
def test_anything(parts: list[bytes], cuts: list[int], method: str) -> None:
    """Whatever comes, it is read or refused, in the words of the project; pieces make no difference."""
    results = []
    for where in (cuts, []):
        try:
            results.append(read(b"".join(parts), where, method=method)[1])
        except (UpstreamError, HTTPException) as error:
            results.append(type(error))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "base"),
    [
        ("http://x", "x", 80, "x", ""),
        ("http://X:80/", "x", 80, "x", ""),
        ("https://x:443/a/", "x", 443, "x", "/a"),
        ("https://x:80", "x", 80, "x:80", ""),
        ("http://[::1]:8000/a/b", "::1", 8000, "[::1]:8000", "/a/b"),
        ("http://[::1]", "::1", 80, "[::1]", ""),
        ("unix:/run/a.sock", "/run/a.sock", None, "localhost", ""),
    ],
)
def test_addresses(url: str, host: str, port: int | None, authority: str, base: str) -> None:
    """URLs say where an upstream is."""
    address = parse_address(url)
    assert (address.host, address.port, address.authority, address.base) == (
        host,
        port,
        authority,
        base,
    )
