"""What is known of a worker by looking now and then: states of connections, waits for the GIL.

A thread of its own does this, so that requests pay for nothing: it counts the connections by state once
a second, and while there are requests it sleeps for a moment twenty times a second. How much later than
asked for it wakes is what any thread waits that wants to run: for the GIL, for a core, and for the
kernel's timer (some 0.1 ms, which nobody else waits).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from breezeway.worker.ending import (
    AWAITED,
    BODY,
    BUSY,
    CLOSED,
    DRAIN,
    DRAIN_CLOSE,
    HEAD,
    IDLE,
    LINGER,
)
from breezeway.worker.scoreboard import BUSY as BUSY_THREADS
from breezeway.worker.scoreboard import CONNECTION_STATES, STATES, Row

if TYPE_CHECKING:
    from breezeway.worker.reactor import Reactor

ROUND_SECONDS: Final = 1.0
"""How often connections are counted."""

SAMPLES: Final = 20
"""Sleeps in a round during which there may be requests: 0.1 % of a core, at 45 us for each."""

_AT: Final = {
    IDLE: 0,
    HEAD: 1,
    BODY: 2,
    AWAITED: 2,
    BUSY: 3,
    DRAIN: 4,
    DRAIN_CLOSE: 4,
    LINGER: 5,
}
"""Where a state is in CONNECTION_STATES."""


class Sampler:
    """Looks at one worker."""

    def __init__(self, reactor: Reactor, row: Row) -> None:
        self._reactor = reactor
        self._row = row
        self._requests = 0

    def look(self, leaving: threading.Event) -> bool:
        """Look for one round; return False as soon as the worker is leaving."""
        requests, self._requests = self._requests, self._reactor.requests
        samples = SAMPLES if self._row[BUSY_THREADS] or self._requests != requests else 1
        seconds = ROUND_SECONDS / samples
        for _ in range(samples):
            began = time.monotonic()
            if leaving.wait(seconds):
                return False
            if samples > 1:
                self._row.tally.count_gil_wait(time.monotonic() - began - seconds)
        self.count_connections()
        return True

    def unfinished(self) -> int:
        """Count the connections that are in the middle of a request or of its response."""
        states = [connection.state for connection in self._reactor.connections()]
        return sum(state not in (IDLE, LINGER, CLOSED) for state in states)

    def count_connections(self) -> None:
        """Count the connections by state."""
        found = [0] * len(CONNECTION_STATES)
        for connection in self._reactor.connections():
            state = connection.state
            if state != CLOSED:
                found[_AT[state]] += 1
        for at, count in enumerate(found):
            self._row[STATES + at] = count
