"""What a line of the log looks like: text for people, JSON for machines.

Whatever a client or an application has put into a message, it cannot forge another one: in text,
control characters are escaped, and every line of a message but its first begins with two blanks; a
JSON object stands in one line, in ASCII.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from traceback import StackSummary, extract_tb
from types import TracebackType
from typing import Any, Final

from breezeway import tracebacks
from breezeway.observe.request_fields import FIELDS, NONE

MOST_FRAMES: Final = 50
"""Innermost frames that are told of a stack; a recursion without end has a thousand."""

MOST_EXCEPTIONS: Final = 10
"""Of a chain of exceptions, those raised last."""

_SHORT: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}
"""Names cut to five letters, so that the messages stand in one column."""

_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
"""Control characters but for tab and newline, other ends of lines, and what turns text around."""

_STANDARD: Final = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}
"""Attributes of every record."""

_TOLD: Final = {*FIELDS, "tag", "duration", "frames", "short", "who"}
"""Attributes that have a place of their own, or none."""


class Role:
    """What this process is to the others, such as `worker 3`; the one of this module is in force."""

    __slots__ = ("name", "number")

    def __init__(self) -> None:
        self.become("")

    def become(self, role: str) -> None:
        """Take a role: a word, and a number if there are several."""
        name, _, number = role.partition(" ")
        self.name = name
        self.number = int(number) if number else None

    def __str__(self) -> str:
        return self.name if self.number is None else f"{self.name} {self.number}"


role: Final = Role()


class _Formatter(logging.Formatter):
    """What both have in common."""

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return the traceback of any exception; a `logging.Formatter` fails over some."""
        _, error, traceback = ei
        return "" if error is None else tracebacks.whole(error, traceback).rstrip("\n")


class TextFormatter(_Formatter):
    """`2026-11-21 15:04:05.123 INFO  message`, or `... INFO  [worker 3 1234] message`. Times are UTC."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03d"

    def __init__(self, *, process: bool = False) -> None:
        """With `process`, a line says which process wrote it."""
        super().__init__(f"%(asctime)s %(short)-5s {'%(who)s ' if process else ''}%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a message, without a newline at the end."""
        record.short = _SHORT.get(record.levelname, record.levelname)
        record.who = f"[{role} {record.process}]" if role.name else f"[{record.process}]"
        return escaped(super().format(record)).rstrip("\n").replace("\n", "\n  ")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Put before the message what it belongs to, if that is not said in it."""
        tag = getattr(record, "tag", "")
        if tag:
            record.message = f"{tag}: {record.message}"
        return super().formatMessage(record)


class JSONFormatter(_Formatter):
    """One JSON object in a line.

    Members: `time` (UTC, microseconds), `level`, `logger`, `message`, `role`, `worker`, `pid`,
    `thread`. Where there is one, the request: `method`, `target`, `client`, `request_id`,
    `traceparent`; `duration` in seconds; `frames` of a stack. Of an exception `traceback` as text and
    `exceptions`, the one that was raised last first. What was given to `logging` as `extra` is in
    `extra`. For a `formatters` table of `logging.config`, too.
    """

    def __init__(self) -> None:
        """Take nothing, for there is nothing to choose."""
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """Return the object, without a newline at the end."""
        told: dict[str, Any] = {
            "time": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "role": role.name or "server",
            "worker": role.number,
            "pid": record.process,
            "thread": record.threadName,
        }
        given = record.__dict__
        told |= {name: given[name] for name in FIELDS if given.get(name, NONE) != NONE}
        told |= {name: given.get(name) for name in ("duration", "frames")}
        if record.exc_info and record.exc_info[1] is not None:
            told["traceback"] = self.formatException(record.exc_info)
            told["exceptions"] = list(_exceptions(record.exc_info[1], record.exc_info[2]))
        if record.stack_info:
            told["stack"] = record.stack_info
        extra = {name: given[name] for name in given.keys() - _STANDARD - _TOLD}
        told["extra"] = extra or None
        there = {name: value for name, value in told.items() if value is not None}
        try:
            return _json(there)
        except (ValueError, RecursionError):  # NaN, or an object within itself: JSON has neither
            there["extra"] = {name: _shown(value) for name, value in extra.items()}
            return _json(there)


def _json(value: object) -> str:
    return json.dumps(value, default=_shown, skipkeys=True, allow_nan=False, separators=(",", ":"))


def escaped(text: str) -> str:
    """Return text that cannot move a terminal's cursor or end a line, but for newlines and tabs."""
    return _UNSAFE.sub(_escape, text)


def frames(stack: StackSummary) -> list[dict[str, Any]]:
    """Return the places of a stack for JSON, the innermost last."""
    return [
        {"file": each.filename, "line": each.lineno, "function": each.name, "source": each.line}
        for each in stack[-MOST_FRAMES:]
    ]


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _exceptions(error: BaseException, traceback: TracebackType | None) -> Iterator[dict[str, Any]]:
    """Tell an exception, then the one that led to it, and so on."""
    following: BaseException | None = error
    seen: set[int] = set()
    while following is not None and id(following) not in seen and len(seen) < MOST_EXCEPTIONS:
        error = following
        seen.add(id(error))
        kind = type(error)
        yield {
            "type": kind.__name__
            if kind.__module__ == "builtins"
            else f"{kind.__module__}.{kind.__qualname__}",
            "message": _shown(error),
            "frames": frames(extract_tb(traceback, limit=-MOST_FRAMES)),
        }
        following = error.__cause__
        if following is None and not error.__suppress_context__:
            following = error.__context__
        traceback = following.__traceback__ if following is not None else None


def _shown(value: object) -> str:
    """Return the text of anything; a `__str__` of an application may fail."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__} that cannot be shown>"
