"""The access log: one line for each request, in the combined format of Apache and nginx.

The thread that serves only formats the line; a thread of the log's own writes several at a time,
so that a slow disk or terminal never stops a request.

Several processes may write to the same file, pipe or terminal. A line of theirs never ends up inside
another: a file is appended to with whole lines, and a pipe gets no more at a time than it takes in
one piece (POSIX: PIPE_BUF).
"""

from __future__ import annotations

import logging
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

from breezeway.observe.log_file import LogFile, write_some

logger = logging.getLogger("breezeway.access_log")

PAUSE_SECONDS: Final = 0.1
"""Lines are written this often: short enough to follow, long enough to write many at once."""

MAX_LINES: Final = 100_000
"""Lines that may wait to be written, some 20 MB; then the newest are dropped and counted."""

_ESCAPES: Final = {
    code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0), 0x22, 0x5C]
}


class AccessLog:
    """Writes to `stream`, by default standard output, or to the file that is named."""

    def __init__(self, stream: TextIO | None = None, *, file: str | None = None) -> None:
        """Begin; to be called after a fork, for it starts a thread.

        Raises:
            UsageError: the file cannot be written to.
        """
        self._file = LogFile(file, "--access-log-file") if file is not None else None
        self._put = _writer(self._file or stream or sys.stdout)
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._failing = False
        self._reopening = False
        self._stopping = threading.Event()
        self._second = 0
        self._timestamp = ""
        self._thread = threading.Thread(
            target=self._write, name="breezeway-access-log", daemon=True
        )
        self._thread.start()

    def record(
        self, peer: str, environ: dict[str, Any], status: int, size: int, seconds: float
    ) -> None:
        """Add the line of one request: status code, bytes of body, duration."""
        if len(self._lines) >= MAX_LINES:
            self._dropped += 1
            return
        now = int(time.time())
        if now != self._second:
            self._timestamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now))
            self._second = now
        get = environ.get
        self._lines.append(
            f'{peer} - - [{self._timestamp}] "{_quoted(get("REQUEST_METHOD", "-"))} '
            f'{_quoted(get("RAW_URI", "-"))} {_quoted(get("SERVER_PROTOCOL", "-"))}" '
            f'{status or "-"} {size} "{_quoted(get("HTTP_REFERER", "-"))}" '
            f'"{_quoted(get("HTTP_USER_AGENT", "-"))}" '
            f"{seconds * 1000:.1f}ms\n"
        )

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
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if lines or self._dropped:
                self._write_lines(lines)
            if stopping:
                return

    def _write_lines(self, lines: list[str]) -> None:
        dropped, self._dropped = self._dropped, 0
        note = [f"# {dropped} lines dropped\n"] if dropped else []
        try:
            self._put(lines + note)
            if self._failing:
                self._failing = False
                logger.warning("the access log is written again; %d lines were dropped", dropped)
        except Exception as error:  # no end of this thread, whatever it is
            self._dropped += dropped + len(lines)
            if not self._failing:
                self._failing = True
                logger.error("cannot write to the access log: %s; its lines are dropped", error)

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


def _writer(target: LogFile | TextIO) -> Callable[[list[str]], None]:
    """Return what writes lines to `target`, without letting those of other processes in between."""
    if isinstance(target, LogFile):
        return lambda lines: target.write(_encoded(lines))
    try:
        fd = target.fileno()
    except (OSError, ValueError):  # a stream within this process

        def write(lines: list[str]) -> None:
            target.write("".join(lines))
            target.flush()

        return write

    def write_to_descriptor(lines: list[str]) -> None:
        target.flush()  # what the application has printed
        for piece in _pieces(lines):
            rest = memoryview(piece)
            while rest:
                rest = rest[write_some(fd, rest) :]

    return write_to_descriptor


def _encoded(lines: list[str]) -> bytes:
    return "".join(lines).encode(errors="backslashreplace")


def _pieces(lines: list[str]) -> Iterator[bytes]:
    """Join lines to pieces that a pipe takes whole; a longer line is a piece of its own."""
    piece = b""
    for line in lines:
        data = _encoded([line])
        if piece and len(piece) + len(data) > select.PIPE_BUF:
            yield piece
            piece = b""
        piece += data
    if piece:
        yield piece


def _quoted(value: object) -> str:
    """Escape what could end a quoted field or the line; an application may have left anything."""
    text = str(value)
    return text if text.isprintable() and '"' not in text else text.translate(_ESCAPES)
