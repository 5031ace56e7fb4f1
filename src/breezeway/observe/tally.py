"""What workers count: memory that all of them and the supervisor share.

An anonymous mapping, made before the first fork: a row of 64-bit words for each worker, written by that
worker alone and read by whoever asks. A word is written by one machine instruction: readers need no
lock, and what a killed worker has counted is still there. When it has ended, the supervisor adds its
row to that of all the departed, so that no count ever falls.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from breezeway.observe.histogram import BUCKETS, buckets_of, quantile

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
"""What requests are counted by; any client can make up methods, and so they share the last."""

CLASSES: Final = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
"""And by the first digit of the status; `none` when there was no response."""

METHOD_AT: Final = {method: at * len(CLASSES) for at, method in enumerate(METHODS)}
OTHER_AT: Final = METHOD_AT["other"]

QUANTILES: Final = (0.5, 0.9, 0.95, 0.99, 0.999)
"""Those that a status tells."""

# The words of a row.
_BYTES_IN: Final = len(METHODS) * len(CLASSES)
_BYTES_OUT: Final = _BYTES_IN + 1
_DURATIONS: Final = _BYTES_OUT + 1
_QUEUED: Final = _DURATIONS + 1 + BUCKETS  # each histogram: the sum in nanoseconds, its buckets
_HAND_OVERS: Final = _QUEUED + 1 + BUCKETS
_POOLED: Final = _HAND_OVERS + 1
_GIL_WAITS: Final = _POOLED + 1
_GIL_WAITED: Final = _GIL_WAITS + 1  # in nanoseconds
WORDS: Final = _GIL_WAITED + 1

_WORD_BYTES: Final = 8
_NANO: Final = 1_000_000_000


@dataclass
class Histogram:
    """How long something took: the buckets of `histogram`, and the sum of all in seconds."""

    counts: Sequence[int]
    seconds: float

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: count, sum in seconds, buckets that are not empty, quantiles."""
        count = self.count
        quantiles = {f"{share:g}": quantile(self.counts, share) for share in QUANTILES if count}
        return {
            "count": count,
            "seconds": round(self.seconds, 6),
            "buckets": [[at, number] for at, number in enumerate(self.counts) if number],
            "quantiles": {share: round(seconds, 6) for share, seconds in quantiles.items()},
        }


@dataclass
class Totals:
    """What was counted by one worker or by all."""

    requests: dict[tuple[str, str], int] = field(default_factory=dict)
    """Responses by method and class of the status; those of zero are left out."""

    bytes_in: int = 0
    """Of request heads and bodies."""

    bytes_out: int = 0
    """Of response bodies."""

    durations: Histogram = field(default_factory=lambda: Histogram([0] * BUCKETS, 0.0))
    """From a complete request to the last byte of its response."""

    queued: Histogram = field(default_factory=lambda: Histogram([0] * BUCKETS, 0.0))
    """From a complete request to the call of the application."""

    hand_overs: int = 0
    """Times that the event loop went from one thread to another."""

    pooled: int = 0
    """Requests for which the event loop wanted another thread."""

    gil_waits: int = 0
    gil_waited: float = 0.0
    """Samples of how late a thread ran that wanted to; their sum in seconds."""

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "requests": [
                {"method": method, "status": status, "count": count}
                for (method, status), count in self.requests.items()
            ],
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "durations": self.durations.as_dict(),
            "queued": self.queued.as_dict(),
            "hand_overs": self.hand_overs,
            "pooled": self.pooled,
            "gil_wait": {"count": self.gil_waits, "seconds": round(self.gil_waited, 6)},
        }


class Tally:
    """What one worker counts; for that worker, one thread at a time for each method."""

    def __init__(self, words: memoryview) -> None:
        self._words = words

    def count(self, at: int, requests: int) -> None:
        """Count responses: `at` is METHOD_AT of the method and the first digit of the status."""
        self._words[at] += requests

    def count_bytes(self, received: int, sent: int) -> None:
        """Count what came and what went."""
        self._words[_BYTES_IN] += received
        self._words[_BYTES_OUT] += sent

    def count_durations(self, durations: list[float], queued: list[float]) -> None:
        """Count how long requests took, and how long they waited for a thread, in seconds."""
        words = self._words
        for at, seconds in ((_DURATIONS, durations), (_QUEUED, queued)):
            words[at] += int(sum(seconds) * _NANO)
            for bucket, count in buckets_of(seconds).items():
                words[at + 1 + bucket] += count

    def note_threads(self, hand_overs: int, pooled: int) -> None:
        """Note how often the event loop, and a request, have gone to another thread so far."""
        self._words[_HAND_OVERS] = hand_overs
        self._words[_POOLED] = pooled

    def count_gil_wait(self, seconds: float) -> None:
        """Count a sample of how late a thread runs that wants to."""
        self._words[_GIL_WAITED] += max(0, int(seconds * _NANO))
        self._words[_GIL_WAITS] += 1

    def clear(self) -> None:
        """Set everything to zero."""
        self._words[:] = memoryview(bytes(WORDS * _WORD_BYTES)).cast("Q")

    def add(self, other: Tally) -> None:
        """Add what another one has counted."""
        for at, value in enumerate(other.values()):
            if value:
                self._words[at] += value

    def values(self) -> list[int]:
        """Return all words."""
        return self._words.tolist()


class Tallies:
    """The rows of all workers, and one more."""

    def __init__(self, workers: int) -> None:
        """Map the memory; processes forked from here on share it."""
        memory = mmap.mmap(-1, (workers + 1) * WORDS * _WORD_BYTES)
        self._words = memoryview(memory).cast("Q")
        self._departed = self.row(workers)

    def row(self, number: int) -> Tally:
        """Return the row of one worker."""
        return Tally(self._words[number * WORDS : (number + 1) * WORDS])

    def retire(self, number: int) -> None:
        """Keep what a worker has counted that has ended, and clear its row."""
        row = self.row(number)
        self._departed.add(row)
        row.clear()

    def totals(self, workers: Iterable[int]) -> Totals:
        """Add up what the workers in these rows have counted, and all that have ended."""
        rows = [self._departed.values(), *(self.row(number).values() for number in workers)]
        return totals_of([sum(words) for words in zip(*rows, strict=True)])


def totals_of(words: Sequence[int]) -> Totals:
    """Read the words of a row."""
    requests = {
        (method, name): words[METHOD_AT[method] + at]
        for method in METHODS
        for at, name in enumerate(CLASSES)
        if words[METHOD_AT[method] + at]
    }

    def histogram(at: int) -> Histogram:
        return Histogram(words[at + 1 : at + 1 + BUCKETS], words[at] / _NANO)

    return Totals(
        requests,
        words[_BYTES_IN],
        words[_BYTES_OUT],
        histogram(_DURATIONS),
        histogram(_QUEUED),
        words[_HAND_OVERS],
        words[_POOLED],
        words[_GIL_WAITS],
        words[_GIL_WAITED] / _NANO,
    )
