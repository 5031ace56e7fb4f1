"""Whether the kernel has lately ended a process for want of memory: a guess at why a worker died.

A worker that the kernel kills so has got SIGKILL like any other; but it is counted. The counter is that
of our control group, if there is one (cgroups v2, `memory.events`), else that of the whole machine
(`/proc/vmstat`), where it may have been somebody else's process.
"""

from __future__ import annotations

import os
import time
from typing import Final

LATELY_SECONDS: Final = 10.0
"""Lately is at least so long ago, and at most twice that: the end of a large process takes time."""


class OutOfMemory:
    """Watches the kernel's counter."""

    def __init__(self, proc: str = "/proc", cgroups: str = "/sys/fs/cgroup") -> None:
        self._path = _path(proc, cgroups)
        self._before = self._last = self._read()
        self._due = time.monotonic() + LATELY_SECONDS

    def look(self, now: float) -> None:
        """Look at the counter from time to time; `now` is in monotonic seconds."""
        if now >= self._due:
            self._due = now + LATELY_SECONDS
            self._before, self._last = self._last, self._read()

    def happened(self) -> bool:
        """Whether a process was ended so lately."""
        return self._read() > self._before

    def _read(self) -> int:
        try:
            with open(self._path, encoding="ascii") as lines:
                return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
        except (OSError, ValueError, IndexError):
            return 0


def _path(proc: str, cgroups: str) -> str:
    """Return the file that has the counter."""
    try:
        with open(f"{proc}/self/cgroup") as lines:
            for line in lines:
                number, _, group = line.rstrip("\n").split(":", 2)
                events = os.path.join(cgroups, group.lstrip("/"), "memory.events")
                if number == "0" and os.path.exists(events):
                    return events
    except (OSError, ValueError):
        pass
    return f"{proc}/vmstat"
