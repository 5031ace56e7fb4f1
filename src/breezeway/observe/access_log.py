"""The access log: a line for each request, written when its response is over.

The thread that serves makes the lines and leaves them in a `LineBuffer`; a thread of the log's own
writes many at a time, so that a slow disk or terminal never stops a request.

Several processes may write to the same file, pipe or terminal. A line of theirs never ends up inside
another: a file is appended to with whole lines, and a pipe gets no more at a time than it takes in
one piece (POSIX: PIPE_BUF).
"""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import threading
from collections.abc import Callable
from typing import Final, TextIO

from breezeway.observe.access_lines import Lines
from breezeway.observe.entry import Entry
from breezeway.observe.line_buffer import LineBuffer
from breezeway.observe.log_file import LogFile, write_some

logger = logging.getLogger("breezeway.access_log")

PAUSE_SECONDS: Final = 0.1
"""Lines are written this often: short enough to follow, long enough to write many at once."""

PIECE_BYTES: Final = 1024 * 1024
"""Written to a file at a time."""


class AccessLog:
    """Writes to `stream`, by default standard output, or to the file that is named."""

    def __init__(
        self,
        lines: Lines,
        buffer: LineBuffer | None = None,
        stream: TextIO | None = None,
        *,
        file: str | None = None,
    ) -> None:
        """Begin; to be called after a fork, for it starts a thread.

        Raises:
            UsageError: the file cannot be written to.
        """
        self._lines = lines
        self._buffer = buffer or LineBuffer()
        self._file = LogFile(file, "--access-log-file") if file is not None else None
        self._put = _writer(self._file or stream or sys.stdout)
        self._failing = False
        self._lost = 0
        self._reopening = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._write, name="breezeway-access-log", daemon=True
        )
        self._thread.start()

    def write(self, entries: list[Entry], thread: str) -> None:
        """Add the lines of requests that a thread of this name has answered; one caller at a time."""
        lines = self._lines(entries, thread)
        self._buffer.put("".join(lines).encode(errors="backslashreplace"), len(lines))

    def reopen(self) -> None:
        """Have the file opened again, within `PAUSE_SECONDS`; without a file do nothing.

        If that fails, the log says so, and lines go on into the file from before.
        """
        self._reopening = self._file is not None

    def _write(self) -> None:
        while True:
            stopping = self._stopping.wait(PAUSE_SECONDS)
            if self._reopening:
                self._reopening = False
                self._reopen()
            self._drain()
            if stopping:
                return

    def _drain(self) -> None:
        try:
            self._buffer.drain(self._put)
            self._lost += self._buffer.take_dropped()
            if self._lost:
                self._put(memoryview(f"# {self._lost} lines dropped\n".encode()))
                logger.warning("the access log has lost %d lines: it was too slow", self._lost)
                self._lost = 0
            if self._failing:
                self._failing = False
                logger.warning("the access log is written again")
        except Exception as error:  # no end of this thread, whatever it is
            if not self._failing:
                self._failing = True
                text = "cannot write to the access log: %s; its lines are kept while there is room"
                logger.error(text, error)

    def _reopen(self) -> None:
        assert self._file is not None
        try:
            self._file.reopen()
        except OSError as error:
            text = "cannot open the access log %s again: %s; still writing to the old one"
            logger.error(text, self._file.path, error.strerror)

    def close(self) -> None:
        """Write what is left; wait at most a second for it."""
        self._stopping.set()
        self._thread.join(1.0)


def _writer(target: LogFile | TextIO) -> Callable[[memoryview], int]:
    """Return what writes whole lines to `target`, and tells how many bytes of them it took."""
    if isinstance(target, LogFile):
        return lambda lines: target.append(_piece(lines, PIECE_BYTES))
    try:
        fd = target.fileno()
    except (OSError, ValueError):  # a stream within this process

        def write(lines: memoryview) -> int:
            target.write(str(lines, "utf-8"))
            target.flush()
            return len(lines)

        return write

    is_file = stat.S_ISREG(os.fstat(fd).st_mode)
    most = PIECE_BYTES if is_file else select.PIPE_BUF

    def write_to_descriptor(lines: memoryview) -> int:
        target.flush()  # what the application has printed
        piece = _piece(lines, most)
        rest = piece
        while rest:
            rest = rest[write_some(fd, rest) :]
        return len(piece)

    return write_to_descriptor


def _piece(lines: memoryview, most: int) -> memoryview:
    """Return the first lines, up to `most` bytes; a longer line is a piece of its own."""
    if len(lines) <= most:
        return lines
    end = bytes(lines[:most]).rfind(b"\n") + 1
    if not end:
        end = bytes(lines[:PIECE_BYTES]).index(b"\n") + 1
    return lines[:end]
