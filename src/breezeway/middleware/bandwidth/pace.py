"""When the next bytes may go: a token bucket of bytes for each key, by the time at which all is paid."""

from __future__ import annotations

import threading
from collections import OrderedDict
from time import monotonic


class Pace:
    """`rate` bytes a second for each key, and `burst` bytes at once that were saved up before."""

    def __init__(self, rate: float, burst: int, most_keys: int = 1) -> None:
        self._rate = rate
        self._saved = burst / rate
        """Seconds."""
        self._most_keys = most_keys
        self._lock = threading.Lock()
        self._paid: OrderedDict[str, float] = OrderedDict()
        """By key: when what was sent would be sent at the rate; whoever sent last is the last."""

    def fits(self, key: str, length: int) -> bool:
        """Take so many bytes if they may all go at once."""
        with self._lock:
            now = monotonic()
            paid = max(now, self._paid.get(key, 0.0)) + length / self._rate
            if paid > now + self._saved:
                return False
            self._keep(key, paid)
        return True

    def take(self, key: str, length: int) -> float:
        """Take so many bytes; return in how many seconds they may go. Who asks first goes first."""
        with self._lock:
            now = monotonic()
            paid = max(now, self._paid.get(key, 0.0)) + length / self._rate
            self._keep(key, paid)
        return max(0.0, paid - now - self._saved)

    def _keep(self, key: str, paid: float) -> None:
        self._paid[key] = paid
        self._paid.move_to_end(key)
        if len(self._paid) > self._most_keys:
            self._paid.popitem(last=False)
