"""What is asked for often: the supervisor is asked once for many readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from breezeway.admin.link import Link

STATUS_SECONDS: Final = 0.25
RUNNING_SECONDS: Final = 0.5
"""How old an answer may be that is given again."""

MOST_RUNNING: Final = 100
"""Requests shown at a time, those that have run longest."""

Answer = dict[str, Any]


class Kept:
    """The answer to one question, for a moment; readers that come together wait for one answer."""

    def __init__(self, ask: Callable[[], Any], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._lock = threading.Lock()
        self._until = 0.0
        self._answer: Any = None

    def get(self) -> Any:
        """Return the answer; raise what asking raises."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._answer = self._ask()
                self._until = time.monotonic() + self._seconds
            return self._answer


class Source:
    """Everything there is to be shown."""

    def __init__(self, numbers: Link, stacks: Link) -> None:
        """Stacks take their time, and have a link of their own, so that numbers need not wait."""
        self._numbers = numbers
        self._stacks = stacks
        self._status = Kept(lambda: numbers.ask("status"), STATUS_SECONDS)
        self._running = Kept(self._ask_running, RUNNING_SECONDS)

    @property
    def broken(self) -> bool:
        """Whether the supervisor cannot be asked any more."""
        return self._numbers.broken or self._stacks.broken

    def status(self) -> Answer:
        """Return what `ctl status --json` says."""
        found: Answer = self._status.get()
        return found

    def settings(self) -> Answer:
        """Return the settings in force, with their sources."""
        return self._numbers.ask("settings")

    def events(self, after: int = 0) -> list[Answer]:
        """Return the last lines of the supervisor's log, those after the one with that number."""
        found: list[Answer] = self._numbers.ask("events", after=after)["events"]
        return found

    def running(self) -> list[Answer]:
        """Return the requests that are in a thread now, the longest first."""
        found: list[Answer] = self._running.get()
        return found

    def _ask_running(self) -> list[Answer]:
        found = [
            {
                "pid": worker["pid"],
                "thread": thread["name"],
                "request": thread["request"],
                "seconds": round(thread["seconds"] or 0.0, 3),
                "stack": thread["stack"],
            }
            for worker in self._stacks.ask("stacks")["workers"]
            for thread in worker["threads"]
            if thread["request"] is not None
        ]
        found.sort(key=lambda each: -each["seconds"])
        return found[:MOST_RUNNING]
