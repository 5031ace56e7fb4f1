"""The upstreams of a `Proxy`: whose turn it is, and who is out of service.

Each has a circuit breaker. It is closed while all goes well; after so many failures in a row it opens,
and nothing is sent there for a while; then it is half-open: one request goes, and closes or opens it.
Besides, each may have a thread that asks it for a path now and then, so that one that hangs holds up no
look at the others; they are started by the first request of a process, for threads do not survive a fork.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from breezeway.middleware.proxy.address import Address

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"

log = logging.getLogger("breezeway.middleware")


class Upstream:
    """One upstream, as a process sees it; the lock is that of all."""

    def __init__(self, address: Address, make_pool: Callable[[], HTTPConnectionPool]) -> None:
        self.address = address
        self._make_pool = make_pool
        self.reset()

    def reset(self) -> None:
        """Begin anew, in a new process."""
        self.pool = self._make_pool()
        self.is_up = True
        """What the last look found, if there are looks."""
        self.active = self.requests = self.failures = self.failures_in_a_row = 0
        self.opens_until: float | None = None
        """When the breaker, which is open, becomes half-open."""

    def state(self, now: float) -> str:
        """Tell the state of the breaker."""
        if self.opens_until is None:
            return CLOSED
        return HALF_OPEN if now >= self.opens_until else OPEN

    def takes(self, now: float) -> bool:
        """Tell whether a request may go there."""
        return self.is_up and (self.opens_until is None or now >= self.opens_until)


class Upstreams:
    """All upstreams of a proxy; threads share it."""

    def __init__(
        self, upstreams: Sequence[Upstream], *, least: bool, failures: int, recovery: float
    ) -> None:
        """Balance by the least requests under way, or in turn.

        After so many `failures` in a row an upstream gets nothing for `recovery` seconds.
        """
        self.all = upstreams
        self._least = least
        self._failures, self._recovery = failures, recovery
        self.watch: Callable[[Upstream], None] | None = None
        """Looks at one upstream; raises what is wrong with it."""
        self.watch_seconds = 0.0
        self._reset()
        _reset_after_fork(weakref.WeakMethod(self._reset_all))

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._turn = 0
        self._watchers: list[threading.Thread] = []

    def _reset_all(self) -> None:
        self._reset()
        for upstream in self.all:
            upstream.reset()

    def take(self, tried: Collection[Upstream] = ()) -> Upstream | None:
        """Choose one that is in service, and count a request there; `done` ends it."""
        if self.watch is not None and not self._watchers:
            self._start_watchers()
        with self._lock:
            now = time.monotonic()
            found: Upstream | None = None
            count = len(self.all)
            for step in range(count):
                upstream = self.all[(self._turn + step) % count]
                if upstream in tried or not upstream.takes(now):
                    continue
                if found is None or upstream.active < found.active:
                    found = upstream
                    if not self._least:
                        break
            if found is not None:
                self._turn = (self.all.index(found) + 1) % count
                found.active += 1
                found.requests += 1
                if found.opens_until is not None:  # half-open: one goes, the others wait for it
                    found.opens_until = now + self._recovery
        return found

    def done(self, upstream: Upstream) -> None:
        """End a request."""
        with self._lock:
            upstream.active -= 1

    def answered(self, upstream: Upstream) -> None:
        """Note the head of an answer: it closes the breaker, but its content may still break off."""
        if upstream.opens_until is not None:
            self._close(upstream)

    def finished(self, upstream: Upstream, error: Exception | None) -> None:
        """End a request whose answer is over; one that did not break off ends a row of failures."""
        self.done(upstream)
        if error is not None:
            self.failed(upstream, error)
        else:
            upstream.failures_in_a_row = 0

    def _close(self, upstream: Upstream) -> None:
        with self._lock:
            was_open, upstream.opens_until = upstream.opens_until is not None, None
            upstream.failures_in_a_row = 0
        if was_open:
            log.warning("proxy: %s answers again", upstream.address.url)

    def failed(self, upstream: Upstream, reason: Exception) -> None:
        """Note a failure."""
        with self._lock:
            upstream.failures += 1
            upstream.failures_in_a_row += 1
            was_closed = upstream.opens_until is None
            opens = upstream.failures_in_a_row >= self._failures or not was_closed
            if opens:
                upstream.opens_until = time.monotonic() + self._recovery
        if opens and was_closed:
            log.error(
                "proxy: %s gets no requests for %g s, after %d failures in a row; the last: %s",
                upstream.address.url,
                self._recovery,
                upstream.failures_in_a_row,
                str(reason),  # not the error itself, which holds on to much
            )

    def status(self) -> list[dict[str, Any]]:
        """Tell of each upstream."""
        now = time.monotonic()
        return [
            {
                "url": each.address.url,
                "state": each.state(now),
                "up": each.is_up,
                "active": each.active,
                "requests": each.requests,
                "failures": each.failures,
            }
            for each in self.all
        ]

    def seconds_to_wait(self, default: float) -> float:
        """Say when it makes sense to ask again, if none is in service."""
        with self._lock:
            waits = [each.opens_until for each in self.all if each.is_up and each.opens_until]
        return max(0.0, min(waits) - time.monotonic()) if waits else default

    # --- looks ------------------------------------------------------------------------------------

    def _start_watchers(self) -> None:
        with self._lock:
            if self._watchers:
                return
            self._watchers = [
                threading.Thread(
                    target=_watch,
                    args=(weakref.ref(self), upstream),
                    name="breezeway-proxy",
                    daemon=True,
                )
                for upstream in self.all
            ]
        for watcher in self._watchers:
            watcher.start()

    def look(self, upstream: Upstream) -> float:
        """Look at an upstream; return the seconds until the next look."""
        assert self.watch is not None
        reason: Exception | None = None
        try:
            self.watch(upstream)
        except Exception as error:
            reason = error
        was_up, upstream.is_up = upstream.is_up, reason is None
        if was_up and reason is not None:
            log.error("proxy: %s is out of service: %s", upstream.address.url, str(reason))
        elif not was_up and reason is None:
            log.warning("proxy: %s is in service again", upstream.address.url)
            self._close(upstream)
        return self.watch_seconds


def _watch(reference: weakref.ref[Upstreams], upstream: Upstream) -> None:
    while (upstreams := reference()) is not None:
        seconds = upstreams.look(upstream)
        del upstreams  # or a proxy that nobody has any more would live on
        time.sleep(seconds)


def _reset_after_fork(method: weakref.WeakMethod[Any]) -> None:
    def reset() -> None:
        found = method()
        if found is not None:
            found()

    os.register_at_fork(after_in_child=reset)
