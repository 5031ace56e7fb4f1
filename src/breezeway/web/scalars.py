"""Kinds of single values: texts, numbers, times, and whatever else is one text of a query."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable
from math import isfinite
from typing import Any, Final

from breezeway.web.kinds import At, Faults, FromText, Kind, Schema, Wrong

INT_DIGITS: Final = 30
"""Of a whole number in a text."""

TRUE: Final = frozenset(["true", "1", "on", "yes"])
FALSE: Final = frozenset(["false", "0", "off", "no"])

# Of numbers in a text: what the built-in types take beside is no number to anybody else (`1_0`, ` 1`).
_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100})(?:[eE][+-]?[0-9]{1,3})?"
)


# With hyphens, or the digits alone; the built-in type strips, and drops hyphens wherever they are.
_UUID: Final = re.compile(
    r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
)

_ISO: Final = re.compile(r"[0-9TWZtz:+\-., ]+")


def _scalar(schema: Schema, from_text: FromText, *exact: type) -> Kind:
    """Make a kind of one text; in JSON it is one of the types `exact`, or else that text."""

    def from_json(value: Any, at: At, faults: Faults) -> Any:
        if type(value) in exact:
            return value
        if not exact and isinstance(value, str):
            try:
                return from_text(value)
            except Wrong as error:
                faults.add("body", at, str(error))
                return None
        faults.add("body", at, f"must be {_NOUNS.get(schema['type'], 'another value')}")
        return None

    return Kind(schema, from_json, from_text)


_NOUNS: Final = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


def _int(text: str) -> int:
    digits = text[1:] if text[:1] in "+-" else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > INT_DIGITS:
        raise Wrong("must be a whole number")
    return int(text)


def _float(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else INFINITE
    if value in (INFINITE, -INFINITE):
        raise Wrong("must be a number")
    return value


INFINITE: Final = float("inf")


def _float_json(value: Any, at: At, faults: Faults) -> Any:
    if type(value) in (int, float):
        try:
            made = float(value)
        except OverflowError:
            made = INFINITE
        if isfinite(made):  # TOML has others
            return made
    faults.add("body", at, "must be a number")
    return None


def _bool(text: str) -> bool:
    lower = text.lower()
    if lower in TRUE:
        return True
    if lower in FALSE:
        return False
    raise Wrong("must be true or false")


def _parsed(parse: Callable[[str], Any], noun: str) -> FromText:
    def from_text(text: str) -> Any:
        try:
            return parse(text)
        except (ValueError, ArithmeticError):
            raise Wrong(f"must be {noun}") from None

    return from_text


def _decimal(text: str) -> decimal.Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return decimal.Decimal(text)


def _decimal_json(value: Any, at: At, faults: Faults) -> Any:
    if type(value) in (int, float, str):
        return _DECIMAL.from_json(str(value), at, faults)
    faults.add("body", at, "must be a decimal number")
    return None


def _iso(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Hold a date or time to the characters of ISO 8601: Python takes any between date and time."""

    def checked(text: str) -> Any:
        if not _ISO.fullmatch(text):
            raise ValueError
        return parse(text)

    return checked


def _none_json(value: Any, at: At, faults: Faults) -> Any:
    if value is not None:
        faults.add("body", at, "must be null")


def _same(value: Any, at: At, faults: Faults) -> Any:
    return value


def _formatted(name: str, parse: Callable[[str], Any], noun: str) -> Kind:
    return _scalar({"type": "string", "format": name}, _parsed(parse, noun))


_DECIMAL: Final = _formatted("decimal", _decimal, "a decimal number")

SIMPLE: Final[dict[Any, Kind]] = {
    Any: Kind({}, _same, str),
    object: Kind({}, _same, str),
    str: _scalar({"type": "string"}, str, str),
    int: _scalar({"type": "integer"}, _int, int),
    float: Kind({"type": "number"}, _float_json, _float),
    bool: _scalar({"type": "boolean"}, _bool, bool),
    None: Kind({"type": "null"}, _none_json),
    type(None): Kind({"type": "null"}, _none_json),
    decimal.Decimal: Kind(_DECIMAL.schema, _decimal_json, _DECIMAL.from_text),
    datetime.datetime: _formatted(
        "date-time",
        _iso(datetime.datetime.fromisoformat),
        "a date and time such as 2026-11-22T10:00:00Z",
    ),
    datetime.date: _formatted("date", datetime.date.fromisoformat, "a date such as 2026-11-22"),
    datetime.time: _formatted("time", datetime.time.fromisoformat, "a time such as 10:00:00"),
}


def uuid_kind() -> Kind:
    """Return the kind of UUID (RFC 9562), whose module not every application has to import."""
    from uuid import UUID

    def parse(text: str) -> UUID:
        if not _UUID.fullmatch(text):
            raise ValueError
        return UUID(text)

    return _formatted("uuid", parse, "a UUID")
