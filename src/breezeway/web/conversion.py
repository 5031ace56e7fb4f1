"""From texts and JSON to the types that a handler asks for, and those types for OpenAPI.

`kind_of` takes an annotation once, when a route is added, and returns its `Kind`: how to make a value of
a text (of a path, query, form, field or cookie) or of JSON, and the schema. Whatever is wrong with a value
is a `Fault` in a list; all of them are found, not just the first.

What is there: str, int, float, bool, None, Any, Literal, enums, dates and times (ISO 8601), UUID, Decimal,
Optional and unions, list, set, tuple, dict with text keys, dataclasses and TypedDicts, all of them nested.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import sys
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal, Union

from breezeway.web.kinds import At, EnoughError, Faults, FromJson, Kind, Member, Schema, Wrong
from breezeway.web.parameters import Constraint
from breezeway.web.scalars import SIMPLE, uuid_kind

_OBJECTS: Final[dict[Any, Kind]] = {}
"""The kinds of classes, so that each has one, also if it is a member of itself."""


def kind_of(annotation: Any) -> Kind:
    """Return the kind of an annotation.

    Raises:
        TypeError: there is none for it.
    """
    try:
        if annotation in SIMPLE:
            return SIMPLE[annotation]
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
    if type(annotation).__name__ == "TypeAliasType":  # `type Name = ...`, from 3.12
        return kind_of(annotation.__value__)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        by_value = {member.value: member for member in annotation}
        return _choices(annotation, list(by_value), by_value.__getitem__)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _class(annotation, _dataclass_members, lambda found: annotation(**found))
    if typing.is_typeddict(annotation):
        return _class(annotation, _typed_dict_members, dict)
    if annotation is getattr(sys.modules.get("uuid"), "UUID", None):
        return uuid_kind()
    return _file(annotation)


def _file(annotation: Any) -> Kind:
    from breezeway.web.uploads import Upload

    if annotation is not Upload:
        raise TypeError(f"neither text nor JSON becomes a value of type {_shown(annotation)}")

    def from_json(value: Any, at: At, faults: Faults) -> Any:
        faults.add("body", at, "must be a file of a form")

    schema: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    return Kind(schema, from_json, is_file=True)


def _shown(annotation: Any) -> str:
    """Return a type as one writes it."""
    if type(annotation) is type:
        return f"{annotation.__module__}.{annotation.__qualname__}".removeprefix("builtins.")
    return repr(annotation)


def hints_of(of: Any, name: str) -> dict[str, Any]:
    """Return the annotations of a function or class, evaluated.

    Raises:
        TypeError: one of them cannot be; `name` is what it is told of.
    """
    try:
        return typing.get_type_hints(of, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"an annotation of {name} names what is not there: {error}; with annotations that are texts"
            " it has to be at the top of a module, and not imported for type checkers alone"
        ) from None
    except RecursionError:  # of many classes in each other
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise TypeError(f"an annotation of {name} cannot be evaluated: {why}") from None


def check_made(annotation: type, names: Collection[str]) -> None:
    """See whether a dataclass can be made of its members.

    Raises:
        TypeError: it needs something else, such as an InitVar.
    """
    for name, parameter in inspect.signature(annotation).parameters.items():
        has_name = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if has_name and parameter.default is parameter.empty and name not in names:
            raise TypeError(
                f"{annotation.__qualname__} is made with {name!r}, which is none of its members"
            )


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

    def checked_json(value: Any, at: At, faults: Faults) -> Any:
        before = len(faults)
        made = from_json(value, at, faults)
        if len(faults) == before and made is not None:
            fault = constraint.fault(made)
            if fault:
                faults.add("body", at, fault)
                return None
        return made

    return Kind(
        schema,
        checked_json,
        None if from_text is None else lambda text: checked(from_text(text)),
        item=kind.item,
        collect=lambda values: checked(collect(values)),
        members=kind.members,
        build=kind.build,
        is_file=kind.is_file,
    )


def _choices(annotation: Any, values: list[Any], make: Callable[[Any], Any]) -> Kind:
    if not all(value is None or type(value) in (str, int, float, bool) for value in values):
        raise TypeError(f"values of {annotation!r} are none that JSON has")
    shown = ", ".join("null" if value is None else _as_text(value) for value in values)
    by_text: dict[str, Any] = {}
    for value in values:
        by_text.setdefault(_as_text(value), value)

    def from_text(text: str) -> Any:
        if text not in by_text:
            raise Wrong(f"must be one of {shown}")
        return make(by_text[text])

    def from_json(value: Any, at: At, faults: Faults) -> Any:
        for each in values:
            if type(each) is type(value) and each == value:
                return make(each)
        faults.add("body", at, f"must be one of {shown}")
        return None

    return Kind({"enum": values}, from_json, from_text)


def _as_text(value: Any) -> str:
    """Return what stands for a value in a text; for null nothing, as in a form that was left empty."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


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

    def from_json(value: Any, at: At, faults: Faults) -> Any:
        fitting = _fitting(kinds, value)
        if len(fitting) == 1:
            return fitting[0].from_json(value, at, faults)
        return _first_of(fitting, value, at, faults)

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


def _first_of(kinds: list[Kind], value: Any, at: At, faults: Faults) -> Any:
    """Return what the first kind makes of a value that finds nothing wrong with it."""
    all_found: list[Faults] = []
    for kind in kinds:
        faults.attempts[0] -= 1
        if faults.attempts[0] < 0:
            raise EnoughError("could be too many things")
        found = Faults(faults.attempts)
        try:
            result = kind.from_json(value, at, found)
        except EnoughError:
            if faults.attempts[0] < 0:
                raise
        if not found:
            return result
        all_found.append(found)
    if len({fault.at for found in all_found for fault in found}) == 1:
        says = dict.fromkeys(fault.says for found in all_found for fault in found)
        faults.add("body", all_found[0][0].at, ", or ".join(says))
        return None
    # What is furthest inside was most likely meant.
    for fault in max(all_found, key=lambda found: max(len(fault.at) for fault in found)):
        faults.add(fault.where, fault.at, fault.says)
    return None


def _fitting(kinds: list[Kind], value: Any) -> list[Kind]:
    """Return those that a value could be by its members alone; all if it is none of them."""
    if type(value) is not dict or sum(kind.members is not None for kind in kinds) < 2:
        return kinds
    fitting = [kind for kind in kinds if _could_be(kind, value)]
    return fitting or kinds


def _could_be(kind: Kind, value: dict[str, Any]) -> bool:
    members = kind.members
    if members is None:  # a dict, or anything
        return kind.schema.get("type", "object") == "object" and "enum" not in kind.schema
    return (
        value.keys() <= members.keys()
        and all(name in value for name, member in members.items() if member.is_required)
        and all(
            value[name] in member.kind.schema["enum"]
            for name, member in members.items()
            if name in value and "enum" in member.kind.schema
        )
    )


def _sequence(origin: type, arguments: tuple[Any, ...]) -> Kind:
    if origin is tuple and arguments and arguments[-1:] != (Ellipsis,):
        return _fixed([kind_of(each) for each in arguments])
    item = kind_of(arguments[0] if arguments else Any)

    def from_json(value: Any, at: At, faults: Faults) -> Any:
        if type(value) is not list:
            faults.add("body", at, "must be a list")
            return None
        before = len(faults)
        found = [item.from_json(each, (at, number), faults) for number, each in enumerate(value)]
        if len(faults) > before:
            return None
        try:
            return origin(found)
        except TypeError:  # lists and objects have no hash
            faults.add("body", at, "must be a list of different values")
            return None

    schema: Schema = {"type": "array", "items": item.schema}
    if origin in (set, frozenset):
        schema["uniqueItems"] = True
    return Kind(schema, from_json, item=item, collect=origin)


def _fixed(kinds: list[Kind]) -> Kind:
    _refuse_files(kinds)

    def from_json(value: Any, at: At, faults: Faults) -> Any:
        if type(value) is not list or len(value) != len(kinds):
            faults.add("body", at, f"must be a list of {len(kinds)}")
            return None
        before = len(faults)
        pairs = zip(kinds, value, strict=True)
        found = [
            kind.from_json(each, (at, number), faults) for number, (kind, each) in enumerate(pairs)
        ]
        return tuple(found) if len(faults) == before else None

    size = len(kinds)
    schema: Schema = {
        "type": "array",
        "prefixItems": [kind.schema for kind in kinds],
        "minItems": size,
        "maxItems": size,
    }
    return Kind(schema, from_json)


def _refuse_files(kinds: list[Kind]) -> None:
    if any(kind.is_file for kind in kinds):
        raise TypeError("a file is by itself, in a list, or a member of a class")


def _mapping(arguments: tuple[Any, ...]) -> Kind:
    if arguments and arguments[0] is not str:
        raise TypeError("a dict that is an argument has texts as keys, as JSON does")
    item = kind_of(arguments[1] if arguments else Any)
    _refuse_files([item])

    def from_json(value: Any, at: At, faults: Faults) -> Any:
        if type(value) is not dict:
            faults.add("body", at, "must be an object")
            return None
        before = len(faults)
        found = {name: item.from_json(each, (at, name), faults) for name, each in value.items()}
        return found if len(faults) == before else None

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
    hints = hints_of(annotation, annotation.__qualname__)
    members = {
        field.name: Member(
            _kind_of_member(annotation, field.name, hints[field.name]),
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
            None if field.default is dataclasses.MISSING else field.default,
        )
        for field in dataclasses.fields(annotation)
        if field.init
    }
    check_made(annotation, members)
    return members


def _typed_dict_members(annotation: Any) -> dict[str, Member]:
    hints = hints_of(annotation, annotation.__qualname__)
    required = annotation.__required_keys__
    return {
        name: Member(_kind_of_member(annotation, name, hint), _is_required(hint, name in required))
        for name, hint in hints.items()
    }


def _is_required(hint: Any, otherwise: bool) -> bool:
    """Tell whether a member has to be there; in annotations that are texts Python does not look for it."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _is_required(typing.get_args(hint)[0], otherwise)
    return origin is typing.Required or (otherwise and origin is not typing.NotRequired)


def _kind_of_member(annotation: type, name: str, hint: Any) -> Kind:
    try:
        return kind_of(hint)
    except TypeError as error:
        raise TypeError(f"{name!r} of {annotation.__qualname__}: {error}") from None


def _object(members: Mapping[str, Member], build: Callable[[dict[str, Any]], Any]) -> FromJson:
    def from_json(value: Any, at: At, faults: Faults) -> Any:
        if type(value) is not dict:
            faults.add("body", at, "must be an object")
            return None
        before = len(faults)
        found = {}
        for name, member in members.items():
            if name in value:
                found[name] = member.kind.from_json(value[name], (at, name), faults)
            elif member.is_required:
                faults.add("body", (at, name), "is missing")
        if len(found) < len(value):
            for name in value:
                if name not in members:
                    faults.add("body", (at, name), "is not known")
        return built(build, found, at, faults) if len(faults) == before else None

    return from_json


def built(
    build: Callable[[dict[str, Any]], Any], found: dict[str, Any], at: At, faults: Faults
) -> Any:
    """Make an object of its members; a ValueError of its own checks is a fault."""
    try:
        return build(found)
    except ValueError as error:
        faults.add("body", at, str(error))
        return None
