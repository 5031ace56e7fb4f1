"""Appending lines to a file, from a thread of its own, so that no request waits for a disk.

The thread starts with the first line, so that a process that was forked has its own, and sleeps while
there are no lines. A file is appended to with whole lines in one write each time, so that those of
several processes stand one after another; a pipe gets no more at a time than it takes in one piece
(POSIX: PIPE_BUF). A file that was rotated away is opened anew.
"""

from __future__ import annotations

import atexit
import logging
import os
import select
import stat
import sys
import threading
import weakref
from collections import deque
from typing import Final

STANDARD_OUTPUT: Final = "-"

PAUSE_SECONDS: Final = 0.1
"""Between the first line and the write: short enough to follow, long enough to write many at once."""

MOST_WAITING: Final = 16 * 1024 * 1024
"""Characters that may wait to be written; then the newest lines are dropped and counted."""

MODE: Final = 0o640
"""Permissions of a new file, less the umask: URLs are not for everybody's eyes."""

END_SECONDS: Final = 1.0
"""How long the end of the process waits for the last lines, and a write for a full pipe."""

log = logging.getLogger("breezeway.middleware")

_writers: Final[weakref.WeakSet[LineWriter]] = weakref.WeakSet()


class LineWriter:
    """Writes to one file."""

    def __init__(self, path: str) -> None:
        """`path` may be `-`, which is standard output.

        Raises:
            ValueError: the file cannot be written to.
        """
        self._path = path if path == STANDARD_OUTPUT else os.path.abspath(path)
        try:
            if path != STANDARD_OUTPUT:
                os.close(self._open())
        except OSError as error:
            raise ValueError(f"file {self._path} cannot be written to: {error.strerror}") from None
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        """Have no lines and no thread, as at first; also in a process that was just forked."""
        self._lines: deque[str] = deque()
        self._waiting = 0
        self._dropped = 0
        self._failing = False
        self._is_torn = False
        """A write has ended somewhere within a line: no other line may go on there."""
        self._awake = False
        """The thread will look for lines: it need not be told."""
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._fd = -1

    def put(self, line: str) -> None:
        """Add a line, which comes without its end."""
        if self._waiting > MOST_WAITING:
            self._dropped += 1
            return
        self._waiting += len(line)
        self._lines.append(line)
        if not self._awake:
            self._rouse()

    def _rouse(self) -> None:
        if self._stopping.is_set():  # the process ends, and the thread has ended
            self.write()
            return
        self._awake = True
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._start():
                    return
        self._wake.set()

    def _start(self) -> bool:
        """Start the thread; without one the lines wait, and the next one tries again."""
        thread = threading.Thread(
            target=_write_for,
            args=(weakref.ref(self), self._wake, self._stopping),
            name="breezeway-access-log",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads
            self._awake = False
            return False
        self._thread = thread
        return True

    def write(self) -> None:
        """Write what is there; never raise."""
        self._awake = False  # first: a line that comes from now on rouses again
        with self._writing:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            self._waiting = 0
            dropped, self._dropped = self._dropped, 0
            if dropped:
                lines.append(f"# {dropped} lines dropped")
            if not lines:
                return
            try:
                self._append(lines)
                if self._failing:
                    log.warning("the access log is written again; lines were dropped")
                self._failing = False
            except Exception as error:  # no end of this thread, whatever it is
                self._dropped += dropped + len(lines) - bool(dropped)
                if not self._failing:
                    log.error("cannot write to the access log: %s; its lines are dropped", error)
                self._failing = True

    def _append(self, lines: list[str]) -> None:
        data = [f"{line}\n".encode(errors="backslashreplace") for line in lines]
        if self._path != STANDARD_OUTPUT:
            self._follow_rotation()
            if self._is_torn:
                data.insert(0, b"\n")
            self._is_torn = True  # as long as it is not known to have gone well
            _write_all(self._fd, b"".join(data))
            self._is_torn = False
            return
        try:
            fd = sys.stdout.fileno()
        except (OSError, ValueError):  # a stream within this process
            sys.stdout.write(b"".join(data).decode())
            sys.stdout.flush()
            return
        sys.stdout.flush()  # what the application has printed
        for piece in _pieces(data):
            _write_all(fd, piece)

    def _follow_rotation(self) -> None:
        """Go over to the file that has the path now."""
        if self._fd >= 0:
            try:
                if os.path.samestat(os.stat(self._path), os.fstat(self._fd)):
                    return
            except FileNotFoundError:
                pass
            fd, self._fd = self._fd, -1  # first: a process forked now must not close it again
            self._is_torn = False
            os.close(fd)
        self._fd = self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(self._path, flags, MODE)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.set_blocking(fd, True)
        return fd

    def end(self) -> None:
        """Write what is left; wait for it no longer than END_SECONDS."""
        self._stopping.set()
        self._wake.set()
        if self._thread is None:
            self.write()
        else:
            self._thread.join(END_SECONDS)

    def forget(self) -> None:
        """Leave to the parent what is the parent's, in a process that was just forked."""
        if self._fd >= 0:
            os.close(self._fd)
        self._begin()

    def __del__(self) -> None:
        if hasattr(self, "_fd"):  # not one that could not be made
            self._stopping.set()
            self._wake.set()
            self.write()
            if self._fd >= 0:
                os.close(self._fd)


def _write_for(
    writer: weakref.ref[LineWriter], wake: threading.Event, stopping: threading.Event
) -> None:
    while True:
        wake.wait()
        wake.clear()
        ending = stopping.wait(PAUSE_SECONDS)
        living = writer()
        if living is None:
            return
        living.write()
        del living
        if ending:
            return


def _pieces(lines: list[bytes]) -> list[bytes]:
    """Join lines to pieces that a pipe takes whole; a longer line is a piece of its own."""
    pieces = [b""]
    for line in lines:
        if pieces[-1] and len(pieces[-1]) + len(line) > select.PIPE_BUF:
            pieces.append(b"")
        pieces[-1] += line
    return pieces


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            if not select.select([], [fd], [], END_SECONDS)[1]:
                raise


def _forget_all() -> None:
    for writer in list(_writers):
        writer.forget()


def _end_all() -> None:
    for writer in list(_writers):
        writer.end()


os.register_at_fork(after_in_child=_forget_all)
atexit.register(_end_all)
