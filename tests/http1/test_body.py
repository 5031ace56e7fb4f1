"""Body decoders: the same content or the same error in whatever pieces the bytes come."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breezeway.http1.body import Body, ChunkedBody, CountedBody
from breezeway.http1.errors import ProtocolError
from breezeway.http1.limits import (
    CHUNK_EXTENSION_BYTES,
    CHUNK_LINE_BYTES,
    TRAILER_BYTES,
    TRAILER_FIELDS,
)

from ..fuzz.checks import bounded
from .outcome import at, one_by_one

LIMIT = 1000

CUTS = st.lists(st.integers(0, 400), max_size=6)

PARTS = [
    *(
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"5",
        b"-1\r\n",
        b" ",
        b"0x5",
    ),
    *(b";a=b", b';a="\\""', b"X: y\r\n", b"Host: a\r\n", b"3e8\r\n", b"3e9\r\n", b"A\r\n", b"\0"),
]


def fed(body: Body, pieces: Iterable[bytes]) -> tuple[bytes, bytes, bool] | int:
    """Return content, what came after it, and whether the body is complete; or the refusal."""
    content = rest = b""
    try:
        for piece in pieces:
            if body.done:
                rest += piece
            else:
                content += body.feed(piece)
                rest += body.rest
    except ProtocolError as error:
        return error.status
    return content, rest, body.done


@given(content=st.binary(max_size=300), after=st.binary(max_size=20), cuts=CUTS)
def test_counted(content: bytes, after: bytes, cuts: list[int]) -> None:
    """RFC 9112 section 6.2: as many bytes as Content-Length says, and no more."""
    expected = (content, after, True)
    if content:
        assert fed(CountedBody(len(content)), at(content + after, cuts)) == expected
        assert fed(CountedBody(len(content)), one_by_one(content + after)) == expected
    assert CountedBody(0).done


@given(chunks=st.lists(st.binary(min_size=1, max_size=50)), after=st.binary(max_size=20), cuts=CUTS)
def test_chunked(chunks: list[bytes], after: bytes, cuts: list[int]) -> None:
    """RFC 9112 section 7.1: the content of all chunks, and what follows the last."""
    coded = b"".join(b"%X;x=y\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    coded += b"00\r\nX-Trailer: a \r\n\r\n" + after
    expected = (b"".join(chunks), after, True)
    for pieces in ([coded], at(coded, cuts), one_by_one(coded)):
        body = ChunkedBody(10_000)
        assert fed(body, pieces) == expected
        assert body.trailers == [("X-Trailer", "a")]


@settings(max_examples=500)
@given(parts=st.lists(st.sampled_from(PARTS) | st.binary(max_size=4), max_size=10), cuts=CUTS)
def test_pieces_make_no_difference(parts: list[bytes], cuts: list[int]) -> None:
    """The same content or the same refusal comes of any bytes, in whatever pieces they come."""
    text = b"".join(parts)
    whole = fed(ChunkedBody(LIMIT), [text])
    assert fed(ChunkedBody(LIMIT), at(text, cuts)) == whole
    assert fed(ChunkedBody(LIMIT), one_by_one(text)) == whole


SMALL_CHUNKS = st.lists(
    st.tuples(
        st.binary(min_size=1, max_size=20), st.sampled_from([b"%x", b"%X", b"0%x", b"%016x"])
    ),
    max_size=60,
)


@given(chunks=SMALL_CHUNKS, cuts=CUTS, limit=st.integers(0, 700))
def test_small_chunks(chunks: list[tuple[bytes, bytes]], cuts: list[int], limit: int) -> None:
    """Chunks of a few bytes go a road of their own: the same content, the same limit."""
    coded = b"".join(size % len(chunk) + b"\r\n%b\r\n" % chunk for chunk, size in chunks)
    content = b"".join(chunk for chunk, _ in chunks)
    expected = 413 if len(content) > limit else (content, b"after", True)
    text = coded + b"0\r\n\r\nafter"
    for pieces in ([text], at(text, cuts), one_by_one(text)):
        assert fed(ChunkedBody(limit), pieces) == expected


@pytest.mark.parametrize("chunk", [b"1\r\na\r\n", b"000000000000000f\r\n0123456789abcde\r\n"])
def test_small_chunks_cost_no_step_each(chunk: bytes) -> None:
    """A bomb of chunks of a few bytes costs calls for each piece that comes, not for each chunk."""
    with bounded(100):
        content = ChunkedBody(100_000).feed(chunk * 5000)
    assert len(content) == 5000 * (len(chunk) - chunk.index(b"\n") - 3)


def test_limit() -> None:
    """A body may be as long as its limit, and its size counts before its data comes."""
    assert fed(ChunkedBody(5), [b"5\r\nhello\r\n0\r\n\r\n"]) == (b"hello", b"", True)
    assert fed(ChunkedBody(5), [b"6\r\n"]) == 413
    assert fed(ChunkedBody(5), [b"5\r\nhello\r\n1\r\n"]) == 413
    assert fed(ChunkedBody(5), [b"FFFFFFFFFFFFFFFF\r\n"]) == 413
    assert fed(ChunkedBody(5), [b"1\r\na\r\n" * 6]) == 413


def test_content_that_looks_like_chunks() -> None:
    """What stands in a chunk is content, whatever it looks like."""
    content = b"1\r\na\r\n" * 3 + b"0\r\n\r\n"
    text = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    for cut in range(len(text)):
        assert fed(ChunkedBody(LIMIT), at(text, [cut])) == (content, b"", True)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"1" * (CHUNK_LINE_BYTES + 2), 400),
        (b"1" * 17 + b"\r\n", 400),
        (b"1;" + b"a" * CHUNK_LINE_BYTES, 400),
        (b'1;a="\\\x7f"\r\n', 400),
        (b"1;" + b"a" * (CHUNK_LINE_BYTES - 1) + b"\r\nx\r\n", 400),
        ((b"1;" + b"a" * 4000 + b"\r\nx\r\n") * (CHUNK_EXTENSION_BYTES // 4000 + 1), 400),
        (b"0\r\n" + b"a" * (TRAILER_BYTES + 2), 431),
        (b"0\r\n" + b"a: b\r\n" * (TRAILER_FIELDS + 1), 431),
        (b"0\r\n" + (b"a: " + b"b" * 4000 + b"\r\n") * 3, 431),
    ],
)
def test_everything_has_a_bound(text: bytes, status: int) -> None:
    """RFC 9112 section 7.1: no part of the framing may be endless, and none is kept without bound."""
    assert fed(ChunkedBody(LIMIT), [text]) == status
    assert fed(ChunkedBody(LIMIT), one_by_one(text)) == status


@pytest.mark.parametrize(
    "text",
    [
        b"1;" + b"a" * (CHUNK_LINE_BYTES - 2) + b"\r\nx\r\n0\r\n\r\n",
        b"0" * 15 + b"1\r\nx\r\n0\r\n\r\n",
        b"1;" + b"a" * (CHUNK_EXTENSION_BYTES - 4) + b"\r\nx\r\n0;aa\r\n\r\n",
        b"1\r\nx\r\n0\r\na:" + b"b" * (TRAILER_BYTES - 2) + b"\r\n\r\n",
        b"1\r\nx\r\n0\r\na:" + b"b" * (TRAILER_BYTES - 3) + b"\r\nc:d\r\n\r\n",
        b"1\r\nx\r\n0\r\n" + b"a: b\r\n" * TRAILER_FIELDS + b"\r\n",
    ],
)
def test_bounds_may_be_reached(text: bytes) -> None:
    """What is as long as its bound is not over it."""
    assert fed(ChunkedBody(LIMIT), [text]) == (b"x", b"", True)
    assert fed(ChunkedBody(LIMIT), one_by_one(text)) == (b"x", b"", True)
