"""The policy loop: keeps the wanted workers running, through deaths, reloads and signals.

One thread, one `selectors` loop. Signal handlers only queue (through the wake-up descriptor), every
wait has a deadline, and whatever happens is followed by the same few steps: reap what has ended,
look at who hangs or has served long enough, and bring the workers that there are closer to those
that there should be (`policy`). A reload changes what there should be (`rollout`), and so do
scaling and recycling; none of them waits for anything.

The supervisor never loads the application and never touches a request: it owns the listeners, so that
no connection in a backlog is lost with a worker, and forks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any, Final

from breezeway import terminal
from breezeway.config.settings import Settings
from breezeway.supervisor import child, policy, report
from breezeway.supervisor.account import Account
from breezeway.supervisor.channel import Channel, Message
from breezeway.supervisor.deployment import Deployment, Generation
from breezeway.supervisor.handle import (
    HANG_REPORT_SECONDS,
    HUNG,
    KILL_SECONDS,
    READY,
    RETIRING,
    STARTING,
    Handle,
    open_dump,
)
from breezeway.supervisor.operation import Operation
from breezeway.supervisor.report import describe_exit, last_lines, log_failure
from breezeway.supervisor.zygote import Zygote
from breezeway.worker import credentials
from breezeway.worker.listener import Listener
from breezeway.worker.scoreboard import Scoreboard

logger = logging.getLogger("breezeway.supervisor")

CALM_SECONDS: Final = 1.0
"""How often the workers are looked at when nothing happens."""

BUSY_SECONDS: Final = 0.05
"""How often when a worker is about to start or to end."""

ERROR_SECONDS: Final = 0.5
"""Pause after a mistake of our own, which may be made again and again."""

STILL_SECONDS: Final = 2.0
LENIENT_SECONDS: Final = 5.0
"""After this process itself stood still for the first of these, as on a suspended machine, no worker
is blamed for doing so within the second."""


class Supervisor:
    """Workers, and what is done about them."""

    def __init__(self, resolve: Callable[[], Deployment], listeners: list[Listener]) -> None:
        """`resolve` reads all settings anew, and may raise `UserError`.

        `listeners` are those of the first deployment.
        """
        self.resolve = resolve
        self.board = Scoreboard()
        self.workers: list[Handle] = []
        self.zygotes: list[Zygote] = []
        self.current = Generation(1, resolve(), listeners)
        self.candidate: Generation | None = None
        """What a reload brings in; `rollout` watches over it."""
        self.wanted = self.settings.workers or 1
        self.stopping = False
        self.upgrading = False
        """Another supervisor is about to take over."""
        self.started = time.time()
        self.account = Account()
        self.operations: list[Operation] = []
        self.selector = selectors.DefaultSelector()
        self.calm_seconds = CALM_SECONDS
        self.close_in_child: list[Callable[[], None]] = []
        """Each closes, in a worker just forked, what only the supervisor may have open."""
        self.on_signal: dict[int, Callable[[], None]] = {}
        self.on_boot_failure: Callable[[Generation, dict[str, Any]], bool] = lambda *_: False
        """Asked whether a failed boot belonged to a reload, which then is told."""
        self.on_announce: Callable[[], None] = lambda: None
        """Called when `announce_at` workers are ready for the first time; until then none serves."""
        self.announce_at = 1
        self.on_give_up: Callable[[dict[str, Any]], None] = lambda _: None
        """Called with the reason when a worker does not come up before that."""
        self.on_look: list[Callable[[], None]] = []
        self.on_exit: list[Callable[[int, str], None]] = []
        """Told of each process that has ended: its pid, and how it ended."""
        self._taken: Collection[str] | None = None
        """The `spec` of each listener that another supervisor has."""
        self._exit_status = 0
        self._over = False
        self._announced = False
        self.backoff = policy.Backoff()
        self._looked_at = time.monotonic()
        self._lenient_until = 0.0
        self._signals, self._wake = os.pipe()
        for fd in (self._signals, self._wake):
            os.set_blocking(fd, False)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.current.settings

    @property
    def target(self) -> Generation:
        """The generation that new workers are of."""
        return self.candidate or self.current

    # --- the loop ------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until stopped; return the exit status."""
        self.selector.register(self._signals, selectors.EVENT_READ, self._on_wake_up)
        woken = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        numbers = (*self.on_signal, signal.SIGCHLD)
        before = {number: signal.signal(number, lambda *_: None) for number in numbers}
        try:
            return self._loop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(woken)

    def _loop(self) -> int:
        self._survive(self.step)
        while not self._over:
            for key, mask in self.selector.select(self._wait_seconds()):
                # One of the events before may have ended what this one is about.
                found = self.selector.get_map().get(key.fd)
                if found is not None and found.fileobj is key.fileobj:
                    self._survive(partial(key.data, mask))
            self._survive(self.step)
        return self._exit_status

    @staticmethod
    def _survive(act: Callable[[], None]) -> None:
        """Go on after a mistake of our own: the workers have nobody else who looks after them."""
        try:
            act()
        except Exception:
            logger.exception("internal error in the supervisor; it goes on")
            time.sleep(ERROR_SECONDS)

    def _wait_seconds(self) -> float:
        moving = self.backoff.until or any(each.state != READY for each in self.workers)
        return BUSY_SECONDS if moving or self.stopping else self.calm_seconds

    def _on_wake_up(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in os.read(self._signals, 4096):
                if number in self.on_signal:
                    logger.debug("received %s", signal.Signals(number).name)
                    self.on_signal[number]()

    def step(self) -> None:
        """Do whatever is due."""
        now = time.monotonic()
        self._reap()
        if now - self._looked_at > STILL_SECONDS:
            self._lenient_until = now + LENIENT_SECONDS
        self._looked_at = now
        self.account.out_of_memory.look(now)
        for worker in list(self.workers):
            self._look_at(worker, now)
        for found in list(self.zygotes):
            if found.look(now):
                self._on_zygote_end(found)
        if self.stopping:
            self._over = not (self.workers or self.zygotes)
        else:
            self._take_next_steps(now)
        for look in self.on_look:
            look()
        self.operations = [each for each in self.operations if not each.is_over()]

    def _take_next_steps(self, now: float) -> None:
        steps = policy.next_steps(self.workers, self.wanted, self.target)
        for worker in steps.retire:
            self.retire(worker)
        if now < self.backoff.until:
            return
        target = self.target
        if target.settings.preload and target.zygote is None:
            self._start_zygote(target)
            return
        if target.zygote is None or target.zygote.serves:
            started = True
            for _ in range(steps.start):
                started = started and self._start_worker(target)

    # --- starting ------------------------------------------------------------------------------

    def _start_worker(self, generation: Generation) -> bool:
        """Start a worker; return whether there was room for it."""
        numbers = {each.number for each in self.workers}
        number = next(each for each in range(1, len(numbers) + 2) if each not in numbers)
        with self._undone_without_room(generation) as undo:
            ours, theirs = Channel.pair()
            undo.callback(ours.close)
            with contextlib.closing(theirs):
                dump = open_dump()
                undo.callback(os.close, dump)
                row = self.board.take()
                undo.callback(self.board.give_back, row)
                worker = Handle(number, generation, ours, row, dump)
                if generation.zygote is not None:
                    generation.zygote.fork(worker, theirs)
                else:
                    credentials.follow(generation.settings)
                    deployment, listeners = generation.deployment, generation.listeners
                    seat = child.Seat(number, deployment, listeners, theirs, row, dump)
                    worker.pid = child.fork(seat, lambda: self.after_fork(worker))
            self.workers.append(worker)
            self.selector.register(
                ours.socket, selectors.EVENT_READ, lambda _: self._on_message(worker)
            )
            return True
        return False

    @contextlib.contextmanager
    def _undone_without_room(self, generation: Generation) -> Iterator[contextlib.ExitStack]:
        """Undo what was begun, and try again later, when the system has no room for it."""
        with contextlib.ExitStack() as undo:
            try:
                yield undo
            except (OSError, OverflowError) as error:
                self._on_boot_failure(generation, {"message": f"cannot start a process: {error}."})
            else:
                undo.pop_all()

    def _start_zygote(self, generation: Generation) -> None:
        """Start the process that loads a generation's application and forks its workers."""
        with self._undone_without_room(generation):
            generation.zygote = found = Zygote.start(generation, self.board, self.after_fork)
            self.zygotes.append(found)
            self.selector.register(
                found.channel.socket, selectors.EVENT_READ, lambda _: self._on_zygote(found)
            )

    @staticmethod
    def end_zygote(generation: Generation) -> None:
        """Let a zygote end that is needed no more; its workers go on."""
        found, generation.zygote = generation.zygote, None
        if found is not None:
            found.end()

    def is_settled(self) -> bool:
        """Whether a client that connects now reaches a worker that is to stay."""
        return self.candidate is None and not any(each.still_accepts for each in self.workers)

    def after_fork(self, this: Handle | None = None) -> None:
        """Close what is the supervisor's alone, in a process just forked: in `this` worker.

        Of the listeners those of another generation, too: on an address that is to be closed, the
        kernel would go on to take connections, for nobody.
        """
        kept: list[Listener] = []
        if this is not None:
            kept = this.generation.listeners
            this.channel.close()
        for other in {self.current, self.target}:
            for listener in other.listeners:
                if listener not in kept:
                    listener.disown()
                    listener.close()
        for worker in self.workers:
            worker.channel.close()
            os.close(worker.dump)
        for found in self.zygotes:
            found.close()
        for close in self.close_in_child:
            close()
        self.selector.close()
        os.close(self._signals)
        os.close(self._wake)

    # --- what workers say ----------------------------------------------------------------------

    def _on_message(self, worker: Handle) -> None:
        if worker not in self.workers:  # its end was told in the same round of events
            return
        for message in worker.channel.receive():
            self._on_one_message(worker, message)
        if worker.channel.at_end:
            self.selector.unregister(worker.channel.socket)
            worker.silent_since = time.monotonic()

    def _on_one_message(self, worker: Handle, message: Message) -> None:
        kind = message.pop("kind")
        if kind == "born":
            worker.pid = message["pid"]
            logger.debug("%s starts", worker)
        elif kind == "failed":
            worker.failure = message
        elif kind == "broken":
            worker.failure = message
            complaint = terminal.complaint(message["message"], message["hint"])
            report.say(message["detail"] + complaint, logging.ERROR)
        elif kind == "ready" and worker.state == STARTING:
            self._on_ready(worker)
        elif kind == "stacks":
            worker.stacks = message["threads"]
        elif kind == "counters":
            worker.counters, worker.refusals = message["counters"], message["refusals"]

    def _on_ready(self, worker: Handle) -> None:
        worker.state = READY
        self.backoff.reset()
        ready = [each for each in self.workers if each.state == READY]
        announcing = not self._announced and len(ready) >= self.announce_at
        self._announced = self._announced or announcing
        for each in ready if self._announced else ():
            each.serve()
        if announcing:
            self.on_announce()
        logger.debug("%s is ready after %.0f ms", worker, worker.age * 1000)

    def _on_zygote(self, found: Zygote) -> None:
        for pid, status in found.receive():
            self._on_exit(pid, status)
        if found.channel.at_end:
            self.selector.unregister(found.channel.socket)

    def _on_zygote_end(self, found: Zygote) -> None:
        self.zygotes.remove(found)
        found.close()
        generation = self.current if self.current.zygote is found else self.target
        if generation.zygote is not found or self.stopping:
            return
        generation.zygote = None
        failure = found.failure or {"message": "the process that loads the application has ended."}
        if not found.ready:
            self._on_boot_failure(generation, failure)
        else:
            logger.error("%s Another one starts, and the workers go on.", failure["message"])

    # --- ending --------------------------------------------------------------------------------

    def retire(self, worker: Handle) -> None:
        """Let a worker end without its clients noticing."""
        if worker.state == STARTING:
            worker.stop(0.0)
            worker.kill(signal.SIGKILL)
            return
        kept = {listener.spec for listener in self.target.listeners}
        same = [each for each in self.workers if each.generation is worker.generation]
        if self._taken is None and not any(each.state == READY for each in same if each != worker):
            # The last worker to listen there takes what is in the backlog. Nothing comes after that
            # only if the socket is closed with the worker's copy.
            for listener in worker.generation.listeners:
                if listener.spec not in kept:
                    listener.close()
        worker.retire(kept if self._taken is None else self._taken)
        because = f": {worker.replace_because}" if worker.replace_because else ""
        logger.debug("%s retires%s", worker, because)

    def stop(self, grace: float) -> None:
        """Stop everything after the requests in flight; again with a shorter grace to hurry."""
        self.stopping = True
        self.close_listeners()
        for worker in self.workers:
            if worker.state == STARTING:
                worker.kill(signal.SIGKILL)
            worker.stop(grace)

    def close_listeners(self) -> None:
        """Close the listeners, and let the zygotes end; the workers have theirs."""
        for generation in {self.current, self.target}:
            self.end_zygote(generation)
            for listener in generation.listeners:
                listener.close()

    def leave(self, taken: Collection[str]) -> None:
        """End without a client noticing: another supervisor has `taken` these listeners."""
        self.stopping = True
        self._taken = taken
        self.close_listeners()
        for worker in self.workers:
            self.retire(worker)

    def quit(self, status: int) -> None:
        """End at once, with this exit status; the requests in flight are cut off."""
        self.stop(0.0)
        self._exit_status = status
        for worker in self.workers:
            worker.kill(signal.SIGKILL)

    def _reap(self) -> None:
        """Collect what has ended; as process 1, that may be anybody's child."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._on_exit(pid, status)

    def _on_exit(self, pid: int, status: int) -> None:
        how = self.account.describe_exit(status)
        for worker in [each for each in self.workers if each.pid == pid]:
            self._on_end(worker, status)
        for zygote in [each for each in self.zygotes if each.pid == pid]:
            zygote.note_exit(how)
        for told in self.on_exit:
            told(pid, how)

    def _on_end(self, worker: Handle, status: int | None) -> None:
        """Act on a worker's end; `status` is as `os.waitpid` has it, None if nobody knows."""
        for message in worker.channel.last_words():
            self._on_one_message(worker, message)
        if worker.channel.socket in self.selector.get_map():
            self.selector.unregister(worker.channel.socket)
        self.workers.remove(worker)
        self.account.keep(worker)
        self.board.give_back(worker.row)
        worker.close()
        how = self.account.describe_exit(status)
        if self.stopping or worker.state in (RETIRING, HUNG):
            logger.debug("%s %s", worker, describe_exit(status))
        elif worker.state == READY:
            self.account.note_death(status)
            logger.error("%s %s; another one takes its place", worker, how)
        else:
            self.account.note_failed_boot(status)
            failure = worker.failure or {"message": f"{worker} {how} before it was ready."}
            self._on_boot_failure(worker.generation, failure)

    def _on_boot_failure(self, generation: Generation, failure: dict[str, Any]) -> None:
        if not self._announced:
            self._give_up(failure)
        elif not self.on_boot_failure(generation, failure):
            pause = self.backoff.fail()
            log_failure(failure, f"a worker failed to start; the next try is in {pause:g} s")
            for operation in self.operations:
                if operation.needs_workers:
                    operation.fail(last_lines(failure))

    def _give_up(self, failure: dict[str, Any]) -> None:
        """End, for the first worker ever did not come up."""
        if not self.stopping:
            self.on_give_up(failure)
            error = terminal.complaint(failure["message"], failure.get("hint", ""))
            report.say(failure.get("detail", "") + error, logging.ERROR)
            self.quit(failure.get("status", child.FAILED))

    # --- health --------------------------------------------------------------------------------

    def _look_at(self, worker: Handle, now: float) -> None:
        settings = worker.generation.settings
        if worker.deadline and now >= worker.deadline:
            if worker.state != HUNG:
                logger.warning("%s has not ended in time, and is killed", worker)
            worker.kill(signal.SIGKILL)
            worker.deadline = now + KILL_SECONDS
        if worker.has_gone():
            self._on_end(worker, None)
        elif worker.state == STARTING and worker.age >= settings.boot_timeout:
            self._report_hang(worker, f"was not ready after {settings.boot_timeout:g} s", now)
        elif worker.state in (READY, RETIRING) and worker.stands_still:
            if now >= self._lenient_until:
                self._report_hang(worker, f"has stood still for {worker.silence:.0f} s", now)
        elif worker.state == HUNG and now >= worker.report_at > 0:
            worker.report_at = 0.0
            logger.error("%s is ended; its threads:\n%s", worker, worker.last_stacks())
            worker.kill(signal.SIGTERM)
            worker.deadline = now + KILL_SECONDS
        elif worker.state == READY and not worker.replace_because:
            worker.replace_because = worker.why_replace()

    def _report_hang(self, worker: Handle, what: str, now: float) -> None:
        """Ask a worker that hangs what it is doing: politely, and by a signal that cannot fail."""
        logger.error("%s %s", worker, what)
        if worker.state != STARTING:
            self.account.note_hang()
        else:
            self.account.note_late_boot()
            self._on_boot_failure(worker.generation, {"message": f"{worker} {what}."})
        worker.state = HUNG
        worker.stacks = None
        worker.report_at = now + HANG_REPORT_SECONDS
        worker.channel.send("stacks")
        if worker.zygote is not None and not worker.pid:
            worker.zygote.kill(signal.SIGKILL)  # it should have forked the worker
        worker.kill(signal.SIGUSR2)
