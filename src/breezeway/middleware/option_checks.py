"""Checks of options that many pieces have, which come from Python or from TOML."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from breezeway.semantics.networks import Networks


def texts(option: str, value: str | Iterable[str]) -> list[str]:
    """Return a list of texts; a text is a list of one.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping | bytes) or not isinstance(value, Iterable):
        raise ValueError(f"{option} must be a list of texts, not {value!r}")
    found = list(value)
    for each in found:
        if not isinstance(each, str):
            raise ValueError(f"{option} must be a list of texts; {each!r} is none")
    return found


def listed(option: str, value: Iterable[str]) -> list[str]:
    """Return a list of texts, where one text in place of a list is a mistake.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, str):
        raise ValueError(f"{option} must be a list of texts, not {value!r}")
    return texts(option, value)


def prefixes(option: str, value: str | Iterable[str]) -> list[str]:
    """Return prefixes of paths.

    Raises:
        ValueError: one does not begin with a slash.
    """
    found = texts(option, value)
    for prefix in found:
        if not prefix.startswith("/"):
            raise ValueError(f"{option}: {prefix!r} must begin with a slash")
    return found


def networks(option: str, value: Iterable[str]) -> Networks:
    """Return networks.

    Raises:
        ValueError: it is something else than a list of them.
    """
    found = listed(option, value)
    try:
        return Networks(found)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


def path(option: str, value: str | os.PathLike[str]) -> str:
    """Return what can be the path of a file; that of an open one, a number, is none.

    Raises:
        ValueError: it is something else.
    """
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    if not isinstance(found, str) or not found or "\x00" in found:
        raise ValueError(f"{option} must be a path, not {value!r}")
    return found


def flag(option: str, value: bool) -> bool:
    """Return what is true or false.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{option} must be true or false, not {value!r}")
    return value


def whole(option: str, value: int, least: int, most: int | None = None, unit: str = "") -> int:
    """Return a whole number within bounds; `unit` is a word for the message.

    Raises:
        ValueError: it is another one, or none.
    """
    if type(value) is not int or value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        of = f" of {unit}" if unit else ""
        raise ValueError(f"{option} must be a number{of}, {bounds}, not {value!r}")
    return value


def tables(
    option: str, value: Mapping[str, Mapping[str, Any]] | None, known: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Go over tables of options by prefix of the path, each completed with those of `known`.

    Raises:
        ValueError: it is something else, or a table has an option that is not known.
    """
    if not isinstance(value, Mapping | None):
        raise ValueError(f"{option} must be a table of tables by prefix, not {value!r}")
    prefixes(option, (value or {}).keys())
    for prefix, table in (value or {}).items():
        if not isinstance(table, Mapping):
            raise ValueError(f"{option}: {prefix!r} must have a table of options, not {table!r}")
        if unknown := {*table} - {*known}:
            raise ValueError(f"{option}: {prefix!r} has unknown options: {', '.join(unknown)}")
        yield prefix, {**known, **table}
