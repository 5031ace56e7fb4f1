"""What becomes of a process that the application forks in the middle of a request.

It has the server's sockets and, of its threads, the one that has forked. While it is in the application
it may do what it likes, and as a rule it ends there, by `os._exit` or an exec. One that comes back instead
(`sys.exit`, an exception, a plain return) would answer its parent's request a second time and go on to
serve, unknown to the supervisor and past the end of the server. So it reaches no client, and ends where
its parent sends the response.

One that stays, as those of `multiprocessing` do, has nothing of the connections either, nor of the
listeners: what the server closes would be open as long as somebody has it, and its port taken. And it ends
by SIGTERM, which is how its parent ends it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from breezeway.worker.layer import Channel
    from breezeway.worker.listener import Listener
    from breezeway.worker.reactor import Reactor

logger = logging.getLogger("breezeway.worker")

STATUS: Final = 1
"""With which such a process ends."""

Handler = Callable[[int, FrameType | None], None]

_reactors: WeakSet[Reactor] = WeakSet()
_listeners: WeakSet[Listener] = WeakSet()
_handlers: list[Handler] = []


def watch_over(reactor: Reactor) -> None:
    """Keep the processes that are forked from now on out of a reactor's business."""
    _reactors.add(reactor)
    keep_to_itself(each.listener for each in reactor.acceptors.each)


def keep_to_itself(listeners: Iterable[Listener]) -> None:
    """Keep listeners out of the processes that are forked from now on, also before a reactor has them."""
    _listeners.update(listeners)


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
    held: list[tuple[Channel, int]] = [
        (each.socket, each.socket.fileno()) for each in list(_listeners)
    ]
    for reactor in list(_reactors):
        # A thread that is not here may hold it, also where `locked` denies that: it is told with the GIL.
        reactor.mutex._at_fork_reinit()  # type: ignore[attr-defined]  # (`threading` has it)
        reactor.baton.forked = True
        reactor.baton.together = 0
        reactor.baton.window.clear()  # who comes back from the application has lost the baton
        for connection in reactor.connections():
            connection.gone = True
            connection.outbox = connection.fetch = None
            held.append((connection.socket, connection.fd))
    with contextlib.suppress(OSError):  # no descriptor is left
        _let_go_of(held)


def _let_go_of(sockets: Iterable[tuple[Channel, int]]) -> None:
    """Have the descriptors of sockets stand for nothing; their objects may close them as ever."""
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        for sock, fd in sockets:
            if sock.fileno() == fd >= 0:  # not closed just now
                os.dup2(nothing, fd, inheritable=False)
    finally:
        os.close(nothing)


os.register_at_fork(after_in_child=_disown)
