"""Keeps the log readable, and the disk free, while somebody makes the server repeat itself.

Of each kind of message so many are logged in a time; of the rest, how many there were.
"""

from __future__ import annotations

import logging
import math
import threading
from typing import Final

LINES: Final = 10
"""Messages of one kind in a window. Enough to see what goes on, and from where."""

WINDOW_SECONDS: Final = 10.0
"""The length of a window."""


class _Kind:
    __slots__ = ("lines", "since", "withheld")

    def __init__(self, now: float) -> None:
        self.since = now
        self.lines = self.withheld = 0


class Throttle:
    """Limits the rate of the messages of one logger; from any thread. Times are monotonic seconds."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._kinds: dict[str, _Kind] = {}
        self._lock = threading.Lock()

    def log(
        self,
        now: float,
        kind: str,
        level: int,
        message: str,
        *args: object,
        exc_info: bool = False,
    ) -> None:
        """Log a message, unless there have been enough of its kind."""
        with self._lock:
            seen = self._kinds.setdefault(kind, _Kind(now))
            if seen.lines >= LINES:
                seen.withheld += 1
                return
            seen.lines += 1
        self._logger.log(level, message, *args, exc_info=exc_info)

    def __bool__(self) -> bool:
        """Whether `advance` may have something to do."""
        return bool(self._kinds)

    def close(self) -> None:
        """Tell at once how many messages were withheld."""
        self.advance(math.inf)

    def advance(self, now: float) -> None:
        """Tell how many messages were withheld in the windows that are over."""
        if not self._kinds:
            return
        with self._lock:
            over = [
                kind for kind, seen in self._kinds.items() if now - seen.since >= WINDOW_SECONDS
            ]
            told = [(kind, self._kinds.pop(kind).withheld) for kind in over]
        for kind, withheld in told:
            if withheld:
                self._logger.warning("%s: %d more in the last %g s", kind, withheld, WINDOW_SECONDS)
