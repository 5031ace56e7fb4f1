"""What becomes of a process that the application forks in the middle of a request.

It has the server's sockets and, of its threads, the one that has forked. While it is in the application
it may do what it likes, and as a rule it ends there, by `os._exit` or an exec. One that comes back instead
(`sys.exit`, an exception, a plain return) would answer its parent's request a second time and go on to
serve, unknown to the supervisor and past the end of the server. So it reaches no client, and ends where
its parent sends the response.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from breezeway.worker.reactor import Reactor

logger = logging.getLogger("breezeway.worker")

STATUS: Final = 1
"""With which such a process ends."""

_reactors: WeakSet[Reactor] = WeakSet()


def watch_over(reactor: Reactor) -> None:
    """Keep the processes that are forked from now on out of a reactor's business."""
    _reactors.add(reactor)


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
    for reactor in list(_reactors):
        if reactor.mutex.locked():  # by a thread that is not here
            reactor.mutex.release()
        reactor.baton.forked = True
        reactor.baton.together = 0
        reactor.baton.window.clear()  # who comes back from the application has lost the baton
        for connection in reactor.connections():
            connection.gone = True
            connection.outbox = connection.fetch = None


os.register_at_fork(after_in_child=_disown)
