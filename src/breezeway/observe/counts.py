"""Counts of what goes wrong, which threads make at the same time.

`counts[kind] += 1` reads and then writes: without the GIL some of two threads' counts would be lost.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final, TypeVar

K = TypeVar("K")

MOST_REASONS: Final = 100
"""So many reasons are told apart for which requests are refused; they are texts of the server's own."""


class Counts(Counter[K]):
    """A Counter for any number of threads, which count by `add`."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def add(self, kind: K, number: int = 1) -> None:
        """Count one more of a kind, or some."""
        with self._lock:
            self[kind] += number


class Refusals(Counts[tuple[int, str]]):
    """Requests that were refused, by status and reason."""

    def add(self, kind: tuple[int, str], number: int = 1) -> None:
        """Count one more; of too many reasons the last ones are one."""
        if len(self) >= MOST_REASONS and kind not in self:
            kind = kind[0], "other"
        super().add(kind, number)
