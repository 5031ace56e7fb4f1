"""Server-sent events and lines, however they are cut into blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.testing.events import Event, events, lines


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [Event("a")]),
        (b"data:a\r\rdata\r\r", [Event("a"), Event("")]),
        (b"\xef\xbb\xbfdata:  a\r\n\r\n", [Event(" a")]),
        (b"data: a\ndata\ndata: b\n\n", [Event("a\n\nb")]),
        (b"event: x\n\ndata: a\n\n", [Event("a")]),
        (b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", [Event("a", id="1"), Event("b", id="1"),
         Event("c")]),
        (b"id: 1\0\ndata: a\n\n", [Event("a")]),
        (b"retry: 5\nretry: x\ndata: a\n\n", [Event("a", retry=5)]),
        (b": data\nother: x\nDATA: x\ndata: a", []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_events(stream: bytes, expected: list[Event], size: int) -> None:
    """As the HTML standard has it."""
    blocks = [stream[place : place + size] for place in range(0, len(stream), size)]
    assert list(events(blocks)) == expected


def test_json() -> None:
    """What is no text when it is sent is read again."""
    assert Event('{"a":[1]}').json() == {"a": [1]}
    with pytest.raises(ValueError, match="Expecting value"):
        Event("a").json()


@given(
    st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", "ä".encode()[:1], "ä".encode(), b""]))
)
def test_lines(blocks: list[bytes]) -> None:
    """The lines of a text are the same in one block and in many."""
    whole = b"".join(blocks)
    assert list(lines(blocks)) == list(lines([whole]))
    text = whole.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    assert list(lines(blocks)) == text.split("\n")[: None if text[-1:] not in ("\n", "") else -1]
