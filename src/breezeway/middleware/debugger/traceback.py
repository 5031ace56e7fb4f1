"""A failure taken apart: its exceptions, their frames, with source and variables."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_tb
from types import FrameType, TracebackType
from typing import Any, Final

from breezeway import tracebacks
from breezeway.middleware.debugger.values import name_of, shown

CONTEXT_LINES: Final = 5
"""Before and after the line of a frame."""

MOST_FRAMES: Final = 40
"""Of one exception: the first and the last half, when a recursion has more."""

MOST_EXCEPTIONS: Final = 10
"""Of a failure, with what is behind it and in its groups."""

MOST_VARIABLES: Final = 60
"""Of a frame."""

LONGEST_HEADLINE: Final = 10_000
"""Characters of an exception with its message."""

LONGEST_NAME_OF_GROUP: Final = 200
"""Characters by which its parts name it."""

LONGEST_TEXT: Final = 100_000
"""Characters of a traceback as Python prints it: the first and the last half."""

CAUSE: Final = "was the direct cause of what follows"
CONTEXT: Final = "was being handled when what follows happened"

_LIBRARIES: Final = tuple(
    os.path.join(path, "")
    for path in (sysconfig.get_path("stdlib"), os.fspath(Path(__file__).parents[2]))
)
"""Python's and ours, with a separator behind."""

_INSTALLED: Final = frozenset(["site-packages", "dist-packages"])
"""Directories of packages of others, in whichever environment."""


@dataclass(frozen=True)
class Line:
    """A line of source."""

    number: int
    text: str
    is_current: bool


@dataclass(frozen=True)
class Frame:
    """A call that was under way."""

    frame: FrameType
    filename: str
    number: int
    function: str
    lines: list[Line]
    variables: list[tuple[str, str]]
    is_own: bool
    """It is in the application's own code, not in a library."""


@dataclass(frozen=True)
class Raised:
    """One exception of the chain."""

    headline: str
    """The type and the message."""
    frames: list[Frame]
    left_out: int
    """Frames in the middle that are not shown."""
    relation: str
    """What it has to do with the next one, or with its group; empty for the last."""


@dataclass
class Failure:
    """An exception that left the application, and those behind it; the first raised comes first."""

    error: BaseException
    text: str = field(init=False)
    """The traceback as Python prints it."""
    raised: list[Raised] = field(init=False)

    def __post_init__(self) -> None:
        """Take it apart."""
        self.text = whole(self.error)
        self.raised = list(_chain(self.error, "", set()))[::-1]

    @property
    def frames(self) -> list[Frame]:
        """All frames, numbered by their place."""
        return [frame for raised in self.raised for frame in raised.frames]


def _chain(error: BaseException, relation: str, seen: set[int]) -> Iterator[Raised]:
    """Yield an exception, what was behind it, and then the parts of it if it is a group."""
    if id(error) in seen or len(seen) >= MOST_EXCEPTIONS:
        return
    seen.add(id(error))
    frames, left_out = _frames(error.__traceback__)
    headline = _headline(error)
    yield Raised(headline, frames, left_out, relation)
    if error.__cause__ is not None:
        yield from _chain(error.__cause__, CAUSE, seen)
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from _chain(error.__context__, CONTEXT, seen)
    if isinstance(error, BaseExceptionGroup):
        name = headline.partition("\n")[0][:LONGEST_NAME_OF_GROUP]
        parts = enumerate(error.exceptions[: MOST_EXCEPTIONS - len(seen)], 1)
        for number, part in reversed([*parts]):
            yield from _chain(part, f"is part {number} of {name}", seen)


def whole(error: BaseException) -> str:
    """Write the traceback."""
    text = tracebacks.whole(error, error.__traceback__)
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return f"{text[:half]}\n... ({len(text)} characters)\n{text[-half:]}"


def _headline(error: BaseException) -> str:
    lines = tracebacks.last_lines(error)
    # Of a SyntaxError the source comes first.
    at = next(place for place, line in enumerate(lines) if not line.startswith(" "))
    text = "".join([lines[at], *lines[:at], *lines[at + 1 :]]).rstrip("\n")
    return text if len(text) <= LONGEST_HEADLINE else f"{text[:LONGEST_HEADLINE]}..."


def _frames(found: TracebackType | None) -> tuple[list[Frame], int]:
    walked = list(walk_tb(found))
    left_out = max(0, len(walked) - MOST_FRAMES)
    if left_out:
        half = MOST_FRAMES // 2
        walked = walked[:half] + walked[-half:]
    return [_frame(frame, number) for frame, number in walked], left_out


def _frame(frame: FrameType, number: int) -> Frame:
    code = frame.f_code
    filename = code.co_filename
    lines = _source(filename, number, frame.f_globals)
    # Jinja renames the code of a template, but not with its qualified name.
    is_renamed = not code.co_qualname.endswith(code.co_name)
    function = code.co_name if is_renamed else code.co_qualname
    return Frame(frame, filename, number, function, lines, _variables(frame), _is_own(filename))


def _source(filename: str, number: int, names: dict[str, Any]) -> list[Line]:
    try:
        linecache.checkcache(filename)
        return [
            Line(each, text.rstrip("\n"), each == number)
            for each in range(max(1, number - CONTEXT_LINES), number + CONTEXT_LINES + 1)
            if (text := linecache.getline(filename, each, names))
        ]
    except Exception:  # a loader's, or that of a name that no file can have
        return []


def _variables(frame: FrameType) -> list[tuple[str, str]]:
    """Write the locals, which are any mapping for code that was given to exec."""
    found: list[tuple[str, str]] = []
    try:
        for key in frame.f_locals:
            name = key if type(key) is str else shown(key)
            if not name.startswith("__"):
                found.append((name, shown(frame.f_locals[key])))
            if len(found) == MOST_VARIABLES:
                break
    except Exception as error:
        found.append(("...", f"<the rest cannot be read: {name_of(type(error))}>"))
    return found


def _is_own(filename: str) -> bool:
    if filename.startswith("<") and filename not in sys.modules:
        return filename == "<string>"
    try:
        path = os.path.abspath(filename)
    except OSError:  # the working directory is gone
        return True
    return not path.startswith(_LIBRARIES) and _INSTALLED.isdisjoint(path.split(os.sep))
