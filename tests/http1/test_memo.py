"""The memo: bounded under any load, and what is in use stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from breezeway.http1.memo import ENTRIES, ENTRY_BYTES, TOTAL_BYTES, Memo
from breezeway.http1.response import Encoder


def look_up(memo: Memo[bytes, int], key: bytes) -> int | None:
    """Look up, and keep what was found, as the users of a memo do."""
    value = memo.young.get(key)
    if value is None:
        value = memo.recall(key)
        if value is not None:
            memo.store(key, value, len(key))
    return value


@given(sizes=st.lists(st.integers(1, 2 * ENTRY_BYTES), max_size=50))
def test_bounds(sizes: list[int]) -> None:
    """Neither many keys nor long ones make a generation larger than its bounds."""
    memo: Memo[bytes, int] = Memo()
    for turn in range(30):
        for number, size in enumerate(sizes):
            key = (b"%d %d" % (turn, number)).ljust(size, b"x")
            memo.store(key, 1, len(key))
            assert len(memo.young) <= ENTRIES
            assert sum(map(len, memo.young)) <= TOTAL_BYTES


def test_many_short_keys() -> None:
    """After any number of keys, two generations are left."""
    memo: Memo[bytes, int] = Memo()
    keys = [b"%d" % number for number in range(10 * ENTRIES)]
    for key in keys:
        memo.store(key, 1, len(key))
    left = [key for key in keys if look_up(memo, key) is not None]
    assert ENTRIES <= len(left) <= 2 * ENTRIES


def test_what_is_in_use_stays() -> None:
    """A key that is asked for survives all the junk around it."""
    memo: Memo[bytes, int] = Memo()
    memo.store(b"in use", 7, 6)
    for number in range(10 * ENTRIES):
        memo.store(b"junk %d" % number, 1, 10)
        assert look_up(memo, b"in use") == 7


def test_a_new_generation_has_all_its_room() -> None:
    """What the generations before it held counts no more."""
    memo: Memo[bytes, int] = Memo()
    size = TOTAL_BYTES // 256
    for number in range(256 + 256):
        memo.store(b"%d" % number, 1, size)
    assert len(memo.young) == 256


def test_long_keys_are_not_remembered() -> None:
    """What hardly comes twice pushes nothing out."""
    memo: Memo[bytes, int] = Memo()
    memo.store(b"x" * (ENTRY_BYTES + 1), 1, ENTRY_BYTES + 1)
    assert not memo.young


def test_response_heads_are_bounded() -> None:
    """Response heads count with their true size, also when they come back from the old generation."""
    encoder = Encoder()
    for _ in range(3):
        for number in range(600):
            encoder.head("200 OK", [("X", f"{number}".ljust(900, "x"))])
            known = encoder.memo.young.values()
            assert sum(len(head.lines) for head in known) <= TOTAL_BYTES


def test_response_heads_with_many_fields_stay() -> None:
    """A head with many short fields is in use like any other."""
    encoder = Encoder()
    fields = [(f"X-{number}", "a") for number in range(40)]
    first = encoder.head("200 OK", fields)
    for number in range(5 * ENTRIES):
        encoder.head("200 OK", [("X", str(number))])
        assert encoder.head("200 OK", fields) is first
