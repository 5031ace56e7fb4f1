"""Counting by several threads at a time."""

from __future__ import annotations

import sys
import threading

from breezeway.observe.counts import MOST_REASONS, Counts, Refusals

THREADS = 4
EACH = 2000


def test_nothing_is_lost() -> None:
    """Threads that count the same kind at the same time lose nothing of it."""
    counts: Counts[str] = Counts()
    start = threading.Barrier(THREADS)

    def count() -> None:
        start.wait(5)
        for _ in range(EACH):
            counts.add("aborted")
            counts.add("dropped", 2)

    threads = [threading.Thread(target=count) for _ in range(THREADS)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
    finally:
        sys.setswitchinterval(before)
    assert dict(counts) == {"aborted": THREADS * EACH, "dropped": 2 * THREADS * EACH}


def test_reasons_have_a_bound() -> None:
    """Of too many reasons the last ones are counted as one, those that are known go on."""
    refusals = Refusals()
    for number in range(MOST_REASONS + 5):
        refusals.add((400, f"reason {number}"))
    refusals.add((400, "reason 7"))
    assert refusals[400, "other"] == 5
    assert refusals[400, "reason 7"] == 2
    assert len(refusals) == MOST_REASONS + 1
