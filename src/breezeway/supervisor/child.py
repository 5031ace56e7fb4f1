"""A worker's own main: from the fork to its exit.

It loads the application (unless the zygote has), runs the reactor, and does what the supervisor says
over the channel. When the supervisor is gone, it finishes its requests and ends.

A signal to a worker is for the supervisor to send; at SIGTERM from somebody else it asks to be
replaced, and ends when its successor serves. What the terminal sends to all (SIGINT, SIGHUP) is left
to the supervisor.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

from breezeway.config.directories import check_directories
from breezeway.errors import ApplicationFailedError, UserError
from breezeway.observe import logs
from breezeway.supervisor import privileges
from breezeway.supervisor.channel import Channel
from breezeway.supervisor.deployment import Deployment
from breezeway.worker import probe, process
from breezeway.worker.forked import keep_to_itself, on_sigterm
from breezeway.worker.gil import warn_without_gil
from breezeway.worker.listener import Listener
from breezeway.worker.reactor import Reactor
from breezeway.worker.sampling import Sampler
from breezeway.worker.scoreboard import Row

logger = logging.getLogger("breezeway.worker")

FAILED: Final = 3
"""Exit status of the whole when the first worker does not come up: as for an application that
cannot be loaded."""

QUIT: Final = 131
"""Exit status after SIGQUIT: 128 + 3, as shells have it."""

LOOK_SECONDS: Final = 0.5
"""How often a worker that ends looks whether its grace has become shorter."""

MOST_NAMED: Final = 10
"""Of the requests that are cut off, those that run longest."""


SUPERVISED: Final = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
)
"""The signals that the supervisor handles."""


@dataclass
class Seat:
    """What a worker gets from whoever forks it."""

    number: int
    deployment: Deployment
    listeners: list[Listener]
    channel: Channel
    row: Row
    dump: int


def fork(seat: Seat, prepare: Callable[[], None]) -> int:
    """Fork a worker, which loads the application, and return its pid.

    `prepare` closes there what is the parent's alone. Raises `OSError` if the system has no room.
    """
    with signals_held():
        pid = os.fork()
        if not pid:
            with never_returning():
                prepare()
                take(seat, seat.deployment.load)
    return pid


def take(seat: Seat, load: Callable[[], Any]) -> NoReturn:
    """Be a worker from here on; `load` returns the application."""
    status = process.CRASHED
    for listener in seat.listeners:
        listener.disown()
    keep_to_itself(seat.listeners)
    try:
        seat.channel.send("born", pid=os.getpid())
        status = _Worker(seat).run(load)
    except UserError as error:
        seat.channel.send("failed", status=error.exit_code, **in_words(error))
        status = error.exit_code
    except BaseException:
        logger.exception("internal error in a worker")
    leave(status)


@contextlib.contextmanager
def never_returning() -> Iterator[None]:
    """End a process that has just been forked with this, whatever happens; its parent goes on."""
    try:
        yield
    except BaseException:
        logger.exception("internal error in a process just forked")
    finally:
        os._exit(process.CRASHED)


def leave(status: int) -> NoReturn:
    """End a forked process: run what the application has registered for the end, not our parent's."""
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(status)


def in_words(error: UserError) -> dict[str, str]:
    """Return the fields of an error, to be sent to the supervisor."""
    return {"message": error.message, "hint": error.hint, "detail": error.detail}


def forget_supervising() -> None:
    """Take back, after a fork, what the supervisor does with signals and was told by systemd.

    A handler that does nothing, unlike SIG_IGN, is not inherited by programs that the
    application starts.
    """
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        os.environ.pop(name, None)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, lambda *_: os._exit(QUIT))
    release_signals()


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Hold signals back around a fork: see `release_signals`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def release_signals() -> None:
    """Let signals through, in a forked process that has done with the supervisor's handlers.

    Those write to the supervisor's pipe, as if the signal had been sent to it.
    """
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SUPERVISED)


class _Worker:
    """One worker, inside its own process."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._settings = seat.deployment.settings
        self._reactor: Reactor | None = None
        self._leaving = threading.Event()
        self._deadline = 0.0
        self._told: tuple[dict[str, int], dict[tuple[int, str], int]] = {}, {}
        self._messages = seat.channel.messages()

    def run(self, load: Callable[[], Any]) -> int:
        """Serve until told to end; return the exit status.

        Raises:
            UserError: the application cannot be loaded, or does not answer its probe.
        """
        seat, settings = self._seat, self._settings
        logs.become(f"worker {seat.number}")
        forget_supervising()
        on_sigterm(self._on_sigterm)
        faulthandler.register(signal.SIGUSR2, file=seat.dump, all_threads=True)
        sys.setswitchinterval(process.SWITCH_SECONDS)
        privileges.drop(settings.user, settings.group, settings.umask)
        seat.deployment.enter()
        check_directories(settings)  # may this user write there?
        seat.row.enter_metrics()
        if settings.after_fork is not None:
            seat.deployment.call_hook(settings.after_fork)
        application = self._load(load)
        warn_without_gil(settings)  # what the application imports may have brought it back
        # The number of workers can change while this one lives; in development nobody does that.
        multiprocess = (settings.workers or 1) > 1 or not settings.reload
        seat.row.worker = seat.number
        self._reactor = reactor = Reactor(
            application, seat.listeners, self._settings, multiprocess=multiprocess, row=seat.row
        )
        self._probe(reactor)
        # What boot has left behind is not looked at again by every full collection.
        gc.collect()
        gc.freeze()
        seat.channel.send("ready")
        if not self._may_serve():
            return 0
        reactor.on_failure = self._leaving.set
        reactor.start()
        threading.Thread(target=self._obey, name="breezeway-channel", daemon=True).start()
        sampler = Sampler(reactor, seat.row)
        while sampler.look(self._leaving):
            self._tell_counters(reactor)
        return self._finish(reactor, sampler)

    def _may_serve(self) -> bool:
        """Wait for the word: who has taken no connection yet can be ended without a thought."""
        for message in self._messages:
            if message["kind"] == "reopen":
                logs.reopen()
            elif message["kind"] in ("serve", "retire", "stop"):
                return bool(message["kind"] == "serve")
        return False

    def _load(self, load: Callable[[], Any]) -> Any:
        try:
            return load()
        except UserError as error:
            if not self._settings.reload:
                raise
            from breezeway.supervisor import failure_page  # in development alone

            self._seat.channel.send("broken", **in_words(error))
            # The page answers its probe with 500, and asks each second whether there is news.
            self._settings = replace(
                self._settings, probe_path=None, access_log=False, access_log_file=None
            )
            return failure_page.application(error)

    def _probe(self, reactor: Reactor) -> None:
        path = self._settings.probe_path
        if path is None:
            return
        status = probe.probe(reactor, self._seat.listeners[0], path)
        if status not in probe.HEALTHY:
            raise ApplicationFailedError(
                f"the application answered its probe {path} with {status}.",
                "--probe-path names a path that answers with 2xx or 3xx when it can serve.",
            )

    def _on_sigterm(self, *_: Any) -> None:
        """Ask the supervisor to be replaced; the second time, go without waiting for that."""
        if self._reactor is None:
            leave(0)
        if self._reactor.wants_replacement is None:
            self._reactor.wants_replacement = "it has got SIGTERM"
            return
        self._leave_within(self._settings.graceful_timeout)
        self._reactor.retire()

    def _leave_within(self, grace: float) -> None:
        self._deadline = time.monotonic() + grace
        self._leaving.set()

    def _obey(self) -> None:
        reactor, channel = self._reactor, self._seat.channel
        assert reactor is not None
        for message in self._messages:
            kind = message["kind"]
            if kind == "retire":
                self._leave_within(message["grace"])
                reactor.retire(message["idle_seconds"], message["closing"])
            elif kind == "stop":
                self._leave_within(message["grace"])
                reactor.stop()
            elif kind == "stacks":
                from breezeway.worker import stacks  # rarely

                threads = [each.as_dict() for each in stacks.stacks()]
                channel.send("stacks", threads=threads)
            elif kind == "reopen":
                logs.reopen()
                reactor.reopen_logs()
        if not self._leaving.is_set():
            logger.error("the supervisor is gone; finishing the requests in flight")
        self._leave_within(self._settings.graceful_timeout)
        reactor.stop()

    def _finish(self, reactor: Reactor, sampler: Sampler) -> int:
        while not reactor.stopped.wait(LOOK_SECONDS):
            sampler.count_connections()
            if time.monotonic() >= self._deadline:
                cut = max(reactor.baton.busy_threads, sampler.unfinished())
                if cut:
                    what = "1 request was" if cut == 1 else f"{cut} requests were"
                    logger.warning("%s cut off at the end of the grace%s", what, _running())
                reactor.end_logs()
                break
        self._tell_counters(reactor)
        if reactor.failed:
            reactor.end_logs()
            return process.CRASHED
        return 0

    def _tell_counters(self, reactor: Reactor) -> None:
        """Tell the supervisor what was counted, if that is more than it knows."""
        counted = counters, refusals = dict(reactor.counters), dict(reactor.refusals)
        if counted != self._told:
            self._told = counted
            listed = [[status, reason, count] for (status, reason), count in refusals.items()]
            self._seat.channel.send("counters", counters=counters, refusals=listed)


def _running() -> str:
    """Name the requests that the application has in hand, for the end of a sentence."""
    from breezeway.worker import stacks  # rarely

    running = [each for each in stacks.stacks() if each.request is not None][:MOST_NAMED]
    named = ", ".join(f"{each.request} for {each.seconds or 0.0:.1f} s" for each in running)
    return f": {named}" if named else ""
