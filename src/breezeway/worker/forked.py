"""What becomes of a process that the application forks in the middle of a request.

It has the server's sockets and, of its threads, the one that has forked. While it is in the application
it may do what it likes, and as a rule it ends there, by `os._exit` or an exec. One that comes back instead
(`sys.exit`, an exception, a plain return) would answer its parent's request a second time and go on to
serve, unknown to the supervisor and past the end of the server. So it reaches no client, and ends where
its parent sends the response.

One that stays, as those of `multiprocessing` do, has nothing of the connections either: what the server
closes would be open as long as somebody has it. And it ends by SIGTERM, which is how its parent ends it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from breezeway.worker.connection import Connection
    from breezeway.worker.reactor import Reactor

logger = logging.getLogger("breezeway.worker")

STATUS: Final = 1
"""With which such a process ends."""

Handler = Callable[[int, FrameType | None], None]

_reactors: WeakSet[Reactor] = WeakSet()
_handlers: list[Handler] = []


def watch_over(reactor: Reactor) -> None:
    """Keep the processes that are forked from now on out of a reactor's business."""
    _reactors.add(reactor)


def on_sigterm(handler: Handler) -> Any:
    """Have SIGTERM handled in this process, but not in those that are forked from now on.

    Returns:
        The handler before, as `signal.signal` does.
    """
    _handlers.append(handler)
    return signal.signal(signal.SIGTERM, handler)


def end_if_forked(reactor: Reactor) -> None:
    """End this process if it is not the one that the reactor was started in."""
    if reactor.baton.forked:
        text = (
            "process %d, which the application has forked, came back from its request: it is ended"
        )
        logger.error(text, os.getpid())
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(STATUS)


def _disown() -> None:
    """Take everything out of reach, in a process that was just forked."""
    if signal.getsignal(signal.SIGTERM) in _handlers:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for reactor in list(_reactors):
        if reactor.mutex.locked():  # by a thread that is not here
            reactor.mutex.release()
        reactor.baton.forked = True
        reactor.baton.together = 0
        reactor.baton.window.clear()  # who comes back from the application has lost the baton
        connections = reactor.connections()
        for connection in connections:
            connection.gone = True
            connection.outbox = connection.fetch = None
        with contextlib.suppress(OSError):  # no descriptor is left
            _let_go_of(connections)


def _let_go_of(connections: list[Connection]) -> None:
    """Have the descriptors of connections stand for nothing; their objects may close them as ever."""
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        for connection in connections:
            if connection.socket.fileno() == connection.fd:  # not closed just now
                os.dup2(nothing, connection.fd, inheritable=False)
    finally:
        os.close(nothing)


os.register_at_fork(after_in_child=_disown)
