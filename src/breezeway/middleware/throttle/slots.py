"""Slots for requests at once, and short queues for those that come when all are taken.

A slot that is given back goes to the one that has waited longest, directly: nobody who comes just then
can take it. Each key has slots and a queue of its own, so that one client's requests never wait behind
another's. The places to wait are for all keys together, as each holds a thread of the server, and one
key may have half of them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from typing import Final

_all: Final[weakref.WeakSet[Slots]] = weakref.WeakSet()


class Slots:
    """`most` slots for each key, and `queue` places to wait in all."""

    def __init__(self, most: int, queue: int, *, is_keyed: bool) -> None:
        self._most = most
        self._queue = queue
        self._queue_of_key = -(-queue // 2) if is_keyed else queue
        self.begin()
        _all.add(self)

    def begin(self) -> None:
        """Have all slots free, as at first; also in a process that was just forked."""
        self._lock = threading.Lock()
        self._taken: dict[str, int] = {}
        """How many slots of a key are taken; a key without any is not in it."""
        self._queues: dict[str, deque[threading.Lock]] = {}
        """Locks that are held for those who wait; a key for which nobody waits is not in it."""
        self._waiting = 0

    def take(self, key: str, wait: float) -> bool:
        """Take a slot; wait for one so many seconds at most. Return whether there was one."""
        with self._lock:
            taken = self._taken.get(key, 0)
            if taken < self._most:
                self._taken[key] = taken + 1
                return True
            queue = self._queues.get(key)
            if self._waiting >= self._queue or len(queue or ()) >= self._queue_of_key:
                return False
            if queue is None:
                queue = self._queues[key] = deque()
            turn = threading.Lock()
            turn.acquire()
            queue.append(turn)
            self._waiting += 1
        try:
            if turn.acquire(timeout=wait):
                return True
        except BaseException:  # a signal's handler has raised: nobody waits here any longer
            if self._has_come(key, queue, turn):
                self.give(key)
            raise
        return self._has_come(key, queue, turn)

    def _has_come(self, key: str, queue: deque[threading.Lock], turn: threading.Lock) -> bool:
        """Stop waiting; return whether the turn has come in the last moment."""
        with self._lock:
            if turn.acquire(blocking=False):
                return True
            queue.remove(turn)
            self._leave(key, queue)
        return False

    def give(self, key: str) -> None:
        """Give a slot back, to whoever has waited longest."""
        with self._lock:
            queue = self._queues.get(key)
            if queue is not None:
                turn = queue.popleft()
                self._leave(key, queue)
                turn.release()
                return
            taken = self._taken.get(key, 0) - 1
            if taken > 0:
                self._taken[key] = taken
            else:  # or it was taken by the parent of this process
                self._taken.pop(key, None)

    def _leave(self, key: str, queue: deque[threading.Lock]) -> None:
        self._waiting -= 1
        if not queue:
            del self._queues[key]

    def counts(self) -> tuple[int, int]:
        """Return how many slots are taken, and how many requests wait."""
        with self._lock:
            return sum(self._taken.values()), self._waiting


def _begin_all() -> None:
    for slots in list(_all):
        slots.begin()


os.register_at_fork(after_in_child=_begin_all)
