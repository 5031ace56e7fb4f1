"""Lines on their way from the thread that serves to the file: memory that outlives its process.

Two halves. Lines are put into one while the other is written out; then they change places. A half
that is full takes nothing more: what does not fit is counted, and no request waits for a disk. When
the memory is shared with the supervisor, it has a worker that lives write what a killed one has left.
Before each write it is noted how much the target has: so the next one can tell whether the killed one's
last write came through, and no line is there twice.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from array import array
from collections.abc import Sequence
from typing import Final

from breezeway.observe.access_target import Target

HALF_BYTES: Final = 8 * 1024 * 1024
"""Of lines that may wait: some 40,000. Memory that is not used is not taken from the system."""

_HEADER_BYTES: Final = mmap.PAGESIZE
BYTES: Final = _HEADER_BYTES + 2 * HALF_BYTES
"""The memory of one buffer; a multiple of the page size."""

LEFT: Final = "the access log could not be written to: %d lines are lost"
"""What is told at the end of lines that nobody will write any more."""

# Words of the header.
_ACTIVE, _DROPPED, _FILLED, _WRITTEN = 0, 1, 2, 4  # the last two: a word for each half
_MARK, _MARKED = 6, 7  # what the target had before a write, and of which place; 0: of none
_WORDS: Final = 8
_WORD_BYTES: Final = 8


class LineBuffer:
    """The lines of one worker."""

    def __init__(
        self,
        memory: memoryview | None = None,
        others: LineBuffers | None = None,
        heritage: memoryview | None = None,
    ) -> None:
        """Go on with what is in `memory`; without it, use some of this process's own.

        `others` has those of the other workers; `heritage` is a word with the number, from 1 on, of
        one that is to be written, too, or 0.
        """
        self._others = others
        self._heritage = heritage
        memory = memory if memory is not None else memoryview(mmap.mmap(-1, BYTES))
        self._words = memory[:_HEADER_BYTES].cast("Q")
        self._data = memory[_HEADER_BYTES:]
        self._lock = threading.Lock()

    def put(self, lines: bytes, count: int) -> None:
        """Add `count` whole lines; if there is no room for them, count them as dropped."""
        words = self._words
        with self._lock:
            half = words[_ACTIVE]
            filled = words[_FILLED + half]
            if filled + len(lines) > HALF_BYTES:
                words[_DROPPED] += count
                return
            start = half * HALF_BYTES + filled
            self._data[start : start + len(lines)] = lines
            words[_FILLED + half] = filled + len(lines)

    def drain(self, target: Target) -> None:
        """Write all lines that were put in so far, in order.

        Raises:
            OSError: the target takes nothing more; what it has not taken is kept.
        """
        words = self._words
        idle = 1 - words[_ACTIVE]
        self._drain(idle, target)  # what a killed process or a failure has left
        with self._lock:
            swap = words[_FILLED + 1 - idle]
            if swap:
                words[_ACTIVE] = idle
        if swap:
            self._drain(1 - idle, target)
        if self._others is not None and self._heritage is not None and self._heritage[0]:
            left = self._others.open(self._heritage[0] - 1)
            left.drain(target)
            with self._lock:
                words[_DROPPED] += left.take_dropped()
            self._heritage[0] = 0

    def _drain(self, half: int, target: Target) -> None:
        words, start = self._words, half * HALF_BYTES
        while (written := words[_WRITTEN + half]) < (filled := words[_FILLED + half]):
            rest = self._data[start + written : start + filled]
            if words[_MARKED] == start + written + 1:  # a write has begun, and nobody saw its end
                done = target.written_since(words[_MARK], rest)
            else:
                words[_MARK] = target.mark()
                words[_MARKED] = start + written + 1
                done = target.write(rest)
            words[_WRITTEN + half] = written + done
            words[_MARKED] = 0
        words[_FILLED + half] = 0  # in this order: killed in between, it is empty
        words[_WRITTEN + half] = 0

    def left(self) -> int:
        """Count the lines that nobody will write when this process ends."""
        if self._others is not None:
            return 0
        return sum(bytes(self._data[start:end]).count(b"\n") for start, end in _places(self._words))

    def take_dropped(self) -> int:
        """Return how many lines found no room since the last call."""
        with self._lock:
            dropped, self._words[_DROPPED] = self._words[_DROPPED], 0
        return dropped


class LineBuffers:
    """The memory for the buffers of all workers, for the supervisor: a file that has no name."""

    def __init__(self, workers: int) -> None:
        """Make it; no page of it is taken before it is used."""
        self._heritages = memoryview(mmap.mmap(-1, workers * _WORD_BYTES)).cast("Q")
        self._fd = -1
        with contextlib.suppress(
            OSError, AttributeError
        ):  # no memfd but on Linux, or no large files
            fd = os.memfd_create("breezeway-access-log", os.MFD_CLOEXEC)
            try:
                os.ftruncate(fd, workers * BYTES)
            except OSError:
                os.close(fd)
                raise
            self._fd = fd

    def open(self, number: int) -> LineBuffer:
        """Return the buffer of one worker, with what its predecessor has left there.

        Where the system does not have such a file, it is memory of the worker's own.
        """
        if self._fd < 0:
            return LineBuffer()
        memory = mmap.mmap(self._fd, BYTES, offset=number * BYTES)
        return LineBuffer(memoryview(memory), self, self._heritages[number : number + 1])

    # --- for the supervisor, which maps none of it -----------------------------------------------

    def holds_lines(self, number: int) -> bool:
        """Tell whether lines of a worker that has ended are still to be written."""
        return any(self._header(number)[_FILLED : _FILLED + 2])

    def size(self, number: int) -> int:
        """Return how many bytes of lines a worker that has ended has left."""
        return sum(end - start for start, end in _places(self._header(number)))

    def left(self, number: int) -> int:
        """Count the lines that it has left, and those that were dropped before, which nobody knows of."""
        words, data = self._header(number), number * BYTES + _HEADER_BYTES
        return words[_DROPPED] + sum(
            os.pread(self._fd, end - start, data + start).count(b"\n")
            for start, end in _places(words)
            if start < end
        )

    def discard(self, number: int) -> None:
        """Drop what a worker that has ended has left; who has its buffer next tells of it."""
        words = self._header(number)
        words[_DROPPED] = self.left(number)
        words[_FILLED:] = array("Q", [0] * (_WORDS - _FILLED))
        os.pwrite(self._fd, words, number * BYTES)

    def has_heritage(self, number: int) -> bool:
        """Tell whether a worker has lines of another one to write."""
        return bool(self._heritages[number])

    def bequeath(self, number: int | None, heir: int) -> None:
        """Have one worker write what another one has left, which was killed; None: no longer."""
        self._heritages[heir] = 0 if number is None else number + 1

    def _header(self, number: int) -> array[int]:
        if self._fd < 0:
            return array("Q", [0] * _WORDS)
        return array("Q", os.pread(self._fd, _WORDS * _WORD_BYTES, number * BYTES))


def _places(words: Sequence[int]) -> list[tuple[int, int]]:
    """Return where lines stand that wait, from where to where, by the words of a header."""
    halves = ((words[_WRITTEN + half], words[_FILLED + half], half * HALF_BYTES) for half in (0, 1))
    return [(start + written, start + filled) for written, filled, start in halves]
