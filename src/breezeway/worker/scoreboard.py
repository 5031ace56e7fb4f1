"""What the workers of one supervisor tell about themselves: memory that all of them share.

An anonymous mapping, made before the first fork: a row of 64-bit words for each worker, written by
that worker alone, read by its siblings and the supervisor. A word is written by one machine
instruction, so that nobody needs a lock, and what a killed worker wrote is still there.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from breezeway.observe import application_metrics
from breezeway.observe.application_metrics_memory import Regions
from breezeway.observe.line_buffer import LineBuffer, LineBuffers
from breezeway.observe.tally import Tallies, Tally, Totals

if TYPE_CHECKING:
    from breezeway.observe.access_target import Target
    from breezeway.observe.application_metrics_families import Family

ROWS: Final = 256
"""The most workers at one time, those that retire included."""

BEAT, CONNECTIONS, REQUESTS, BUSY, THREADS, ACCEPTING, TIRED, SPARE, QUEUED, STATES = range(10)
"""The words of a row: when the event loop last turned, in milliseconds of the monotonic clock;
open connections; requests so far; threads in a request; threads; whether it accepts; whether it asks
to be replaced; threads that wait for a request; requests that wait for a thread; and from the last
one on, how many connections are in which state."""

CONNECTION_STATES: Final = ("idle", "reading_head", "reading_body", "busy", "sending", "lingering")
"""The names of those: between two requests; in the middle of one; with the application; with what is
left of a response; after the last one."""

_WORDS: Final = 16
_WORD_BYTES: Final = 8
_END: Final = ROWS * _WORDS
"""The word behind the rows: where the last one that is in use ends."""
_WATCHED: Final = _END + 1
"""And behind that: until when somebody watches, in milliseconds of the monotonic clock."""

FRESH_MILLISECONDS: Final = 2_000
"""A worker whose event loop has not turned for so long is not waited for."""

MOST_LEFT: Final = 64
MOST_LEFT_BYTES: Final = 64 * 1024 * 1024
"""Of so many workers that have ended lines of the access log may wait, and so many bytes of them, when
nothing can be written to it. What is more is dropped: rows and memory are for workers that serve."""

SLACK: Final = 4
"""A worker may be ahead of the others by so many connections, and a quarter of its own."""


class Scoreboard:
    """The rows of all workers."""

    def __init__(self) -> None:
        """Map the memory; processes forked from here on share it."""
        self._words = memoryview(mmap.mmap(-1, (_WATCHED + 1) * _WORD_BYTES)).cast("Q")
        self._tallies = Tallies(ROWS)
        self._buffers = LineBuffers(ROWS)
        self._regions = Regions(ROWS)
        self._used: set[int] = set()
        self._left: dict[int, int] = {}
        """Rows with lines that a killed worker has left, and the row of the one who writes them."""

    def take(self) -> Row:
        """Take a row that nobody uses, all zero; for the supervisor.

        Raises:
            OverflowError: there are `ROWS` workers already.
        """
        for number in range(ROWS):
            if number not in self._used:
                self._used.add(number)
                self._words[_END] = max(self._used) * _WORDS + _WORDS
                row = self.row(number)
                row.clear()
                return row
        raise OverflowError(f"more than {ROWS} workers at a time")

    def give_back(self, row: Row) -> None:
        """Take a row back from a worker that has ended."""
        row.clear()
        self._tallies.retire(row.number)
        self._regions.retire(row.number)
        self._buffers.bequeath(None, row.number)
        if self._buffers.holds_lines(row.number):
            if self._is_room_for_lines(row.number):
                self._left[row.number] = -1
                return
            self._buffers.discard(row.number)
        self._used.discard(row.number)

    def _is_room_for_lines(self, number: int) -> bool:
        size = sum(map(self._buffers.size, (number, *self._left)))
        return len(self._left) < MOST_LEFT and size <= MOST_LEFT_BYTES

    def lost_lines(self) -> int:
        """Count the lines of the access log that are lost with this server."""
        return sum(map(self._buffers.left, range(ROWS)))

    def write_lines(self, target: Target) -> None:
        """Write what workers that have ended have left of the access log, when no other one follows.

        Raises:
            OSError: the target takes nothing more.
        """
        for number in range(ROWS):
            if self._buffers.holds_lines(number):
                self._buffers.open(number).drain(target)

    def hand_on_lines(self, heirs: Sequence[int]) -> None:
        """Have workers in some of these rows write what killed ones have left of the access log."""
        for number, heir in list(self._left.items()):
            if not self._buffers.holds_lines(number):
                del self._left[number]
                self._used.discard(number)
            elif heir not in heirs:
                free = (each for each in heirs if not self._buffers.has_heritage(each))
                self._left[number] = chosen = next(free, -1)
                if chosen >= 0:
                    self._buffers.bequeath(number, chosen)

    def watch(self, seconds: float) -> None:
        """Have all workers count their requests for so long; who does always, goes on."""
        self._words[_WATCHED] = int((time.monotonic() + seconds) * 1000)

    def totals(self) -> Totals:
        """Add up what all workers have counted, those that have ended included."""
        return self._tallies.totals(self._used)

    def application_metrics(self) -> list[Family]:
        """Merge the application's own metrics, of all workers; for any process."""
        from breezeway.observe.application_metrics_families import merge  # for who asks alone

        return merge(self._regions.read())

    def expect_metrics(self) -> None:
        """Share the metrics of an application that this process loads and its forks will serve."""
        application_metrics.expect(self._regions)

    def row(self, number: int) -> Row:
        """Return a row by its number."""
        return Row(self._words, number, self._tallies.row(number), self._buffers, self._regions)


class Row:
    """What one worker tells."""

    __slots__ = ("_buffers", "_regions", "_start", "_words", "number", "tally", "worker")

    def __init__(
        self,
        words: memoryview,
        number: int,
        tally: Tally,
        buffers: LineBuffers,
        regions: Regions,
    ) -> None:
        self._words = words
        self._regions = regions
        self._start = number * _WORDS
        self._buffers = buffers
        self.number = number
        self.tally = tally
        """What it counts of its requests."""
        self.worker = 0
        """Its number among all workers so far; the worker itself knows it."""

    def line_buffer(self) -> LineBuffer:
        """Return where it keeps the lines of the access log, with what the last one left there."""
        return self._buffers.open(self.number)

    def enter_metrics(self) -> None:
        """Share the metrics of the application that this process serves, as the worker of this row."""
        application_metrics.enter(self._regions, self.number)

    def __getitem__(self, word: int) -> int:
        """Read a word."""
        return self._words[self._start + word]

    def __setitem__(self, word: int, value: int) -> None:
        """Write a word."""
        self._words[self._start + word] = value

    def clear(self) -> None:
        """Set all words to zero."""
        for word in range(_WORDS):
            self[word] = 0

    def is_watched(self, now: float) -> bool:
        """Whether somebody watches, at this time of the monotonic clock."""
        return self._words[_WATCHED] > now * 1000

    def is_ahead(self) -> bool:
        """Whether this worker has so many connections that a sibling should take the next one.

        The kernel wakes whom it likes, and a worker that is awake would take everything.
        """
        mine = self[CONNECTIONS]
        words = self._words
        limit = mine - SLACK - mine // 4
        if limit < 0:
            return False
        oldest = max(0, self[BEAT] - FRESH_MILLISECONDS)
        for start in range(0, words[_END], _WORDS):
            if (
                words[start + ACCEPTING]
                and words[start + CONNECTIONS] <= limit
                and words[start + BEAT] > oldest
                and start != self._start
            ):
                return True
        return False
