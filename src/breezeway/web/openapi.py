"""An OpenAPI 3.1 document of the routes of an `App`, from patterns, annotations and docstrings.

Schemas are JSON Schema 2020-12, as OpenAPI 3.1 has them. Each class is one component, which the others
refer to, itself included. Two paths that OpenAPI takes for the same (`/a/{x:int}` and `/a/{y}`) share one
entry; where both have the method, the one that counts first is told.
"""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Union

from breezeway.web.binding import Argument, function_of
from breezeway.web.conversion import kind_of
from breezeway.web.errors import phrase
from breezeway.web.failures import PROBLEM
from breezeway.web.kinds import Kind, Member, Schema
from breezeway.web.pattern import HOST_VARIABLE, Segment
from breezeway.web.response import HTML, JSON, TEXT, Response, dumps
from breezeway.web.results import BYTES

if TYPE_CHECKING:
    from breezeway.web.endpoint import Endpoint
    from breezeway.web.operations import Operation

VERSION: Final = "3.1.0"

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""Those that a Path Item Object has a place for."""

NOT_PARAMETERS: Final = ("accept", "content-type", "authorization")
"""Fields that OpenAPI says otherwise: by media types and security schemes (section 4.8.12.1)."""

PROBLEM_SCHEMA: Final[Schema] = {
    "title": "Problem",
    "description": "What is wrong with a request (RFC 9457).",
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "faults": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "in": {"enum": ["path", "query", "header", "cookie", "form", "body"]},
                    "at": {
                        "type": "string",
                        "description": "The name there; for a body, a JSON Pointer.",
                    },
                    "says": {"type": "string"},
                },
                "required": ["in", "at", "says"],
            },
        },
    },
    "required": ["title", "status"],
}


def document(
    operations: Iterable[Operation],
    title: str,
    version: str,
    *,
    description: str = "",
    servers: Iterable[str] = (),
    security_schemes: Mapping[str, Mapping[str, Any]] | None = None,
    security: Iterable[Mapping[str, Iterable[str]]] = (),
) -> dict[str, Any]:
    """Return the document; what each is, `App.openapi` says."""
    components = _Components()
    paths, tags = _paths(operations, components)
    info = {"title": title, "version": version}
    found: dict[str, Any] = {
        "openapi": VERSION,
        "info": {**info, "description": description} if description else info,
        "servers": [{"url": url} for url in servers] or [{"url": "/"}],
        "paths": paths,
    }
    if tags:
        found["tags"] = [
            {"name": name, "description": text} if text else {"name": name}
            for name, text in tags.items()
        ]
    schemas = components.schemas()
    if schemas or security_schemes:
        found["components"] = {
            **({"schemas": schemas} if schemas else {}),
            **({"securitySchemes": dict(security_schemes)} if security_schemes else {}),
        }
    if security:
        found["security"] = [
            {name: [*scopes] for name, scopes in each.items()} for each in security
        ]
    return found


def _paths(
    operations: Iterable[Operation], components: _Components
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the operations by path and method, and the descriptions of their tags."""
    paths: dict[str, dict[str, Any]] = {}
    by_shape: dict[str, str] = {}
    tags: dict[str, str] = {}
    names: set[str] = set()
    for each in operations:
        endpoint = each.endpoint
        method = endpoint.route.method.lower()
        if endpoint.route.openapi is False or method not in METHODS:
            continue
        path = by_shape.setdefault(_shape(each), each.prefix + _path(endpoint))
        item = paths.setdefault(path, {})
        if method in item:
            continue
        operation = item[method] = _operation(each, path, components, names)
        for group in endpoint.groups:
            if group.name in operation["tags"]:
                tags.setdefault(group.name, inspect.cleandoc(group.description))
    return paths, tags


class _Components:
    """The schemas of classes, each under a name of its own."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._kinds: dict[str, Kind | Schema] = {}

    def problem(self) -> Schema:
        """Return a reference to the schema of problem details."""
        self._kinds.setdefault("Problem", PROBLEM_SCHEMA)
        return {"$ref": "#/components/schemas/Problem"}

    def resolved(self, schema: Any) -> Any:
        """Return a schema with the names of the components that it refers to."""
        if isinstance(schema, list):
            return [self.resolved(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        if isinstance(schema.get("$ref"), Kind):
            return {**schema, "$ref": f"#/components/schemas/{self._name(schema['$ref'])}"}
        return {key: self._keyword(key, value) for key, value in schema.items()}

    def _keyword(self, key: str, value: Any) -> Any:
        if key == "properties":  # whose names are no keywords
            return {name: self.resolved(each) for name, each in value.items()}
        return value if key in ("enum", "default") else self.resolved(value)

    def _name(self, kind: Kind) -> str:
        name = self._names.get(id(kind))
        if name is None:
            name, number = kind.title, 1
            while name in self._kinds or name == "Problem":
                number += 1
                name = f"{kind.title}{number}"
            self._names[id(kind)] = name
            self._kinds[name] = kind
        return name

    def schemas(self) -> dict[str, Schema]:
        """Return all that were referred to, and those to which these refer."""
        done: dict[str, Schema] = {}
        while len(done) < len(self._kinds):
            for name, kind in [*self._kinds.items()]:
                if name not in done:
                    done[name] = self.resolved(_definition(kind))
        return dict(sorted(done.items()))


def _definition(kind: Kind | Schema) -> Any:
    """Return the schema of an object, with the values that its members have by default."""
    if not isinstance(kind, Kind) or not kind.members or kind.definition is None:
        return kind.definition if isinstance(kind, Kind) else kind
    schemas = {name: _with_default(each.kind.schema, each) for name, each in kind.members.items()}
    return {**kind.definition, "properties": schemas}


# --- paths -----------------------------------------------------------------------------------------------


def _path(endpoint: Endpoint) -> str:
    """Write a pattern as OpenAPI has it, without converters."""
    return "/".join(
        part if isinstance(part, str) else _joined(part, [f"{{{name}}}" for name in part.names])
        for part in endpoint.pattern.segments
    )


def _shape(operation: Operation) -> str:
    """Return what two paths have in common that OpenAPI takes for the same."""
    return operation.prefix + "/".join(
        part if isinstance(part, str) else _joined(part, ["{}"] * len(part.names))
        for part in operation.endpoint.pattern.segments
    )


def _joined(segment: Segment, variables: list[str]) -> str:
    pairs = zip(variables, segment.parts[1:], strict=True)
    return segment.parts[0] + "".join(f"{name}{after}" for name, after in pairs)


def _operation(
    where: Operation, path: str, components: _Components, names: set[str]
) -> dict[str, Any]:
    endpoint, host = where.endpoint, where.host
    route = endpoint.route
    summary, description = _said(route.handler)
    tags = [group.name for group in endpoint.groups if group.name][-1:]
    renamed = dict(zip(endpoint.names, HOST_VARIABLE.findall(path), strict=True))
    parameters = [*_parameters(endpoint, renamed, components)]
    body = _request_body(endpoint.arguments, components)
    operation: dict[str, Any] = {
        "operationId": _unique(route.name, route.method.lower(), names),
        "tags": tags,
        **({"summary": summary} if summary else {}),
        **({"description": description} if description else {}),
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": body} if body else {}),
        "responses": _responses(endpoint, components),
    }
    if host:
        variables = {name: {"default": name} for name in HOST_VARIABLE.findall(host)}
        server: dict[str, Any] = {"url": f"//{host}"}
        operation["servers"] = [{**server, **({"variables": variables} if variables else {})}]
    if isinstance(route.openapi, Mapping):
        operation.update(route.openapi)
    return operation


def _said(handler: Any) -> tuple[str, str]:
    """Return the first line of a docstring, without the dot, and the rest."""
    while isinstance(handler, partial):  # whose docstring is of partial itself
        handler = handler.func
    doc = inspect.cleandoc(getattr(handler, "__doc__", None) or "")
    first, _, rest = doc.partition("\n\n")
    return " ".join(first.split()).removesuffix("."), rest.strip()


def _unique(name: str, method: str, names: set[str]) -> str:
    wanted, number = name, 1
    while wanted in names:
        wanted = f"{name}_{method}" if number == 1 else f"{name}_{method}_{number}"
        number += 1
    names.add(wanted)
    return wanted


# --- what is sent ----------------------------------------------------------------------------------------


def _parameters(
    endpoint: Endpoint, renamed: Mapping[str, str], components: _Components
) -> Iterator[dict[str, Any]]:
    for argument in endpoint.arguments:
        if argument.where not in ("path", "query", "header", "cookie") or argument.kind is None:
            continue
        if argument.where == "header" and argument.at.lower() in NOT_PARAMETERS:
            continue
        schema = components.resolved(argument.kind.schema)
        name = argument.at
        if argument.where == "path":
            name = renamed[name]
        yield {
            "name": name,
            "in": argument.where,
            **({"required": True} if argument.is_required else {}),
            "schema": _with_default(schema, argument),
        }


def _with_default(schema: Schema, argument: Argument | Member) -> Schema:
    if argument.is_required or argument.default is None:
        return schema
    try:
        return {**schema, "default": json.loads(dumps(argument.default))}
    except (TypeError, ValueError):
        return schema


def _request_body(arguments: Iterable[Argument], components: _Components) -> dict[str, Any]:
    fields: dict[str, Schema] = {}
    required: list[str] = []
    objects: list[Argument] = []
    has_files = False
    for argument in arguments:
        kind = argument.kind
        if kind is None:
            continue
        if argument.where == "body":
            schema = components.resolved(kind.schema)
            body = {"content": {JSON: {"schema": schema}}}
            return {**body, **({"required": True} if argument.is_required else {})}
        if argument.where != "form":
            continue
        if argument.at:
            fields[argument.at] = _with_default(components.resolved(kind.schema), argument)
            required += [argument.at] if argument.is_required else []
            has_files = has_files or _is_file(kind)
            continue
        objects.append(argument)
        for name, member in (kind.members or {}).items():
            fields[name] = _with_default(components.resolved(member.kind.schema), member)
            required += [name] if member.is_required else []
            has_files = has_files or _is_file(member.kind)
    if not fields:
        return {}
    form: Schema = {"type": "object", "properties": fields}
    if required:
        form["required"] = required
    types_taken = (MULTIPART,) if has_files else (URLENCODED, MULTIPART)
    return {
        "content": {each: {"schema": form} for each in types_taken},
        **({"required": True} if required else {}),
    }


def _is_file(kind: Kind) -> bool:
    return kind.is_file or (kind.item is not None and kind.item.is_file)


# --- what comes back -------------------------------------------------------------------------------------


def _responses(endpoint: Endpoint, components: _Components) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(function_of(endpoint.handler), include_extras=True)
    except NameError:
        hints = {}
    found: dict[str, dict[str, Any]] = {}
    for status, media_type, schema in _results(hints.get("return", Any)):
        text = "Success" if status == "2XX" else phrase(int(status))
        response = found.setdefault(status, {"description": text})
        if media_type:
            content = response.setdefault("content", {})
            schema = components.resolved(schema)
            there = content.setdefault(media_type, {"schema": schema})["schema"]
            if there != schema:
                each = there["anyOf"] if [*there] == ["anyOf"] else [there]
                content[media_type]["schema"] = {"anyOf": [*each, schema]}
    if any(argument.can_fail for argument in endpoint.arguments):
        content = {PROBLEM: {"schema": components.problem()}}
        found.setdefault("422", {"description": phrase(422), "content": content})
    return dict(sorted(found.items()))


def _results(hint: Any, status: str = "") -> Iterator[tuple[str, str, Schema]]:
    """Say what a return annotation becomes: status, media type and schema."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        yield from _results(arguments[0], status)
    elif origin in (Union, types.UnionType):
        for each in arguments:
            yield from _results(each, status)
    elif origin is tuple and 2 <= len(arguments) <= 3 and Ellipsis not in arguments:
        codes = [_code(each) for each in arguments[1:]]
        yield from _results(arguments[0], next((code for code in codes if code), status))
    elif hint is None or hint is type(None):
        yield (status or "204"), "", {}
    elif hint is Any or (isinstance(hint, type) and issubclass(hint, Response)):
        yield (status or "200"), "", {}
    elif hint in (str, bytes):
        yield (
            (status or "200"),
            (HTML if hint is str else BYTES).partition(";")[0],
            {"type": "string"},
        )
    elif isinstance(origin or hint, type) and issubclass(origin or hint, Iterator):
        yield (status or "200"), TEXT.partition(";")[0], {"type": "string"}
    else:
        try:
            yield (status or "200"), JSON, kind_of(hint).schema
        except TypeError:
            yield (status or "200"), "", {}


def _code(hint: Any) -> str:
    """Return the status that an annotation within a tuple says: `Literal[201]`, or any with `int`."""
    if typing.get_origin(hint) is Literal:
        codes = [each for each in typing.get_args(hint) if type(each) is int]
        return str(codes[0]) if len(codes) == 1 else "2XX" if codes else ""
    return "2XX" if hint is int else ""
