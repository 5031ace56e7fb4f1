"""Which workers there should be: a comparison of what is wanted with what is there.

Everything that changes the set of workers comes down to one rule, so that recycling, reload, scaling
and deaths can happen at the same time without knowing of each other:

- A worker is *stale* when it is of another generation than the one to start from, or is to be
  replaced for a reason of its own. A stale worker serves until its successor is ready.
- What is missing is started at once; for a stale worker, one successor at a time.
- What is ready beyond the number wanted retires: stale ones first, then the youngest.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from breezeway.supervisor.deployment import Generation
from breezeway.supervisor.handle import READY, STARTING, Handle

FIRST_BACKOFF_SECONDS: Final = 0.5
LONGEST_BACKOFF_SECONDS: Final = 30.0
"""A worker that fails at boot is tried again after the first, then after twice that, and so on."""


class Backoff:
    """How long to wait before what has failed is tried again."""

    def __init__(self) -> None:
        self.until = 0.0
        """Monotonic seconds; 0 after a success."""
        self._next = FIRST_BACKOFF_SECONDS

    def fail(self) -> float:
        """Note a failure; return the pause after it, in seconds."""
        pause, self._next = self._next, min(2 * self._next, LONGEST_BACKOFF_SECONDS)
        self.until = time.monotonic() + pause
        return pause

    def reset(self) -> None:
        """Forget that there were failures, and how many."""
        self.until = 0.0
        self._next = FIRST_BACKOFF_SECONDS


class Steps(NamedTuple):
    """What is to be done now."""

    start: int
    retire: list[Handle]


def is_stale(worker: Handle, generation: Generation) -> bool:
    """Whether a worker serves only until its successor is ready."""
    return worker.generation is not generation or bool(worker.replace_because)


def next_steps(workers: Iterable[Handle], wanted: int, generation: Generation) -> Steps:
    """Compare the workers with the number wanted; `generation` is the one to start from."""
    ready = [worker for worker in workers if worker.state == READY]
    starting = [worker for worker in workers if worker.state == STARTING]
    stale = sorted(
        (worker for worker in ready if is_stale(worker, generation)), key=lambda each: each.started
    )
    fresh = [worker for worker in ready if worker not in stale]
    youngest_first = sorted(fresh, key=lambda each: -each.started)
    surplus = max(0, len(ready) - wanted)
    retire = [*stale, *youngest_first][:surplus]
    missing = wanted - len(ready) - len(starting)
    too_many_starting = -missing - bool(stale)
    if too_many_starting > 0 and not surplus:
        retire += starting[-too_many_starting:]
    if missing > 0:
        return Steps(missing, retire)
    return Steps(1 if stale[surplus:] and not starting else 0, retire)
