"""One request to the application while others wait for the same, and requests in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

MOST_FLIGHTS: Final = 1024
"""Past it those are forgotten that nobody waits for any longer; a server that never ends its
responses would leave them."""

MOST_INVALIDATED: Final = 1024
"""Keys whose invalidation is remembered, for requests that were under way."""


class Flight:
    """A request to the application for whose answer others wait."""

    __slots__ = ("began", "over")

    def __init__(self, began: float) -> None:
        self.began = began
        self.over = threading.Event()


class Flights:
    """The requests that are under way, by key."""

    def __init__(self, wait: float) -> None:
        """`wait` is how long, in seconds, a request is waited for at most, from its beginning."""
        self._wait = wait
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}

    def enter(self, key: str) -> tuple[bool, Flight]:
        """Return whether the caller is to ask, and the flight, which is its own or another's."""
        now = time.monotonic()
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and now - flight.began < self._wait:
                return False, flight
            if len(self._flights) >= MOST_FLIGHTS:
                for old in [k for k, f in self._flights.items() if now - f.began >= self._wait]:
                    del self._flights[old]
            flight = self._flights[key] = Flight(now)
            return True, flight

    def wait(self, flight: Flight) -> bool:
        """Wait until a flight is over, or has taken too long; return whether it is over."""
        return flight.over.wait(max(0.0, flight.began + self._wait - time.monotonic()))

    def leave(self, key: str, flight: Flight) -> None:
        """End a flight of one's own; twice does no harm."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
        flight.over.set()


class Invalidations:
    """When keys were invalidated, so that an answer that is older than that is not stored."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[str, float] = {}
        self._forgotten = 0.0
        """Until when all keys count as invalidated."""

    def add(self, key: str) -> None:
        """Note an invalidation."""
        self._times[key] = time.monotonic()
        if len(self._times) > MOST_INVALIDATED:
            with self._lock:
                for old in list(self._times)[: MOST_INVALIDATED // 2]:
                    self._forgotten = max(self._forgotten, self._times.pop(old))

    def add_all(self) -> None:
        """Note that everything was invalidated."""
        self._forgotten = time.monotonic()

    def since(self, key: str, began: float) -> bool:
        """Whether a key was invalidated after `began`, a time of `time.monotonic()`."""
        return self._forgotten >= began or self._times.get(key, 0.0) >= began


class Background:
    """A bounded number of threads for what nobody waits for."""

    def __init__(self, most: int) -> None:
        self._places = threading.BoundedSemaphore(most)

    def run(self, work: Callable[[], None]) -> bool:
        """Do something in a thread of its own; return False if all places are taken."""
        if not self._places.acquire(blocking=False):
            return False

        def run() -> None:
            try:
                work()
            finally:
                self._places.release()

        try:
            # A daemon: a process that ends does not wait for it.
            threading.Thread(target=run, name="breezeway-cache", daemon=True).start()
        except RuntimeError:  # no more threads
            self._places.release()
            return False
        return True
