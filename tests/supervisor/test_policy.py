"""The policy, as a table: what is there, what is wanted, what is to be done."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.supervisor import policy
from breezeway.supervisor.handle import HUNG, READY, RETIRING, STARTING

OLD, NEW = object(), object()
"""Two generations."""

LETTERS = {
    "n": (READY, NEW, ""),
    "o": (READY, OLD, ""),
    "d": (READY, NEW, "it is due"),
    "s": (STARTING, NEW, ""),
    "S": (STARTING, OLD, ""),
    "r": (RETIRING, NEW, ""),
    "h": (HUNG, NEW, ""),
}
"""Workers in one letter each: new, old, due, starting (new or old), retiring, hung."""


def workers(letters: str) -> list[Any]:
    """Make workers, the oldest first."""
    found = []
    for number, letter in enumerate(letters):
        state, generation, because = LETTERS[letter]
        found.append(
            SimpleNamespace(
                letter=letter,
                state=state,
                generation=generation,
                replace_because=because,
                started=float(number),
            )
        )
    return found


def decide(letters: str, wanted: int) -> tuple[int, list[int]]:
    """Return how many are to be started, and the places of those that are to retire."""
    there = workers(letters)
    steps = policy.next_steps(there, wanted, NEW)  # type: ignore[arg-type]
    return steps.start, sorted(there.index(each) for each in steps.retire)


@pytest.mark.parametrize(
    ("letters", "wanted", "start", "retire"),
    [
        ("", 3, 3, []),  # the beginning
        ("nnn", 3, 0, []),
        ("nn", 3, 1, []),  # a death
        ("nns", 3, 0, []),
        ("nnr", 3, 1, []),  # who retires or hangs does not count
        ("nnh", 3, 1, []),
        ("nnn", 2, 0, [2]),  # the youngest goes
        ("nns", 2, 0, [2]),  # or who has not even started
        ("nss", 1, 0, [1, 2]),
        ("ooo", 3, 1, []),  # a reload: one successor at a time
        ("ooos", 3, 0, []),
        ("ooon", 3, 1, [0]),  # the oldest goes for it, and the next one comes
        ("oonr", 3, 1, []),
        ("onn", 3, 1, []),
        ("onnn", 3, 0, [0]),
        ("oo", 3, 1, []),  # a death during a reload: one is missing
        ("ooss", 3, 0, []),  # two start, of whom one is a successor
        ("oosss", 3, 0, [4]),
        ("dnn", 3, 1, []),  # recycling is the same
        ("dnns", 3, 0, []),
        ("dnnn", 3, 0, [0]),
        ("ddd", 3, 1, []),
        ("nnd", 2, 0, [2]),  # scaling down takes who is due anyway
        ("odn", 1, 0, [0, 1]),
        ("od", 1, 1, [0]),
        ("d", 1, 1, []),
        ("ooo", 1, 1, [0, 1]),
        ("oooS", 3, 0, []),  # what another generation has begun is waited for
    ],
)
def test_table(letters: str, wanted: int, start: int, retire: list[int]) -> None:
    """Each case that the supervisor meets."""
    assert decide(letters, wanted) == (start, retire)


@given(st.text("nodsSrh", max_size=8), st.integers(1, 4))
def test_never_too_few(letters: str, wanted: int) -> None:
    """Nobody who serves retires as long as no more serve than are wanted."""
    _, retire = decide(letters, wanted)
    ready = sum(letter in "nod" for letter in letters)
    retiring = sum(letters[place] in "nod" for place in retire)
    assert ready - retiring >= min(ready, wanted)
    assert all(letters[place] in "nodsS" for place in retire)
    assert len(set(retire)) == len(retire)


@given(st.text("nodsrh", max_size=6), st.integers(1, 4))
def test_it_settles(letters: str, wanted: int) -> None:
    """Step after step, whatever was there at first, it comes to the wanted new workers and stays."""
    there = workers(letters)
    for _ in range(60):
        steps = policy.next_steps(there, wanted, NEW)  # type: ignore[arg-type]
        there = [each for each in there if each not in steps.retire]
        there = [each for each in there if each.state in (READY, STARTING)]
        for each in there:
            each.state = READY  # everybody comes up
        there += _started(steps.start)
    assert policy.next_steps(there, wanted, NEW) == (0, [])  # type: ignore[arg-type]
    assert [each.letter for each in there if each.letter in "od"] == []
    assert len(there) == wanted


def test_backoff() -> None:
    """Each failure doubles the pause up to a limit; a success makes it short again."""
    backoff = policy.Backoff()
    assert not backoff.until
    pauses = [backoff.fail() for _ in range(9)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert backoff.until > time.monotonic() + 29
    backoff.reset()
    assert not backoff.until
    assert backoff.fail() == 0.5


_clock: Iterator[int] = itertools.count(1000)


def _started(count: int) -> list[Any]:
    found = workers("s" * count)
    for each in found:
        each.started = float(next(_clock))
        each.letter = "n"
    return found
