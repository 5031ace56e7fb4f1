"""Where lines of the access log go: a file, standard output, or what has a file of its own here.

Several processes may write to the same file, pipe or terminal. A line of theirs never ends up inside
another: a file is appended to with whole lines, and a pipe gets no more at a time than it takes in
one piece (POSIX: PIPE_BUF).
"""

from __future__ import annotations

import os
import select
import stat
import sys
from typing import Final, Protocol, TextIO

from breezeway.observe.access_options import JOURNALD, Syslog, target
from breezeway.observe.log_file import LogFile, OpenFile
from breezeway.observe.page_cache import PageCache

PIECE_BYTES: Final = 1024 * 1024
"""Written to a file at a time."""

TAIL_BYTES: Final = 16 * 1024
"""At the end of a piece, where the end of its last line is nearly always."""


class Target(Protocol):
    """Takes lines; all methods are for one thread."""

    def write(self, lines: memoryview) -> int:
        """Write some of these whole lines; return how many bytes of them, whole lines again.

        Raises:
            OSError: nothing was written.
        """

    def mark(self) -> int:
        """Return how much is there, for `written_since`."""

    def written_since(self, mark: int, lines: memoryview) -> int:
        """Return how many bytes of these lines another process has written after `mark`."""

    def reopen(self) -> None:
        """Go over to what has the name now.

        Raises:
            OSError: that is impossible; all stays as it was.
        """

    def close(self) -> None:
        """Give back what the system has lent."""


class Unmarked:
    """What cannot tell how much was written to it: what a killed process had in hand comes twice."""

    def mark(self) -> int:
        """Return nothing of use."""
        return 0

    def written_since(self, mark: int, lines: memoryview) -> int:
        """Say that nothing is known."""
        return 0

    def reopen(self) -> None:
        """Go on as before."""

    def close(self) -> None:
        """Do nothing."""


class File:
    """A file of the log's own."""

    def __init__(self, path: str) -> None:
        """Open it.

        Raises:
            UsageError: it cannot be written to.
        """
        self._file = LogFile(path, "--access-log-file")
        self._page_cache = PageCache(self._file.fileno())

    def write(self, lines: memoryview) -> int:
        """Append them."""
        is_pipe = stat.S_ISFIFO(os.fstat(self._file.fileno()).st_mode)
        piece = first_lines(lines, select.PIPE_BUF if is_pipe else PIECE_BYTES)
        written = self._file.append(piece)
        self._page_cache.note(written)
        return written

    def mark(self) -> int:
        """Return the size of the file."""
        return os.fstat(self._file.fileno()).st_size

    def written_since(self, mark: int, lines: memoryview) -> int:
        """Look for them in the file."""
        return self._file.found(bytes(lines), mark)

    def reopen(self) -> None:
        """Open the file that has the path now."""
        self._file.reopen()

    def close(self) -> None:
        """Close it."""
        self._file.close()


class Stream(Unmarked):
    """A stream of Python's: standard output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._file: OpenFile | None = None
        self._most = PIECE_BYTES
        try:
            fd = stream.fileno()
        except (OSError, ValueError):  # a stream within this process
            return
        self._file = OpenFile(fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            self._most = select.PIPE_BUF

    def write(self, lines: memoryview) -> int:
        """Write them behind what the application has printed."""
        if self._file is None:
            self._stream.write(str(lines, "utf-8"))
            self._stream.flush()
            return len(lines)
        self._stream.flush()
        return self._file.append(first_lines(lines, self._most))


def first_lines(lines: memoryview, most: int) -> memoryview:
    """Return the first lines, up to `most` bytes; a longer line is a piece of its own."""
    if len(lines) <= most:
        return lines
    for start in (max(0, most - TAIL_BYTES), 0):
        if end := bytes(lines[start:most]).rfind(b"\n") + 1:
            return lines[: start + end]
    return lines[: bytes(lines[:PIECE_BYTES]).index(b"\n") + 1]


def target_of(text: str | None) -> Target:
    """Return what a setting names; standard output without one.

    Raises:
        UsageError: it is a file that cannot be written to.
    """
    if text is None:
        return Stream(sys.stdout) if sys.stdout is not None else File(os.devnull)
    found = target(text)
    if isinstance(found, Syslog):
        from breezeway.observe.access_syslog import SyslogServer

        return SyslogServer(found)
    if found == JOURNALD:
        from breezeway.observe.access_journald import Journal

        return Journal()
    return File(found)
