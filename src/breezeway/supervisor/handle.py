"""The supervisor's view of one worker.

Messages from a worker: `born` (with its pid), `failed` or `broken` (with the fields of a
`UserError`: it could not load the application and ends, or serves a page that says so), `ready`,
`counters`, `stacks`. Messages to it: `serve` (the answer to `ready`), `retire`, `stop`, `stacks`, `reopen`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection
from typing import Any, Final

from breezeway.config.settings import Settings
from breezeway.supervisor.channel import Channel
from breezeway.supervisor.deployment import Generation
from breezeway.supervisor.report import stacks_as_text
from breezeway.worker.reactor import BEAT_SECONDS, RETIRE_IDLE_SECONDS
from breezeway.worker.scoreboard import ACCEPTING, BEAT, REQUESTS, TIRED, Row

STARTING: Final = "starting"
READY: Final = "ready"
RETIRING: Final = "retiring"
HUNG: Final = "hung"

KILL_SECONDS: Final = 2.0
"""A worker that has not ended so long after its grace, or after SIGTERM, is killed."""

HANG_REPORT_SECONDS: Final = 1.0
"""A process that hangs has this long to say what its threads are doing."""

DEVELOPMENT_IDLE_SECONDS: Final = 0.2
"""With --reload an old worker closes a connection so long after its last request: not in the middle
of a page, and before somebody has gone from the editor to the browser."""

LAST_WORDS_SECONDS: Final = 0.5
"""How long to wait for the exit status of a worker that the zygote has forked."""

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def open_dump() -> int:
    """Open a file without a name for the stacks of a process; return its descriptor.

    On Linux it is in memory, so that it can be had where everything is read-only.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create("breezeway-stacks")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Handle:
    """One worker, from the fork to its end."""

    def __init__(
        self, number: int, generation: Generation, channel: Channel, row: Row, dump: int
    ) -> None:
        """`dump` is the file into which the worker's stacks go on SIGUSR2."""
        self.number = number
        self.generation = generation
        self.channel = channel
        self.row = row
        self.dump = dump
        self.pid = 0
        """0 until it is known, which with a zygote takes a moment."""
        self.zygote = generation.zygote
        """Its parent; None if that is the supervisor."""
        self.state = STARTING
        self.started = time.monotonic()
        self.told_at = 0.0
        """When it was told to take connections; 0 if it was not."""
        self.deadline = 0.0
        """When it is killed unless it has ended; 0 for never."""
        self.max_requests = _limit(generation.settings)
        """After about so many requests it is replaced; 0 for never."""
        self.replace_because = ""
        """Why it is to be replaced as soon as its successor is ready."""
        self.silent_since = 0.0
        """When its end of the channel was closed; 0 if it was not."""
        self.report_at = 0.0
        """When the stacks of a worker that hangs are logged; 0 if they are not to be."""
        self.stacks: list[dict[str, Any]] | None = None
        """What its threads were doing when it was asked; None before it has answered."""
        self.counters: dict[str, int] = {}
        """What it has told about refusals and the like."""
        self.refusals: list[tuple[int, str, int]] = []
        """Refused requests: status, reason, how many."""
        self.failure: dict[str, Any] | None = None
        """Why it could not serve: the fields of a `UserError`, and its exit status."""

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self.pid})" if self.pid else f"worker {self.number}"

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started

    @property
    def requests(self) -> int:
        """Requests so far, as of its last beat."""
        return self.row[REQUESTS]

    @property
    def silence(self) -> float:
        """Seconds since its event loop last turned, or was told to; 0 while it was not."""
        last = self.row[BEAT] / 1000 or self.told_at
        return time.monotonic() - last if last else 0.0

    @property
    def stands_still(self) -> bool:
        """Whether its event loop has not turned for too long, and should have, twice at least."""
        return self.silence >= max(self.generation.settings.worker_timeout, 2 * BEAT_SECONDS)

    @property
    def still_accepts(self) -> bool:
        """Whether it may still take a connection, although it was told to end."""
        return bool(self.state == RETIRING and self.row[ACCEPTING] and not self.stands_still)

    @property
    def memory(self) -> int:
        """Resident memory in bytes; 0 where the system does not tell."""
        return resident(self.pid)

    def has_gone(self) -> bool:
        """Whether it has ended and the zygote, which is its parent, does not tell."""
        if self.zygote is None:
            return False
        if self.silent_since:
            waited = time.monotonic() - self.silent_since >= LAST_WORDS_SECONDS
            return waited or self.zygote.channel.at_end
        # A child of its own may have its end of the channel open still.
        return self.zygote.channel.at_end and self.pid != 0 and not _is_there(self.pid)

    def why_replace(self) -> str:
        """Return why it has served long enough; empty if it has not."""
        settings = self.generation.settings
        if self.max_requests and self.requests >= self.max_requests:
            return f"it has served {self.requests} requests"
        if settings.max_worker_age is not None and self.age >= settings.max_worker_age:
            return f"it is {self.age:.0f} s old"
        if settings.max_worker_memory is not None and self.memory >= settings.max_worker_memory:
            return f"it takes {self.memory >> 20} MiB"
        if self.row[TIRED]:
            return "it has asked for it"
        return ""

    def serve(self) -> None:
        """Have it take connections, unless it was told to."""
        if not self.told_at:
            self.told_at = time.monotonic()
            self.channel.send("serve")

    def retire(self, kept: Collection[str]) -> None:
        """Have it end after its requests, unnoticed by its clients.

        `kept` is the `spec` of each listener that other workers have as well.
        """
        settings, listeners = self.generation.settings, self.generation.listeners
        grace = settings.graceful_timeout
        # In development, a browser that asks again must not reach the old code.
        idle_seconds = DEVELOPMENT_IDLE_SECONDS if settings.reload else RETIRE_IDLE_SECONDS
        closing = [each.spec for each in listeners if each.spec not in kept]
        self.state = RETIRING
        self.deadline = time.monotonic() + grace + KILL_SECONDS
        self.channel.send("retire", grace=grace, idle_seconds=idle_seconds, closing=closing)

    def stop(self, grace: float) -> None:
        """Have it end after its requests; may be called again with a shorter grace, in seconds."""
        self.state = RETIRING
        self.deadline = time.monotonic() + grace + KILL_SECONDS
        self.channel.send("stop", grace=grace)

    def kill(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def last_stacks(self) -> str:
        """Return what it has told about its threads, else the stacks that it wrote on SIGUSR2."""
        dump = os.pread(self.dump, 1024 * 1024, 0).decode(errors="replace")
        return stacks_as_text(self.stacks or []) or dump or "it has told nothing of them"

    def close(self) -> None:
        """Give back what belongs to a worker that has ended."""
        self.channel.close()
        os.close(self.dump)


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _limit(settings: Settings) -> int:
    """Add jitter to `max_requests`, so that workers which started together do not end together."""
    limit, most = settings.max_requests, settings.max_requests_jitter
    if not limit:
        return 0
    most = limit // 10 if most is None else most
    return limit + int.from_bytes(os.urandom(8), "big") % (most + 1)
