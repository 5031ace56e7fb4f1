"""What takes a profile: cProfile, or pyinstrument; and the tree of calls that both come to."""

from __future__ import annotations

import cProfile
import logging
import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any, Final, Protocol

log = logging.getLogger("breezeway.middleware")

MOST_NODES: Final = 5_000
"""Of a tree; a page with more is slow, and the rest is too narrow to be seen."""

LEAST_SHARE: Final = 0.0005
"""Of the whole time; what takes less is left out."""

MOST_DEPTH: Final = 200

_HERE: Final = Path(__file__).parent

_OWN: Final = frozenset(map(os.fspath, (*_HERE.glob("*.py"), _HERE.with_name("closing.py"))))
"""Our own functions, which are left out; what they have called stands in their place."""

_SELF: Final = "[self]"

INTERVAL_SECONDS: Final = 0.001
"""Between two samples of pyinstrument; that is its own default."""


@dataclass(slots=True)
class Node:
    """A function as called from the one above it; `seconds` are with all that it has called."""

    name: str
    place: str
    seconds: float
    children: list[Node] = field(default_factory=list)


class Engine(Protocol):
    """Takes one profile."""

    def start(self) -> None:
        """Go on, on this thread; raise ValueError or RuntimeError if another profiler is at work."""

    def stop(self) -> None:
        """Rest."""

    def tree(self) -> Node:
        """Return what was called by what."""

    def save(self, path: str) -> None:
        """Write it for other tools into a new file."""

    def caveat(self) -> str:
        """Return what is to be kept in mind of this profile; mostly nothing."""


# --- cProfile ------------------------------------------------------------------------------------


class CProfile:
    """Counts every call: exact in counts, and dear for small functions."""

    suffix = ".prof"

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def start(self) -> None:
        """Go on."""
        self._profile.enable()

    def stop(self) -> None:
        """Rest."""
        self._profile.disable()

    def caveat(self) -> str:
        """Tell that calls of other threads are among these: from Python 3.12 on cProfile sees them all."""
        if sys.version_info < (3, 12) or threading.active_count() == 1:
            return ""
        return "what other threads called meanwhile is among this; the engine pyinstrument leaves it out"

    def save(self, path: str) -> None:
        """Write it for pstats and its kin."""
        self._profile.dump_stats(path)

    def tree(self) -> Node:
        """Return a tree of the calls.

        cProfile knows who has called whom, and not on which way: below a function that was called from
        two places, its time is shared out in proportion.
        """
        return _Calls(self._profile.getstats()).tree()


class _Calls:
    def __init__(self, entries: list[Any]) -> None:
        self._entries = {each.code: each for each in entries}
        self._left = MOST_NODES

    def tree(self) -> Node:
        called = {
            sub.code
            for entry in self._entries.values()
            for sub in entry.calls or ()
            if sub.code != entry.code
        }
        roots = [entry for code, entry in self._entries.items() if code not in called]
        whole = Node("request", "", sum(entry.totaltime for entry in roots))
        self._least = whole.seconds * LEAST_SHARE
        for entry in roots:
            self._grow(whole, entry.code, entry.totaltime, frozenset())
        return whole

    def _grow(self, parent: Node, code: Any, seconds: float, above: frozenset[Any]) -> None:
        if self._left <= 0 or seconds < self._least or len(above) > MOST_DEPTH or code in above:
            return
        node = parent
        if not _is_own(code):
            self._left -= 1
            node = Node(*_named(code), seconds)
            parent.children.append(node)
        entry = self._entries.get(code)
        if entry is None or not entry.calls or not entry.totaltime:
            return
        share = min(1.0, seconds / entry.totaltime)
        below = above | {code}
        for sub in entry.calls:
            self._grow(node, sub.code, sub.totaltime * share, below)
        node.children.sort(key=_width)


def _width(node: Node) -> float:
    return -node.seconds


def _is_own(code: CodeType | str) -> bool:
    if isinstance(code, str):
        return "_lsprof.Profiler" in code
    return code.co_filename in _OWN


def _named(code: CodeType | str) -> tuple[str, str]:
    if isinstance(code, str):
        return code, ""
    return code.co_qualname, f"{code.co_filename}:{code.co_firstlineno}"


# --- pyinstrument --------------------------------------------------------------------------------


class Pyinstrument:
    """Looks at the stack every millisecond: cheap, and true to the way of each call."""

    suffix = ".pyisession"

    def __init__(self) -> None:
        from pyinstrument import Profiler

        self._profiler = Profiler(interval=INTERVAL_SECONDS, async_mode="disabled")

    def start(self) -> None:
        """Go on."""
        self._profiler.start()

    def stop(self) -> None:
        """Rest."""
        self._profiler.stop()

    def caveat(self) -> str:
        """Nothing: only this thread is looked at."""
        return ""

    def save(self, path: str) -> None:
        """Write it for `pyinstrument --load`."""
        session = self._profiler.last_session
        assert session is not None
        session.save(path)

    def tree(self) -> Node:
        """Return a tree of the calls."""
        session = self._profiler.last_session
        frame = None if session is None else session.root_frame()
        whole = Node("request", "", frame.time if frame is not None else 0.0)
        waiting = [(whole, frame, 0)] if frame is not None else []
        left = MOST_NODES
        while waiting and left > 0:
            parent, frame, depth = waiting.pop(0)
            if frame.time < whole.seconds * LEAST_SHARE or depth > MOST_DEPTH:
                continue
            if frame.function == _SELF:  # what is left of its parent says the same
                continue
            node = parent
            if frame.file_path not in _OWN:
                left -= 1
                place = f"{frame.file_path}:{frame.line_no}" if frame.file_path else ""
                node = Node(frame.function, place, frame.time)
                parent.children.append(node)
            waiting += [(node, child, depth + 1) for child in frame.children]
        return whole


def engine_of(name: str) -> type[CProfile] | type[Pyinstrument]:
    """Return the engine of that name; warn where taking a profile may end the process.

    Raises:
        ValueError: there is none, or its package is not installed.
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        log.warning("Profiler: Python runs without the GIL, and a profile may crash this process")
    if name == "cprofile":
        return CProfile
    if name != "pyinstrument":
        raise ValueError(f"engine must be cprofile or pyinstrument, not {name!r}")
    try:
        import pyinstrument as pyinstrument
    except ImportError:
        raise ValueError(
            "engine pyinstrument needs the package pyinstrument: pip install 'breezeway[profiler]'"
        ) from None
    return Pyinstrument
