"""Keeps the log readable, and the disk free, while somebody makes the server repeat itself.

Of each kind of message so many are logged in a time; of the rest, how many there were.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections.abc import Hashable
from typing import Final

LINES: Final = 10
"""Messages of one kind in a window. Enough to see what goes on, and from where."""

WINDOW_SECONDS: Final = 10.0
"""The length of a window."""

MOST_KINDS: Final = 256
"""Kinds in a window; all further ones are one kind, so that kinds themselves cannot fill the disk."""

OTHERS: Final = "other messages"


class _Kind:
    __slots__ = ("lines", "since", "withheld")

    def __init__(self, now: float) -> None:
        self.since = now
        self.lines = self.withheld = 0


class Throttle:
    """Limits the rate of the messages of one logger; from any thread. Times are monotonic seconds."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._kinds: dict[Hashable, _Kind] = {}
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
        """Log a message, unless there have been enough of its kind.

        It raises nothing, also when a filter or handler of the user's does: the loop must go on.
        """
        if self.admit(now, kind):
            with contextlib.suppress(BaseException):
                self._logger.log(level, message, *args, exc_info=exc_info)

    def admit(self, now: float, kind: Hashable) -> int:
        """Count a message of a kind, which is named by its text.

        Returns:
            Its number, from 1, if it may be logged; 0 if there have been enough.
        """
        with self._lock:
            if len(self._kinds) >= MOST_KINDS and kind not in self._kinds:
                kind = OTHERS
            seen = self._kinds.setdefault(kind, _Kind(now))
            if seen.lines >= LINES:
                seen.withheld += 1
                return 0
            seen.lines += 1
            return seen.lines

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
