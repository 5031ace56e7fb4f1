"""A supervisor with everything around it: signals, control socket, systemd, pid file, file watcher.

`run` is the whole life of a supervised server, from its settings to its exit status.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from breezeway.config.directories import check_directories
from breezeway.config.settings import Settings
from breezeway.errors import UserError
from breezeway.observe import log_file, logs
from breezeway.observe.access_options import file_of
from breezeway.observe.line_buffer import LEFT
from breezeway.supervisor import privileges, report, runtime_directory, systemd
from breezeway.supervisor.admin import Admin
from breezeway.supervisor.commands import Commands
from breezeway.supervisor.control import ControlServer
from breezeway.supervisor.deployment import Deployment
from breezeway.supervisor.events import Events
from breezeway.supervisor.handle import READY, RETIRING
from breezeway.supervisor.pid_file import PidFile
from breezeway.supervisor.rollout import Rollouts
from breezeway.supervisor.statsd_push import StatsdPush
from breezeway.supervisor.supervisor import Supervisor
from breezeway.supervisor.upgrade import Inheritance, Upgrade
from breezeway.worker import credentials, descriptors, listener
from breezeway.worker.listener import REDIRECT, Listener

if TYPE_CHECKING:
    from breezeway.supervisor.watcher import WatcherProcess

logger = logging.getLogger("breezeway.supervisor")

CONTROL_OFF: Final = "off"
CONTROL_AUTO: Final = "auto"

AT_START: Final = ("control_socket", "pid_file", "reload", "reload_dirs")
"""Settings that are taken at the start, and at an upgrade, which is one."""

AT_BIND: Final = ("backlog", "unix_mode")
"""Settings that are taken when an address is opened; reloads and upgrades leave it open."""

WRITE_SECONDS: Final = 1.0
"""How long the end waits for the lines of the access log that killed workers have left."""

SHORT_GRACE_SECONDS: Final = 1.0
"""The grace after a second SIGTERM."""

INTERRUPTED: Final = 130
QUIT: Final = 131
"""Exit statuses after SIGINT and SIGQUIT, as shells have it: 128 and the number of the signal."""

Resolve = Callable[[], Deployment]


def run(resolve: Resolve) -> int:
    """Serve what `resolve` returns until a signal says stop; return the exit status.

    `resolve` is called again at each reload.

    Raises:
        UserError: a setting cannot be, or what it asks for cannot be had.
    """
    inheritance = Inheritance.take(os.environ)
    try:
        return _run(resolve, inheritance)
    except UserError as error:
        if inheritance is not None:
            words = {"message": error.message, "hint": error.hint, "detail": error.detail}
            inheritance.channel.send("failed", **words)
        raise


def _run(resolve: Resolve, inheritance: Inheritance | None) -> int:
    activated = inheritance.activated if inheritance else systemd.activated_listeners()

    def resolve_activated() -> Deployment:
        deployment = resolve()
        settings = deployment.settings
        check_directories(settings, deployment.directory)
        _make_log_files(settings)
        if activated and settings.bind == Settings().bind:
            return replace(deployment, settings=replace(settings, bind=tuple(activated)))
        return deployment

    settings = resolve_activated().settings
    logs.become("supervisor")
    own_logs = not logging.getLogger(logs.ROOT).hasHandlers()
    if own_logs:
        _configure_logs(settings)
    descriptors.warn_if_few(settings.limit_connections)
    credentials.prepare(settings)
    with contextlib.ExitStack() as stack:
        listeners = _listeners(settings, inheritance)
        supervisor = Supervisor(resolve_activated, listeners)
        stack.callback(supervisor.close_listeners)
        service = _Service(supervisor, inheritance, activated)
        stack.callback(service.close)
        service.open()
        service.rollouts.move = service.admin.move
        service.rollouts.apply = partial(service.apply, own_logs)
        return supervisor.run()


def _make_log_files(settings: Settings) -> None:
    """Make the log files for workers that may not make them themselves."""
    identity = privileges.resolve(settings.user, settings.group)
    if identity is None:
        return
    for path in (settings.log_file, file_of(settings.access_log_file)):
        if path is not None:
            try:
                log_file.create_for(path, identity.uid, identity.gid)
            except OSError as error:
                raise UserError(f"cannot make the log file {path}: {error.strerror}.") from None


def _configure_logs(settings: Settings) -> None:
    process = settings.workers is not None
    logs.configure(settings.log_level, settings.log_file, process, settings.log_format)


def _listeners(settings: Settings, inheritance: Inheritance | None) -> list[Listener]:
    if inheritance is None:
        return listener.bind_all(settings)
    return listener.bind_all(settings, inheritance.adopt(settings.addresses))


def _at_best(act: Callable[[], None]) -> None:
    """Do what serving does not depend on; if it fails, the log says so."""
    try:
        act()
    except UserError as error:
        logger.error("%s", error.message)


class _Service:
    """What is around a supervisor."""

    def __init__(
        self, supervisor: Supervisor, inheritance: Inheritance | None, activated: list[str]
    ) -> None:
        self._supervisor = supervisor
        self._settings = supervisor.settings
        """Those of the start."""
        self._inheritance = inheritance
        self._pid_file: PidFile | None = None
        self._control: ControlServer | None = None
        self._watcher: WatcherProcess | None = None
        self._watchdog = systemd.watchdog_seconds()
        self._watchdog_due = 0.0
        if self._watchdog is not None:
            supervisor.calm_seconds = min(supervisor.calm_seconds, self._watchdog / 4)
        self._terms = 0
        self._on_terminal = os.isatty(0)
        self.rollouts = Rollouts(supervisor)
        self.rollouts.tell = self._tell_systemd
        self._upgrade = Upgrade(supervisor, activated, self._hand_over)
        self._events = Events()
        self._commands = Commands(supervisor, self.rollouts, self._upgrade.start, self._events)
        self.admin = self._upgrade.admin = Admin(supervisor, self._commands.execute)
        self._statsd = StatsdPush(supervisor, self._commands.status)
        supervisor.on_announce = self._announce
        supervisor.on_give_up = self._on_give_up
        supervisor.on_look.append(self._look)
        supervisor.close_in_child.append(self._close_in_child)
        supervisor.on_signal = {
            signal.SIGTERM: self._on_term,
            signal.SIGINT: self._on_interrupt,
            signal.SIGQUIT: lambda: supervisor.quit(QUIT),
            signal.SIGHUP: self._on_hang_up,
            signal.SIGTTIN: lambda: self._scale(1),
            signal.SIGTTOU: lambda: self._scale(-1),
            signal.SIGUSR1: self._reopen,
            signal.SIGUSR2: self._upgrade.start,
        }

    # --- from start to end -----------------------------------------------------------------------

    def open(self) -> None:
        """Take the pid file and the control socket, unless the old supervisor has them still.

        Raises:
            UserError: somebody else has one of them.
        """
        supervisor, inheritance = self._supervisor, self._inheritance
        settings = supervisor.settings
        self._statsd.open()
        if inheritance is not None:
            supervisor.wanted = inheritance.wanted or supervisor.wanted
            supervisor.announce_at = supervisor.wanted
            admin = inheritance.adopt_admin()
            self.admin.bind(admin)
            inheritance.admin_taken = admin is not None and self.admin.listener is admin
        else:
            self._open_control()
            self.admin.bind()
            self.admin.start()
        inherited = inheritance.pid_file if inheritance is not None else None
        if settings.pid_file is not None:
            self._pid_file = self._upgrade.pid_file = (
                PidFile(settings.pid_file)
                if inherited is None
                else PidFile.inherit(settings.pid_file, inherited)
            )
        elif inherited is not None:
            os.close(inherited)
        if settings.reload:
            self._watch(settings)

    def _open_control(self) -> None:
        path: str | None = self._settings.control_socket
        if path == CONTROL_OFF:
            return
        automatic = path == CONTROL_AUTO
        if automatic:
            path = runtime_directory.socket_path()
            if path is None:
                logger.info("no control socket: there is no directory for it (--control-socket)")
                return
        assert path is not None
        try:
            if self._control is not None:
                self._control.move(path)
                return
            self._control = ControlServer(
                path,
                self._supervisor.selector,
                self._commands.execute,
                take_over=self._inheritance is not None,
            )
        except UserError as error:
            if not automatic:
                raise
            logger.warning("no control socket: %s", error.message)

    def _watch(self, settings: Settings) -> None:
        from breezeway.supervisor import watcher  # in development alone

        supervisor = self._supervisor
        paths = [
            *(settings.reload_dirs or (settings.app_dir,)),
            *supervisor.current.deployment.files,
        ]
        self._watcher = found = watcher.start(paths, close_inherited=supervisor.after_fork)
        report.say(found.description[0].upper() + found.description[1:])
        supervisor.selector.register(found.fd, selectors.EVENT_READ, self._on_change)
        supervisor.on_exit.append(self._on_exit)

    def _announce(self) -> None:
        """Say that requests are served, and take over from the old supervisor."""
        supervisor = self._supervisor
        name = supervisor.current.deployment.name
        if self._inheritance is not None:
            self._take_over(self._inheritance)
        for each in supervisor.current.listeners:
            what = f"Serving {name} on" if name else "Serving on"
            if each.role == REDIRECT:
                what = "Redirecting to https from"
            report.say(f"{what} {click.style(each.url, fg='green', bold=True)}")
        if self.admin.listener is not None:
            url = click.style(self.admin.listener.url, fg="green", bold=True)
            report.say(f"Dashboard on {url}")
        self._tell_systemd("ready")

    def _take_over(self, inheritance: Inheritance) -> None:
        inheritance.take_over()
        # From here on nobody else serves: what goes wrong must not end this.
        _at_best(self._open_control)
        if self._pid_file is not None:
            _at_best(self._pid_file.write)
        inheritance.finish()
        self.admin.start()

    def _on_give_up(self, failure: dict[str, Any]) -> None:
        if self._inheritance is not None:
            self._inheritance.channel.send("failed", **failure)

    def apply(self, own_logs: bool, settings: Settings) -> None:
        """Put in force what a reload has changed for all but the workers; find again what is lost."""
        if self._control is not None and self._control.is_lost:
            _at_best(self._open_control)
        if self._pid_file is not None:
            _at_best(self._pid_file.renew)
        if own_logs:
            _configure_logs(settings)
        for name in AT_START:
            if getattr(settings, name) != getattr(self._settings, name):
                logger.warning("%s has changed: that takes effect at a start or an upgrade", name)
        for name in AT_BIND:
            if getattr(settings, name) != getattr(self._settings, name):
                what = "addresses that are open already keep theirs until a restart"
                logger.warning("%s has changed: %s", name, what)
        descriptors.warn_if_few(settings.limit_connections)
        self.admin.apply(settings)
        self._statsd.apply(settings)

    def close(self) -> None:
        """Give back what is ours."""
        self.admin.close()
        self._statsd.close()
        self._let_go()
        if self._pid_file is not None:
            self._pid_file.close()
        if self._watcher is not None:
            self._watcher.close()
        self._events.close()
        if self._supervisor.board.lost_lines():
            self._write_lines()
        if lost := self._supervisor.board.lost_lines():
            logger.error(LEFT, lost)

    def _write_lines(self) -> None:
        """Write the lines of the access log that workers have left which were killed in the end."""
        from breezeway.observe.access_target import target_of  # rarely

        board, where = self._supervisor.board, self._supervisor.settings.access_log_file

        def write() -> None:
            with contextlib.suppress(OSError, UserError):  # they are lost, which is told
                board.write_lines(target_of(where))

        # In a thread: whoever reads the log may have stopped to.
        writer = threading.Thread(target=write, name="breezeway-access-log", daemon=True)
        writer.start()
        writer.join(WRITE_SECONDS)

    def _hand_over(self, *, admin: bool) -> None:
        """Let another supervisor have what is there once; `admin`: it has our admin listener."""
        self.admin.leave(taken=admin)
        self._let_go()

    def _let_go(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    def _close_in_child(self) -> None:
        if self._inheritance is not None:
            self._inheritance.channel.close()
        if self._control is not None:
            self._control.close_in_child()
        if self._pid_file is not None:
            self._pid_file.close_in_child()
        if self._watcher is not None:
            self._watcher.close_in_child()

    # --- what happens meanwhile --------------------------------------------------------------------

    def _look(self) -> None:
        if self._control is not None:
            self._control.expire()
        now = time.monotonic()
        if self._watchdog is not None and now >= self._watchdog_due:
            self._watchdog_due = now + self._watchdog / 2
            systemd.notify(WATCHDOG=1)
        supervisor = self._supervisor
        if supervisor.backoff.until:  # they may have been moved away, as logrotate does
            with contextlib.suppress(UserError):
                _make_log_files(supervisor.settings)
        able = [each.row.number for each in supervisor.workers if each.state in (READY, RETIRING)]
        supervisor.board.hand_on_lines(able)

    def _on_exit(self, pid: int, how: str) -> None:
        if self._watcher is not None and self._watcher.pid == pid:
            self._watcher.reaped()
            logger.error("the process that watches the files %s; no more reloads by itself", how)

    def _on_change(self, _: int) -> None:
        assert self._watcher is not None
        paths = self._watcher.read()
        if self._watcher.ended:
            self._supervisor.selector.unregister(self._watcher.fd)
        if paths:
            shown = os.path.relpath(paths[0])
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            logger.info("%s%s changed", shown, more)
            self.rollouts.supersede()

    def _tell_systemd(self, state: str) -> None:
        name = self._supervisor.current.deployment.name or "the application"
        if state == "reloading":
            systemd.reloading(f"Reloading {name}")
        else:
            systemd.ready(f"Serving {name} with {self._supervisor.wanted} workers")

    # --- signals -------------------------------------------------------------------------------------

    def _on_term(self) -> None:
        self._terms += 1
        if self._terms == 1:
            logger.info("stopping: finishing the requests in flight")
            systemd.stopping("Finishing the requests in flight")
            self._supervisor.stop(self._supervisor.settings.graceful_timeout)
        else:
            self._supervisor.stop(SHORT_GRACE_SECONDS)

    def _on_interrupt(self) -> None:
        """End at once; with no --workers, as in development, only at the second Ctrl-C."""
        if self._supervisor.settings.workers is None and not self._terms:
            self._on_term()
        else:
            self._supervisor.quit(INTERRUPTED)

    def _on_hang_up(self) -> None:
        """Reload; but a terminal that is closed ends what was started in it."""
        if self._on_terminal:
            try:
                os.tcgetpgrp(0)
            except OSError:
                self._on_term()
                return
        self._upgrade.pass_on(signal.SIGHUP)
        self.rollouts.reload()

    def _scale(self, difference: int) -> None:
        try:
            self._commands.scale(self._supervisor.wanted + difference)
        except UserError as error:
            logger.warning("not scaled: %s", error.message)
        else:
            logger.info("scaling to %d workers", self._supervisor.wanted)

    def _reopen(self) -> None:
        self._upgrade.pass_on(signal.SIGUSR1)
        settings = self._supervisor.settings
        try:
            _make_log_files(settings)
        except UserError as error:
            logger.error("%s", error.message)
        logs.reopen()
        self.admin.reopen()
        for worker in self._supervisor.workers:
            worker.channel.send("reopen")
