"""A file that the processes of a server append lines to, and open again after it was rotated.

It is opened with O_APPEND and written to with whole lines at a time, so that lines of several
processes stand one after another: POSIX has each such write find the end and write there in one go.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
from typing import Final

from breezeway.errors import UsageError

MODE: Final = 0o640
"""Permissions of a new file, less the umask: URLs and messages are not for everybody's eyes."""

FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC

NEWLINE: Final = ord("\n")

SEARCH_BYTES: Final = 64 * 1024 * 1024
"""At the end of a file, where lines are looked for."""

WAIT_SECONDS: Final = 1.0
"""How long a write waits when the descriptor is not blocking and takes nothing."""


class LogFile:
    """An open file; `path` is absolute, `option` is what the user calls it."""

    def __init__(self, path: str, option: str) -> None:
        """Open the file; make it if it is not there.

        Raises:
            UsageError: that is impossible.
        """
        self.path = os.path.abspath(path)
        try:
            self._fd = _open(self.path)
        except OSError as error:
            reason = f"cannot write to {self.path} ({option}): {error.strerror}."
            raise UsageError(reason, _hint(error)) from None
        self._torn = False
        """Whether the last line that was written is not whole."""

    def fileno(self) -> int:
        """Return the descriptor; it stays the same when the file is opened again."""
        return self._fd

    def write(self, lines: bytes, wait: float = WAIT_SECONDS) -> None:
        """Append whole lines; `wait` is as for `write_some`.

        Raises:
            OSError: not all of it was written. A line that was cut is ended at the next write.
        """
        if self._torn:
            lines = b"\n" + lines
        rest = memoryview(lines)
        while rest:
            written = write_some(self._fd, rest, wait)
            self._torn = rest[written - 1] != NEWLINE
            rest = rest[written:]

    def append(self, lines: memoryview) -> int:
        """Append as many of these whole lines as the disk takes; return their bytes.

        Raises:
            OSError: it takes none. A line that was cut is ended at the next write.
        """
        if self._torn:
            write_some(self._fd, b"\n")
            self._torn = False
        written = write_some(self._fd, lines)
        whole = written
        while whole and lines[whole - 1] != NEWLINE:
            whole -= 1
        if whole == written:
            return whole
        self._torn = True
        line = bytes(lines[whole:]).partition(b"\n")[0] + b"\n"
        rest = line[written - whole :]
        while rest:
            rest = rest[write_some(self._fd, rest) :]
        self._torn = False
        return whole + len(line)

    def found(self, lines: bytes, start: int) -> int:
        """Return how many bytes of these lines, from the first on, stand in the file behind `start`.

        They were written in one go or not at all, by a process that cannot be asked any more. What is
        no regular file is not looked into: reading from a pipe would take what is for others.
        """
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            return 0
        try:
            with open(self.path, "rb") as file:
                file.seek(max(start, os.fstat(file.fileno()).st_size - SEARCH_BYTES))
                there = file.read()
        except OSError:
            return 0
        first = lines[: lines.find(b"\n") + 1]
        best, at = 0, there.find(first)
        while at >= 0:
            # The longest of all places, for a line may be there several times by itself.
            best = max(best, _common_lines(there[at : at + len(lines)], lines))
            at = there.find(first, at + len(first))
        return best

    def reopen(self) -> None:
        """Go over to the file that has the path now; make it if it is not there.

        Any other thread may write meanwhile.

        Raises:
            OSError: it cannot be opened. The file from before stays open.
        """
        fd = _open(self.path)
        try:
            os.dup2(fd, self._fd, inheritable=False)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def create_for(path: str, user: int, group: int) -> None:
    """Make the file for processes that will have those ids, if it is not there.

    The supervisor runs as root when its workers do not; they may be unable to make a file in a
    directory of root's. A file that is there is left alone, for who could put it, or a symlink, there
    would be given what is not theirs.

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, FLAGS | os.O_CREAT | os.O_EXCL, MODE)
        try:
            os.fchown(fd, user, group)
        finally:
            os.close(fd)


def write_some(fd: int, data: bytes | memoryview, wait: float = WAIT_SECONDS) -> int:
    """Write what the descriptor takes of `data`, at least a byte; return how much that was.

    It waits for so many seconds if the descriptor is not blocking and takes nothing.

    Raises:
        OSError: nothing was written.
    """
    try:
        return os.write(fd, data)
    except BlockingIOError:  # another program has made a terminal or pipe that we share so
        if not select.select([], [fd], [], wait)[1]:
            raise
        return os.write(fd, data)


def _common_lines(one: bytes, other: bytes) -> int:
    """Return how many bytes both begin with, whole lines."""
    same = 0
    for line, like in zip(
        one.splitlines(keepends=True), other.splitlines(keepends=True), strict=False
    ):
        if line != like:
            break
        same += len(line)
    return same


def _open(path: str) -> int:
    """Open a file to append to; a pipe with a name without waiting for who reads it."""
    flags = FLAGS | os.O_CREAT
    with contextlib.suppress(OSError):
        if stat.S_ISFIFO(os.stat(path).st_mode):
            pipe = os.O_NONBLOCK | os.O_CLOEXEC
            flags = os.O_WRONLY | pipe
            # With both ends it needs no reader (fifo(7)), but not everybody may have both.
            return os.open(path, os.O_RDWR | pipe)
    return os.open(path, flags, MODE)


def _hint(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "The directory must be there."
    if isinstance(error, PermissionError):
        return "It must be writable for the user that the server runs as."
    return ""
