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
import inspect
import re
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, Union

from breezeway.web.parameters import Constraint

from breezeway.web.uploads import Upload

Schema: TypeAlias = dict[str, Any]

INT_DIGITS: Final = 30
"""Of a whole number in a text."""

TRUE: Final = frozenset(["true", "1", "on", "yes"])
FALSE: Final = frozenset(["false", "0", "off", "no"])

# Of numbers in a text: what the built-in types take beside is no number to anybody else (`1_0`, ` 1`).
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100})(?:[eE][+-]?[0-9]{1,3})?")


MOST_FAULTS: Final = 100
"""That are told of one request: who repairs these asks again, and a client cannot make a long list."""

MOST_ATTEMPTS: Final = 100_000
"""Of matching objects with classes of a union that could all be meant: in one that has itself as a
member, their number doubles with each level."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request.

    `where` is `path`, `query`, `header`, `cookie`, `form` or `body`; `at` is the name there, for a body a
    JSON Pointer (RFC 6901); `says` is a clause such as `must be a whole number`.
    """

    where: str
    at: str
    says: str


class EnoughError(Exception):
    """There are as many faults as are told."""


class Faults(list[Fault]):
    """The faults of one request."""

    def __init__(self, attempts: list[int] | None = None) -> None:
        super().__init__()
        self.attempts = [MOST_ATTEMPTS] if attempts is None else attempts
        """How many are left, in a list that all of a request share."""

    def add(self, where: str, at: str, says: str) -> None:
        """Add one; raise EnoughError if it is the last."""
        self.append(Fault(where, at, says))
        if len(self) >= MOST_FAULTS:
            raise EnoughError


class Wrong(ValueError):
    """A value that cannot be; its text is a clause such as `must be a whole number`."""


FromText: TypeAlias = Callable[[str], Any]
"""Returns a value, or raises Wrong."""

FromJson: TypeAlias = Callable[[Any, str, Faults], Any]
"""Takes a value, where it is (a JSON Pointer) and the faults, to which it adds; returns a value."""


@dataclass(eq=False)
class Kind:
    """What values of an annotation are made of."""

    schema: Schema
    """JSON Schema 2020-12; where `$ref` is, the kind of an object stands in place of its name."""
    from_json: FromJson
    from_text: FromText | None = None
    """None if no single text can be one."""
    item: Kind | None = None
    """Of what a list, set or tuple is, so that a name which comes several times can be one."""
    collect: Callable[[list[Any]], Any] = list
    members: Mapping[str, Member] | None = None
    """Of a dataclass or TypedDict."""
    build: Callable[[dict[str, Any]], Any] = dict
    """Makes one of its members; raises ValueError."""
    title: str = ""
    """Of an object: the name of its class."""
    definition: Schema | None = None
    """Of an object: its own schema."""
    is_file: bool = False
    """Of a form: a file."""


@dataclass(frozen=True)
class Member:
    """A member of a dataclass or TypedDict."""

    kind: Kind
    is_required: bool


_OBJECTS: Final[dict[Any, Kind]] = {}
"""The kinds of classes, so that each has one, also if it is a member of itself."""


def kind_of(annotation: Any) -> Kind:
    """Return the kind of an annotation.

    Raises:
        TypeError: there is none for it.
    """
    try:
        if annotation in _SIMPLE:
            return _SIMPLE[annotation]
    except TypeError:  # Annotated with what has no hash, or Literal
        pass
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _constrained(kind_of(arguments[0]), annotation.__metadata__)
    if origin in (typing.Required, typing.NotRequired):
        return kind_of(arguments[0])
    if origin is Literal:
        return _choices(annotation, list(arguments), lambda value: value)
    if origin in (Union, types.UnionType):
        return _union([kind_of(each) for each in arguments])
    if origin in (list, set, frozenset, tuple) or annotation in (list, set, frozenset, tuple):
        return _sequence(origin or annotation, arguments)
    if origin is dict or annotation is dict:
        return _mapping(arguments)
    if isinstance(annotation, typing.NewType):
        return kind_of(annotation.__supertype__)
    if isinstance(annotation, getattr(typing, "TypeAliasType", ())):
        return kind_of(annotation.__value__)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        by_value = {member.value: member for member in annotation}
        return _choices(annotation, list(by_value), by_value.__getitem__)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _class(annotation, _dataclass_members, lambda found: annotation(**found))
    if typing.is_typeddict(annotation):
        return _class(annotation, _typed_dict_members, dict)
    return _file(annotation)


def _file(annotation: Any) -> Kind:
    from breezeway.web.uploads import Upload

    if annotation is not Upload:
        raise TypeError(f"a handler cannot have an argument of type {annotation!r}")

    def from_json(value: Any, at: str, faults: Faults) -> Any:
        faults.add("body", at, "must be a file of a form")

    schema: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    return Kind(schema, from_json, lambda file: file, is_file=True)


def _constrained(kind: Kind, metadata: tuple[Any, ...]) -> Kind:
    """Hold the values of a kind to constraints; what among the metadata is none has another meaning."""
    for each in metadata:
        if isinstance(each, Constraint):
            kind = _held(kind, each)
    return kind


def _held(kind: Kind, constraint: Constraint) -> Kind:
    schema = constraint.schema(kind.schema)
    from_text, from_json, collect = kind.from_text, kind.from_json, kind.collect

    def checked(value: Any) -> Any:
        fault = "" if value is None else constraint.fault(value)
        if fault:
            raise Wrong(fault)
        return value

    def checked_json(value: Any, at: str, faults: Faults) -> Any:
        before = len(faults)
        made = from_json(value, at, faults)
        if len(faults) == before and made is not None:
            fault = constraint.fault(made)
            if fault:
                faults.add("body", at, fault)
        return made

    return dataclasses.replace(
        kind,
        schema=schema,
        from_json=checked_json,
        from_text=None if from_text is None else lambda text: checked(from_text(text)),
        collect=lambda values: checked(collect(values)),
    )


# --- single values ---------------------------------------------------------------------------------------


def _scalar(schema: Schema, from_text: FromText, *exact: type) -> Kind:
    """Make a kind of one text; in JSON it is one of the types `exact`, or else that text."""

    def from_json(value: Any, at: str, faults: Faults) -> Any:
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


def _float_json(value: Any, at: str, faults: Faults) -> Any:
    if type(value) in (int, float):
        try:
            return float(value)
        except OverflowError:
            pass
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


def _decimal_json(value: Any, at: str, faults: Faults) -> Any:
    if type(value) in (int, float):
        value = str(value)
    return _DECIMAL.from_json(value, at, faults)


def _none_json(value: Any, at: str, faults: Faults) -> Any:
    if value is not None:
        faults.add("body", at, "must be null")


def _no_file(value: Any, at: str, faults: Faults) -> Any:
    faults.add("body", at, "must be a file of a form")


def _same(value: Any, at: str, faults: Faults) -> Any:
    return value


def _formatted(name: str, parse: Callable[[str], Any], noun: str) -> Kind:
    return _scalar({"type": "string", "format": name}, _parsed(parse, noun))


_DECIMAL: Final = _formatted("decimal", _decimal, "a decimal number")

_SIMPLE: Final[dict[Any, Kind]] = {
    Upload: Kind({"type": "string", "format": "binary"}, _no_file, is_file=True),
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


def _choices(annotation: Any, values: list[Any], make: Callable[[Any], Any]) -> Kind:
    if not all(value is None or type(value) in (str, int, float, bool) for value in values):
        raise TypeError(f"values of {annotation!r} are none that JSON has")
    shown = ", ".join(str(value) for value in values)
    by_text = {str(value): value for value in values}

    def from_text(text: str) -> Any:
        if text not in by_text:
            raise Wrong(f"must be one of {shown}")
        return make(by_text[text])

    def from_json(value: Any, at: str, faults: Faults) -> Any:
        for each in values:
            if type(each) is type(value) and each == value:
                return make(each)
        faults.add("body", at, f"must be one of {shown}")
        return None

    return Kind({"enum": values}, from_json, from_text)


# --- values of several -----------------------------------------------------------------------------------


def _union(kinds: list[Kind]) -> Kind:
    """Take the first kind that a value is one of."""
    with_text = [kind.from_text for kind in kinds if kind.from_text is not None]
    has_null = any(kind.schema == {"type": "null"} for kind in kinds)

    def from_text(text: str) -> Any:
        wrongs = []
        for each in with_text:
            try:
                return each(text)
            except Wrong as error:
                wrongs.append(str(error))
        if has_null and not text:  # a field of a form that was left empty
            return None
        raise Wrong(", or ".join(wrongs))

    def from_json(value: Any, at: str, faults: Faults) -> Any:
        fitting = _fitting(kinds, value)
        if len(fitting) == 1:
            return fitting[0].from_json(value, at, faults)
        all_found: list[Faults] = []
        for kind in fitting:
            faults.attempts[0] -= 1
            if faults.attempts[0] < 0:
                faults.add("body", at, "could be too many things")
                raise EnoughError
            found = Faults(faults.attempts)
            try:
                result = kind.from_json(value, at, found)
            except EnoughError:
                if faults.attempts[0] < 0:
                    raise
            if not found:
                return result
            all_found.append(found)
        # What is furthest inside was most likely meant.
        for fault in max(all_found, key=lambda found: max(len(fault.at) for fault in found)):
            faults.add(fault.where, fault.at, fault.says)
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
        is_file=plain.is_file if plain else False,
    )


def _fitting(kinds: list[Kind], value: Any) -> list[Kind]:
    """Return those that a value could be by its members alone; all if it is none of them."""
    if type(value) is not dict or sum(kind.members is not None for kind in kinds) < 2:
        return kinds
    fitting = [
        kind
        for kind in kinds
        if kind.members is not None
        and value.keys() <= kind.members.keys()
        and all(name in value for name, member in kind.members.items() if member.is_required)
        and all(
            value[name] in member.kind.schema["enum"]
            for name, member in kind.members.items()
            if name in value and "enum" in member.kind.schema
        )
    ]
    return fitting or kinds


def _sequence(origin: type, arguments: tuple[Any, ...]) -> Kind:
    if origin is tuple and arguments and arguments[-1:] != (Ellipsis,):
        return _fixed([kind_of(each) for each in arguments])
    item = kind_of(arguments[0] if arguments else Any)

    def from_json(value: Any, at: str, faults: Faults) -> Any:
        if type(value) is not list:
            faults.add("body", at, "must be a list")
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
    def from_json(value: Any, at: str, faults: Faults) -> Any:
        if type(value) is not list or len(value) != len(kinds):
            faults.add("body", at, f"must be a list of {len(kinds)}")
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

    def from_json(value: Any, at: str, faults: Faults) -> Any:
        if type(value) is not dict:
            faults.add("body", at, "must be an object")
            return None
        return {
            name: item.from_json(each, f"{at}/{pointed(name)}", faults)
            for name, each in value.items()
        }

    return Kind({"type": "object", "additionalProperties": item.schema}, from_json)


def _class(
    annotation: Any,
    members_of: Callable[[Any], dict[str, Member]],
    build: Callable[[dict[str, Any]], Any],
) -> Kind:
    """Make the kind of a class, or return the one that there is."""
    kind = _OBJECTS.get(annotation)
    if kind is not None:
        return kind
    members: dict[str, Member] = {}
    kind = Kind({}, _object(members, build), members=members, build=build)
    kind.title = annotation.__name__
    kind.schema = {"$ref": kind}
    _OBJECTS[annotation] = kind
    try:
        members.update(members_of(annotation))
    except NameError as error:
        del _OBJECTS[annotation]
        raise TypeError(
            f"an annotation of {annotation.__qualname__} names what is not there: {error}"
        ) from None
    except BaseException:
        del _OBJECTS[annotation]
        raise
    kind.definition = {
        "title": kind.title,
        "type": "object",
        "properties": {name: member.kind.schema for name, member in members.items()},
        "additionalProperties": False,
    }
    doc = annotation.__doc__ or ""
    if doc and not doc.startswith(f"{kind.title}("):  # which dataclass makes
        kind.definition["description"] = inspect.cleandoc(doc)
    if required := [name for name, member in members.items() if member.is_required]:
        kind.definition["required"] = required
    return kind


def _dataclass_members(annotation: Any) -> dict[str, Member]:
    hints = typing.get_type_hints(annotation, include_extras=True)
    return {
        field.name: Member(
            kind_of(hints[field.name]),
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(annotation)
        if field.init
    }


def _typed_dict_members(annotation: Any) -> dict[str, Member]:
    hints = typing.get_type_hints(annotation, include_extras=True)
    required = annotation.__required_keys__
    return {name: Member(kind_of(hint), name in required) for name, hint in hints.items()}


def _object(members: Mapping[str, Member], build: Callable[[dict[str, Any]], Any]) -> FromJson:
    def from_json(value: Any, at: str, faults: Faults) -> Any:
        if type(value) is not dict:
            faults.add("body", at, "must be an object")
            return None
        before = len(faults)
        found = {}
        for name, member in members.items():
            if name in value:
                found[name] = member.kind.from_json(value[name], f"{at}/{pointed(name)}", faults)
            elif member.is_required:
                faults.add("body", f"{at}/{pointed(name)}", "is missing")
        if len(found) < len(value):
            for name in value:
                if name not in members:
                    faults.add("body", f"{at}/{pointed(name)[:LONGEST_NAME]}", "is not known")
        return built(build, found, at, faults) if len(faults) == before else None

    return from_json


LONGEST_NAME: Final = 100
"""Characters of an unknown member that are told."""


def built(
    build: Callable[[dict[str, Any]], Any], found: dict[str, Any], at: str, faults: Faults
) -> Any:
    """Make an object of its members; a ValueError of its own checks is a fault."""
    try:
        return build(found)
    except ValueError as error:
        faults.add("body", at, str(error))
        return None


def pointed(name: str) -> str:
    """Escape a name for a JSON Pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")
