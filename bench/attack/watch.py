"""Looks at the attacked worker from outside: memory, threads, descriptors, CPU time."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = 1 / os.sysconf("SC_CLK_TCK")
LOOK = 0.1  # seconds between two looks


@dataclass
class Look:
    """One look; memory in bytes, CPU in seconds."""

    memory: int
    threads: int
    descriptors: int
    cpu: float


def look(pid: int) -> Look:
    """Look at a process; raises OSError when it has gone."""
    root = Path(f"/proc/{pid}")
    fields = (root / "stat").read_text().rpartition(")")[2].split()
    return Look(
        memory=int(fields[21]) * PAGE,
        threads=int(fields[17]),
        descriptors=len(os.listdir(root / "fd")),
        cpu=(int(fields[11]) + int(fields[12])) * TICK,
    )


class Watch:
    """Keeps the highest figures for as long as it is entered."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.peak = look(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            try:
                now = look(self._pid)
            except OSError:
                return
            peak = self.peak
            peak.memory = max(peak.memory, now.memory)
            peak.threads = max(peak.threads, now.threads)
            peak.descriptors = max(peak.descriptors, now.descriptors)
