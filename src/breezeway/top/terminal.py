"""What Textual does not notice of a terminal: that it is gone, or that the process was stopped."""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

GONE: Final = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Terminal:
    """The terminal of the process, if it has one; otherwise nothing ever happens to it."""

    def __init__(self) -> None:
        self._poll: select.poll | None = None
        if sys.__stdin__ is not None and sys.__stdin__.isatty():
            self._poll = select.poll()
            self._poll.register(sys.__stdin__.fileno(), 0)

    @property
    def is_gone(self) -> bool:
        """Whether the other end has hung up; not everybody gets a SIGHUP then."""
        return self._poll is not None and any(event & GONE for _, event in self._poll.poll(0))


def watch_stops(come_back: Callable[[], object]) -> None:
    """Call `come_back` when the process goes on after SIGSTOP, or gets a SIGCONT out of the blue.

    Textual takes each SIGCONT for the end of its own suspension, and would start a second thread that
    reads keys; the two take them away from each other, and one of them does not end.
    """
    suspend, resume = signal.getsignal(signal.SIGTSTP), signal.getsignal(signal.SIGCONT)
    if not (callable(suspend) and callable(resume)):  # it has no terminal
        return
    suspended = False
    of_textual: tuple[Callable[[int, FrameType | None], Any], ...] = (suspend, resume)

    def on_suspend(number: int, frame: FrameType | None) -> None:
        nonlocal suspended
        suspended = True
        of_textual[0](number, frame)

    def on_continue(number: int, frame: FrameType | None) -> None:
        nonlocal suspended
        if suspended:
            suspended = False
            of_textual[1](number, frame)
        else:
            come_back()

    signal.signal(signal.SIGTSTP, on_suspend)
    signal.signal(signal.SIGCONT, on_continue)
