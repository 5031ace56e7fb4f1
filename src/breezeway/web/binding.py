"""From a request to the arguments of a handler, by their names and annotations.

`bind` looks at a handler once, when its route is added, and makes a reader for each argument. For a
request the readers run one after the other; each returns a value or adds to the faults, and if there are
any, the answer is a 422 that lists them all.

An argument is the request if it is annotated so, or called `request` without another annotation; of the
path if the pattern has its name; a file of a form if it is an `Upload`, all of its name if a list of such;
the body as JSON if it is a dataclass, TypedDict, dict, or list of such; otherwise of the query.
`Annotated[..., Form()]` and the other markers of `parameters` say otherwise.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable
from functools import partial
from types import FunctionType
from typing import Any, Final, NamedTuple

from breezeway.web.conversion import built, hints_of, kind_of
from breezeway.web.errors import UnprocessableContent
from breezeway.web.kinds import EnoughError, Fault, Faults, Kind, Schema, Wrong
from breezeway.web.parameters import Body, Constraint, Cookie, Form, Header, Marker, Query
from breezeway.web.pattern import Pattern
from breezeway.web.request import Request

MISSING: Final = inspect.Parameter.empty

Reader = Callable[[Request, tuple[Any, ...], Faults], Any]
"""Takes the request, the values of the path in order, and the faults, to which it may add."""


class Argument(NamedTuple):
    """One argument: where it comes from, under which name, of which kind."""

    name: str
    where: str
    """`path`, `query`, `header`, `cookie`, `form`, `body` or `request`."""
    at: str
    """The name there; empty for a body, and for a form that is an argument as a whole."""
    kind: Kind | None
    is_required: bool
    reader: Reader
    default: Any = None
    """What it is if it is not there."""
    can_fail: bool = True
    """Whether there are requests in which it is wrong."""


def bind(handler: Callable[..., Any], pattern: Pattern) -> list[Argument]:
    """Make the arguments of a handler.

    Raises:
        TypeError: an argument is of a type that there is no kind for, or the handler lacks one that the
            path has.
        RuntimeError: it takes a file of a form, and the library for those is not installed.
    """
    function = function_of(handler)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{_named(handler)} is async; WSGI has no event loop: use a plain function")
    try:
        signature = inspect.signature(handler)
    except ValueError:  # of C code
        raise TypeError(f"{_named(handler)} does not say which arguments it takes") from None
    hints = _hints_of_arguments(function, _named(handler))
    arguments = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        shown = f"the argument {parameter.name!r} of {_named(handler)}"
        try:
            hint = hints.get(parameter.name, MISSING)
            arguments.append(_argument(parameter, hint, pattern))
        except (TypeError, RecursionError) as error:
            says = error if isinstance(error, TypeError) else "its type is nested too deeply"
            raise TypeError(f"{shown}: {says}") from None
        except RuntimeError as error:
            raise RuntimeError(f"{shown}: {error}") from None
    lacking = [name for name in pattern.names if name not in signature.parameters]
    if any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values()):
        arguments += [_of_path(name, MISSING, pattern) for name in lacking]
    elif lacking:
        names = ", ".join(lacking)
        raise TypeError(f"{_named(handler)} has no argument for {names} of {pattern.text!r}")
    places = [argument.where for argument in arguments]
    if places.count("body") > 1:
        raise TypeError(f"{_named(handler)} has more than one argument for the body")
    if "body" in places and "form" in places:
        raise TypeError(f"{_named(handler)} asks for a body that is JSON and a form at once")
    return arguments


def _hints_of_arguments(function: Any, name: str) -> dict[str, Any]:
    """Return the annotations; that of the result may name what is imported for type checkers alone."""
    try:
        return hints_of(function, name)
    except TypeError:
        alone = _without_result(function)
        if alone is None:
            raise
        return hints_of(alone, name)


def _without_result(function: Any) -> Any:
    """Return a function with the same annotations but that of the result; None if there is none."""
    inner = inspect.unwrap(function)
    inner = getattr(inner, "__func__", inner)
    if not isinstance(inner, FunctionType):
        return None
    alone: Any = FunctionType(inner.__code__, inner.__globals__)
    try:
        alone.__annotations__ = {**function.__annotations__, "return": None}
    except NameError:  # of Python 3.14, which evaluates them all when it is asked for them
        return None
    if hasattr(inner, "__type_params__"):  # from 3.12
        alone.__type_params__ = inner.__type_params__
    return alone


def read(
    readers: Iterable[tuple[str, Reader]], request: Request, values: tuple[Any, ...]
) -> dict[str, Any]:
    """Return the arguments for a request, by their names.

    Raises:
        UnprocessableContent: at least one cannot be.
    """
    faults = Faults()
    try:
        found = {name: reader(request, values, faults) for name, reader in readers}
    except EnoughError as error:
        if not faults:  # those of a member, which is not known to be meant
            faults.append(Fault("body", "", str(error)))
    if faults:
        raise UnprocessableContent(
            "the request says what cannot be",
            faults=[{"in": each.where, "at": each.at, "says": each.says} for each in faults],
        )
    return found


def function_of(handler: Any) -> Any:
    """Return what has the annotations."""
    while isinstance(handler, partial):
        handler = handler.func
    if inspect.isroutine(handler) or isinstance(handler, type):
        return handler
    return type(handler).__call__


def _named(handler: Any) -> str:
    while isinstance(handler, partial):
        handler = handler.func
    return str(getattr(handler, "__qualname__", None) or type(handler).__qualname__)


def _argument(parameter: inspect.Parameter, hint: Any, pattern: Pattern) -> Argument:
    name, default = parameter.name, parameter.default
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
        raise TypeError(
            "it has to be one that has a name; a decorator shows those of its function by functools.wraps"
        )
    if isinstance(default, Marker | Constraint):
        raise TypeError(f"{default!r} is no default: write Annotated[..., {default!r}]")
    is_request = isinstance(hint, type) and issubclass(hint, Request)
    if is_request or (hint is MISSING and name == "request"):
        return Argument(
            name, "request", "", None, True, lambda request, *_: request, can_fail=False
        )
    marker = _marker(hint)
    if name in pattern.names:
        if marker is not None:
            raise TypeError(f"it is of the path {pattern.text!r}, and of {marker!r} at once")
        return _of_path(name, hint, pattern)
    kind = kind_of(str if hint is MISSING else hint)
    required = default is MISSING
    if _is_file(kind):
        if marker is not None and not isinstance(marker, Form):
            raise TypeError("a file can come from a form alone")
        at = (marker.name if marker else "") or name
        reader = _file(at, kind, default)
        return _optional(Argument(name, "form", at, kind, required, reader, default))
    if isinstance(marker, Body) or (marker is None and _is_content(kind)):
        if any(each.is_required and each.kind.is_file for each in (kind.members or {}).values()):
            raise TypeError("it has a file, and a file comes from a form: Annotated[..., Form()]")
        return Argument(name, "body", "", kind, required, _body(kind, default), default)
    if isinstance(marker, Form) and kind.members is not None:
        return Argument(name, "form", "", kind, required, _form_object(kind, default), default)
    where, at = _place(marker, name)
    reader = _text(where, at, kind, default)
    return _optional(Argument(name, where, at, kind, required, reader, default))


def _optional(argument: Argument) -> Argument:
    """Let an argument that takes several values of a name be empty, unless it is constrained."""
    kind = argument.kind
    if not argument.is_required or kind is None or kind.item is None or kind.from_text is not None:
        return argument
    if kind.is_file or kind.schema.get("minItems"):
        return argument
    return argument._replace(is_required=False, default=None)


def _marker(hint: Any) -> Marker | None:
    if typing.get_origin(hint) is not typing.Annotated:
        return None
    found = []
    for each in hint.__metadata__:
        if isinstance(each, type) and issubclass(each, Marker | Constraint):
            raise TypeError(f"{each.__name__} is a class: write {each.__name__}() or what it takes")
        if isinstance(each, Marker):
            found.append(each)
    if len(found) > 1:
        raise TypeError(f"it cannot be of {' and '.join(map(repr, found))} at once")
    return found[0] if found else None


def _is_content(kind: Kind) -> bool:
    """Whether a value cannot be a text, or several of one name."""
    return kind.from_text is None and (kind.item is None or kind.item.from_text is None)


def _is_file(kind: Kind) -> bool:
    """Whether a value is a file of a form, or several of one name."""
    return kind.is_file or (kind.item is not None and kind.item.is_file)


def _place(marker: Marker | None, name: str) -> tuple[str, str]:
    if isinstance(marker, Header):
        return "header", marker.name or name.replace("_", "-").title()
    if isinstance(marker, Cookie):
        return "cookie", marker.name or name
    if isinstance(marker, Form):
        return "form", marker.name or name
    return "query", (marker.name if isinstance(marker, Query) else "") or name


# --- readers ---------------------------------------------------------------------------------------------


_PLAIN: Final = ("str", "int", "float", "bool", "UUID")
"""Types that are no others."""


def _of_path(name: str, hint: Any, pattern: Pattern) -> Argument:
    place = pattern.names.index(name)
    converter = pattern.converters[name]
    made = converter.makes
    own = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    fits = own is made or (own is float and made is int)
    name_of = getattr(own, "__name__", "")
    if made not in (None, str) and name_of in _PLAIN and not fits and name_of != made:
        shown = made if isinstance(made, str) else made.__name__
        raise TypeError(f"{name!r} of {pattern.text!r} is of type {shown}, not {name_of}")
    if hint is MISSING or made is not str:
        return _converted(name, hint, place, dict(converter.schema or {"type": "string"}))
    kind = kind_of(hint)
    from_text = kind.from_text
    if from_text is None:
        raise TypeError(f"{name!r} of {pattern.text!r} cannot be of type {hint!r}")

    def reader(_: Request, values: tuple[Any, ...], faults: Faults) -> Any:
        try:
            return from_text(values[place])
        except Wrong as error:
            faults.add("path", name, str(error))
            return None

    return Argument(name, "path", name, kind, True, reader)


def _converted(name: str, hint: Any, place: int, schema: Schema) -> Argument:
    """Take what the converter has made; it can only be outside of the constraints."""
    constraints = [
        each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Constraint)
    ]
    for constraint in constraints:
        schema = constraint.schema(schema)
    kind = Kind(schema, lambda value, *_: value)
    if not constraints:

        def plain(_: Request, values: tuple[Any, ...], __: Faults) -> Any:
            return values[place]

        return Argument(name, "path", name, kind, True, plain, can_fail=False)

    def reader(_: Request, values: tuple[Any, ...], faults: Faults) -> Any:
        for constraint in constraints:
            fault = constraint.fault(values[place])
            if fault:
                faults.add("path", name, fault)
        return values[place]

    return Argument(name, "path", name, kind, True, reader)


def _text(where: str, at: str, kind: Kind, default: Any) -> Reader:
    """Read one text, or all of a name."""
    source = _SOURCES[where]
    item = kind.item
    if kind.from_text is None and item is not None and item.from_text is not None:
        return _texts(where, at, kind, default)
    from_text = kind.from_text
    if from_text is None:
        raise TypeError(f"{at!r} of the {where} is one text, which cannot be of such a type")

    def reader(request: Request, _: tuple[Any, ...], faults: Faults) -> Any:
        text = source(request).get(at)
        if text is None:
            if default is MISSING:
                faults.add(where, at, "is missing")
                return None
            return default
        try:
            return from_text(text)
        except Wrong as error:
            faults.add(where, at, str(error))
            return None

    return reader


def _texts(where: str, at: str, kind: Kind, default: Any) -> Reader:
    assert kind.item is not None
    from_text, collect = kind.item.from_text, kind.collect
    assert from_text is not None

    def reader(request: Request, _: tuple[Any, ...], faults: Faults) -> Any:
        values = _SOURCES[where](request)
        texts = values.all(at) if hasattr(values, "all") else [values[at]] if at in values else []
        if not texts and default is not MISSING:
            return default
        found = []
        for text in texts:
            try:
                found.append(from_text(text))
            except Wrong as error:
                faults.add(where, at, str(error))
        try:
            return collect(found)
        except Wrong as error:
            faults.add(where, at, str(error))
            return None

    return reader


def _file(at: str, kind: Kind, default: Any) -> Reader:
    """Read a file of a form, or all of a name."""
    from breezeway.web.forms import require_library

    require_library()  # when the route is added, and not at the first upload
    collect = None if kind.is_file else kind.collect

    def reader(request: Request, _: tuple[Any, ...], faults: Faults) -> Any:
        found = request.form().files.all(at)
        if not found and (default is not MISSING or collect is None):
            if default is MISSING:
                faults.add("form", at, "is missing")
                return None
            return default
        return found[0] if collect is None else collect(found)

    return reader


def _form_object(kind: Kind, default: Any) -> Reader:
    """Read a dataclass or TypedDict whose members are fields of a form."""
    assert kind.members is not None
    readers = {
        name: _member(name, member.kind, MISSING if member.is_required else _ABSENT)
        for name, member in kind.members.items()
    }

    def reader(request: Request, values: tuple[Any, ...], faults: Faults) -> Any:
        if default is not MISSING and _has_no_form(request):
            return default
        before = len(faults)
        found = {name: read(request, values, faults) for name, read in readers.items()}
        present = {name: value for name, value in found.items() if value is not _ABSENT}
        if len(faults) > before:
            return None
        wrong = Faults()
        made = built(kind.build, present, "", wrong)
        for fault in wrong:
            faults.add("form", "", fault.says)
        return made

    return reader


def _has_no_form(request: Request) -> bool:
    """Tell whether nothing was sent: a form without a field is one all the same."""
    from breezeway.web.forms import MULTIPART, URLENCODED

    return request.content_type not in (URLENCODED, MULTIPART) and not request.has_body


def _member(name: str, kind: Kind, default: Any) -> Reader:
    return _file(name, kind, default) if _is_file(kind) else _text("form", name, kind, default)


_ABSENT: Final = object()


def _body(kind: Kind, default: Any) -> Reader:
    def reader(request: Request, _: tuple[Any, ...], faults: Faults) -> Any:
        if default is not MISSING and not request.has_body:
            return default
        value = request.json()
        try:
            return kind.from_json(value, "", faults)
        except RecursionError:
            faults.add("body", "", "is nested too deeply")
            return None

    return reader


_SOURCES: Final[dict[str, Callable[[Request], Any]]] = {
    "query": lambda request: request.query,
    "header": lambda request: request.headers,
    "cookie": lambda request: request.cookies,
    "form": lambda request: request.form(),
}
