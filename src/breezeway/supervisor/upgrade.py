"""SIGUSR2: another supervisor takes over, with the code and the Python that are installed by now.

The old supervisor executes its own command line again and passes the listeners on, so that no
connection is lost. The new workers take none until all are ready. They talk over a socket pair:

    new -> old   {"kind": "ready"}   all workers are ready; with the "listeners" that it has taken
    old -> new   {"kind": "yours"}   it may have the pid file and the control socket, too
    new -> old   {"kind": "taken"}   it has them: the old one lets its workers retire, and ends
    new -> old   {"kind": "failed"}  with the fields of a `UserError`; or the end of the channel

If the new supervisor fails, or is not ready in time, it is killed, and the old one goes on. A stop
meanwhile is for both. Process 1 of a container cannot hand over: the container ends with it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from breezeway.config.settings import TABLE
from breezeway.errors import UserError
from breezeway.supervisor import child, systemd
from breezeway.supervisor.admin import Admin
from breezeway.supervisor.channel import Channel
from breezeway.supervisor.control import Caller
from breezeway.supervisor.pid_file import PidFile
from breezeway.supervisor.report import last_lines, log_failure
from breezeway.supervisor.supervisor import Supervisor
from breezeway.worker import listener
from breezeway.worker.listener import Listener

logger = logging.getLogger("breezeway.supervisor")

VARIABLE: Final = "_BREEZEWAY_UPGRADE"
"""The environment variable in which the new supervisor finds what it inherits."""

EXTRA_SECONDS: Final = 10.0
"""The new supervisor may take so much longer than one worker may."""

CANNOT_EXECUTE: Final = 127
"""Exit status when the command cannot be executed, as shells have it."""


class LetGo(Protocol):
    """Closes what only one supervisor can have."""

    def __call__(self, *, admin: bool) -> None:
        """Do it; `admin` says whether the other one has our admin listener."""


@dataclass
class Inheritance:
    """What the new supervisor gets from the old one."""

    channel: Channel
    pid_file: int | None
    activated: list[str]
    wanted: int | None
    """The number of workers, if it is another one than the settings say."""
    listeners: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """File descriptor by `--bind`, and whether the file of a unix socket goes with it."""
    admin: tuple[str, int, bool] | None = None
    """The same for `--admin-bind`, which is first."""
    admin_taken: bool = False
    """Whether that was adopted, and is still wanted."""
    taken: list[str] = field(default_factory=list)
    """The listeners that were adopted, and are still wanted."""
    _files: list[Listener] = field(default_factory=list)
    """Those whose unix sockets' files go with them, once the old supervisor has let go."""

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Inheritance | None:
        """Take what an old supervisor has left in the environment; None if there is none."""
        text = environ.pop(VARIABLE, None)
        if text is None:
            return None
        fields = json.loads(text)
        sock = socket.socket(fileno=fields["channel"])
        sock.set_inheritable(False)
        found = cls(Channel(sock), fields["pid_file"], fields["activated"], fields["wanted"])
        found.listeners = {spec: (fd, owned) for spec, fd, owned in fields["listeners"]}
        if fields.get("admin") is not None:
            found.admin = tuple(fields["admin"])
        return found

    def adopt_admin(self) -> Listener | None:
        """Make a listener of that of the admin process, if there is one."""
        return None if self.admin is None else self._adopt(*self.admin)

    def adopt(self, specs: tuple[str, ...]) -> dict[str, Listener]:
        """Make listeners of all; take from the old supervisor those in `specs`."""
        adopted = {spec: self._adopt(spec, *found) for spec, found in self.listeners.items()}
        self.taken = [spec for spec in adopted if spec in specs]
        return adopted

    def _adopt(self, spec: str, fd: int, owned: bool) -> Listener:
        found = listener.adopt(fd, spec)
        if owned:
            self._files.append(found)
        return found

    def take_over(self) -> None:
        """Say that all workers are ready, wait for the answer, and own the files from then on.

        Before that they are the old supervisor's, which needs them if this one fails.
        """
        self.channel.send("ready", listeners=self.taken, admin=self.admin_taken)
        for _ in self.channel.messages():
            break
        for each in self._files:
            each.own()

    def finish(self) -> None:
        """Let the old supervisor end."""
        self.channel.send("taken")
        self.channel.close()


class Upgrade:
    """The old supervisor's side."""

    def __init__(
        self,
        supervisor: Supervisor,
        activated: list[str],
        let_go: LetGo,
    ) -> None:
        """`let_go` closes the control socket; `activated` are the sockets that systemd has passed."""
        self._supervisor = supervisor
        self._activated = activated
        self._let_go = let_go
        self.pid_file: PidFile | None = None
        self.admin: Admin | None = None
        self._channel: Channel | None = None
        self._caller: Caller | None = None
        self._pid = 0
        self._deadline = 0.0
        self._failure: dict[str, Any] | None = None
        self._taken: list[str] | None = None
        """The listeners that the new supervisor has; None before it is ready."""
        self._admin_taken = False
        """Whether it has that of the admin process as well."""
        self._late: list[signal.Signals] = []
        supervisor.on_look.append(self._look)

    def start(self, caller: Caller | None = None) -> None:
        """Start the new supervisor; `caller` hears how it went."""
        supervisor = self._supervisor
        reason = ""
        if os.getpid() == 1:
            reason = "process 1 cannot hand over; replace the container instead"
        elif supervisor.stopping:
            reason = "the server is stopping"
        elif self._channel is not None:
            reason = "an upgrade is under way already"
        elif supervisor.candidate is not None:
            reason = "a reload is under way"
        if reason:
            logger.error("no upgrade: %s", reason)
            if caller is not None:
                caller.fail(f"{reason}.")
            return
        logger.info("upgrading: starting %s", shown_command(sys.orig_argv))
        self._caller, self._failure, self._taken = caller, None, None
        try:
            supervisor.current.deployment.want_files()
            if self.pid_file is not None:
                self.pid_file.renew()  # or the new one would take it for that of another server
            self._channel = channel = self._fork()
        except UserError as error:
            self._report({"message": error.message, "hint": error.hint})
            return
        except OSError as error:
            self._report({"message": f"cannot start a process: {error}."})
            return
        self._deadline = time.monotonic() + supervisor.settings.boot_timeout + EXTRA_SECONDS
        supervisor.upgrading = True
        supervisor.selector.register(
            channel.socket, selectors.EVENT_READ, lambda _: self._on_message()
        )
        if caller is not None:
            caller.progress("the new supervisor starts", 0, 1)

    def pass_on(self, number: signal.Signals) -> None:
        """Send the new supervisor, too, what has come while there is one, once it has taken over.

        It may have loaded, or opened, what is out of date by now.
        """
        if self._channel is not None:
            self._late.append(number)

    def _fork(self) -> Channel:
        """Fork the new supervisor; raise `OSError` if the system has no room for it."""
        with contextlib.ExitStack() as undo:
            ours, theirs = Channel.pair()
            undo.callback(ours.close)
            with contextlib.closing(theirs), child.signals_held():
                self._pid = os.fork()
                if not self._pid:
                    self._execute(theirs)
            undo.pop_all()
        return ours

    def _execute(self, theirs: Channel) -> None:
        """Become the new supervisor, in the forked process."""
        try:
            supervisor = self._supervisor
            wanted = supervisor.wanted
            inherited = [theirs.socket.fileno()]
            # Who cannot be reached any more is not passed on: its address is bound anew.
            listeners = [each for each in supervisor.current.listeners if not each.is_lost]
            inherited += [each.socket.fileno() for each in listeners]
            admin = self.admin.listener if self.admin is not None else None
            admin = None if admin is None or admin.is_lost else admin
            inherited += [] if admin is None else [admin.socket.fileno()]
            pid_file = self.pid_file.fileno() if self.pid_file is not None else None
            inherited += [] if pid_file is None else [pid_file]
            for fd in inherited:
                os.set_inheritable(fd, True)
            os.environ[VARIABLE] = json.dumps(
                {
                    "channel": theirs.socket.fileno(),
                    "pid_file": pid_file,
                    "activated": self._activated,
                    "wanted": wanted if wanted != (supervisor.settings.workers or 1) else None,
                    "listeners": [
                        [each.spec, each.socket.fileno(), each.owned] for each in listeners
                    ],
                    "admin": admin and [admin.spec, admin.socket.fileno(), admin.owned],
                }
            )
            systemd.pass_on(os.environ)
            supervisor.current.deployment.enter()
            child.release_signals()
            os.execvp(sys.orig_argv[0], sys.orig_argv)  # noqa: S606 (our own command line)
        except BaseException as error:
            theirs.send("failed", message=f"cannot execute {sys.orig_argv[0]}: {error}.")
        finally:
            os._exit(CANNOT_EXECUTE)

    def _on_message(self) -> None:
        channel = self._channel
        assert channel is not None
        for message in channel.receive():
            if message["kind"] == "failed":
                self._failure = message
            elif message["kind"] == "ready" and not self._supervisor.stopping:
                self._taken = message["listeners"]
                self._admin_taken = message.get("admin", False)
                channel.send("yours")
            elif message["kind"] == "taken":
                channel.at_end = True
        if channel.at_end and self._taken is not None:
            self._hand_over(self._taken)
        elif channel.at_end:
            self._fail(
                self._failure or {"message": "the new supervisor ended before it was ready."}
            )

    def _look(self) -> None:
        if self._channel is None:
            return
        if self._supervisor.stopping:
            # Politely, so that it ends its workers; what they have in hand is answered.
            self._signal(signal.SIGTERM)
            if self._caller is not None:
                self._caller.fail("the server is stopping.")
            self._end()
        elif self._taken is None and time.monotonic() >= self._deadline:
            self._fail({"message": "the new supervisor was not ready in time, and is killed."})

    def _hand_over(self, taken: list[str]) -> None:
        supervisor = self._supervisor
        logger.info("upgraded: process %d serves from here on", self._pid)
        systemd.notify(MAINPID=self._pid)
        if self._caller is not None:
            self._caller.progress("the new supervisor serves", 1, 1)
            self._caller.succeed({"pid": self._pid})
        self._let_go(admin=self._admin_taken)
        for number in dict.fromkeys(self._late):
            self._signal(number)
        self._end()
        for each in supervisor.current.listeners:
            if each.spec in taken:
                each.disown()
        supervisor.leave(taken)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def _fail(self, failure: dict[str, Any]) -> None:
        self._signal(signal.SIGKILL)
        self._report(failure)
        self._end()

    def _report(self, failure: dict[str, Any]) -> None:
        log_failure(failure, "the upgrade failed, and what was there goes on")
        if self._caller is not None:
            self._caller.fail(last_lines(failure))

    def _end(self) -> None:
        channel, self._channel, self._caller = self._channel, None, None
        self._late = []
        self._supervisor.upgrading = False
        if channel is not None:
            self._supervisor.selector.unregister(channel.socket)
            channel.close()


def shown_command(arguments: Sequence[str]) -> str:
    """Write a command line for the log, without the values of secret settings."""
    secret = {row.flag for row in TABLE if row.secret}
    shown = []
    hide = False
    for each in arguments:
        flag, equals, _ = each.partition("=")
        is_value = hide
        hide = each in secret
        shown.append("***" if is_value else f"{flag}=***" if equals and flag in secret else each)
    return " ".join(shown)
