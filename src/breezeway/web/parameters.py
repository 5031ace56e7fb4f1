"""Where an argument of a handler comes from, and what values it has, where its type does not say so.

def search(q: str, page: int = 1): ...                       # the query
def save(id: int, note: Note): ...                           # id of the path, a dataclass of the body
def log_in(name: Annotated[str, Form()]): ...                # a form
def show(token: Annotated[str, Header("X-Token")]): ...      # a field of the request
def list_all(most: Annotated[int, Between(1, 100)] = 20): ...   # the query, within bounds
"""

from __future__ import annotations

import re
from typing import Any


class Marker:
    """Says where an argument comes from, and by which `name` if that is not its own."""

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Query(Marker):
    """From the query."""

    __slots__ = ()


class Header(Marker):
    """From a field of the request; without a name, the argument's with hyphens."""

    __slots__ = ()


class Cookie(Marker):
    """From a cookie."""

    __slots__ = ()


class Form(Marker):
    """From a form; of a dataclass, each member is a field of it."""

    __slots__ = ()


class Body(Marker):
    """The whole body as JSON."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()


# --- constraints -----------------------------------------------------------------------------------------


class Constraint:
    """What values there are of a type, for `Annotated`; also of members of dataclasses."""

    __slots__ = ()

    def __repr__(self) -> str:
        names: tuple[str, ...] = self.__slots__
        shown = (getattr(self, name) for name in names)
        return f"{type(self).__name__}({', '.join(map(repr, shown))})"

    def fault(self, value: Any) -> str:
        """Return what is wrong with a value, a clause such as `must be at least 1`; or nothing."""
        raise NotImplementedError

    def schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema of the type with this constraint; raise TypeError if it has none."""
        raise NotImplementedError


class Between(Constraint):
    """From `least` to `most`, both included; None is no bound. For numbers, dates and times."""

    __slots__ = ("least", "most")

    def __init__(self, least: Any = None, most: Any = None) -> None:
        self.least = least
        self.most = most
        if self.least is None and self.most is None:
            raise ValueError("Between needs a bound at least")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"nothing is between {self.least} and {self.most}")

    def fault(self, value: Any) -> str:
        """Compare; a time with a zone has no order with one that has none."""
        try:
            if self.least is not None and value < self.least:
                return f"must be at least {self.least}"
            if self.most is not None and value > self.most:
                return f"must be at most {self.most}"
        except TypeError:
            bound = self.most if self.least is None else self.least
            if getattr(bound, "tzinfo", None) is None:
                return "must have no time zone"
            return "must have a time zone, such as Z"
        return ""

    def schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Say so of numbers; JSON Schema has no bounds for dates."""
        if _has_type(schema, "integer", "number"):
            return _with(schema, minimum=self.least, maximum=self.most)
        if str(_own(schema).get("format", "")) in ("date", "time", "date-time", "decimal"):
            return schema
        raise TypeError(f"{self} is for numbers, dates and times")


class Length(Constraint):
    """Of `least` to `most` characters of a text, or values of a list."""

    __slots__ = ("least", "most")

    def __init__(self, least: int = 0, most: int | None = None) -> None:
        self.least = least
        self.most = most
        if self.least < 0 or (self.most is not None and self.most < self.least):
            raise ValueError(f"nothing has a length from {self.least} to {self.most}")

    def fault(self, value: Any) -> str:
        """Count."""
        size = len(value)
        if size < self.least:
            return f"must have a length of at least {self.least}"
        if self.most is not None and size > self.most:
            return f"must have a length of at most {self.most}"
        return ""

    def schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Say so by the type."""
        for kind, noun in (("string", "Length"), ("array", "Items"), ("object", "Properties")):
            if _has_type(schema, kind) and "format" not in _own(schema):
                least = self.least or None
                return _with(schema, **{f"min{noun}": least, f"max{noun}": self.most})
        raise TypeError(f"{self} is for texts, lists and dictionaries")


class Matches(Constraint):
    """A text that a regular expression matches as a whole."""

    __slots__ = ("pattern",)

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        re.compile(pattern)

    def fault(self, value: Any) -> str:
        """Match."""
        return "" if re.fullmatch(self.pattern, value) else f"must match {self.pattern}"

    def schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Say so; a pattern of JSON Schema is one of a part, if it has no anchors."""
        if not _has_type(schema, "string") or "format" in _own(schema):
            raise TypeError(f"{self} is for texts")
        return _with(schema, pattern=f"^(?:{self.pattern})$")


def _own(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what is not null."""
    found = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return found[0] if len(found) == 1 else schema


def _has_type(schema: dict[str, Any], *types: str) -> bool:
    return _own(schema).get("type") in types


def _with(schema: dict[str, Any], **keywords: Any) -> dict[str, Any]:
    added = {name: value for name, value in keywords.items() if value is not None}
    own = _own(schema)
    if own is schema:
        return {**schema, **added}
    others = [{**each, **added} if each is own else each for each in schema["anyOf"]]
    return {**schema, "anyOf": others}
