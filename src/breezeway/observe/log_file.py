"""A file that the processes of a server append lines to, and open again after it was rotated.

It is opened with O_APPEND and written to with whole lines at a time, so that lines of several
processes stand one after another: POSIX has each such write find the end and write there in one go.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import time
from typing import BinaryIO, Final

from breezeway.errors import UsageError

MODE: Final = 0o640
"""Permissions of a new file, less the umask: URLs and messages are not for everybody's eyes."""

FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC

NEWLINE: Final = ord("\n")

SEARCH_BYTES: Final = 64 * 1024 * 1024
"""At the end of a file, where lines are looked for."""

WAIT_SECONDS: Final = 1.0
"""How long a write waits when the descriptor is not blocking and takes nothing."""

LOOK_AGAIN_SECONDS: Final = 0.01
"""Between two looks at a file that ends within a line."""


class OpenFile:
    """A descriptor that whole lines are appended to; it belongs to whoever has opened it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._unsure = True
        """The file may end within a line, also one of another process: it was just opened, or a write has
        failed, as on a full disk."""
        self._torn = False
        """The last line that was written here is not whole."""

    def fileno(self) -> int:
        """Return the descriptor; it stays the same when the file is opened again."""
        return self._fd

    def write(self, lines: bytes, wait: float = WAIT_SECONDS) -> None:
        """Append whole lines; `wait` is as for `write_some`.

        Raises:
            OSError: not all of it was written. A line that was cut is ended at the next write.
        """
        rest = memoryview(b"\n" + lines if self._is_cut() else lines)
        while rest:
            written = self._write_some(rest, wait)
            self._torn = rest[written - 1] != NEWLINE
            rest = rest[written:]
        self._unsure = False

    def append(self, lines: memoryview) -> int:
        """Append as many of these whole lines as the disk takes; return their bytes.

        Raises:
            OSError: it takes none. A line that was cut is ended at the next write.
        """
        if self._is_cut():
            self._write_some(b"\n")
        self._unsure = self._torn = False
        written = self._write_some(lines)
        whole = written
        while whole and lines[whole - 1] != NEWLINE:
            whole -= 1
        if whole == written:
            return whole
        self._torn = True
        line = bytes(lines[whole:]).partition(b"\n")[0] + b"\n"
        rest = line[written - whole :]
        try:
            while rest:
                rest = rest[self._write_some(rest) :]
        except OSError:
            if not whole:
                raise
            return whole
        self._torn = False
        return whole + len(line)

    def _write_some(self, data: bytes | memoryview, wait: float = WAIT_SECONDS) -> int:
        try:
            return write_some(self._fd, data, wait)
        except OSError:
            self._unsure = True
            raise

    def _is_cut(self) -> bool:
        """Whether the file ends within a line, where that may be.

        A file grows page by page while another process writes: what ends a moment later is not cut.
        """
        if not self._unsure:
            return False
        try:
            with self._open_to_read() as file:
                cut = _cut_at(file)
                if cut:
                    time.sleep(LOOK_AGAIN_SECONDS)
                return cut > 0 and cut == _cut_at(file)
        except OSError:
            return self._torn

    def found(self, lines: bytes, start: int) -> int:
        """Return how many bytes of these lines, from the first on, stand in the file behind `start`.

        They were written in one go or not at all, by a process that cannot be asked any more.
        """
        try:
            with self._open_to_read() as file:
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

    def _open_to_read(self) -> BinaryIO:
        """Open what is written to, also when it was renamed.

        Raises:
            OSError: it may not be read, or is no regular file: that would take what is for others; or the
                system cannot do it.
        """
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise OSError(errno.ESPIPE, os.strerror(errno.ESPIPE))
        return open(f"/proc/self/fd/{self._fd}", "rb")


class LogFile(OpenFile):
    """A file by its name; `path` is absolute, `option` is what the user calls it."""

    def __init__(self, path: str, option: str) -> None:
        """Open the file; make it if it is not there.

        Raises:
            UsageError: that is impossible.
        """
        self.path = os.path.abspath(path)
        try:
            super().__init__(_open(self.path))
        except OSError as error:
            raise _refusal(self.path, option, error) from None

    def _open_to_read(self) -> BinaryIO:
        try:
            return super()._open_to_read()
        except FileNotFoundError:  # there is no /proc
            return open(self.path, "rb")

    def reopen(self) -> None:
        """Go over to the file that has the path now; make it if it is not there.

        Any other thread may write meanwhile.

        Raises:
            OSError: it cannot be opened. The file from before stays open.
        """
        fd = _open(self.path)
        try:
            os.dup2(fd, self._fd, inheritable=False)
            self._unsure = True
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _cut_at(file: BinaryIO) -> int:
    """Return the size of a file that ends within a line; 0 of one that does not."""
    size = os.fstat(file.fileno()).st_size
    return size if size and os.pread(file.fileno(), 1, size - 1) != b"\n" else 0


def check(path: str, option: str) -> None:
    """Want a file that can be opened, or made; it is not made, and nothing is written.

    Raises:
        UsageError: as of `LogFile`.
    """
    path = os.path.abspath(path)
    try:
        try:
            os.close(_open(path, create=False))
        except FileNotFoundError:
            directory = os.path.dirname(os.path.realpath(path))
            os.stat(directory)
            if not os.access(directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
    except OSError as error:
        raise _refusal(path, option, error) from None


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


def _open(path: str, *, create: bool = True) -> int:
    """Open a file to append to; a pipe with a name without waiting for who reads it."""
    flags = FLAGS | (os.O_CREAT if create else 0)
    with contextlib.suppress(OSError):
        if stat.S_ISFIFO(os.stat(path).st_mode):
            pipe = os.O_NONBLOCK | os.O_CLOEXEC
            flags = os.O_WRONLY | pipe
            # With both ends it needs no reader (fifo(7)), but not everybody may have both.
            return os.open(path, os.O_RDWR | pipe)
    return os.open(path, flags, MODE)


def _refusal(path: str, option: str, error: OSError) -> UsageError:
    return UsageError(f"cannot write to {path} ({option}): {error.strerror}.", _hint(error))


def _hint(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "The directory must be there."
    if isinstance(error, PermissionError):
        return "It must be writable for the user that the server runs as."
    return ""
