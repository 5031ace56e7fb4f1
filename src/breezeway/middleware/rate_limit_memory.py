"""What clients have taken, in the memory of one process.

A table has the states of a client in the order in which clients came last. When it is full, those go
first that are over: they say as much as none. If the one that was away for longest is not, it goes all
the same, and that is told once, for it gets its whole allowance back. Whoever is refused and tries on
stays. There are several tables, each with a lock, so that threads seldom meet; they are too short of
work to wait for one another.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

from breezeway.semantics.rates import Limiter

TABLES: Final = 16
"""As many as threads that serve at once, in most servers."""

SMALL: Final = 1024
"""Keys. As few as these are in one table, so that its bound is exact."""

SWEPT: Final = 2
"""States that are looked at for each new one, so that those that are over go sooner than they come."""

log = logging.getLogger("breezeway.middleware")

Outcome = tuple[bool, int, int]
"""Of one rate: whether it allows the request, what is left, and a time; as in `semantics.rates`."""


class MemoryStore:
    """The states of all clients; times are in nanoseconds."""

    second: Final = 1_000_000_000

    def __init__(
        self,
        limiters: Sequence[Limiter],
        most_keys: int,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Hold requests to all of `limiters`, which count in nanoseconds."""
        self._limiters = limiters
        self._clock = clock
        count = TABLES if most_keys > SMALL else 1
        self._most = -(-most_keys // count)
        self._tables = [(threading.Lock(), OrderedDict[str, Any]()) for _ in range(count)]
        self._count = count
        self._has_told = False
        self._take_one = limiters[0].take
        self.take = self._take_of_one if len(limiters) == 1 else self._take_of_all

    def __len__(self) -> int:
        """Return how many clients are kept."""
        return sum(len(table) for _, table in self._tables)

    def _take_of_all(self, key: str, cost: int) -> tuple[bool, list[Outcome]]:
        """Take `cost` units of each rate, or nothing of any; return whether they were there."""
        lock, table = self._tables[hash(key) % self._count]
        limiters = self._limiters
        with lock:
            now = self._clock()
            states = table.get(key)
            if states is None:
                states = (None,) * len(limiters)
                self._make_room(table, now)
            taken = [
                limiter.take(state, now, cost)
                for limiter, state in zip(limiters, states, strict=True)
            ]
            allowed = all(each[0] for each in taken)
            table[key] = tuple(
                # What one rate would have given is not taken if another one refuses.
                each[1] if allowed or not each[0] else state
                for each, state in zip(taken, states, strict=True)
            )
            table.move_to_end(key)
        return allowed, [(each[0], each[2], each[3]) for each in taken]

    def _take_of_one(self, key: str, cost: int) -> tuple[bool, list[Outcome]]:
        """Do the same for a single rate, in half the time."""
        lock, table = self._tables[hash(key) % self._count]
        with lock:
            now = self._clock()
            state = table.get(key)
            if state is None:
                self._make_room(table, now)
                allowed, table[key], left, wait = self._take_one(None, now, cost)
            else:
                allowed, table[key], left, wait = self._take_one(state, now, cost)
                table.move_to_end(key)
        return allowed, [(allowed, left, wait)]

    def _make_room(self, table: OrderedDict[str, Any], now: int) -> None:
        for _ in range(SWEPT):
            if not table:
                return
            key = next(iter(table))
            if not self._is_over(table[key], now):
                break
            del table[key]
        if len(table) < self._most:
            return
        table.popitem(last=False)
        if not self._has_told:
            self._has_told = True
            log.warning(
                "RateLimit counts as many clients as max_keys allows, and forgets some before their"
                " time; this is told once"
            )

    def _is_over(self, state: Any, now: int) -> bool:
        if len(self._limiters) == 1:
            return self._limiters[0].is_over(state, now)
        return all(
            each is None or limiter.is_over(each, now)
            for limiter, each in zip(self._limiters, state, strict=True)
        )
