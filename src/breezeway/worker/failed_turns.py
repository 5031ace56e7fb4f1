"""Errors of the event loop itself, which cost no connection: whether there is a point in going on.

One turn that fails, in the access log or while the system has no memory, is nothing to end for. A loop
that comes to no event any more, since its poller is broken, serves nobody: its process ends, and the
supervisor puts another one in its place.
"""

from __future__ import annotations

import time
from typing import Final

MOST: Final = 50
"""So many turns may fail in a row; with the pauses between them that is half a second."""

PAUSE_SECONDS: Final = 0.01
"""Between two of them: a loop that fails at once each time would take a whole core."""


class FailedTurns:
    """Counts the turns that have failed in a row."""

    def __init__(self) -> None:
        self._polled_at = -1.0
        self._count = 0

    def are_too_many(self, polled_at: float) -> bool:
        """Count one more, and pause unless it is the first; return whether to give it up.

        `polled_at` is when the loop has last heard of events, in monotonic seconds. What failed
        before that does not count any more.
        """
        if polled_at != self._polled_at:
            self._polled_at = polled_at
            self._count = 0
        self._count += 1
        if self._count > 1:
            time.sleep(PAUSE_SECONDS)
        return self._count >= MOST
