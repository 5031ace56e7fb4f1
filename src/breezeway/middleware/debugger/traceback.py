"""A failure taken apart: its exceptions, their frames, with source and variables."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, Final

CONTEXT_LINES: Final = 5
"""Before and after the line of a frame."""

MOST_FRAMES: Final = 40
"""Of one exception: the first and the last half, when a recursion has more."""

MOST_EXCEPTIONS: Final = 10
"""Of a chain."""

MOST_VARIABLES: Final = 60
"""Of a frame."""

LONGEST_VALUE: Final = 1500
"""Characters of a value."""

LONGEST_HEADLINE: Final = 10_000
"""Characters of an exception with its message."""

LONGEST_TEXT: Final = 100_000
"""Characters of a traceback as Python prints it: the first and the last half."""

MASKED: Final = frozenset(["HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_PROXY_AUTHORIZATION"])
"""Of an environ, wherever one is shown: a screenshot of the page is soon in a ticket."""

MASK: Final = "********"

CAUSE: Final = "was the direct cause of what follows"
CONTEXT: Final = "was being handled when what follows happened"

_OTHERS: Final = tuple(
    os.path.join(path, "")
    for path in {*sysconfig.get_paths().values(), os.path.dirname(os.path.dirname(__file__))}
)


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
    """What it has to do with the next one; empty for the last."""


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
        self.raised = list(_chain(self.error))[::-1]

    @property
    def frames(self) -> list[Frame]:
        """All frames, numbered by their place."""
        return [frame for raised in self.raised for frame in raised.frames]


def _chain(error: BaseException) -> Iterator[Raised]:
    """Yield an exception, and then what was behind it."""
    seen: set[int] = set()
    relation = ""
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(seen) < MOST_EXCEPTIONS:
        seen.add(id(current))
        frames, left_out = _frames(current.__traceback__)
        yield Raised(_headline(current), frames, left_out, relation)
        if current.__cause__ is not None:
            current, relation = current.__cause__, CAUSE
        elif not current.__suppress_context__:
            current, relation = current.__context__, CONTEXT
        else:
            current = None


def whole(error: BaseException) -> str:
    """Write the traceback; the attributes of an exception and the loader of a module may be anything."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as failed:
        return f"{_headline(error)}\n(Python cannot print the traceback: {_name(type(failed))})\n"
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return f"{text[:half]}\n... ({len(text)} characters)\n{text[-half:]}"


def _headline(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception_only(type(error), error)).rstrip("\n")
    except Exception:
        text = f"{_name(type(error))}: {shown(error.args)}"
    return text if len(text) <= LONGEST_HEADLINE else f"{text[:LONGEST_HEADLINE]}..."


def _frames(found: TracebackType | None) -> tuple[list[Frame], int]:
    walked = list(traceback.walk_tb(found))
    left_out = max(0, len(walked) - MOST_FRAMES)
    if left_out:
        half = MOST_FRAMES // 2
        walked = walked[:half] + walked[-half:]
    return [_frame(frame, number) for frame, number in walked], left_out


def _frame(frame: FrameType, number: int) -> Frame:
    code = frame.f_code
    filename = code.co_filename
    lines = _source(filename, number, frame.f_globals)
    function = getattr(code, "co_qualname", code.co_name)
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
                found.append((name, shown(masked(frame.f_locals[key]))))
            if len(found) == MOST_VARIABLES:
                break
    except Exception as error:
        found.append(("...", f"<the rest cannot be read: {_name(type(error))}>"))
    return found


def masked(value: Any) -> Any:
    """Return an environ without what gives rights; any other value as it is."""
    if type(value) is not dict or MASKED.isdisjoint(value):
        return value
    # There may be a copy of it in it.
    return {key: MASK if key in MASKED else masked(each) for key, each in value.items()}


_name: Final = type.__dict__["__name__"].__get__
"""The name of a class, whatever its metaclass makes of `__name__`."""


def shown(value: Any) -> str:
    """Write a value, whatever its `__repr__` does."""
    try:
        text = str.__str__(repr(value))  # repr() may return a subclass
    except KeyboardInterrupt:  # of who has had enough of it
        raise
    except BaseException as error:
        text = f"<{_name(type(value))}, whose repr() raised {_name(type(error))}>"
    if len(text) > LONGEST_VALUE:
        return f"{text[:LONGEST_VALUE]}... ({len(text)} characters)"
    return text


def _is_own(filename: str) -> bool:
    if filename.startswith("<") and filename not in sys.modules:
        return filename == "<string>"
    try:
        return not os.path.abspath(filename).startswith(_OTHERS)
    except OSError:  # the working directory is gone
        return True
