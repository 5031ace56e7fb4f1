"""Taking the profile of a request in steps.

A process has one profile going at a time, over all instances: cProfile refuses a second one (from Python
3.12 on), and two would measure each other. It goes while the application works, not between the blocks of
its response, so that a response that takes hours keeps nobody waiting.
"""

from __future__ import annotations

import os
import threading
from typing import Final

from breezeway.middleware.profiler.engine import Engine


class _Gate:
    """Lets one profile through; a forked process begins with an open one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        os.register_at_fork(after_in_child=self._open)

    def _open(self) -> None:
        self.lock = threading.Lock()


gate: Final = _Gate()


class Recording:
    """The profile of one request, taken in steps."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._gate: threading.Lock | None = None
        self._holds = False
        self._runs = False
        self.has_started = False

    def hold(self) -> bool:
        """Keep all others out until `let_go`; return whether that is possible, and the engine starts."""
        if not self.start():
            return False
        self._holds = True
        self.rest()
        return True

    def let_go(self) -> None:
        """Let others in."""
        self._holds = False
        self._leave()

    def start(self) -> bool:
        """Begin a step; return whether that is possible now."""
        if self._gate is None:
            lock = gate.lock
            if not lock.acquire(blocking=False):
                return False
            self._gate = lock
        try:
            self.engine.start()
            self._runs = self.has_started = True
        except (ValueError, RuntimeError):  # there is a profiler that is not ours
            pass
        finally:
            if not self._runs:
                self._leave()
        return self._runs

    def rest(self) -> None:
        """End the step, if there is one."""
        if not self._runs:
            return
        self._runs = False
        try:
            self.engine.stop()
        finally:
            if not self._holds:
                self._leave()

    def _leave(self) -> None:
        lock, self._gate = self._gate, None
        if lock is not None:
            lock.release()
