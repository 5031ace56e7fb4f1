"""`--reload`: a process that watches the application's files and reports what has changed.

It is a process because the supervisor has no threads, and must not have any: it forks. The child
looks at the tree (`source_tree`) when a backend says that something may have happened, and sends
the differences through a socket, one JSON list of paths for each save:

- **watchfiles** (extra `reload`) is told by the kernel. It watches the directories of the tree one by
  one and not recursively, so that a node_modules of 30,000 directories costs nothing; when a new
  directory appears, it begins anew.
- **polling** looks every 250 ms.

Whatever the backend, the child looks every 2 s as well: the kernel does not tell about a network
file system, a bind mount from another machine, or a symlink that has been turned.

The child ends when the supervisor has closed its end of the socket, or is gone.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, NoReturn, Protocol

from breezeway.supervisor.source_tree import MOST_ENTRIES, SourceTree, is_watched

logger = logging.getLogger("breezeway.supervisor")

POLL_SECONDS: Final = 0.25
"""Between two looks of the polling backend: 0.4 % of a core for 300 files, 7 % for 5,000."""

SURE_SECONDS: Final = 2.0
"""Between two looks when no event comes."""

STEP_SECONDS: Final = 0.02
"""A save is over when nothing has changed for this long: an editor that renames, or `save all`, needs
a millisecond or two. It is also how often watchfiles wakes up; 0.4 % of a core."""

MOST_STEPS: Final = 3
"""A report does not wait longer than this for a save to be over; the rest is another report."""

MOST_PATHS: Final = 100
"""Paths in one report; a checkout of another branch may change thousands, which nobody reads."""

READ_BYTES: Final = 65536

MODIFIED: Final = 2
"""What watchfiles calls a change that neither adds nor removes (`watchfiles.Change.modified`)."""

IGNORED: Final = (
    signal.SIGINT,  # Ctrl-C goes to all processes of the terminal
    signal.SIGTERM,  # some send it to the whole process group, such as timeout(1)
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
)
"""Signals for the supervisor; the child ends when that has gone."""

Backend = Literal["watchfiles", "polling"]


class WatcherProcess:
    """The supervisor's view of the process that watches."""

    def __init__(self, pid: int, connection: socket.socket, description: str) -> None:
        self.pid = pid
        self.description = description
        """What is watched and how, for a line at the start."""
        self.ended = False
        """Whether the process has ended by itself; `close` is still to be called."""
        self._reaped = False
        self._connection = connection
        self._received = b""

    @property
    def fd(self) -> int:
        """File descriptor that is readable when there is a report, or when the process ended."""
        return self._connection.fileno()

    def read(self) -> list[str]:
        """Return what has changed since the last call, without waiting: absolute paths, sorted.

        A path may have been added, changed or removed. Of more than `MOST_PATHS` the first are
        returned. Empty if nothing has changed, or if the process has `ended`.
        """
        try:
            while data := self._connection.recv(READ_BYTES):
                self._received += data
            self.ended = True
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
        *reports, self._received = self._received.split(b"\n")
        return sorted({path for report in reports for path in json.loads(report)})[:MOST_PATHS]

    def reaped(self) -> None:
        """Take note that somebody else has waited for the process; its number may be another's."""
        self.ended = self._reaped = True

    def close_in_child(self) -> None:
        """Let go of the process without ending it: in a worker, after a fork."""
        self._connection.close()

    def close(self) -> None:
        """End the process and reap it, unless somebody has; may be called twice."""
        self._connection.close()
        if not self._reaped:
            self._reaped = True
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)  # it has nothing to tidy up
                os.waitpid(self.pid, 0)


def start(
    paths: Iterable[str],
    *,
    close_inherited: Callable[[], None] = lambda: None,
    backend: Backend | None = None,
) -> WatcherProcess:
    """Fork the process that watches `paths`: directories, and single files of any suffix.

    What changes after the call is reported, even before the process has got going. It calls
    `close_inherited` first, to close what the supervisor has open. Without `backend` it is
    watchfiles if that is installed. To be called from a process without other threads.
    """
    chosen = backend or _best_backend()
    tree = SourceTree(paths)
    tree.look()
    if tree.cut_short:
        logger.warning(
            "more than %d files and directories below %s: changes deep in there are not seen;"
            " --reload-dirs can name less",
            MOST_ENTRIES,
            _list(tree.paths),
        )
    ours, theirs = socket.socketpair()
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _main(tree, theirs, supervisor, chosen, close_inherited)
    theirs.close()
    ours.setblocking(False)
    return WatcherProcess(pid, ours, f"watching {_list(tree.paths)} {_HOW[chosen]}")


_HOW: Final = {
    "watchfiles": "with watchfiles",
    "polling": f"by polling every {POLL_SECONDS * 1000:.0f} ms:"
    ' pip install "breezeway[reload]" is quicker and cheaper',
}


def _best_backend() -> Backend:
    return "watchfiles" if importlib.util.find_spec("watchfiles") else "polling"


def _list(paths: tuple[str, ...]) -> str:
    return ", ".join(paths)


# --- the child -------------------------------------------------------------------------------


def _main(
    tree: SourceTree,
    supervisor: socket.socket,
    parent: int,
    backend: Backend,
    close_inherited: Callable[[], None],
) -> NoReturn:
    """Watch until the supervisor has gone; never return into what the supervisor was doing."""
    try:
        signal.set_wakeup_fd(-1)
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        close_inherited()
        supervisor.settimeout(None)
        _watch(tree, supervisor, parent, _trigger(backend, tree))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the supervisor has gone
    except BaseException:
        logger.exception("the watcher has failed; changes are no longer seen")
    finally:
        os._exit(0)


class _Trigger(Protocol):
    """Says when to look."""

    @property
    def settled(self) -> bool:
        """Whether it waits for the end of a save before it says so."""

    def wait(self) -> bool:
        """Wait for an event in the tree, but not long; return whether to look."""


def _watch(tree: SourceTree, supervisor: socket.socket, parent: int, trigger: _Trigger) -> None:
    looked = time.monotonic()
    while os.getppid() == parent and not select.select([supervisor], [], [], 0)[0]:
        if not trigger.wait() and time.monotonic() - looked < SURE_SECONDS:
            continue
        known = tree.files
        tree.look()
        if not trigger.settled and tree.changes_since(known):
            _settle(tree)
        looked = time.monotonic()
        if changes := tree.changes_since(known):
            supervisor.sendall(json.dumps(changes[:MOST_PATHS]).encode() + b"\n")


def _settle(tree: SourceTree) -> None:
    """Look until nothing changes any more, but not for ever."""
    for _ in range(MOST_STEPS):
        time.sleep(STEP_SECONDS)
        known = tree.files
        tree.look()
        if not tree.changes_since(known):
            return


def _trigger(backend: Backend, tree: SourceTree) -> _Trigger:
    if backend == "watchfiles":
        try:
            return _Events(tree)
        except ImportError as error:
            logger.warning("watchfiles cannot be used (%s): polling instead", error)
    return _Polling()


class _Polling:
    """Looks again and again."""

    settled = False

    def wait(self) -> bool:
        time.sleep(POLL_SECONDS)
        return True


class _Events:
    """Looks when watchfiles passes on an event of the kernel; when that fails, polls."""

    def __init__(self, tree: SourceTree) -> None:
        self._watchfiles: Any = importlib.import_module("watchfiles")
        self._tree = tree
        self._directories: dict[str, int] = {}
        """Those that the kernel tells about."""
        self._events: Iterator[set[tuple[int, str]]] = iter(())
        self._polling: _Polling | None = None

    @property
    def settled(self) -> bool:
        return self._polling is None

    def wait(self) -> bool:
        if self._polling is not None or not self._tree.directories:
            return _Polling().wait()
        fresh = self._directories != self._tree.directories
        if fresh:
            self._begin()
        try:
            changes = next(self._events)
        except FileNotFoundError:  # gone since the last look
            self._directories = {}
            time.sleep(STEP_SECONDS)
            return True
        except Exception as error:  # mostly: too few inotify watches or instances
            logger.warning("watchfiles has failed (%s): polling instead", error)
            self._polling = _Polling()
            return True
        if any(change != MODIFIED and self._is_directory(path) for change, path in changes):
            self._directories = {}  # one that has come back is another, whatever its inode
            return True
        # What happened before the kernel knew what to watch is found by looking once more.
        return fresh or any(self._is_watched(path) for _, path in changes)

    def _begin(self) -> None:
        self._directories = self._tree.directories
        self._events = self._watchfiles.watch(
            *self._directories,
            watch_filter=None,
            recursive=False,
            ignore_permission_denied=True,
            step=round(STEP_SECONDS * 1000),
            debounce=round(STEP_SECONDS * MOST_STEPS * 1000),
            rust_timeout=round(STEP_SECONDS * 1000),
            yield_on_timeout=True,
        )

    def _is_directory(self, path: str) -> bool:
        return path in self._directories or os.path.isdir(path)

    def _is_watched(self, path: str) -> bool:
        return is_watched(os.path.basename(path)) or path in self._tree.paths
