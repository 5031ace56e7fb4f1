"""Raw requests as data, with what a strict server has to make of each.

A case is a `[[case]]` table in `http1/valid/*.toml` or `http1/invalid/*.toml`; the file is its
subject. Nothing here knows a server: the parser's own tests and the tests against a live server
read the same cases.

Keys of every case:

- `name`: unique within its file; `why`: the section of the RFC or the policy that decides it.
- `request`: the bytes on the wire, as a string of the characters U+0000 to U+00FF.
- `repeat.NAME = ["text", times]`: `{NAME}` stands for so many copies, in every string of the case;
  the text may hold the name of a later one.

Keys of a valid case: `environ.KEY` (what the environ has to hold), `absent` (keys that it must not
have), `body`, `trailers` (name and value pairs; without it there must be none), and `persists`
(true unless said otherwise: the connection takes another request afterwards). Pipelined requests
have a list `requests` of tables with these keys in place of them.

Keys of an invalid case: `status` (or a list, where the policy leaves a choice), `answered` (how
many good requests come first; 0), and `ends` (the client sends no more; false).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "http1"

_EXPECTED_KEYS = {"environ", "absent", "body", "trailers"}
_COMMON_KEYS = {"name", "why", "request", "repeat"}
_VALID_KEYS = _COMMON_KEYS | _EXPECTED_KEYS | {"persists", "requests"}
_INVALID_KEYS = _COMMON_KEYS | {"status", "answered", "ends"}


@dataclass(frozen=True, slots=True)
class Expected:
    """What the application has to see of one request."""

    environ: Mapping[str, str]
    absent: tuple[str, ...]
    body: bytes
    trailers: tuple[tuple[str, str], ...] | None


@dataclass(frozen=True, slots=True)
class Valid:
    """Bytes that are one or several good requests."""

    name: str
    why: str
    request: bytes
    requests: tuple[Expected, ...]
    persists: bool


@dataclass(frozen=True, slots=True)
class Invalid:
    """Bytes that have to be refused with one of `statuses`, after `answered` good requests."""

    name: str
    why: str
    request: bytes
    statuses: frozenset[int]
    answered: int
    ends: bool


def valid() -> list[Valid]:
    """Return every valid case, named `subject/name`."""
    return [_valid(name, table) for name, table in _tables("valid", _VALID_KEYS)]


def invalid() -> list[Invalid]:
    """Return every invalid case, named `subject/name`."""
    return [_invalid(name, table) for name, table in _tables("invalid", _INVALID_KEYS)]


def _tables(kind: str, allowed: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    seen: set[str] = set()
    for path in sorted((CORPUS / kind).glob("*.toml")):
        for table in tomllib.loads(path.read_text(encoding="utf-8"))["case"]:
            name = f"{path.stem}/{table['name']}"
            if name in seen:
                raise ValueError(f"{kind}/{name}: two cases of that name")
            if unknown := table.keys() - allowed:
                raise ValueError(f"{kind}/{name}: unknown keys {sorted(unknown)}")
            if not table["why"]:
                raise ValueError(f"{kind}/{name}: does not say why")
            seen.add(name)
            yield name, table


def _valid(name: str, table: dict[str, Any]) -> Valid:
    filled = _filler(table)
    requests = table.get("requests", [table])
    return Valid(
        name=name,
        why=table["why"],
        request=filled(table["request"]).encode("latin-1"),
        requests=tuple(_expected(request, filled) for request in requests),
        persists=table.get("persists", True),
    )


def _expected(table: dict[str, Any], filled: Callable[[str], str]) -> Expected:
    trailers = table.get("trailers")
    return Expected(
        environ={key: filled(value) for key, value in table.get("environ", {}).items()},
        absent=tuple(table.get("absent", ())),
        body=filled(table.get("body", "")).encode("latin-1"),
        trailers=None if trailers is None else tuple((name, value) for name, value in trailers),
    )


def _invalid(name: str, table: dict[str, Any]) -> Invalid:
    status = table["status"]
    return Invalid(
        name=name,
        why=table["why"],
        request=_filler(table)(table["request"]).encode("latin-1"),
        statuses=frozenset([status] if isinstance(status, int) else status),
        answered=table.get("answered", 0),
        ends=table.get("ends", False),
    )


def _filler(table: dict[str, Any]) -> Callable[[str], str]:
    repeats: dict[str, list[Any]] = table.get("repeat", {})

    def filled(text: str) -> str:
        for name, (unit, times) in repeats.items():
            text = text.replace(f"{{{name}}}", unit * times)
        return text

    return filled
