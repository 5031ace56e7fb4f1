"""The process of the admin listener (`--admin-bind`): the supervisor's view of it, and its own main.

It is forked like a worker and runs the same reactor, with the application of `breezeway.admin`. So the
supervisor stays small, nothing of it is reachable where the public listeners are, and who keeps it busy
keeps no worker busy. It knows nothing but what the supervisor answers on the links between them: socket
pairs that speak the protocol of the control socket.

It lives as long as the server, reloads included; when it dies, another one takes its place. It is
started anew when a reload changes one of its own settings, and an upgrade hands its listener over like
the others. It says `ready`; it is told `reopen` and `retire`, and ends with the channel, too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from breezeway.config import address
from breezeway.config.address import InheritedSocket
from breezeway.config.settings import TABLE, Settings
from breezeway.errors import BindError, UserError
from breezeway.observe import logs
from breezeway.supervisor import child, policy, privileges
from breezeway.supervisor.channel import Channel, Message
from breezeway.supervisor.control import Clients, Execute
from breezeway.supervisor.supervisor import Supervisor
from breezeway.worker import listener, process
from breezeway.worker.listener import Listener
from breezeway.worker.reactor import Reactor
from breezeway.worker.scoreboard import Scoreboard

logger = logging.getLogger("breezeway.supervisor")

BACKLOG: Final = 64

UNIX_MODE: Final = 0o600
"""Of a unix socket: the server's own user and root, as with the control socket."""

LINKS: Final = 3
"""For numbers, for stacks, for actions: none of them waits for another."""

END_SECONDS: Final = 3.0
"""It is killed when it has not ended so long after it was told."""

DRAIN_SECONDS: Final = 1.0
"""What it takes itself for the answers under way; streams end at once."""

OTHER_THREADS: Final = 8
"""Beside those of the streams."""

CONNECTIONS: Final = 128
BODY_BYTES: Final = 64 * 1024


@dataclass(eq=False)
class _Process:
    """One that was forked, until it has ended."""

    pid: int
    channel: Channel
    clients: Clients
    deadline: float = 0.0
    """When it is killed, monotonic; 0 while it is to serve."""

    def end(self) -> None:
        """Tell it to end."""
        if not self.deadline:
            self.deadline = time.monotonic() + END_SECONDS
            self.channel.send("retire")

    def kill(self) -> None:
        """Kill it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Admin:
    """The supervisor's view."""

    def __init__(self, supervisor: Supervisor, execute: Execute) -> None:
        """`execute` carries out what it asks for."""
        self._supervisor = supervisor
        self._execute = execute
        self._settings = supervisor.settings
        self._processes: list[_Process] = []
        self._backoff = policy.Backoff()
        self._started = False
        self.listener: Listener | None = None
        self._bound: str | None = None
        """What `listener` was opened for; not what the settings say, if that could not be had."""
        supervisor.on_look.append(self._look)
        supervisor.on_exit.append(self._on_exit)
        supervisor.close_in_child.append(self.close_in_child)

    # --- from start to end -----------------------------------------------------------------------

    def bind(self, inherited: Listener | None = None) -> None:
        """Take the listener of an old supervisor, or open another one, as the settings ask for it.

        Raises:
            BindError: it cannot be had.
        """
        spec = self._settings.admin_bind
        self.listener = inherited
        if inherited is None or inherited.spec != spec:
            self.listener = None if spec is None else _bind(spec, inherited)
            if inherited is not None:
                inherited.close()
        self._bound = spec

    def start(self) -> None:
        """Serve from here on."""
        self._started = True
        self._look()

    def apply(self, settings: Settings) -> None:
        """Put in force what a reload has changed, or what was there before one that has failed."""
        before, self._settings = self._settings, settings
        if settings.admin_bind != self._bound:
            try:
                self.move(settings)
            except UserError as error:  # somebody else has taken it meanwhile
                logger.error("the admin listener stays where it is: %s", error.message)
        if _concern(before) != _concern(settings):
            self._retire()

    def move(self, settings: Settings) -> None:
        """Listen where these settings say; the process that listens elsewhere ends.

        Raises:
            UserError: that cannot be had; everything stays as it is.
        """
        spec = settings.admin_bind
        lost = self.listener is not None and self.listener.is_lost
        if spec == self._bound and not lost:
            return
        if spec is not None and isinstance(address.parse(spec), InheritedSocket):
            # What is open by now is ours.
            raise BindError(f"{spec}: a socket can be passed at the start alone.")
        new = None if spec is None else _bind(spec, self.listener)
        self._bound = spec
        old, self.listener = self.listener, new
        self._retire()
        if old is not None:
            old.close()
        if new is not None:
            logger.info("dashboard on %s", new.url)

    def leave(self, *, taken: bool) -> None:
        """End; with `taken`, another supervisor has the listener."""
        self._started = False
        if self.listener is not None:
            if taken:
                self.listener.disown()
            self.listener.close()
            self.listener = None
        self._retire()

    def _retire(self) -> None:
        for each in self._processes:
            each.end()

    def close(self) -> None:
        """End, and wait for the process, so that nobody listens any more afterwards."""
        self.leave(taken=False)
        for each in [*self._processes]:
            each.clients.close()  # or it would wait for our answer
            each.channel.socket.settimeout(max(0.1, each.deadline - time.monotonic()))
            try:
                while each.channel.socket.recv(1024):
                    pass
            except TimeoutError:
                each.kill()
            except OSError:
                pass
            self._forget(each)

    def close_in_child(self) -> None:
        """Close what is the supervisor's alone, in a process just forked."""
        for each in self._processes:
            each.channel.close()
            each.clients.close_in_child()
        if self.listener is not None:
            self.listener.disown()
            self.listener.close()

    def reopen(self) -> None:
        """Have the log file opened again."""
        for each in self._processes:
            each.channel.send("reopen")

    # --- in the loop -----------------------------------------------------------------------------

    def _look(self) -> None:
        """Do what is due: start it, kill it."""
        now = time.monotonic()
        for each in self._processes:
            if 0 < each.deadline <= now:
                each.kill()
                each.deadline = now + END_SECONDS
        serving = any(not each.deadline for each in self._processes)
        if serving or not self._started or now < self._backoff.until:
            return
        if self.listener is not None:
            self._fork(self.listener)

    def _fork(self, own: Listener) -> None:
        """Fork it; if the system has no room for it, the next try is after a pause."""
        supervisor = self._supervisor
        with contextlib.ExitStack() as undo:
            try:
                ours, theirs = Channel.pair()
                undo.callback(ours.close)
                undo.callback(theirs.close)
                pairs = [socket.socketpair() for _ in range(LINKS)]
                for pair in pairs:
                    for sock in pair:
                        undo.callback(sock.close)
                with child.signals_held():
                    pid = os.fork()
                    if not pid:
                        with child.never_returning():
                            self.listener = None  # it is ours, and not to be closed
                            supervisor.after_fork()
                            ours.close()
                            for sock, _ in pairs:
                                sock.close()
                            links = [sock for _, sock in pairs]
                            _run(own, self._settings, theirs, links, supervisor.board)
            except OSError as error:
                pause = self._backoff.fail()
                logger.error("cannot start the admin process: %s; again in %g s", error, pause)
                return
            undo.pop_all()
        theirs.close()
        clients = Clients(supervisor.selector, self._execute)
        for sock, other in pairs:
            other.close()
            clients.adopt(sock)
        found = _Process(pid, ours, clients)
        self._processes.append(found)
        supervisor.selector.register(
            ours.socket, selectors.EVENT_READ, lambda _: self._on_message(found)
        )

    def _on_message(self, process: _Process) -> None:
        for message in process.channel.receive():
            self._on_one_message(message)
        if process.channel.at_end:
            self._supervisor.selector.unregister(process.channel.socket)

    def _on_one_message(self, message: Message) -> None:
        if message["kind"] == "ready":
            self._backoff.reset()
        elif message["kind"] == "failed":
            logger.error("the admin process failed: %s", message["message"])

    def _on_exit(self, pid: int, how: str) -> None:
        for each in [each for each in self._processes if each.pid == pid]:
            for message in each.channel.last_words():
                self._on_one_message(message)
            self._forget(each)
            if not each.deadline and not self._supervisor.stopping:
                pause = self._backoff.fail()
                logger.error("the admin process %s; another one starts in %g s", how, pause)

    def _forget(self, process: _Process) -> None:
        self._processes.remove(process)
        with contextlib.suppress(KeyError, ValueError, RuntimeError):  # the loop may be over
            self._supervisor.selector.unregister(process.channel.socket)
        process.channel.close()
        process.clients.close()


def _bind(spec: str, beside: Listener | None) -> Listener:
    """Open a listener; `beside` is ours, and may have the same port on another host."""
    others = () if beside is None else (beside,)
    try:
        return listener.bind_beside(others, spec, backlog=BACKLOG, unix_mode=UNIX_MODE)
    except BindError as error:
        text = error.message.replace("(--bind)", "(--admin-bind)", 1)
        raise BindError(text, error.hint) from None


def _concern(settings: Settings) -> tuple[Any, ...]:
    """Return the settings that the process has to be started anew for."""
    names = [row.name for row in TABLE if row.name.startswith(("admin_", "log_"))]
    return tuple(getattr(settings, name) for name in (*names, "user", "group"))


# --- the process itself --------------------------------------------------------------------------


def _run(
    own: Listener,
    settings: Settings,
    channel: Channel,
    links: list[socket.socket],
    board: Scoreboard,
) -> None:
    """Be the admin process from here on."""
    status = process.CRASHED
    own.disown()
    try:
        logs.become("admin")
        child.forget_supervising()
        # Made before, for its modules and its page may be where that user cannot read.
        admin = _Admin(own, settings, channel, links, board)
        privileges.drop(settings.user, settings.group, settings.umask)
        admin.serve()
        status = 0
    except UserError as error:
        channel.send("failed", **child.in_words(error))
        status = error.exit_code
    except BaseException:
        logger.exception("internal error in the admin process")
    child.leave(status)


class _Admin:
    """The admin process, inside."""

    def __init__(
        self,
        own: Listener,
        settings: Settings,
        channel: Channel,
        links: list[socket.socket],
        board: Scoreboard,
    ) -> None:
        from breezeway.admin.access import Access  # in this process alone, from here on
        from breezeway.admin.application import Application
        from breezeway.admin.link import Link
        from breezeway.admin.source import Source
        from breezeway.admin.streams import STREAMS, Streams

        numbers, stacks, actions = links
        self._source = Source(Link(numbers), Link(stacks))
        self._streams = Streams(self._source)
        access = Access(own.spec, settings.admin_token, settings.admin_hosts)
        self._attempts = access.attempts
        application = Application(
            self._source,
            Link(actions, seconds=None),
            self._streams,
            access,
            board.application_metrics,
        )
        self._channel = channel
        own_settings = Settings(
            bind=(own.spec,),
            threads=STREAMS + OTHER_THREADS,
            limit_connections=CONNECTIONS,
            limit_body=BODY_BYTES,
        )
        self._reactor = Reactor(application, [own], own_settings)

    def serve(self) -> None:
        """Serve until told to end."""
        over = threading.Event()
        # A service manager that stops all processes sends it to this one, too; it ends with the last.
        signal.signal(signal.SIGTERM, lambda *_: None)
        self._reactor.on_failure = over.set
        self._streams.start()
        self._reactor.start()
        self._channel.send("ready")
        threading.Thread(target=self._obey, args=(over,), daemon=True).start()
        while not over.wait(1.0) and not self._source.broken:
            self._attempts.look()
        if not over.is_set():
            logger.error("the supervisor does not answer; this process makes room for another one")
        self._streams.close()
        if self._reactor.failed:
            return
        self._reactor.retire(0.0)
        self._reactor.stopped.wait(DRAIN_SECONDS)

    def _obey(self, over: threading.Event) -> None:
        for message in self._channel.messages():
            if message["kind"] == "reopen":
                logs.reopen()
            elif message["kind"] == "retire":
                break
        over.set()
