"""One worker process: runs a reactor until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType

from breezeway.config.settings import Settings
from breezeway.gateway.types import Application
from breezeway.worker.listener import Listener
from breezeway.worker.reactor import Reactor

logger = logging.getLogger("breezeway.worker")

INTERRUPTED = 130
"""Exit code after a second Ctrl-C: 128 + SIGINT, as shells have it."""


def run(application: Application, listeners: list[Listener], settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, finish the requests in flight, return the exit code.

    In another thread than the main one no signal handler can be set; then it serves for ever.
    """
    reactor = Reactor(application, listeners, settings)
    stop = threading.Event()

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        stop.set()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)
    reactor.start()
    stop.wait()
    return finish(reactor, settings.graceful_timeout)


def finish(reactor: Reactor, grace: float) -> int:
    """Stop a reactor, waiting at most `grace` seconds for the requests in flight; 0."""
    logger.info("stopping: finishing the requests in flight")
    reactor.stop()
    if not reactor.stopped.wait(grace):
        logger.warning(
            "%d threads were still busy after %g s; their requests are cut off",
            reactor.baton.busy_threads,
            grace,
        )
    return 0
