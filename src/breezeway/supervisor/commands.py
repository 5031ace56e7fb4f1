"""What an operator can ask the supervisor for, over the control socket or by a signal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from breezeway.config.kinds import MOST_WORKERS
from breezeway.errors import UsageError
from breezeway.supervisor import systemd
from breezeway.supervisor.control import Caller
from breezeway.supervisor.events import Events
from breezeway.supervisor.handle import READY, RETIRING, Handle
from breezeway.supervisor.operation import Operation
from breezeway.supervisor.rollout import Rollouts
from breezeway.supervisor.status import status
from breezeway.supervisor.supervisor import Supervisor

logger = logging.getLogger("breezeway.supervisor")

STACKS_SECONDS: Final = 2.0
"""A worker that has not said what it is doing after so long does not turn its event loop."""

WATCH_SECONDS: Final = 10.0
"""So long workers count their requests after somebody has asked for it."""

Request = dict[str, Any]


class Commands:
    """Carries commands out."""

    def __init__(
        self,
        supervisor: Supervisor,
        rollouts: Rollouts,
        upgrade: Callable[[Caller | None], None],
        events: Events,
    ) -> None:
        self._supervisor = supervisor
        self._rollouts = rollouts
        self._upgrade = upgrade
        self._events = events
        self._commands: dict[str, Callable[[Request, Caller], None]] = {
            "status": self._on_status,
            "reload": self._on_reload,
            "scale": self._on_scale,
            "stop": self._on_stop,
            "recycle": self._on_recycle,
            "stacks": self._on_stacks,
            "upgrade": self._on_upgrade,
            "settings": self._on_settings,
            "events": self._on_events,
        }

    def execute(self, request: Request, caller: Caller) -> None:
        """Begin what a client asks for.

        Raises:
            UsageError: there is no such command, or it cannot be meant so.
        """
        command = self._commands.get(request["command"])
        if command is None:
            known = ", ".join(self._commands)
            raise UsageError(f"there is no command {request['command']!r}; there are {known}.")
        command(request, caller)

    # --- status ----------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Say how it stands."""
        return status(self._supervisor, self._rollouts)

    def _on_status(self, request: Request, caller: Caller) -> None:
        if request.get("watch", False):
            self._supervisor.board.watch(WATCH_SECONDS)
        caller.succeed(self.status())

    def _on_settings(self, _: Request, caller: Caller) -> None:
        caller.succeed(self._supervisor.current.deployment.shown())

    def _on_events(self, request: Request, caller: Caller) -> None:
        after = request.get("after", 0)
        if not isinstance(after, int):
            raise UsageError("events needs the number of the last one that is known.")
        caller.succeed({"events": self._events.since(after)})

    # --- changes -----------------------------------------------------------------------------------

    def _on_reload(self, _: Request, caller: Caller) -> None:
        self._rollouts.reload(caller)

    def _on_upgrade(self, _: Request, caller: Caller) -> None:
        self._upgrade(caller)

    def _on_stop(self, request: Request, caller: Caller) -> None:
        now = request.get("now", False)
        if not isinstance(now, bool):
            raise UsageError("stop needs true or false for now.")
        logger.info("stopping %s, as an operator has asked", "at once" if now else "gracefully")
        systemd.stopping("Stopping, as an operator has asked")
        caller.progress("stopping", 0, 1)
        self._supervisor.stop(0.0 if now else self._supervisor.settings.graceful_timeout)
        caller.succeed({"stopping": True})

    def _on_scale(self, request: Request, caller: Caller) -> None:
        workers = request.get("workers")
        if not isinstance(workers, int) or isinstance(workers, bool):
            raise UsageError("scale needs a whole number of workers.")
        self.scale(workers)
        supervisor = self._supervisor

        def left() -> int:
            ready = sum(each.state == READY for each in supervisor.workers)
            return abs(supervisor.wanted - ready)

        def result() -> dict[str, Any]:
            return {"workers": supervisor.wanted}

        supervisor.operations.append(
            Operation(caller, "workers started or ended", left, result, needs_workers=True)
        )

    def scale(self, workers: int) -> None:
        """Change the number of workers.

        Raises:
            UsageError: there cannot be so few, or so many.
        """
        if not 1 <= workers <= MOST_WORKERS:
            raise UsageError(f"there can be 1 to {MOST_WORKERS} workers, not {workers}.")
        if self._supervisor.stopping:
            raise UsageError("the server is stopping.")
        if self._supervisor.upgrading:
            raise UsageError("an upgrade is under way.")
        self._supervisor.wanted = workers

    def _on_recycle(self, request: Request, caller: Caller) -> None:
        supervisor = self._supervisor
        if supervisor.stopping:
            raise UsageError("the server is stopping.")
        chosen = [each for each in supervisor.workers if each.state == READY]
        if "pid" in request:  # null, too: all are meant where nothing is said
            chosen = _only(chosen, request["pid"])
        for each in chosen:
            each.replace_because = "an operator has asked for it"

        def left() -> int:
            return sum(each in supervisor.workers and each.state != RETIRING for each in chosen)

        def result() -> dict[str, Any]:
            return {"recycled": [each.pid for each in chosen]}

        supervisor.operations.append(
            Operation(
                caller,
                "workers replaced",
                left,
                result,
                needs_workers=True,
                is_settled=supervisor.is_settled,
            )
        )

    # --- stacks ------------------------------------------------------------------------------------

    def _on_stacks(self, request: Request, caller: Caller) -> None:
        supervisor = self._supervisor
        asked = [each for each in supervisor.workers if each.state in (READY, RETIRING)]
        if request.get("pid") is not None:
            asked = _only(asked, request["pid"])
        for each in asked:
            each.stacks = None
            each.channel.send("stacks")
        deadline = time.monotonic() + STACKS_SECONDS

        def left() -> int:
            if time.monotonic() >= deadline:
                return 0
            return sum(each.stacks is None and each in supervisor.workers for each in asked)

        def result() -> dict[str, Any]:
            return {"workers": [{"pid": each.pid, "threads": each.stacks or []} for each in asked]}

        supervisor.operations.append(Operation(caller, "workers have answered", left, result))


def _only(workers: list[Handle], pid: object) -> list[Handle]:
    """Return the one of the workers with this pid.

    Raises:
        UsageError: there is none.
    """
    found = [each for each in workers if each.pid == pid]
    if not found:
        pids = ", ".join(str(each.pid) for each in workers)
        there = f"there are {pids}" if pids else "none does"
        raise UsageError(f"no worker that serves has the pid {pid}; {there}.")
    return found
