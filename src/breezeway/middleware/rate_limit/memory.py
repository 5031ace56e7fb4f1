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

Outcome = tuple[bool, Any, int, int]
"""Of one rate, what `take` returns: see `semantics.rates`."""


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
        self._takes = [limiter.take for limiter in limiters]
        self._take = self._takes[0]
        self._none = [None] * len(limiters)
        self.take = self._take_of_one if len(limiters) == 1 else self._take_of_all

    def __len__(self) -> int:
        """Return how many clients are kept."""
        return sum(len(table) for _, table in self._tables)

    def _take_of_all(self, key: str, cost: int) -> tuple[bool, Sequence[Outcome]]:
        """Take `cost` units of each rate, or nothing of any; return whether they were there."""
        lock, table = self._tables[hash(key) % self._count]
        takes = self._takes
        with lock:
            now = self._clock()
            states = table.get(key)
            if states is None:
                states = self._none
                self._make_room(table, now)
            taken = []
            allowed = True
            for take, state in zip(takes, states, strict=True):
                outcome = take(state, now, cost)
                taken.append(outcome)
                allowed = allowed and outcome[0]
            table[key] = [
                # What one rate would have given is not taken if another one refuses.
                outcome[1] if allowed or not outcome[0] else state
                for outcome, state in zip(taken, states, strict=True)
            ]
            table.move_to_end(key)
        return allowed, taken

    def _take_of_one(self, key: str, cost: int) -> tuple[bool, Sequence[Outcome]]:
        """Do the same for a single rate, in half the time."""
        lock, table = self._tables[hash(key) % self._count]
        with lock:
            state = table.get(key)
            if state is not None:
                outcome = self._take(state, self._clock(), cost)
                table[key] = outcome[1]
                table.move_to_end(key)
            else:
                now = self._clock()
                self._make_room(table, now)
                outcome = self._take(None, now, cost)
                table[key] = outcome[1]
        return outcome[0], (outcome,)

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
