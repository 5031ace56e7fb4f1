"""A bounded memory for work that need not be done twice.

Requests repeat themselves: the same header lines, request lines and response headers come again
and again. What was validated and translated once is looked up the next time. A memo has two
generations: new entries go into the young one; when that is full it becomes the old one, and what
is asked for again moves to the young one. So junk that a hostile client sends can push out other
junk, but what is in use stays, and the memory has a bound in entries and in bytes.

Readers on the fast path look into `young` themselves and call `recall` only on a miss.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

ENTRIES = 1024
"""Entries of one generation: some dozen distinct lines for each kind of client, with room to spare."""

TOTAL_BYTES = 256 * 1024
"""Size of the keys of one generation. Values are about as large again."""

ENTRY_BYTES = 1024
"""Longer keys are not remembered: they hardly come twice, and would push out many that do."""


class Memo(Generic[K, V]):
    """Two generations of at most `ENTRIES` entries and `TOTAL_BYTES` of keys each."""

    __slots__ = ("_old", "_size", "young")

    def __init__(self) -> None:
        self.young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._size = 0

    def recall(self, key: K) -> V | None:
        """Look in the old generation; what is found there has to be stored anew to stay."""
        return self._old.get(key)

    def store(self, key: K, value: V, size: int) -> None:
        """Remember `value`; `size` is that of the key, in bytes."""
        if size > ENTRY_BYTES:
            return
        if len(self.young) >= ENTRIES or self._size + size > TOTAL_BYTES:
            self._old = self.young
            self.young = {}
            self._size = 0
        self._size += size
        self.young[key] = value
