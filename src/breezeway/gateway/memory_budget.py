"""Memory that many connections share: who finds none left has to do without."""

from __future__ import annotations

import threading


class MemoryBudget:
    """So many bytes for all together; from any thread."""

    __slots__ = ("_held", "_limit", "_mutex")

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes."""
        self._limit = limit
        self._held = 0
        self._mutex = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes that are taken."""
        return self._held

    def take(self, size: int) -> bool:
        """Take so many bytes, unless that is too much."""
        with self._mutex:
            if self._held + size > self._limit:
                return False
            self._held += size
            return True

    def give_back(self, size: int) -> None:
        """Give bytes back."""
        with self._mutex:
            self._held -= size
