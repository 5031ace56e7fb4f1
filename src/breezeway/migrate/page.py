"""The file that a migration writes: settings in the order of the table, and comments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from breezeway import __version__
from breezeway.config import toml_text
from breezeway.config.kinds import AUTO
from breezeway.config.setting import Setting, SettingError
from breezeway.config.settings import TABLE
from breezeway.errors import UsageError
from breezeway.target import parse

WIDTH = 98
"""Columns of a comment."""

LONGEST_VALUE = 60
"""Characters of an old value that a comment repeats."""

ROWS = {row.name: row for row in TABLE}


@dataclass(slots=True)
class _Entry:
    """A setting: its value, the text of it, and the comments above."""

    value: Any
    text: str
    comments: list[str]


class Page:
    """Collects what becomes of the old settings.

    `source` is the name of the old file, `server` that of the old server.
    """

    def __init__(self, source: str, server: str) -> None:
        self._source = source
        self._server = server
        self._settings: dict[str, _Entry] = {}
        self._application: tuple[str | None, list[str]] = (None, [])
        self._advice: list[tuple[str, str]] = []
        self._differences: list[str] = []
        self._needless: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._settings

    def set(self, name: str, value: Any, *comments: str) -> bool:
        """Set one of our settings, and tell whether it can have this value; the last one counts."""
        row = ROWS[name]
        given = value
        if isinstance(value, str):
            try:
                value = row.kind.parse(value)
            except ValueError as error:
                self.advise(f"{name} = {value}", f"{error}.")
                return False
        try:
            row.check(value)
        except SettingError as error:
            self.advise(f"{name} = {shown(value)}", f"Here, {name} {error.reason}.")
            return False
        # `auto` is a number for this machine; the file may be for another.
        text = toml_text.string(AUTO) if given == AUTO else toml_text.value(row, value)
        self._settings[name] = _Entry(value, text, list(comments))
        return True

    def comment(self, name: str, text: str) -> None:
        """Add a comment to a setting that was set."""
        self._settings[name].comments.append(text)

    def value(self, name: str) -> Any:
        """Return what a setting was set to, else its default."""
        return self._settings[name].value if name in self._settings else ROWS[name].default

    def serve(self, target: str, *comments: str) -> None:
        """Name the application."""
        try:
            parse(target)
        except UsageError as error:
            self._application = (None, [f"{error.message} {error.hint}", *comments])
        else:
            self._application = (target, list(comments))

    def nothing_to_serve(self, comment: str) -> None:
        """Say why no application is named."""
        self._application = (None, [comment])

    def advise(self, old: str, advice: str) -> None:
        """Say what to do in place of an old setting that has no counterpart."""
        self._advice.append((old, advice))

    def differ(self, sentence: str) -> None:
        """Tell a default that is not what it was."""
        self._differences.append(sentence)

    def needless(self, name: str) -> None:
        """Note an old setting whose effect is always there."""
        self._needless.append(name)

    def text(self) -> str:
        """Return the file."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from _comment(f"What {self._source} says, for Breezeway {__version__}.")
        yield from _comment("Read the comments, then run: breezeway check")
        yield ""
        target, comments = self._application
        for text in comments:
            yield from _comment(text)
        yield '# application = "MODULE:NAME"' if target is None else _assign("application", target)
        for group, rows in groupby(TABLE, lambda row: row.group):
            used = [row for row in rows if row.name in self._settings]
            if used:
                yield from ("", f"# {group}")
            for row in used:
                yield from self._entry(row)
        yield from self._remarks()

    def _entry(self, row: Setting) -> Iterator[str]:
        entry = self._settings[row.name]
        for text in entry.comments:
            yield from _comment(text)
        yield f"{row.name} = {entry.text}"

    def _remarks(self) -> Iterator[str]:
        if self._advice:
            yield from ("", "# Without a counterpart here:", "#")
        for old, advice in self._advice:
            yield from _comment(f"- {old}: {advice}", "  ")
        if self._differences:
            yield from ("", f"# Not as with {self._server}, unless you set it:", "#")
        for sentence in self._differences:
            yield from _comment(f"- {sentence}", "  ")
        if self._needless:
            names = ", ".join(dict.fromkeys(self._needless))
            yield ""
            yield from _comment(f"Left out, since Breezeway does so in any case: {names}.")


def _assign(name: str, text: str) -> str:
    return f"{name} = {toml_text.string(text)}"


def _comment(text: str, indent: str = "") -> list[str]:
    # Whatever was in the old file must not end the comment.
    plain = "".join(char if char.isprintable() else " " for char in text)
    return textwrap.wrap(
        plain,
        WIDTH,
        initial_indent="# ",
        subsequent_indent=f"# {indent}",
        break_long_words=False,
        break_on_hyphens=False,
    )


def shown(value: object) -> str:
    """Repeat an old value in a comment, shortened."""
    try:
        text = repr(value)
    except Exception:  # it is the value of somebody else's class
        text = type(value).__name__
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
