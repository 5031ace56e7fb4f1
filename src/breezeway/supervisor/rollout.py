"""A reload: new settings, new code, one worker at a time, and back if it does not come up.

The new generation becomes the supervisor's candidate, from which `policy` starts one successor after
the other; each old worker retires only when a new one is ready. When as many new ones are ready as
are wanted, the candidate is current. When one of them fails at boot, the candidate is dropped: the
workers that have not been replaced go on as if nothing had happened.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from typing import Any

from breezeway.config import address
from breezeway.config.address import InheritedSocket
from breezeway.config.kinds import show_duration
from breezeway.config.settings import Settings
from breezeway.errors import BindError, UserError
from breezeway.supervisor import policy
from breezeway.supervisor.control import Caller
from breezeway.supervisor.deployment import Deployment, Generation
from breezeway.supervisor.handle import READY, STARTING
from breezeway.supervisor.operation import Operation
from breezeway.supervisor.report import last_lines, log_failure
from breezeway.supervisor.supervisor import Supervisor
from breezeway.worker import credentials, listener
from breezeway.worker.listener import Listener

logger = logging.getLogger("breezeway.supervisor")


class Rollouts:
    """Reloads, one at a time."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._operations: list[Operation] = []
        self._numbers = itertools.count(2)
        self._again = False
        self._began = 0.0
        self._wanted_before = self._wanted_meanwhile = self._wanted_after = 0
        """The number of workers before a reload, during it, and after it; the last is 0 when that is
        no other one."""
        self.reloads = 0
        self.failed = 0
        self.tell: Callable[[str], None] = lambda state: None
        """Called with "reloading" and "ready", for systemd."""
        self.move: Callable[[Settings], None] = lambda _: None
        """Called with the settings that say where the admin listener is to be; may raise `UserError`."""
        self.apply: Callable[[Settings], None] = lambda _: None
        """Called with the settings whose logs are to be in force."""
        supervisor.on_boot_failure = self._on_boot_failure
        supervisor.on_look.append(self._look)

    def reload(self, caller: Caller | None = None) -> None:
        """Begin a reload; one that is asked for during another comes after it."""
        supervisor = self._supervisor
        reason = later = ""
        if supervisor.stopping:
            reason = "the server is stopping"
        elif supervisor.upgrading:
            reason, later = "an upgrade is under way", "the reload"
        elif supervisor.candidate is not None:
            reason, later = "a reload is under way already", "the next one"
        if reason:
            if caller is not None:
                caller.fail(f"{reason}.")
            elif later:
                logger.info("%s; %s comes after it", reason, later)
                self._again = True
            else:
                logger.warning("no reload: %s", reason)
            return
        self.tell("reloading")
        try:
            supervisor.current.deployment.want_files()
            deployment = supervisor.resolve()
            generation = self._next_generation(deployment)
            self._move(generation)
        except UserError as error:
            self.tell("ready")
            failure = {"message": error.message, "hint": error.hint, "detail": error.detail}
            self._report_failure(failure)
            if caller is not None:
                caller.fail(last_lines(failure))
            return
        logger.info("reloading %s", deployment.name or "the application")
        self._began = time.monotonic()
        self._scale_to(deployment.settings.workers)
        supervisor.candidate = generation
        supervisor.backoff.reset()
        if caller is not None:
            operation = Operation(
                caller,
                "workers replaced",
                self._left,
                self._result,
                is_settled=supervisor.is_settled,
            )
            self._operations = [operation]
            supervisor.operations += self._operations

    def supersede(self) -> None:
        """Begin a reload, for files have changed; what is being loaded is out of date, and gives way.

        It may hang: whoever has just saved what mends it does not want to wait for a timeout.
        """
        supervisor = self._supervisor
        if not supervisor.stopping and not supervisor.upgrading:
            candidate = supervisor.candidate
            if candidate is not None and not self._has_come_far(candidate):
                self._drop(candidate)
            if supervisor.candidate is None:
                for each in [*supervisor.workers]:
                    if each.state == STARTING:
                        supervisor.retire(each)
        self.reload()

    def _has_come_far(self, candidate: Generation) -> bool:
        """Whether a reload is too far, or too much asked for, to be given up without a failure."""
        return (
            candidate.zygote is not None
            or any(each in self._supervisor.operations for each in self._operations)
            or any(
                each.state == READY and each.generation is candidate
                for each in self._supervisor.workers
            )
        )

    def _scale_to(self, workers: int | None) -> None:
        """Start more workers at once; fewer are enough as soon as one of the new ones is ready."""
        supervisor = self._supervisor
        before = supervisor.wanted
        self._wanted_before, self._wanted_after = before, 0
        if workers != supervisor.settings.workers:
            self._wanted_after = workers or 1
            supervisor.wanted = max(before, self._wanted_after)
        self._wanted_meanwhile = supervisor.wanted

    def _next_generation(self, deployment: Deployment) -> Generation:
        """Keep the listeners that are still wanted and can be found, open the new ones.

        Raises:
            BindError: one cannot be had; none has been opened.
            UsageError: a certificate or a key cannot be used.
        """
        current = self._supervisor.current
        number = next(self._numbers)
        settings = deployment.settings
        credentials.prepare(settings)
        found = [each for each in current.listeners if not each.is_lost]
        if settings.addresses == current.settings.addresses and found == current.listeners:
            for each in current.listeners:
                each.assign(settings)
            return Generation(number, deployment, current.listeners)
        kept = {each.spec: each for each in found}
        unwanted = [each for each in current.listeners if each.spec not in settings.addresses]
        opened: list[Listener] = []
        listeners = []
        try:
            for spec in settings.addresses:
                if spec not in kept:
                    if isinstance(address.parse(spec), InheritedSocket):
                        # What is open by now is ours.
                        raise BindError(f"{spec}: a socket can be passed at the start alone.")
                    new = listener.bind_beside(
                        unwanted,
                        spec,
                        backlog=settings.backlog,
                        unix_mode=settings.unix_mode,
                    )
                    opened.append(new)
                    kept[spec] = new
                kept[spec].assign(settings)
                listeners.append(kept[spec])
        except UserError:
            for each in opened:
                each.close()
            raise
        return Generation(number, deployment, listeners)

    def _move(self, generation: Generation) -> None:
        """Put in force what a new generation has for all but the workers, or give its listeners back.

        Raises:
            UserError: the admin listener, or the log, cannot be where it is to be.
        """
        current, settings = self._supervisor.current, generation.deployment.settings
        try:
            self.move(settings)
            try:
                self.apply(settings)
            except UserError:
                self.move(current.settings)
                raise
        except UserError:
            self._close(generation, but=current)
            for each in current.listeners:
                each.assign(current.settings)
            raise

    def _left(self) -> int:
        """Count the workers that a reload has still to bring up."""
        supervisor = self._supervisor
        generation = supervisor.target
        ready = sum(
            each.state == READY and not policy.is_stale(each, generation)
            for each in supervisor.workers
        )
        return max(0, supervisor.wanted - ready)

    def _result(self) -> dict[str, Any]:
        return {
            "generation": self._supervisor.current.number,
            "workers": self._supervisor.wanted,
            "seconds": round(time.monotonic() - self._began, 3),
        }

    def _look(self) -> None:
        supervisor = self._supervisor
        candidate = supervisor.candidate
        if candidate is None:
            if self._again and not supervisor.upgrading:
                self._again = False
                self.reload()
            return
        ready = [each for each in supervisor.workers if each.state == READY]
        if self._wanted_after and any(each.generation is candidate for each in ready):
            supervisor.wanted = self._wanted_meanwhile = self._wanted_after
            self._wanted_after = 0
        if self._left() or any(policy.is_stale(each, candidate) for each in ready):
            return
        old, supervisor.current, supervisor.candidate = supervisor.current, candidate, None
        self.reloads += 1
        name = candidate.deployment.name or "the application"
        self._close(old, but=candidate)
        if any(each.failure for each in ready):
            logger.warning("%s cannot be loaded; its error is what is served", name)
        else:
            logger.info("reloaded %s in %s", name, show_duration(self._result()["seconds"]))
        for each in set(candidate.listeners) - set(old.listeners):
            logger.info("listening on %s", each.url)
        self.tell("ready")

    def _on_boot_failure(self, generation: Generation, failure: dict[str, Any]) -> bool:
        """Give a reload up whose worker did not come up."""
        supervisor = self._supervisor
        if generation is not supervisor.candidate:
            return False
        self._drop(generation)
        self._report_failure(failure)
        for operation in self._operations:
            operation.fail(last_lines(failure))
        self._operations = []
        self.tell("ready")
        return True

    def _drop(self, generation: Generation) -> None:
        """Go on with the current generation, and not with the candidate."""
        supervisor = self._supervisor
        supervisor.candidate = None
        if supervisor.wanted == self._wanted_meanwhile:  # and no operator has changed it
            supervisor.wanted = self._wanted_before
        try:
            self.apply(supervisor.settings)
        except UserError as error:
            logger.error("%s", error.message)
        if generation.listeners == supervisor.current.listeners:
            for each in supervisor.workers:
                if each.generation is generation and each.state == READY:
                    # It works. It may stay in the place of the one it has replaced.
                    each.generation = supervisor.current
        self._close(generation, but=supervisor.current)

    def _report_failure(self, failure: dict[str, Any]) -> None:
        self.failed += 1
        log_failure(failure, "the reload failed, and what was there goes on")

    def _close(self, old: Generation, *, but: Generation) -> None:
        """Give back what a generation has and the other does not need."""
        for each in old.listeners:
            if each not in but.listeners:
                logger.info("no longer listening on %s", each.url)
                each.close()
        if old.zygote is not None:
            self._supervisor.end_zygote(old)
