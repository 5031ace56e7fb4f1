"""The access log: a line for each request, written when its response is over.

The thread that serves makes the lines and leaves them in a `LineBuffer`; a thread of the log's own
hands many at a time to a `Target`, so that a slow disk, terminal or server never stops a request.
What finds no room is counted, and told: in this log, in the server's, and among its counters.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from breezeway.observe.access_lines import Lines
from breezeway.observe.access_target import Target
from breezeway.observe.counts import Counts
from breezeway.observe.entry import Entry
from breezeway.observe.line_buffer import LEFT, LineBuffer

logger = logging.getLogger("breezeway.access_log")

PAUSE_SECONDS: Final = 0.1
"""Lines are written this often: short enough to follow, long enough to write many at once."""

TELL_SECONDS: Final = 10.0
"""The server's own log hears no more often that lines are lost, or cannot be made."""

DROPPED: Final = "access_log.dropped"
"""Counts lines that found no room, or could not be made."""

DROPPED_LINE: Final = "# {} lines dropped\n"
DROPPED_OBJECT: Final = '{{"dropped":{}}}\n'
"""What stands in the log in place of them."""


class AccessLog:
    """Makes lines, and has them written to `target`."""

    def __init__(
        self,
        lines: Lines,
        target: Target,
        buffer: LineBuffer | None = None,
        *,
        counters: Counts[str] | None = None,
        dropped: str = DROPPED_LINE,
    ) -> None:
        """Begin; to be called after a fork, for it starts a thread.

        `dropped` is one of the two texts above.
        """
        self._lines = lines
        self._target = target
        self._buffer = buffer or LineBuffer()
        self._counters = Counts() if counters is None else counters
        self._dropped = dropped
        self._failing = False
        self._unmade = 0
        self._complain_at = 0.0
        self._lost = self._untold = 0
        self._tell_at = 0.0
        self._reopening = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._write, name="breezeway-access-log", daemon=True
        )
        self._thread.start()

    def write(self, entries: list[Entry], thread: str) -> None:
        """Add the lines of requests that a thread of this name has answered; one caller at a time."""
        try:
            lines = self._lines(entries, thread)
        except BaseException:  # what an application has left may raise anything: see below
            lines = self._one_by_one(entries, thread)
        if lines:
            self._buffer.put("".join(lines).encode(errors="backslashreplace"), len(lines))

    def _one_by_one(self, entries: list[Entry], thread: str) -> list[str]:
        """Make the lines that can be made: an application may leave anything in an environ."""
        made: list[str] = []
        for entry in entries:
            try:
                made += self._lines([entry], thread)
            except BaseException:  # the event loop must go on
                self._unmade += 1
                now = time.monotonic()
                if now >= self._complain_at:
                    self._complain_at = now + TELL_SECONDS
                    logger.exception("a line of the access log cannot be made; others go on")
        return made

    def reopen(self) -> None:
        """Have a file opened again, within `PAUSE_SECONDS`.

        If that fails, the log says so, and lines go on into the file from before.
        """
        self._reopening = True

    def _write(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(PAUSE_SECONDS)
            if self._reopening:
                self._reopening = False
                self._reopen()
            self._count_lost()
            self._drain()
            self._tell_lost(at_once=stopping)
        if left := self._buffer.left():
            logger.error(LEFT, left)
        self._target.close()

    def _count_lost(self) -> None:
        unmade, self._unmade = self._unmade, 0
        dropped = self._buffer.take_dropped()
        if lost := dropped + unmade:
            self._counters.add(DROPPED, lost)
            self._lost += lost
            self._untold += dropped

    def _drain(self) -> None:
        try:
            self._buffer.drain(self._target)
            if self._lost:
                self._target.write(memoryview(self._dropped.format(self._lost).encode()))
                self._lost = 0
            if self._failing:
                self._failing = False
                logger.warning("the access log is written again")
        except Exception as error:  # no end of this thread, whatever it is
            if not self._failing:
                self._failing = True
                text = "cannot write to the access log: %s; its lines are kept while there is room"
                logger.error(text, getattr(error, "strerror", None) or error)

    def _tell_lost(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if self._untold and (at_once or now >= self._tell_at):
            text = "the access log has lost %d lines: it was too slow, or could not be written to"
            logger.warning(text, self._untold)
            self._untold = 0
            self._tell_at = now + TELL_SECONDS

    def _reopen(self) -> None:
        try:
            self._target.reopen()
        except OSError as error:
            text = "cannot open the access log %s again: %s; still writing to the old one"
            logger.error(text, error.filename or "", error.strerror)

    def close(self) -> None:
        """Write what is left; wait at most a second for it."""
        self._stopping.set()
        self._thread.join(1.0)
