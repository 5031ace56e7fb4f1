"""The input of a streamed body, against `io.BytesIO` with the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breezeway.gateway.failure import ClientGone
from breezeway.gateway.streamed_input import StreamedInput

PIECES = st.lists(st.binary(min_size=1, max_size=30) | st.just(b"a\nb\n" * 3000), max_size=5)
SIZES = st.none() | st.integers(-2, 40) | st.just(20_000)

CALLS: dict[str, Callable[[Any, int | None], Any]] = {
    "read": lambda stream, size: stream.read(size),
    "read without a size": lambda stream, _: stream.read(),
    "readline": lambda stream, size: stream.readline(-1 if size is None else size),
    "readline without a size": lambda stream, _: stream.readline(),
    "readlines": lambda stream, hint: stream.readlines(hint),
    "readinto": lambda stream, size: into(stream, abs(size or 0)),
    "next": lambda stream, _: next(stream, None),
    "iterate": lambda stream, _: list(stream),
}


def into(stream: Any, size: int) -> bytes:
    """Read into a buffer."""
    buffer = bytearray(size)
    return bytes(buffer[: stream.readinto(buffer)])


def streamed(*pieces: bytes) -> tuple[StreamedInput, list[bytes]]:
    """Return an input, and the pieces that it has not asked for yet."""
    left = list(pieces)
    return StreamedInput(lambda: left.pop(0) if left else b""), left


@settings(max_examples=300)
@given(
    ahead=st.binary(max_size=10),
    pieces=PIECES,
    calls=st.lists(st.tuples(st.sampled_from(sorted(CALLS)), SIZES), max_size=8),
)
def test_like_bytes_io(
    ahead: bytes, pieces: list[bytes], calls: list[tuple[str, int | None]]
) -> None:
    """PEP 3333, 'Input and Error Streams': every method, in any order, as a file has it."""
    oracle = io.BytesIO(ahead + b"".join(pieces))
    left = list(pieces)
    stream = StreamedInput(lambda: left.pop(0) if left else b"", ahead)
    for name, size in [*calls, ("read", None), ("read", 1)]:
        assert CALLS[name](stream, size) == CALLS[name](oracle, size), name


def test_asks_for_no_more_than_it_needs() -> None:
    """What is there is returned without a wait for the rest; the end is asked for once."""
    stream, left = streamed(b"one\n", b"two", b"three")
    assert stream.read(0) == b""
    assert len(left) == 3
    assert stream.readline() == b"one\n"
    assert stream.read(3) == b"two"
    assert left == [b"three"]
    assert stream.read1(100) == b"three"
    assert stream.read1(100) == stream.read() == b""


def test_failure_is_the_callers() -> None:
    """A client that leaves raises an OSError from each read, whatever the method."""

    def fetch() -> bytes:
        raise ClientGone("it has left")

    for name in sorted(CALLS):
        with pytest.raises(OSError, match="it has left"):
            CALLS[name](StreamedInput(fetch), 5)


def test_no_way_back() -> None:
    """It can neither be sought in nor written to, and says so."""
    stream, _ = streamed(b"x")
    assert (stream.readable(), stream.seekable(), stream.writable()) == (True, False, False)
    with pytest.raises(io.UnsupportedOperation):
        stream.seek(0)
