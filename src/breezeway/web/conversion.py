"""From texts and JSON to the types that a handler asks for, and those types for OpenAPI.

`kind_of` takes an annotation once, when a route is added, and returns its `Kind`: how to make a value of
a text (of a path, query, form, field or cookie) or of JSON, and the schema. Whatever is wrong with a value
is a `Fault` in a list; all of them are found, not just the first.

What is there: str, int, float, bool, None, Any, Literal, enums, dates and times (ISO 8601), UUID, Decimal,
Optional and unions, list, set, tuple, dict with text keys, dataclasses and TypedDicts, all of them nested.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, Union

Schema: TypeAlias = dict[str, Any]

INT_DIGITS: Final = 30
"""Of a whole number in a text."""

TRUE: Final = frozenset(["true", "1", "on", "yes"])
FALSE: Final = frozenset(["false", "0", "off", "no", ""])


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request.

    `where` is `path`, `query`, `header`, `cookie`, `form` or `body`; `at` is the name there, for a body a
    JSON Pointer (RFC 6901); `says` is a clause such as `must be a whole number`.
    """

    where: str
    at: str
    says: str


class Faults(list[Fault]):
    """The faults of one request."""


class Wrong(ValueError):
    """A value that cannot be; its text is a clause such as `must be a whole number`."""


FromText: TypeAlias = Callable[[str], Any]
"""Returns a value, or raises Wrong."""

FromJson: TypeAlias = Callable[[Any, str, list[Fault]], Any]
"""Takes a value, where it is (a JSON Pointer) and the faults, to which it adds; returns a value."""


@dataclass(frozen=True)
class Kind:
    """What values of an annotation are made of."""

    schema: Schema
    from_json: FromJson
    from_text: FromText | None = None
    """None if no single text can be one."""
    item: Kind | None = None
    """Of what a list, set or tuple is, so that a name which comes several times can be one."""
    collect: Callable[[list[Any]], Any] = list
    members: Mapping[str, Member] | None = None
    """Of a dataclass or TypedDict."""
    build: Callable[[dict[str, Any]], Any] = dict
    """Makes one of its members."""


@dataclass(frozen=True)
class Member:
    """A member of a dataclass or TypedDict."""

    kind: Kind
    is_required: bool


def kind_of(annotation: Any) -> Kind:
    """Return the kind of an annotation.

    Raises:
        TypeError: there is none for it.
    """
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind_of(arguments[0])
    if origin is Literal:
        return _choices(list(arguments), lambda value: value)
    if origin in (Union, types.UnionType):
        return _union([kind_of(each) for each in arguments])
    if origin in (list, set, frozenset, tuple) or annotation in (list, set, frozenset, tuple):
        return _sequence(origin or annotation, arguments)
    if origin is dict or annotation is dict:
        return _mapping(arguments)
    if isinstance(annotation, typing.NewType):
        return kind_of(annotation.__supertype__)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        by_value = {member.value: member for member in annotation}
        return _choices(list(by_value), by_value.__getitem__)
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return _dataclass(annotation)
    if typing.is_typeddict(annotation):
        return _typed_dict(annotation)
    raise TypeError(f"a handler cannot have an argument of type {annotation!r}")


# --- single values ---------------------------------------------------------------------------------------


def _scalar(schema: Schema, from_text: FromText, *exact: type) -> Kind:
    """Make a kind of one text; in JSON it is one of the types `exact`, or else that text."""

    def from_json(value: Any, at: str, faults: list[Fault]) -> Any:
        if type(value) in exact:
            return value
        if not exact and isinstance(value, str):
            try:
                return from_text(value)
            except Wrong as error:
                faults.append(Fault("body", at, str(error)))
                return None
        faults.append(Fault("body", at, f"must be {_NOUNS.get(schema['type'], 'another value')}"))
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
    try:
        value = float(text)
    except ValueError:
        raise Wrong("must be a number") from None
    if "_" in text or value != value or value in (float("inf"), float("-inf")):
        raise Wrong("must be a number")
    return value


def _float_json(value: Any, at: str, faults: list[Fault]) -> Any:
    if type(value) in (int, float):
        return float(value)
    faults.append(Fault("body", at, "must be a number"))
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
    value = decimal.Decimal(text)
    if not value.is_finite():
        raise ValueError
    return value


def _decimal_json(value: Any, at: str, faults: list[Fault]) -> Any:
    if type(value) in (int, float):
        return decimal.Decimal(str(value))
    return _DECIMAL.from_json(value, at, faults)


def _none_json(value: Any, at: str, faults: list[Fault]) -> Any:
    if value is not None:
        faults.append(Fault("body", at, "must be null"))


def _same(value: Any, at: str, faults: list[Fault]) -> Any:
    return value


def _formatted(name: str, parse: Callable[[str], Any], noun: str) -> Kind:
    return _scalar({"type": "string", "format": name}, _parsed(parse, noun))


_DECIMAL: Final = _formatted("decimal", _decimal, "a decimal number")

_SIMPLE: Final[dict[Any, Kind]] = {
    Any: Kind({}, _same, str),
    object: Kind({}, _same, str),
    str: _scalar({"type": "string"}, str, str),
    int: _scalar({"type": "integer"}, _int, int),
    float: Kind({"type": "number"}, _float_json, _float),
    bool: _scalar({"type": "boolean"}, _bool, bool),
    None: Kind({"type": "null"}, _none_json),
    type(None): Kind({"type": "null"}, _none_json),
    decimal.Decimal: dataclasses.replace(_DECIMAL, from_json=_decimal_json),
    uuid.UUID: _formatted("uuid", uuid.UUID, "a UUID"),
    datetime.datetime: _formatted(
        "date-time", datetime.datetime.fromisoformat, "a date and time such as 2026-11-22T10:00:00Z"
    ),
    datetime.date: _formatted("date", datetime.date.fromisoformat, "a date such as 2026-11-22"),
    datetime.time: _formatted("time", datetime.time.fromisoformat, "a time such as 10:00:00"),
}


def _choices(values: list[Any], make: Callable[[Any], Any]) -> Kind:
    shown = ", ".join(str(value) for value in values)
    by_text = {str(value): value for value in values}

    def from_text(text: str) -> Any:
        if text not in by_text:
            raise Wrong(f"must be one of {shown}")
        return make(by_text[text])

    def from_json(value: Any, at: str, faults: list[Fault]) -> Any:
        for each in values:
            if type(each) is type(value) and each == value:
                return make(each)
        faults.append(Fault("body", at, f"must be one of {shown}"))
        return None

    return Kind({"enum": values}, from_json, from_text)


# --- values of several -----------------------------------------------------------------------------------


def _union(kinds: list[Kind]) -> Kind:
    """Take the first kind that a value is one of."""
    with_text = [kind.from_text for kind in kinds if kind.from_text is not None]

    def from_text(text: str) -> Any:
        wrongs = []
        for each in with_text:
            try:
                return each(text)
            except Wrong as error:
                wrongs.append(str(error))
        raise Wrong(", or ".join(wrongs))

    def from_json(value: Any, at: str, faults: list[Fault]) -> Any:
        all_found: list[list[Fault]] = []
        for kind in kinds:
            found: list[Fault] = []
            result = kind.from_json(value, at, found)
            if not found:
                return result
            all_found.append(found)
        # What is furthest inside was most likely meant.
        faults += max(all_found, key=lambda found: max(len(fault.at) for fault in found))
        return None

    only = [kind for kind in kinds if kind.schema != {"type": "null"}]
    plain = only[0] if len(only) == 1 else None
    return Kind(
        {"anyOf": [kind.schema for kind in kinds]},
        from_json,
        from_text if with_text else None,
        item=plain.item if plain else None,
        collect=plain.collect if plain else list,
        members=plain.members if plain else None,
        build=plain.build if plain else dict,
    )


def _sequence(origin: type, arguments: tuple[Any, ...]) -> Kind:
    if origin is tuple and arguments and arguments[-1:] != (Ellipsis,):
        return _fixed([kind_of(each) for each in arguments])
    item = kind_of(arguments[0] if arguments else Any)

    def from_json(value: Any, at: str, faults: list[Fault]) -> Any:
        if type(value) is not list:
            faults.append(Fault("body", at, "must be a list"))
            return None
        before = len(faults)
        found = [
            item.from_json(each, f"{at}/{number}", faults) for number, each in enumerate(value)
        ]
        return origin(found) if len(faults) == before else None

    schema: Schema = {"type": "array", "items": item.schema}
    if origin in (set, frozenset):
        schema["uniqueItems"] = True
    return Kind(schema, from_json, item=item, collect=origin)


def _fixed(kinds: list[Kind]) -> Kind:
    def from_json(value: Any, at: str, faults: list[Fault]) -> Any:
        if type(value) is not list or len(value) != len(kinds):
            faults.append(Fault("body", at, f"must be a list of {len(kinds)}"))
            return None
        pairs = zip(kinds, value, strict=True)
        return tuple(
            kind.from_json(each, f"{at}/{number}", faults)
            for number, (kind, each) in enumerate(pairs)
        )

    size = len(kinds)
    schema: Schema = {
        "type": "array",
        "prefixItems": [kind.schema for kind in kinds],
        "minItems": size,
        "maxItems": size,
    }
    return Kind(schema, from_json)


def _mapping(arguments: tuple[Any, ...]) -> Kind:
    if arguments and arguments[0] is not str:
        raise TypeError("a dict that is an argument has texts as keys, as JSON does")
    item = kind_of(arguments[1] if arguments else Any)

    def from_json(value: Any, at: str, faults: list[Fault]) -> Any:
        if type(value) is not dict:
            faults.append(Fault("body", at, "must be an object"))
            return None
        return {
            name: item.from_json(each, f"{at}/{pointed(name)}", faults)
            for name, each in value.items()
        }

    return Kind({"type": "object", "additionalProperties": item.schema}, from_json)


def _dataclass(annotation: type) -> Kind:
    hints = typing.get_type_hints(annotation, include_extras=True)
    members = {
        field.name: Member(
            kind_of(hints[field.name]),
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(annotation)
        if field.init
    }
    return _object(annotation.__name__, members, lambda found: annotation(**found))


def _typed_dict(annotation: Any) -> Kind:
    hints = typing.get_type_hints(annotation)
    required = annotation.__required_keys__
    members = {name: Member(kind_of(hint), name in required) for name, hint in hints.items()}
    return _object(annotation.__name__, members, dict)


def _object(
    title: str, members: Mapping[str, Member], build: Callable[[dict[str, Any]], Any]
) -> Kind:
    def from_json(value: Any, at: str, faults: list[Fault]) -> Any:
        if type(value) is not dict:
            faults.append(Fault("body", at, "must be an object"))
            return None
        before = len(faults)
        found = {}
        for name, member in members.items():
            if name in value:
                found[name] = member.kind.from_json(value[name], f"{at}/{pointed(name)}", faults)
            elif member.is_required:
                faults.append(Fault("body", f"{at}/{pointed(name)}", "is missing"))
        faults += [
            Fault("body", f"{at}/{pointed(name)}", "is not known")
            for name in value
            if name not in members
        ]
        return built(build, found, at, faults) if len(faults) == before else None

    schema: Schema = {
        "title": title,
        "type": "object",
        "properties": {name: member.kind.schema for name, member in members.items()},
        "additionalProperties": False,
    }
    if required := [name for name, member in members.items() if member.is_required]:
        schema["required"] = required
    return Kind(schema, from_json, members=members, build=build)


def built(
    build: Callable[[dict[str, Any]], Any], found: dict[str, Any], at: str, faults: list[Fault]
) -> Any:
    """Make an object of its members; a ValueError of its own checks is a fault."""
    try:
        return build(found)
    except ValueError as error:
        faults.append(Fault("body", at, str(error)))
        return None


def pointed(name: str) -> str:
    """Escape a name for a JSON Pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")
