"""Ranges against an oracle that marks bytes one by one; and requests that are meant to hurt."""

from __future__ import annotations

import email
import email.policy
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics import ranges
from breezeway.semantics.ranges import GAP_BYTES, MOST_RANGES, Range, joined, requested

SIZE = 1000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-", [(500, 1000)]),
        ("bytes=-1", [(999, 1000)]),
        ("bytes=-2000", [(0, 1000)]),
        ("bytes=0-", [(0, 1000)]),
        ("bytes=999-999", [(999, 1000)]),
        ("bytes=990-2000", [(990, 1000)]),
        ("BYTES=0-0", [(0, 1)]),
        ("bytes=00-007", [(0, 8)]),
        ("bytes=0-0,-1", [(0, 1), (999, 1000)]),
        ("bytes=-1,0-0", [(999, 1000), (0, 1)]),
        ("bytes= 0-0 ,\t500-500 ", [(0, 1), (500, 501)]),
        ("bytes=0-0,,500-500", [(0, 1), (500, 501)]),
        ("bytes=0-0, 2000-3000", [(0, 1)]),
        ("bytes=0-9,5-20", [(0, 21)]),
        ("bytes=0-9,10-20", [(0, 21)]),
        ("bytes=0-9,90-99", [(0, 100)]),
        ("bytes=0-9,91-99", [(0, 10), (91, 100)]),
        ("bytes=500-599,0-9,550-700", [(500, 701), (0, 10)]),
        ("bytes=1000-", []),
        ("bytes=1000-1000,-0", []),
        ("bytes=-0", []),
        ("bytes=99999999999999999999-", []),
    ],
)
def test_ranges(value: str, expected: list[tuple[int, int]]) -> None:
    """What RFC 9110 section 14.1.2 says, with ranges joined that touch or nearly do."""
    assert requested(value, SIZE) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=5",
        "bytes=5-4",
        "bytes=0-0,5-4",
        "bytes=0-0,x",
        "bytes=0x0-0x5",
        "bytes=+0-5",
        "bytes=1_0-2_0",
        "bytes=0-0-0",
        "bytes=--1",
        "bytes =0-0",
        " bytes=0-0",
        "items=0-0",
        "bytes=0-0;bytes=1-1",
        "bytes=0-0, bytes=5-6",
        "bytes=\u0660-\u0665",
        "bytes=0-" + "9" * 5000,
        "bytes=" + ",".join(["0-0"] * (MOST_RANGES + 1)),
    ],
)
def test_ignored(value: str) -> None:
    """What is malformed, of another unit, or too much is answered with the whole file."""
    assert requested(value, SIZE) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-", []),
        ("bytes=0-0", []),
        ("bytes=0-9,3-5", []),
        ("bytes=-0,0-", []),
        ("bytes=-5", None),
        ("bytes=0-9,-5", None),
    ],
)
def test_nothing_of_an_empty_file(value: str, expected: list[Range] | None) -> None:
    """An empty file has no range; its last five bytes are all of it."""
    assert requested(value, 0) == expected


def test_a_thousand_tiny_ranges() -> None:
    """CVE-2011-3192: overlapping ranges never make more than the file, and many are ignored."""
    killer = "bytes=" + ",".join(f"5-{number}" for number in range(5, 1300))
    assert requested(killer, 10**6) is None
    thirty = "bytes=0-," + ",".join(f"5-{number}" for number in range(5, 35))
    assert requested(thirty, 10**6) == [(0, 10**6)]


positions = st.integers(0, 1200)
specs = st.one_of(
    st.tuples(positions, positions).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    positions.map("{}-".format),
    positions.map("-{}".format),
)


def bytes_asked_for(spec: str, size: int) -> set[int]:
    """Mark the bytes of one range, slowly."""
    first, _, last = spec.partition("-")
    if not first:
        return set(list(range(size))[-int(last) :]) if int(last) else set()
    stop = int(last) if last else size
    return {each for each in range(size) if int(first) <= each <= stop}


@given(st.lists(specs, min_size=1, max_size=12), st.integers(1, 1000))
def test_against_marked_bytes(asked: list[str], size: int) -> None:
    """All that is asked for comes, nothing twice, and besides only what lies in short gaps."""
    found = requested("bytes=" + ",".join(asked), size)
    assert found is not None
    wanted = set().union(*(bytes_asked_for(spec, size) for spec in asked))
    sent = [each for part in found for each in range(*part)]
    assert len(sent) == len(set(sent))
    assert set(sent) >= wanted
    runs = [[part.start, part.stop] for part in sorted(found)]
    assert all(after[0] - before[1] > GAP_BYTES for before, after in itertools.pairwise(runs))
    for extra in set(sent) - wanted:
        near = [each for each in range(extra - GAP_BYTES, extra) if each in wanted]
        assert near
        assert any(each in wanted for each in range(extra, extra + GAP_BYTES))
    assert all(part.start in wanted and part.stop - 1 in wanted for part in found)


@given(st.lists(specs, min_size=1, max_size=12))
def test_order_is_that_of_the_field(asked: list[str]) -> None:
    """Parts come in the order in which the field first names any of their bytes."""
    found = requested("bytes=" + ",".join(asked), SIZE) or []
    firsts = []
    for part in found:
        for place, spec in enumerate(asked):
            if bytes_asked_for(spec, SIZE) & set(range(*part)):
                firsts.append(place)
                break
    assert firsts == sorted(firsts)
    assert len(firsts) == len(found)


@given(st.text("bytes=-,0123456789 \t;x", max_size=40), st.integers(0, 50))
def test_any_text(value: str, size: int) -> None:
    """Whatever comes, it is ignored or becomes parts of the file."""
    for part in requested(value, size) or []:
        assert 0 <= part.start < part.stop <= size


def test_joined_of_nothing() -> None:
    """No ranges stay none."""
    assert joined([]) == []


def test_multipart_is_read_by_the_standard_library() -> None:
    """A multipart/byteranges body is one by the rules of MIME (RFC 9110 section 14.6)."""
    content = bytes(range(256)) * 4
    parts = [Range(0, 1), Range(300, 500), Range(1020, 1024)]
    pieces = ranges.multipart(parts, len(content), "image/png", "x1")
    body = b"".join(
        piece if isinstance(piece, bytes) else content[piece.start : piece.stop] for piece in pieces
    )
    head = b"Content-Type: multipart/byteranges; boundary=x1\r\n\r\n"
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    assert not message.defects
    found = list(message.iter_parts())
    assert [each["Content-Range"] for each in found] == [
        "bytes 0-0/1024",
        "bytes 300-499/1024",
        "bytes 1020-1023/1024",
    ]
    assert {each["Content-Type"] for each in found} == {"image/png"}
    assert b"\r\n\r\n" + content[300:500] + b"\r\n--x1\r\n" in body
    assert body.endswith(b"\r\n\r\n" + content[1020:1024] + b"\r\n--x1--\r\n")


def test_content_range() -> None:
    """RFC 9110 section 14.4: the last position is that of the last byte."""
    assert ranges.content_range(Range(0, 500), 1234) == "bytes 0-499/1234"
    assert ranges.unsatisfied(1234) == "bytes */1234"
