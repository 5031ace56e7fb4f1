"""uWSGI's dialect of ini: one section counts, keys repeat, values have placeholders.

    [uwsgi]
    base = /srv/shop            any name is a variable for what comes after it
    chdir = %(base)             which is used like this
    module = %n                 `%` and a letter is something about the file or the machine
    env = HOME=$(HOME)          a variable of the environment

A key without `=` is true. `;` and `#` begin a comment at the start of a line. The logic of newer
releases (`if-env = ...`, `for = ...`, `end... =`) is not executed: its lines are read as they are.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from breezeway.errors import UsageError

SECTION = "uwsgi"

CORES = "%k"
"""The placeholder of the number of CPUs, which stays as it is."""

_PLACEHOLDER = re.compile(r"%\((\w[\w.-]*)\)|\$\((\w+)\)|%([a-zA-Z%])")


@dataclass(frozen=True, slots=True)
class Option:
    """A line: a name and a value, "true" if it has none, with its placeholders filled."""

    name: str
    value: str


def read(path: str) -> tuple[list[Option], set[str]]:
    """Return the options of the section [uwsgi], and the names that are used as variables.

    Raises:
        UsageError: the file cannot be read, or has no such section.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.") from None
    found = _section(lines)
    if found is None:
        hint = "A file of Paste Deploy stays: put 'use = egg:breezeway' into [server:main]."
        raise UsageError(f"{path} has no section [{SECTION}].", hint)
    magic = _magic(path)
    options: list[Option] = []
    variables: dict[str, str] = {}
    used: set[str] = set()
    for name, value in found:
        used.update(match[1] for match in _PLACEHOLDER.finditer(value) if match[1])
        filled = _fill(value, variables, magic)
        variables[name] = filled
        options.append(Option(name, filled))
    return options, used


def _section(lines: list[str]) -> list[tuple[str, str]] | None:
    found: list[tuple[str, str]] | None = None
    inside = False
    for line in lines:
        text = line.strip()
        if not text or text[0] in ";#":
            continue
        if text.startswith("["):
            inside = text.partition("]")[0] == f"[{SECTION}"
            found = (found or []) if inside else found
        elif inside and found is not None:
            name, equals, value = text.partition("=")
            found.append((name.strip(), value.strip() if equals else "true"))
    return found


def _fill(value: str, variables: Mapping[str, str], magic: Mapping[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return variables.get(match[1], match[0])
        if match[2]:
            return os.environ.get(match[2], match[0])
        return magic.get(match[3], match[0])

    return _PLACEHOLDER.sub(replace, value)


def _magic(path: str) -> dict[str, str]:
    """Return the values of the one-letter placeholders; those that are not here stay."""
    whole = os.path.abspath(path)
    directory, name = os.path.split(whole)
    return {
        "%": "%",
        "p": whole,
        "s": name,
        "d": os.path.join(directory, ""),
        "n": os.path.splitext(name)[0],
        "e": os.path.splitext(name)[1].removeprefix("."),
        "c": os.path.basename(directory),
        "h": socket.gethostname(),
    }
