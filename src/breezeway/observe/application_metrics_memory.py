"""The values of the application's metrics: memory that all workers share, and that outlives each.

One file without a name, made before the first fork, with a region for each worker and one for all that
have ended. A worker writes to its own region alone, entry after entry: the key, once, and its value, a
word that is written by one machine instruction; nobody needs a lock, and counting needs no system call.
An entry is there when the word that says how much of a region is in use includes it, which is written
last: what a worker leaves that is killed in between is not seen by anybody.

When a worker has ended, the supervisor adds its values to those of the departed and empties its region.
Who reads meanwhile would see them twice, or not at all. So there is a number that is odd as long as that
takes, and another one afterwards: a reader begins anew.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import time
from collections.abc import Iterator
from typing import Final, NamedTuple
from zlib import crc32

from breezeway.observe.application_metrics_series import Value, combined, parse, with_pid

logger = logging.getLogger("breezeway.supervisor")

REGION_BYTES: Final = 4 * 1024 * 1024
"""For one worker: some 25,000 values, or 1,500 histograms of 15 buckets, with their keys. A target that
has 10,000 is a large one for Prometheus. Memory that is not used is not taken from the system."""

DEPARTED_BYTES: Final = 4 * REGION_BYTES
"""For those that have ended: one worker may have had other labels than the next."""

DEPARTED_PIDS: Final = 100
"""Of so many workers that have ended gauges of the mode `all` are kept, the last ones: each has series
of its own, of which there would be more with every worker."""

READ_SECONDS: Final = 1.0
"""A reader waits for the supervisor so long at most; it may have been killed in between."""

_PAUSE_SECONDS: Final = 0.001
_WORD_BYTES: Final = 8
_LENGTH_BITS: Final = 32

# The words of a header: of a region how many words are in use, how many values had no room, whose it is.
_USED, _REFUSED, _PID = range(3)
_HEADER_WORDS: Final = 3

# An entry: length and checksum of its key, the value, when that was set, the key.
_VALUE, _SET_AT, _KEY = 1, 2, 3

Entry = tuple[bytes, Value]


class Region:
    """The values of one process."""

    def __init__(self, memory: memoryview, header: memoryview) -> None:
        """Go on with what is in `memory`, of bytes; `header` has the words of a header."""
        self._memory = memory
        self._heads = memory.cast("Q")
        self._header = header
        self.words = memory.cast("d")
        """The values, at the places that `append` has returned; behind each when it was set."""

    @classmethod
    def private(cls) -> Region:
        """Make one of this process's own; after a fork each of the two has its own."""
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        memory = memoryview(mmap.mmap(-1, REGION_BYTES, flags=flags))
        return cls(memory, memoryview(bytearray(_HEADER_WORDS * _WORD_BYTES)).cast("Q"))

    @property
    def refused(self) -> int:
        """How many values had no room."""
        return self._header[_REFUSED]

    @property
    def pid(self) -> int:
        """Whose it is; 0 for nobody's."""
        return self._header[_PID]

    def append(self, key: bytes, value: Value = (0.0, 0.0)) -> int | None:
        """Add an entry and return the place of its value; None if there is no room for it."""
        at = self._header[_USED]
        end = at + _KEY + -(-len(key) // _WORD_BYTES)
        if end > len(self.words):
            self._header[_REFUSED] += 1
            return None
        start = (at + _KEY) * _WORD_BYTES
        self._memory[start : start + len(key)] = key
        self.words[at + _VALUE], self.words[at + _SET_AT] = value
        self._heads[at] = crc32(key) << _LENGTH_BITS | len(key)
        self._header[_USED] = end
        return at + _VALUE

    def entries(self) -> Iterator[Entry]:
        """List what is there; on some processors what has come just now may be missing."""
        at = 0
        end = min(self._header[_USED], len(self.words))
        while at < end:
            length = self._heads[at] & (1 << _LENGTH_BITS) - 1
            start = (at + _KEY) * _WORD_BYTES
            key = bytes(self._memory[start : start + length])
            if not key or crc32(key) != self._heads[at] >> _LENGTH_BITS:
                return
            yield key, (self.words[at + _VALUE], self.words[at + _SET_AT])
            at += _KEY + -(-length // _WORD_BYTES)

    def take_over(self, other: Region, pid: int) -> None:
        """Begin with what is in another region of the same size; its places stay valid."""
        used = other._header[_USED]
        self._memory[: used * _WORD_BYTES] = other._memory[: used * _WORD_BYTES]
        self._header[_PID] = pid
        self._header[_REFUSED] = other._header[_REFUSED]
        self._header[_USED] = used

    def clear(self, refused: int = 0, pid: int = 0) -> None:
        """Begin anew."""
        self._header[_USED] = 0
        self._header[_PID] = pid
        self._header[_REFUSED] = refused


class Contents(NamedTuple):
    """What all workers have, at one moment."""

    workers: list[tuple[int, list[Entry]]]
    """Of each that is there: its pid, its entries."""
    departed: list[Entry]
    refused: int
    """How many values had no room."""


class Regions:
    """The memory of all workers; whoever makes it is their supervisor."""

    def __init__(self, workers: int) -> None:
        """Make it; processes forked from here on share it."""
        self._workers = workers
        words = 1 + (workers + 1) * _HEADER_WORDS
        self._header_bytes = -(-words * _WORD_BYTES // mmap.PAGESIZE) * mmap.PAGESIZE
        self._mapped: memoryview | None = None
        self._totals: dict[bytes, Value] = {}
        self._by_pid: dict[int, list[Entry]] = {}
        self._has_told = False
        self._fd = _file(self._header_bytes + workers * REGION_BYTES + DEPARTED_BYTES)
        memory = mmap.mmap(self._fd if self.is_shared else -1, self._header_bytes)
        self._words = memoryview(memory).cast("Q")

    @property
    def is_shared(self) -> bool:
        """Whether the system has such memory."""
        return self._fd >= 0

    def region(self, number: int) -> Region:
        """Return that of a worker, or behind all of them that of the departed.

        Raises:
            OSError: this process may not have so much of addresses.
        """
        if self._mapped is None:
            size = self._header_bytes + self._workers * REGION_BYTES + DEPARTED_BYTES
            self._mapped = memoryview(mmap.mmap(self._fd, size))
        at = 1 + number * _HEADER_WORDS
        start = self._header_bytes + number * REGION_BYTES
        size = DEPARTED_BYTES if number == self._workers else REGION_BYTES
        return Region(self._mapped[start : start + size], self._words[at : at + _HEADER_WORDS])

    def read(self) -> Contents:
        """Return what all workers have; for any process."""
        ends = time.monotonic() + READ_SECONDS
        while True:
            before = self._words[0]
            late = time.monotonic() >= ends
            if late or not before % 2:
                found = self._read()
                if late or self._words[0] == before:
                    return found
            time.sleep(_PAUSE_SECONDS)

    def _read(self) -> Contents:
        used = self._words[1 + _USED :: _HEADER_WORDS].tolist()[: self._workers + 1]
        regions = {number: self.region(number) for number, words in enumerate(used) if words}
        departed = regions.pop(self._workers, None)
        return Contents(
            [(each.pid, list(each.entries())) for each in regions.values()],
            list(departed.entries()) if departed is not None else [],
            sum(self._words[1 + _REFUSED :: _HEADER_WORDS].tolist()[: self._workers + 1]),
        )

    def retire(self, number: int) -> None:
        """Keep what is to be kept of a worker that has ended, and empty its region."""
        if not self._words[1 + number * _HEADER_WORDS + _PID]:
            return  # its application does not share metrics
        region, departed = self.region(number), self.region(self._workers)
        self._fold(region.pid, list(region.entries()))
        self._words[0] += 1
        departed.clear(departed.refused + region.refused)
        before = departed.refused
        for key, value in list(self._totals.items()):
            if departed.append(key, value) is None:
                del self._totals[key]
        for pid, entries in self._by_pid.items():
            self._by_pid[pid] = [each for each in entries if departed.append(*each) is not None]
        region.clear()
        self._words[0] += 1
        if departed.refused > before and not self._has_told:
            self._has_told = True
            logger.error("no room for all metrics of workers that have ended: some counters fall")

    def _fold(self, pid: int, entries: list[Entry]) -> None:
        own = []
        totals = self._totals
        for key, value in entries:
            series = parse(key)
            if series.is_live:
                continue
            if series.mode == "all":
                own.append((with_pid(key, pid), value))
            else:
                before = totals.get(key)
                totals[key] = value if before is None else combined(series, before, value)
        self._by_pid.pop(pid, None)
        if own:
            self._by_pid[pid] = own
        while len(self._by_pid) > DEPARTED_PIDS:
            del self._by_pid[next(iter(self._by_pid))]


def _file(size: int) -> int:
    """Make a file without a name; -1 if the system has none, or none so large."""
    with contextlib.suppress(OSError, AttributeError):
        fd = os.memfd_create("breezeway-application-metrics", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, size)
        except OSError:
            os.close(fd)
            raise
        return fd
    return -1
