"""Asks once a second, in threads of its own, so that a server that does not answer stops no key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

PERIOD_SECONDS: Final = 1.0

JOIN_SECONDS: Final = 0.5
"""A thread that waits for a server that says nothing is left behind after so long."""


class Repeating:
    """Calls a function again and again, at a steady pace, until it is stopped."""

    def __init__(self, call: Callable[[], None], period: float = PERIOD_SECONDS) -> None:
        self._call = call
        self._period = period
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="top")

    def start(self) -> None:
        """Call it for the first time at once."""
        self._thread.start()

    def stop(self) -> None:
        """Call it no more."""
        self._over.set()
        self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            self._call()
            due += self._period
            left = due - time.monotonic()
            if left < 0:  # it took longer than its period; nobody wants to catch up
                due -= left
                left = 0.0
            self._over.wait(left)


def in_background(call: Callable[[], None]) -> threading.Thread:
    """Call a function in a thread that nobody has to wait for at the end."""
    thread = threading.Thread(target=call, daemon=True, name="top operation")
    thread.start()
    return thread
