"""Settings in a file: `breezeway.toml`, or `[tool.breezeway]` in `pyproject.toml`.

A value is what TOML has for it (`threads = 16`, `access_log = true`, `bind = [":80", ":81"]`), or
the text that its option takes (`limit_body = "10MiB"`). Whatever is wrong is a `UsageError` that
names the file and the line. tomllib tells no lines; `line_of` finds them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from breezeway import suggest
from breezeway.config import logging_table, middleware_tables
from breezeway.config.kinds import MODE, SWITCH
from breezeway.config.logging_table import LoggingTable
from breezeway.config.middleware_tables import MiddlewareTable
from breezeway.config.setting import Setting, SettingError
from breezeway.config.settings import TABLE
from breezeway.errors import UsageError

NAME = "breezeway.toml"
PROJECT = "pyproject.toml"
TABLE_OF_PROJECT = ("tool", "breezeway")

APPLICATION = "application"
"""The one key that is no setting: what `breezeway` serves without an argument."""

TABLES = (middleware_tables.KEY, logging_table.KEY)
"""The keys that have tables of their own."""

ROWS = {row.name: row for row in TABLE}

ELSEWHERE = {
    "address": "bind",
    "chdir": "app_dir",
    "host": "bind",
    "listen": "bind",
    "log": "log_file",
    "module": "application",
    "port": "bind",
    "processes": "workers",
    "timeout": "request_timeout",
}
"""Names that other servers have, and ours."""

_SYNTAX = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)")
_UNQUOTED = re.compile(r"""\s*[\w-]+\s*=\s*(?:\d+\s?[a-zA-Z]|[:/.a-zA-Z])""")
_PYTHON_WORD = re.compile(r"\s*[\w-]+\s*=\s*(True|False|None)\b")


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file that was read: its `name` as messages have it, its text, and the table of settings."""

    name: str
    text: str
    prefix: tuple[str, ...]
    table: Mapping[str, Any]

    def place(self, *path: str) -> str:
        """Say where a key of the table is, or of a table in it: `breezeway.toml, line 3`."""
        return f"{self.name}, line {line_of(self.text, (*self.prefix, *path))}"

    def values(self) -> dict[str, Any]:
        """Return the values of the table, checked each for itself; `application` is one of them."""
        settings = {key: found for key, found in self.table.items() if key not in TABLES}
        return {key: self._value(key, found) for key, found in settings.items()}

    def middleware(self) -> tuple[MiddlewareTable, ...]:
        """Return what is put around the application."""
        found = self.table.get(middleware_tables.KEY, [])
        return middleware_tables.read(found, self.name, self.text, self.prefix)

    def logging(self) -> LoggingTable | None:
        """Return what is said of the standard library's logging."""
        found = self.table.get(logging_table.KEY)
        if found is None:
            return None
        return logging_table.read(found, lambda path: self.place(logging_table.KEY, *path))

    def _value(self, key: str, found: object) -> object:
        if key == APPLICATION:
            if not isinstance(found, str) or not found:
                self._fail(key, f"application must be MODULE:NAME as a string, not {found!r}")
            return found
        row = ROWS.get(key)
        if row is None:
            self._unknown(key, found)
        try:
            value = self._read(row, found)
            row.check(value)
        except SettingError as error:
            self._fail(key, str(error))
        except ValueError as error:
            self._fail(key, f"{key}: {error}")
        return value

    def _read(self, row: Setting, found: object) -> object:
        if not row.repeatable:
            return self._read_one(row, found)
        items = found if isinstance(found, list) else [found]
        return tuple(self._read_one(row, item) for item in items)

    def _read_one(self, row: Setting, found: object) -> object:
        """Make a value of what TOML has; what is not text is left to `Setting.check`."""
        kind = row.kind
        number = isinstance(found, int | float) and not isinstance(found, bool)
        if kind is SWITCH and not isinstance(found, bool):
            raise ValueError(f"write true or false, without quotes, not {found!r}")
        if kind is MODE and number and found and not self._has_octal(row.name):
            # 440 in decimal is 670 in octal: nobody means that.
            raise ValueError(f'write "{found}" or 0o{found}, since a mode is octal')
        if isinstance(found, str):
            return kind.parse(found)
        if number and kind.takes_numbers:
            return str(found)
        return found

    def _has_octal(self, key: str) -> bool:
        line = line_of(self.text, (*self.prefix, key))
        return "0o" in self.text.splitlines()[line - 1]

    def _unknown(self, key: str, found: object) -> NoReturn:
        if isinstance(found, dict):
            where = "at the top of the file"
            if self.prefix:
                where = f"in the table [{'.'.join(self.prefix)}] itself"
            hint = f"The settings stand {where}, without tables of their own."
        else:
            hint = nearest(key)
        self._fail(key, f"there is no setting {key!r}", hint)

    def _fail(self, key: str, message: str, hint: str = "") -> NoReturn:
        raise UsageError(f"{self.place(key)}: {message}.", hint) from None


def nearest(name: str) -> str:
    """Ask whether a setting with a similar name was meant; empty if there is none."""
    plain = name.lower().replace("-", "_")
    known = [*ROWS, APPLICATION]
    if plain in known or plain in ELSEWHERE:
        return f"Did you mean {ELSEWHERE.get(plain, plain)!r}?"
    return suggest.near(plain, known, most=1)


def find(path: str | None, directory: str) -> SettingsFile | None:
    """Read the file at `path`, else the one in `directory`; None if there is none.

    `breezeway.toml` comes first; then `pyproject.toml` counts if it has the table.

    Raises:
        UsageError: `path` cannot be read, or a file is not TOML.
    """
    if path is not None:
        prefix = TABLE_OF_PROJECT if os.path.basename(path) == PROJECT else ()
        return _load(path, _read(os.path.join(directory, path), path), prefix)
    own = os.path.join(directory, NAME)
    if os.path.lexists(own):
        return _load(NAME, _read(own, NAME), ())
    project = os.path.join(directory, PROJECT)
    if not os.path.exists(project):
        return None
    text = _read(project, PROJECT)
    # Somebody else's mistakes in a file that does not concern us are not ours to complain about.
    return _load(PROJECT, text, TABLE_OF_PROJECT) if "breezeway" in text else None


def _read(path: str, name: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:  # some editors begin a file with a mark
            return file.read()
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8 text.") from None
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}.") from None


def _load(name: str, text: str, prefix: tuple[str, ...]) -> SettingsFile:
    import tomllib

    try:
        table = _table(tomllib.loads(text), prefix)
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond what Python takes
        raise _syntax_error(name, text, str(error)) from None
    if not isinstance(table, dict):
        raise UsageError(f"{name}: {'.'.join(prefix)} is not a table.")
    return SettingsFile(name, text, prefix, table)


def _table(document: Any, prefix: tuple[str, ...]) -> Any:
    for key in prefix:
        if not isinstance(document, dict):
            return {}
        document = document.get(key, {})
    return document


def _syntax_error(name: str, text: str, message: str) -> UsageError:
    found = _SYNTAX.search(message)
    lines = text.splitlines() or [""]
    number = int(found[1]) if found and found[1] else len(lines)
    column = f", column {found[2]}" if found and found[2] else ""
    line = lines[min(number, len(lines)) - 1]
    hint = ""
    if _PYTHON_WORD.match(line):
        hint = "TOML writes true and false in small letters; for None, leave the line out."
    elif _UNQUOTED.match(line):
        hint = 'Text needs quotes, and so does a value with a unit: head_timeout = "10s"'
    what = _SYNTAX.sub("", message)
    return UsageError(f"{name}, line {number}{column}: this is not TOML: {what}.", hint)


def line_of(text: str, path: tuple[str, ...]) -> int:
    """Return the line, from 1, on which the key at `path` of a TOML document begins.

    A search for its name is quick and mostly right; where it finds none or several, the document is
    parsed line by line until the key is there, which is always right.
    """
    lines = text.splitlines()
    first, last = _section(lines, path[:-1])
    pattern = re.compile(rf"""\s*(["']?){re.escape(path[-1])}\1\s*=""")
    found = [number for number in range(first, last) if pattern.match(lines[number])]
    if len(found) == 1:
        return found[0] + 1
    return _lines_by_parsing(text, path[:-1]).get(path[-1], len(lines))


def _section(lines: list[str], table: tuple[str, ...]) -> tuple[int, int]:
    """Return where the lines of a table begin and end; no lines if that is not plain to see."""
    first = 0
    if table:
        name = r"\s*\.\s*".join(table)
        header = re.compile(rf"\s*\[\s*{name}\s*\]\s*(?:#.*)?")
        starts = [number for number, line in enumerate(lines) if header.fullmatch(line)]
        if len(starts) != 1:
            return 0, 0
        first = starts[0] + 1
    ends = (number for number in range(first, len(lines)) if lines[number].lstrip()[:1] == "[")
    return first, next(ends, len(lines))


@lru_cache(maxsize=1)
def _lines_by_parsing(text: str, table: tuple[str, ...]) -> dict[str, int]:
    import tomllib

    found: dict[str, int] = {}
    lines = text.splitlines()
    begin = 1  # the first line of the statement that line `number` belongs to
    for number in range(1, len(lines) + 1):
        try:
            document = _table(tomllib.loads("\n".join(lines[:number])), table)
        except ValueError:
            continue  # within a statement of several lines
        for key in document if isinstance(document, dict) else ():
            found.setdefault(key, begin)
        begin = number + 1
    return found
