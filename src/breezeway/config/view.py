"""The settings in force and where each comes from, for `breezeway config`.

As TOML, the whole can be saved as a breezeway.toml that says the same. Every setting is there, for an
operator looks for what is not set as often as for what is; the comment of one that a source gave
names the source and the default, all other comments say `default`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from breezeway.config import toml_text
from breezeway.config.logging_table import LoggingTable
from breezeway.config.middleware_tables import MiddlewareTable
from breezeway.config.setting import Setting
from breezeway.config.settings import TABLE
from breezeway.config.sources import DEFAULT, Resolved

HIDDEN = "***"
"""What is shown of the value of a secret setting."""

_LOGGING_SECRET = re.compile(r"secret|password|token|credentials|dsn|key$")
"""Arguments of handlers, such as those of `SMTPHandler`."""

COLUMN = 40
"""Where the comments begin, if there is room."""


def as_toml(resolved: Resolved) -> list[tuple[str, bool]]:
    """Return the lines of a file of settings, and of each whether a source gave what it says."""
    lines: list[tuple[str, bool]] = []
    if resolved.application is not None:
        text = f"application = {toml_text.string(resolved.application)}"
        lines += [(_with_comment(text, resolved.application_origin), True), ("", False)]
    for group, rows in groupby(TABLE, lambda row: row.group):
        lines.append((f"# {group}", False))
        for row in rows:
            origin = resolved.origins[row.name]
            given = getattr(resolved.settings, row.name)
            lines.append((_line(row, given, origin), origin != DEFAULT))
        lines.append(("", False))
    for table in resolved.middleware:
        lines.append((_with_comment("[[middleware]]", table.place), True))
        lines.append((f"use = {toml_text.string(table.use)}", True))
        lines += [(_option(name, value), True) for name, value in table.options.items()]
        lines.append(("", False))
    if resolved.logging is not None:
        lines.append((_with_comment("[logging]", resolved.logging.place(())), True))
        told = _logging(resolved.logging)
        lines += [(f"{key} = {toml_text.plain(found)}", True) for key, found in told]
        lines.append(("", False))
    return lines[:-1]


def _logging(table: LoggingTable) -> Iterator[tuple[str, Any]]:
    """Yield what a table says, without what may be a secret."""
    for key, found in table.config.items():
        yield key, _without_secrets(found)


def _without_secrets(found: Any) -> Any:
    if not isinstance(found, dict):
        return found
    return {
        key: HIDDEN if _LOGGING_SECRET.search(key) else _without_secrets(value)
        for key, value in found.items()
    }


def _option(name: str, value: Any) -> str:
    if MiddlewareTable.is_secret(name):
        return f"# {name} = {HIDDEN}"
    return f"{name} = {toml_text.plain(value)}"


def _line(row: Setting, given: Any, origin: str) -> str:
    if row.secret and given is not None:
        text = f"# {row.name} = {HIDDEN}"
    elif given is None:
        text = f"# {row.name} ="
    else:
        text = f"{row.name} = {toml_text.value(row, given)}"
    if origin == DEFAULT:
        return _with_comment(text, DEFAULT)
    default = "none" if row.default is None else toml_text.value(row, row.default)
    return _with_comment(text, f"{origin}; default: {default}")


def _shown(row: Setting, given: Any) -> Any:
    return HIDDEN if row.secret and given is not None else given


def _with_comment(text: str, comment: str) -> str:
    return f"{text:<{COLUMN}}  # {comment}"


def as_rows(resolved: Resolved) -> dict[str, Any]:
    """Return all of it as JSON can hold it, for a page: values as text, settings in their groups."""
    groups = [
        {"name": group, "settings": [_row(resolved, row) for row in rows]}
        for group, rows in groupby(TABLE, lambda row: row.group)
    ]
    middleware = [
        {
            "use": table.use,
            "options": [_option(name, value) for name, value in table.options.items()],
            "origin": table.place,
        }
        for table in resolved.middleware
    ]
    return {"application": resolved.application, "groups": groups, "middleware": middleware}


def _row(resolved: Resolved, row: Setting) -> dict[str, Any]:
    given, origin = getattr(resolved.settings, row.name), resolved.origins[row.name]
    shown = _shown(row, given)
    return {
        "name": row.name,
        "value": shown if row.secret or given is None else toml_text.value(row, given),
        "default": None if row.default is None else toml_text.value(row, row.default),
        "origin": origin,
        "given": origin != DEFAULT,
        "doc": row.doc,
    }


def as_json(resolved: Resolved) -> str:
    """Return an object: the application, and each setting with its value, default and origin.

    Sizes are in bytes and durations in seconds.
    """
    rows = {
        row.name: {
            "value": _shown(row, getattr(resolved.settings, row.name)),
            "default": row.default,
            "origin": resolved.origins[row.name],
        }
        for row in TABLE
    }
    application = {"value": resolved.application, "origin": resolved.application_origin or None}
    middleware = [
        {
            "use": table.use,
            "options": {
                name: HIDDEN if table.is_secret(name) else value
                for name, value in table.options.items()
            },
            "origin": table.place,
        }
        for table in resolved.middleware
    ]
    logging = None if resolved.logging is None else dict(_logging(resolved.logging))
    whole = {
        "application": application,
        "settings": rows,
        "middleware": middleware,
        "logging": logging,
    }
    return json.dumps(whole, indent=2, default=str)
