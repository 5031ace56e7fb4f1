"""How often somebody may show a wrong token.

There is an allowance for each address and one for all of them; a wrong token takes one of both, and they
come back with time. Where one of them is used up, no token is looked at, not even a right one, or
guessing would go on. So that whoever guesses does not lock others out:

- The allowance of an address is its own. Of IPv6 an address is the network of 64 bits, of which one
  client has all. All clients of a unix socket, or behind one proxy, are one address.
- An address that has shown the right token needs none of the allowance for all.
- That comes back soon, and a session needs no token.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from breezeway.observe.throttle import Throttle

logger = logging.getLogger("breezeway.admin")

MOST_AT_ONCE: Final = 10
"""Wrong tokens of one address: what somebody needs who looks for the right one of several."""

SECONDS_EACH: Final = 6.0
"""In which one more may come. Who scrapes every 15 s with an old token is told 401 each time."""

MOST_OF_ALL: Final = 60
SECONDS_EACH_OF_ALL: Final = 1.0
"""The same for all addresses together: at this rate nobody guesses 16 characters."""

MOST_KNOWN: Final = 64
"""Addresses that have shown the right token, of which it is remembered: the last ones."""

NETWORK_BITS: Final = 64
"""Of an IPv6 address."""


class TooManyError(Exception):
    """No token is looked at now."""

    def __init__(self, seconds: float) -> None:
        """`seconds` is when to come again."""
        super().__init__(f"after {seconds:g} s")
        self.seconds = seconds


class Allowance:
    """So many at once, and one more after each so many seconds."""

    __slots__ = ("_each", "_most", "_until")

    def __init__(self, most: int, seconds_each: float) -> None:
        self._most = most
        self._each = seconds_each
        self._until = 0.0
        """When all of it is there again."""

    def wait(self, now: float) -> float:
        """Return in how many seconds there is one; 0 if there is one."""
        return max(0.0, self._until - now - (self._most - 1) * self._each)

    def take(self, now: float) -> None:
        """Take one."""
        self._until = max(self._until, now) + self._each

    def is_whole(self, now: float) -> bool:
        """Whether nothing is taken, or all has come back."""
        return self._until <= now


class Attempts:
    """Keeps count of wrong tokens; for any thread."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._of_all = Allowance(MOST_OF_ALL, SECONDS_EACH_OF_ALL)
        self._of_each: dict[str, Allowance] = {}
        """Of addresses with wrong tokens; the allowance for all bounds how many there are."""
        self._known: dict[str, None] = {}
        self._log = Throttle(logger)

    def check(self, address: str, is_right: Callable[[], bool]) -> bool:
        """Return what `is_right` returns, which looks at a token that came from a peer's address.

        Raises:
            TooManyError: there have been too many wrong ones; it was not called.
        """
        peer = _network(address)
        now = self._clock()
        with self._lock:
            wait = self._wait(peer, now)
            if not wait and is_right():
                self._known.pop(peer, None)
                self._known[peer] = None
                if len(self._known) > MOST_KNOWN:
                    del self._known[next(iter(self._known))]
                return True
            if not wait:
                self._of_all.take(now)
                self._of_each.setdefault(peer, Allowance(MOST_AT_ONCE, SECONDS_EACH)).take(now)
        shown = address or "a unix socket"
        if wait:
            kind = "tokens not looked at"
            text = "a token from %s is not looked at: there have been too many wrong ones"
            self._log.log(now, kind, logging.WARNING, text, shown)
            raise TooManyError(wait)
        self._log.log(now, "wrong tokens", logging.WARNING, "a wrong token from %s", shown)
        return False

    def _wait(self, peer: str, now: float) -> float:
        for each in [each for each, own in self._of_each.items() if own.is_whole(now)]:
            del self._of_each[each]
        own = self._of_each.get(peer)
        wait = 0.0 if own is None else own.wait(now)
        return wait if peer in self._known else max(wait, self._of_all.wait(now))

    def look(self) -> None:
        """Log, now and then, how much was not logged one by one."""
        self._log.advance(self._clock())


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, NETWORK_BITS), strict=False))
