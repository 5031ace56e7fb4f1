"""Times and texts of the access log.

Nobody can forge a line or hide one (CWE-117): what could end a quoted value or the line, steer a
terminal, or turn the order of its characters round, is written as an escape.
"""

from __future__ import annotations

import time
from typing import Any, Final

_OFFSET_SECONDS: Final = 1.0
"""After so long it is looked whether the clock was set."""


class Clock:
    """Tells what time of day a moment of the monotonic clock was."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._look_at = 0.0

    def at(self, moment: float) -> float:
        """Return the time in seconds since 1970, in UTC."""
        if moment >= self._look_at:
            self._offset = time.time() - time.monotonic()
            self._look_at = moment + _OFFSET_SECONDS
        return moment + self._offset


class Stamp:
    """Writes times in one form; its text is made anew when the second is another."""

    def __init__(self, form: str) -> None:
        self._clock = Clock()
        self._form = form
        self._second = 0
        self._text = ""

    def whole(self, moment: float) -> str:
        """Return the time to the second."""
        self._advance(self._clock.at(moment))
        return self._text

    def exact(self, moment: float) -> str:
        """Return the time with six digits behind a point."""
        now = self._clock.at(moment)
        self._advance(now)
        return f"{self._text}.{int((now - self._second) * 1e6):06d}"

    def _advance(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._second = second
            self._text = time.strftime(self._form, time.gmtime(second))


COMMON_STAMP: Final = "%d/%b/%Y:%H:%M:%S +0000"
"""As the Common Log Format has it."""


def escape(character: str) -> str:
    """Write a character in ASCII."""
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def legible(text: str) -> str:
    """Escape what could end a line, steer a terminal or turn text round; quotes stay."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else escape(each) for each in text)


def quoted(value: object) -> str:
    """Escape what could end a quoted value or the line; an application may have left anything."""
    text = str(value)
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(
        each if each.isprintable() and each not in '"\\' else escape(each) for each in text
    )


def user_of(environ: dict[str, Any]) -> str:
    """Return the name of the user as one word."""
    name = environ.get("REMOTE_USER")
    return quoted(name).replace(" ", "\\x20") if name else "-"
