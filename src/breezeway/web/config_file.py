"""A TOML file of an application, and where each of its keys stands."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Any, Final

Path = tuple[str, ...]

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_KEYS: Final = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER: Final = re.compile(rf"\s*\[\[?\s*({_KEYS})\s*\]\]?\s*(?:#.*)?")
_ASSIGNED: Final = re.compile(rf"\s*({_KEYS})\s*=")
_ONE: Final = re.compile(_KEY)
_FENCE: Final = re.compile(r'"""|' + "'''")
_PLACE: Final = re.compile(r" \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)")


def read(path: str) -> tuple[dict[str, Any], dict[Path, int], str]:
    """Return what a file says, the line of each key, and what is wrong with the file; empty if nothing.

    It raises nothing: a traceback would have the text of the file in it, with whatever is secret there.
    """
    name = os.path.basename(path)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        return tomllib.loads(text), lines_of(text), ""
    except UnicodeDecodeError:
        return {}, {}, f"{name} is not UTF-8 text"
    except OSError as error:
        return {}, {}, f"{path} cannot be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        # Messages of tomllib name what they did not expect, a character of it at most, and keys.
        message = str(error)
        found = _PLACE.search(message)
        place = f", line {found[1]}, column {found[2]}" if found and found[1] else ""
        return {}, {}, f"{name}{place} is not TOML: {_PLACE.sub('', message)}"


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, from 1, of each table and key, by its whole path; the first of several counts."""
    found: dict[Path, int] = {}
    numbers: dict[Path, int] = {}  # of the last table of each list of tables
    table: Path = ()
    fence = ""
    for number, line in enumerate(text.split("\n"), 1):
        if not fence:
            header, key = _HEADER.fullmatch(line), _ASSIGNED.match(line)
            if header is not None:
                table = _numbered(_path(header[1]), numbers)
                found.setdefault(table, number)
                if line.lstrip().startswith("[["):
                    numbers[table] = numbers.get(table, -1) + 1
                    table = (*table, str(numbers[table]))
                    found[table] = number
            elif key is not None:
                found.setdefault((*table, *_path(key[1])), number)
        for mark in _FENCE.findall(line):
            if not fence:
                fence = mark
            elif fence == mark:
                fence = ""
    return found


def _numbered(path: Path, numbers: dict[Path, int]) -> Path:
    """Return the path of a table, with the number of each table in a list that it is in."""
    found: Path = ()
    for each in path[:-1]:
        found = (*found, each)
        if found in numbers:
            found = (*found, str(numbers[found]))
    return (*found, path[-1])


def _path(keys: str) -> Path:
    return tuple(each.strip("\"'") for each in _ONE.findall(keys))
