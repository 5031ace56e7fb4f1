"""Telling the operator of refusals, without a line for each: they come in floods."""

from __future__ import annotations

import logging
import threading
import time

INTERVAL_SECONDS = 10.0
"""Between two lines."""

log = logging.getLogger("breezeway.middleware")


class Refusals:
    """Tells the first refusal at once, and then how many there were, every ten seconds at most."""

    def __init__(self, piece: str) -> None:
        """`piece` is the name of the class that refuses."""
        self._piece = piece
        self._lock = threading.Lock()
        self._count = 0
        self._next = 0.0

    def tell(self, key: str, why: str) -> None:
        """Count a refusal, and perhaps tell of it."""
        with self._lock:
            self._count += 1
            now = time.monotonic()
            if now < self._next:
                return
            self._next = now + INTERVAL_SECONDS
            count, self._count = self._count, 0
        requests = "a request" if count == 1 else f"{count} requests"
        log.warning("%s has refused %s, the last of %r: %s", self._piece, requests, key, why)
