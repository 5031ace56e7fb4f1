"""`--preload`: a process that has loaded the application and forks workers on request.

The supervisor itself never loads the application: it stays small, and a reload takes a new zygote,
so that new code comes into a process that has never seen the old. The zygote is single-threaded; it
sends the supervisor `ready` or `failed`, and `exit` for each worker that has ended, for it is their
parent. Each request to fork brings the worker's end of its channel, the file for its stacks and the
listeners: the zygote has none, for on an address that is closed it would keep clients waiting.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn, Self

from breezeway.errors import UserError
from breezeway.gateway.types import Application
from breezeway.observe import logs
from breezeway.supervisor import child, privileges
from breezeway.supervisor.channel import Channel
from breezeway.supervisor.deployment import Generation
from breezeway.supervisor.handle import (
    HANG_REPORT_SECONDS,
    KILL_SECONDS,
    LAST_WORDS_SECONDS,
    Handle,
    open_dump,
)
from breezeway.worker import credentials, listener, process
from breezeway.worker.scoreboard import Scoreboard

logger = logging.getLogger("breezeway.supervisor")

_MESSAGE_BYTES: Final = 64 * 1024

_MOST_FDS: Final = 253
"""In one message: SCM_MAX_FD of the kernel."""


class Zygote:
    """The supervisor's view of it."""

    def __init__(self, pid: int, channel: Channel, dump: int, boot_timeout: float) -> None:
        """`dump` is the file into which its stack goes on SIGUSR2."""
        self.pid = pid
        self.channel = channel
        self.ready = False
        self.failure: dict[str, Any] | None = None
        """Why it could not load the application: the fields of a `UserError`, and its exit status."""
        self._dump = dump
        self._boot_timeout = boot_timeout
        self._deadline = time.monotonic() + boot_timeout
        """When something is done about it; 0 for never."""
        self._exited = False
        self._silent_since = 0.0

    @property
    def serves(self) -> bool:
        """Whether it forks workers."""
        return self.ready and not self.channel.at_end

    @classmethod
    def start(cls, generation: Generation, board: Scoreboard, in_child: Callable[[], None]) -> Self:
        """Fork it; `in_child` closes there what is the supervisor's alone.

        Raises:
            OSError: the system has no room for it.
        """
        with contextlib.ExitStack() as undo:
            ours, theirs = Channel.pair()
            undo.callback(ours.close)
            with contextlib.closing(theirs), child.signals_held():
                dump = open_dump()
                undo.callback(os.close, dump)
                pid = os.fork()
                if not pid:
                    with child.never_returning():
                        in_child()
                        ours.close()
                        run(generation, theirs, board, dump)
            undo.pop_all()
        return cls(pid, ours, dump, generation.settings.boot_timeout)

    def fork(self, worker: Handle, theirs: Channel) -> None:
        """Ask for a worker; if the zygote does not take that, `theirs` is at its end."""
        listeners = worker.generation.listeners
        fields = {
            "number": worker.number,
            "row": worker.row.number,
            "listeners": [each.spec for each in listeners],
        }
        fds = [theirs.socket.fileno(), worker.dump, *(each.socket.fileno() for each in listeners)]
        with contextlib.suppress(OSError):
            socket.send_fds(self.channel.socket, [json.dumps(fields).encode() + b"\n"], fds)

    def receive(self) -> list[tuple[int, int]]:
        """Take in what it says; return pid and status of the workers that have ended."""
        ended = []
        for message in self.channel.receive():
            kind = message.pop("kind")
            if kind == "ready":
                self.ready = True
                self._deadline = 0.0
            elif kind == "failed":
                self.failure = message
            elif kind == "exit":
                ended.append((message["pid"], message["status"]))
        return ended

    def look(self, now: float) -> bool:
        """Do what is due: kill it when it does not get ready, or does not end.

        Returns whether it has gone, and has told, or the system, what there is to be told.
        """
        if self.channel.at_end:
            self._silent_since = self._silent_since or now
            return self._exited or now - self._silent_since >= LAST_WORDS_SECONDS
        self._keep_deadline(now)
        return False

    def _keep_deadline(self, now: float) -> None:
        if not 0 < self._deadline <= now:
            return
        if self.ready or self.failure is not None:
            self._report()
            self.kill(signal.SIGKILL)
            self._deadline = now + KILL_SECONDS
        else:
            what = f"was not ready after {self._boot_timeout:g} s."
            self.failure = {"message": f"the process that loads the application {what}"}
            self.kill(signal.SIGUSR2)
            self._deadline = now + HANG_REPORT_SECONDS

    def _report(self) -> None:
        stack = os.pread(self._dump, 1024 * 1024, 0).decode(errors="replace")
        if stack:
            logger.error("the process that loads the application is ended; it was here:\n%s", stack)

    def end(self) -> None:
        """Let it end; its workers go on."""
        self.channel.socket.shutdown(socket.SHUT_WR)
        self._deadline = time.monotonic() + KILL_SECONDS
        if not self.ready:  # it listens to nobody before that
            self.kill(signal.SIGKILL)

    def note_exit(self, how: str) -> None:
        """Take what it has said for all: it has ended, though a child may keep its channel open."""
        self._exited = True
        self._deadline = 0.0
        if self.failure is None:
            self.failure = {"message": f"the process that loads the application {how}."}
        with contextlib.suppress(OSError):
            self.channel.socket.shutdown(socket.SHUT_RD)

    def kill(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if number == signal.SIGKILL and self.failure is None:
            what = "does not do what it is asked for, and is killed."
            self.failure = {"message": f"the process that loads the application {what}"}
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def close(self) -> None:
        """Close what belongs to it, in the supervisor or in a process just forked."""
        self.channel.close()
        os.close(self._dump)


def run(generation: Generation, channel: Channel, board: Scoreboard, dump: int) -> NoReturn:
    """Be the zygote from here on."""
    status = process.CRASHED
    try:
        logs.become("preload")
        child.forget_supervising()
        faulthandler.register(signal.SIGUSR2, file=dump, all_threads=True)
        settings = generation.settings
        privileges.drop(settings.user, settings.group, settings.umask)
        generation.deployment.enter()
        board.expect_metrics()
        application = generation.deployment.load()
        # The collector would write to the header of every object, and so unshare its page.
        gc.collect()
        gc.freeze()
        channel.send("ready")
        _Zygote(generation, channel, board, application).serve()
        status = 0
    except UserError as error:
        channel.send("failed", status=error.exit_code, **child.in_words(error))
        status = error.exit_code
    except BaseException:
        logger.exception("internal error in the process that has loaded the application")
    child.leave(status)


class _Zygote:
    """The zygote, inside its own process."""

    def __init__(
        self, generation: Generation, channel: Channel, board: Scoreboard, application: Application
    ) -> None:
        self._generation = generation
        self._channel = channel
        self._board = board
        self._application = application

    def serve(self) -> None:
        """Fork what is asked for until the supervisor is gone."""
        woken, wake = os.pipe()
        for fd in (woken, wake):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        sock = self._channel.socket
        while True:
            readable, _, _ = select.select([sock.fileno(), woken], [], [])
            if woken in readable:
                os.read(woken, 4096)
                self._reap()
            if sock.fileno() in readable:
                try:
                    line, fds, _, _ = socket.recv_fds(sock, _MESSAGE_BYTES, _MOST_FDS)
                except ConnectionResetError:  # it was killed before it had read what we said
                    return
                if not line:
                    return
                for fd in fds:
                    os.set_inheritable(fd, False)
                self._fork(json.loads(line), list(fds))

    def _fork(self, message: dict[str, Any], fds: list[int]) -> None:
        deployment, settings = self._generation.deployment, self._generation.settings
        channel = Channel(socket.socket(fileno=fds[0]))
        pid = -1
        try:
            if settings.before_fork is not None:
                deployment.call_hook(settings.before_fork)
            for stream in (sys.stdout, sys.stderr):
                # Or each worker would write the same once more. There may be no such stream.
                with contextlib.suppress(AttributeError, OSError, ValueError):
                    stream.flush()
            credentials.follow(settings)
            pid = os.fork()
        except UserError as error:
            channel.send("failed", status=error.exit_code, **child.in_words(error))
        except OSError as error:
            channel.send("failed", message=f"cannot fork a worker: {error}.")
        if not pid:
            with child.never_returning():
                self._channel.close()
                pairs = zip(fds[2:], message["listeners"], strict=True)
                listeners = [listener.adopt(fd, spec) for fd, spec in pairs]
                row = self._board.row(message["row"])
                seat = child.Seat(message["number"], deployment, listeners, channel, row, fds[1])
                child.take(seat, lambda: self._application)
        channel.close()  # at the end of it the supervisor sees whether there is a worker
        for fd in fds[1:]:
            os.close(fd)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._channel.send("exit", pid=pid, status=status)
