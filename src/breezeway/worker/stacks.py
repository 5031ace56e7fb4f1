"""What every thread of this process is doing: in which request, for how long, and where in the code.

Requests pay nothing for it. A thread in a call of the application has the frame of `Exchange.run`
on its stack, with the exchange and the environ among its locals; it is looked for when somebody asks.
"""

from __future__ import annotations

import faulthandler
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from traceback import FrameSummary, StackSummary, format_list
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from breezeway.gateway.current import RUN
from breezeway.observe.request_fields import request_fields, request_line
from breezeway.worker.gil import has_gil

if TYPE_CHECKING:
    from breezeway.gateway.exchange import Exchange

FRAMES_SHOWN: Final = 50
"""Innermost frames of a stack; a recursion without end has a thousand."""

_RUN: Final = RUN.co_filename, RUN.co_name
_OURS: Final = tuple(os.path.dirname(each) + os.sep for each in (RUN.co_filename, __file__))
_THREADING: Final = threading.Thread.run.__code__.co_filename

_DUMPED_THREAD: Final = re.compile(r"hread 0x([0-9a-f]+)[^\n]*\n((?:  [^\n]*\n)*)")
_DUMPED_FRAME: Final = re.compile(r'  File "([^\n]*)", line (\d+) in ([^\n]*)\n')

_Seen = tuple[int, str | None, StackSummary, dict[str, Any] | None, "Exchange | None"]

_AT_REST: Final = {
    ("breezeway.worker.baton", "Baton._next_job"): "waiting for work",
    ("breezeway.worker.baton", "Baton._watch"): "warden: watching over the calls",
    ("breezeway.worker.reactor", "Reactor._lead"): "event loop",
    ("breezeway.worker.poller", "PollPoller.poll"): "event loop",
    ("breezeway.observe.access_log", "AccessLog._write"): "access log: waiting for lines",
    ("breezeway.supervisor.channel", "Channel.receive"): "listening to the supervisor",
    ("breezeway.supervisor.child", "_Worker.run"): "waiting for the end",
    ("breezeway.supervisor.child", "_Worker._finish"): "waiting for the last requests",
}
"""What a thread does whose innermost frame is this one, but for those of `threading`."""


@dataclass(frozen=True, slots=True)
class ThreadStack:
    """What one thread is doing.

    `request` is such as "GET /path?query", and `seconds` the time since it was complete; both are
    None when the thread is in none. `stack` has lines of text, as a traceback has them, the innermost
    frame last.
    """

    name: str
    request: str | None
    seconds: float | None
    stack: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the same for JSON."""
        return {
            "name": self.name,
            "request": self.request,
            "seconds": self.seconds,
            "stack": list(self.stack),
        }

    def __str__(self) -> str:
        """Return the same for the log: a line for the thread and one for each of the stack."""
        what = self.name if self.request is None else f"{self.name}: {self.request}"
        since = "" if self.seconds is None else f", for {self.seconds:.1f} s"
        return "\n  ".join([what + since, *self.stack])


def stacks() -> list[ThreadStack]:
    """Tell what all threads of this process are doing, those outside of the reactor too.

    Without the GIL, where they are, but not in which request.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    now = time.monotonic()
    # Threads run on: first everything is noted that changes, then source files are read.
    seen: list[_Seen]
    if has_gil():
        seen = [
            (ident, _at_rest(frame), places(frame), *request_of(frame))
            for ident, frame in sys._current_frames().items()
        ]
    else:
        seen = [(ident, None, stack, None, None) for ident, stack in _without_gil().items()]
    found = []
    for ident, rest, stack, environ, exchange in seen:
        if ident == threading.get_ident():
            rest, environ, exchange = "taking these stacks", None, None
        since = None if exchange is None else exchange.began
        found.append(
            ThreadStack(
                names.get(ident, f"thread {ident}"),
                None if environ is None else describe(environ),
                None if since is None else now - since,
                (rest,) if rest else tuple(lines(stack)),
            )
        )
    return sorted(found, key=lambda each: (each.request is None, -(each.seconds or 0.0), each.name))


def describe(environ: dict[str, Any]) -> str:
    """Name a request in one printable line; an application may have left anything in the environ."""
    text = request_line(request_fields(environ))
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def places(frame: FrameType | None) -> StackSummary:
    """Return where a thread is, outermost first, without reading any source yet.

    Of a thread in a request, it is the part from the application's first frame on.
    """
    return _of_interest(
        [
            FrameSummary(
                each.f_code.co_filename, each.f_lineno, each.f_code.co_name, lookup_line=False
            )
            for each in _walk(frame)
        ]
    )


def places_of(ident: int) -> StackSummary:
    """Return where another thread is, as `places` does."""
    if has_gil():
        return places(sys._current_frames().get(ident))
    return _without_gil().get(ident) or StackSummary.from_list([])


def _of_interest(frames: list[FrameSummary]) -> StackSummary:
    """Take away what is not the application's, from the innermost frame to the outermost; turn it round."""
    inside = next(
        (at for at, each in enumerate(frames) if (each.filename, each.name) == _RUN), len(frames)
    )
    if inside < len(frames):
        frames = frames[:inside]
        while len(frames) > 1 and frames[-1].filename.startswith(_OURS):
            frames.pop()
    else:
        while len(frames) > 1 and frames[-1].filename == _THREADING:
            frames.pop()
    return StackSummary.from_list(reversed(frames))


def _without_gil() -> dict[int, StackSummary]:
    """Return where all threads are, by their ident: frames that run must not be touched.

    faulthandler alone stops all threads while it looks, and writes a text.
    """
    from tempfile import TemporaryFile  # rarely

    with TemporaryFile() as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        text = file.read().decode("ascii", "replace")
    found = {}
    for ident, stack in _DUMPED_THREAD.findall(text):
        found[int(ident, 16)] = _of_interest(
            [
                FrameSummary(name, int(line), function, lookup_line=False)
                for name, line, function in _DUMPED_FRAME.findall(stack)
            ]
        )
    return found


def lines(summaries: Sequence[FrameSummary]) -> list[str]:
    """Return the text of a stack, which reads the source files."""
    left_out = len(summaries) - FRAMES_SHOWN
    text = "".join(format_list(list(summaries[-FRAMES_SHOWN:]))).splitlines()
    head = [f"({left_out} frames left out)"] if left_out > 0 else []
    return head + [line.removeprefix("  ") for line in text]


def _at_rest(frame: FrameType) -> str | None:
    """Return what a thread does that has nothing to do, or None."""
    inside = next((each for each in _walk(frame) if _module(each) != "threading"), frame)
    return _AT_REST.get((_module(inside), inside.f_code.co_qualname))


def request_of(frame: FrameType) -> tuple[dict[str, Any] | None, Exchange | None]:
    """Return environ and exchange of the request in which another thread is; None without the GIL."""
    if not has_gil():
        return None, None
    run = next((each for each in _walk(frame) if each.f_code is RUN), None)
    if run is None:
        return None, None
    return run.f_locals.get("environ"), run.f_locals.get("self")


def _walk(frame: FrameType | None) -> Iterator[FrameType]:
    """Go from a frame to the outermost one."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
