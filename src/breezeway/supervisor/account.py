"""What the supervisor counts itself, and what workers had counted that have ended.

No count ever falls: what a worker has told stays when it has gone. (What it counts of requests is in
shared memory, and kept there: `observe.tally`.)
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from breezeway.supervisor.handle import Handle
from breezeway.supervisor.out_of_memory import OutOfMemory
from breezeway.supervisor.report import describe_exit

SIGNAL: Final = "signal"
EXIT: Final = "exit"
OUT_OF_MEMORY: Final = "out_of_memory"
HANG: Final = "hang"
BOOT: Final = "boot"
UNKNOWN: Final = "unknown"
"""Causes of deaths: killed by a signal, by the kernel for want of memory, as far as can be known;
ended by itself; stood still; was not ready; and with --preload, if nobody has told."""


class Account:
    """The counts of a supervisor."""

    def __init__(self) -> None:
        self.deaths = 0
        """Workers that died or hung, and should not have; those that were not ready only if they hung."""
        self.causes: Counter[tuple[str, str]] = Counter()
        """Of deaths, those at boot included: the cause; and the signal, or the exit status."""
        self.out_of_memory = OutOfMemory()
        self._counters: Counter[str] = Counter()
        self._refusals: Counter[tuple[int, str]] = Counter()

    def note_death(self, status: int | None) -> None:
        """Count a worker that has died; `status` is as `os.waitpid` has it, None if nobody knows."""
        self.deaths += 1
        if status is None:
            self.causes[UNKNOWN, ""] += 1
        elif status == signal.SIGKILL and self.out_of_memory.happened():
            self.causes[OUT_OF_MEMORY, "SIGKILL"] += 1
        else:
            cause = SIGNAL if os.WIFSIGNALED(status) else EXIT
            self.causes[cause, _ending(status)] += 1

    def describe_exit(self, status: int | None) -> str:
        """Say how a process ended that we have not killed; `status` is as `os.waitpid` has it."""
        how = describe_exit(status)
        if status != signal.SIGKILL:
            return how
        return how + (" (out of memory)" if self.out_of_memory.happened() else " (from outside)")

    def note_hang(self) -> None:
        """Count a worker that stands still."""
        self.deaths += 1
        self.causes[HANG, ""] += 1

    def note_late_boot(self) -> None:
        """Count a worker that was not ready in time."""
        self.deaths += 1
        self.causes[BOOT, "timeout"] += 1

    def note_failed_boot(self, status: int | None) -> None:
        """Count a worker that has ended before it was ready."""
        self.causes[BOOT, "" if status is None else _ending(status)] += 1

    def keep(self, worker: Handle) -> None:
        """Keep what a worker has told, for it has ended."""
        self._counters.update(worker.counters)
        _add(self._refusals, worker)

    def counters(self, workers: Iterable[Handle]) -> dict[str, int]:
        """Sum up what these and all that have ended have counted."""
        total = self._counters.copy()
        for each in workers:
            total.update(each.counters)
        return dict(sorted(total.items()))

    def refusals(self, workers: Iterable[Handle]) -> list[dict[str, Any]]:
        """Sum up which requests these and all that have ended have refused, and why."""
        total = self._refusals.copy()
        for each in workers:
            _add(total, each)
        return [
            {"status": status, "reason": reason, "count": count}
            for (status, reason), count in sorted(total.items())
        ]

    def death_causes(self) -> list[dict[str, Any]]:
        """List what workers have died of."""
        return [
            {"cause": cause, "detail": detail, "count": count}
            for (cause, detail), count in sorted(self.causes.items())
        ]


def _add(total: Counter[tuple[int, str]], worker: Handle) -> None:
    for status, reason, count in worker.refusals:
        total[status, reason] += count


def _ending(status: int) -> str:
    """Name the signal that has killed a process, else the status it ended with."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return str(code)
    try:
        return signal.Signals(-code).name
    except ValueError:
        return str(-code)
