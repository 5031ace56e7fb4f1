"""One worker process: runs a reactor until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from types import FrameType

from breezeway.config.settings import Settings
from breezeway.gateway.types import Application
from breezeway.worker import descriptors
from breezeway.worker.forked import on_sigterm
from breezeway.worker.gil import warn_without_gil
from breezeway.worker.listener import Listener
from breezeway.worker.reactor import Reactor

logger = logging.getLogger("breezeway.worker")

SWITCH_SECONDS = 0.0005
"""How long a thread may keep the GIL from the others; Python's default is 0.005. The event loop gives
the GIL up at each system call, and beside threads that compute it has to wait this long to get it
back. Two such threads on one core: hello at 3,600 requests/s with 5 ms, 20,900 with 1 ms, 30,800
with 0.5 ms, at which those threads lose 15 %; without them no difference can be measured."""

CRASHED = 70
"""Exit code after an error of our own: EX_SOFTWARE of sysexits.h."""

INTERRUPTED = 130
"""Exit code after a second Ctrl-C: 128 + SIGINT, as shells have it."""


def run(application: Application, listeners: list[Listener], settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, finish the requests in flight, return the exit code.

    In another thread than the main one no signal handler can be set; then it serves for ever.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    descriptors.warn_if_few(settings.limit_connections)
    warn_without_gil(settings)
    reactor = Reactor(application, listeners, settings)
    stop = threading.Event()

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        stop.set()

    before = {}
    if threading.current_thread() is threading.main_thread():
        before[signal.SIGTERM] = on_sigterm(on_signal)
        before[signal.SIGINT] = signal.signal(signal.SIGINT, on_signal)
    reactor.on_failure = stop.set
    reactor.start()
    try:
        stop.wait()
        if reactor.failed:
            reactor.end_logs()
            return CRASHED
        return finish(reactor, settings.graceful_timeout)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
        reactor.end_logs()
    return 0
