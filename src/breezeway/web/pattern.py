"""Patterns of paths: `/users/{id:int}/files/{name}.{kind}` taken apart and put together.

A segment is what stands between two slashes. A variable in braces has a name and perhaps a converter,
which says what it matches and what it becomes. In a segment with several variables and text around them
each variable is as short as it can be, but for the last. `path` takes the rest, slashes and all, so that
it stands last. Patterns are written as the path reads when it is decoded, `/café` and not `/caf%C3%A9`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import quote

INT_DIGITS: Final = 18
"""Of an `int` in a path: what has more fits into no column of a database."""

_VARIABLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z_0-9]*)(?::([A-Za-z_][A-Za-z_0-9]*))?\}")
HOST_VARIABLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z_0-9]*)\}")
_NOT_LITERAL: Final = re.compile(r"[?#\\\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")
_ANGLED: Final = re.compile(r"<[\w:]+>")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_FLOAT: Final = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")

DOTS: Final = (".", "..")
"""Segments that a client takes out of a URL, also percent-encoded (RFC 3986 section 5.2.4)."""

SEGMENT_SAFE: Final = "!$&'()*+,;=:@-._~"
"""What RFC 3986 section 3.3 lets stand in a segment."""


NO_MATCH: Final = (ValueError, LookupError, ArithmeticError)
"""What a converter raises for what is none of its kind; a table has a KeyError, and `Decimal` an
ArithmeticError."""


class Converter:
    """What a variable matches, and what it becomes.

    `parse` returns the value of a text, or raises one of `NO_MATCH` if it is none of this kind. `write`
    makes the text of a value for a URL, or raises ValueError with a clause such as `must be ..., not ...`.
    Of several that match one segment, that of the lowest `rank` counts. `schema` says what it is to
    OpenAPI, and `makes` which type `parse` returns, or its name, so that annotations can be held to it.
    """

    __slots__ = ("is_rest", "makes", "parse", "rank", "schema", "write")

    def __init__(
        self,
        parse: Callable[[str], Any],
        write: Callable[[Any], str] = str,
        rank: int = 50,
        schema: Mapping[str, Any] | None = None,
        *,
        is_rest: bool = False,
        makes: type | str | None = None,
    ) -> None:
        self.parse = parse
        self.write = write
        self.rank = rank
        self.schema = schema
        self.is_rest = is_rest
        self.makes = makes


def _int(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > INT_DIGITS:
        raise ValueError
    return int(text)


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError
    return float(text)


def _uuid(text: str) -> Any:
    if not _UUID.fullmatch(text):
        raise ValueError
    from uuid import UUID

    return UUID(text)


def _text(text: str) -> str:
    if not text or text in DOTS:
        raise ValueError
    return text


def _rest(text: str) -> str:
    # With a slash in front it would be a path from the root of a file system, once somebody joins it.
    if not text or text[0] == "/" or any(each in text.split("/") for each in DOTS):
        raise ValueError
    return text


def _write_int(value: Any) -> str:
    if type(value) is not int or value < 0:
        raise ValueError(f"must be a whole number from 0, not {value!r}")
    return str(value)


def _write_float(value: Any) -> str:
    if type(value) not in (int, float):
        raise ValueError(f"must be a number, not {value!r}")
    text = str(value)
    if "e" not in text:
        return text
    from decimal import Decimal

    return f"{Decimal(text):f}"


def _write_text(value: Any) -> str:
    value = value.value if isinstance(value, Enum) else value
    if value is None or value == "" or isinstance(value, bytes):
        raise ValueError(f"must be a text, not {value!r}")
    return str(value)


CONVERTERS: Final[Mapping[str, Converter]] = {
    "int": Converter(_int, _write_int, 10, {"type": "integer", "minimum": 0}, makes=int),
    "uuid": Converter(_uuid, str, 20, {"type": "string", "format": "uuid"}, makes="UUID"),
    "float": Converter(_float, _write_float, 30, {"type": "number"}, makes=float),
    "str": Converter(_text, _write_text, 90, {"type": "string"}, makes=str),
    "path": Converter(_rest, _write_text, 99, {"type": "string"}, is_rest=True, makes=str),
}


class Segment:
    """One segment that is not plain text: its variables and how they are read."""

    __slots__ = ("converters", "is_rest", "names", "parse", "parts", "rank")

    def __init__(
        self,
        names: tuple[str, ...],
        converters: tuple[str, ...],
        parts: tuple[str, ...],
        parse: Callable[[str], tuple[Any, ...]],
        rank: tuple[int, int],
        is_rest: bool,
    ) -> None:
        self.names = names
        self.converters = converters
        self.parts = parts
        """The text around and between the variables, one more than these."""
        self.parse = parse
        """Returns the values; raises ValueError if the segment is another one."""
        self.rank = rank
        """Of several that match, the lowest counts: by the converters, then by the text around."""
        self.is_rest = is_rest

    @property
    def key(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What two segments have in common that match the same."""
        return self.converters, self.parts


class Pattern:
    """A whole pattern; `segments` are texts and segments with variables."""

    __slots__ = ("converters", "names", "segments", "text")

    def __init__(
        self,
        text: str,
        segments: tuple[str | Segment, ...],
        converters: Mapping[str, Converter],
    ) -> None:
        self.text = text
        self.segments = segments
        self.converters = converters
        """By the name of the variable."""
        self.names = tuple(converters)
        """The variables in order."""

    def path(self, values: Mapping[str, Any]) -> str:
        """Put the values in; return the path, percent-encoded.

        Raises:
            ValueError: a value is missing, or the path would not lead to it again.
        """
        path = "/".join(
            quote(part, safe=SEGMENT_SAFE) if isinstance(part, str) else self._written(part, values)
            for part in self.segments
        )
        if path.startswith("//"):  # of another host, to a browser (RFC 3986 section 4.2)
            raise ValueError(f"{self.text!r} would become {path!r}, which names a host")
        return path

    def _written(self, segment: Segment, values: Mapping[str, Any]) -> str:
        texts = []
        for name in segment.names:
            if name not in values:
                raise ValueError(f"{self.text!r} needs a value for {name!r}")
            try:
                texts.append(self.converters[name].write(values[name]))
            except NO_MATCH as error:
                says = error if isinstance(error, ValueError) else f"cannot be {values[name]!r}"
                raise ValueError(f"{name!r} of {self.text!r} {says}") from None
        pairs = zip(texts, segment.parts[1:], strict=True)
        text = segment.parts[0] + "".join(f"{value}{after}" for value, after in pairs)
        if not segment.is_rest and "/" in text:
            raise ValueError(f"a value with a slash does not fit into {self.text!r}: {text!r}")
        if any(piece in DOTS for piece in text.split("/")):
            raise ValueError(f"{text!r} in {self.text!r} would be taken out by every client")
        try:
            segment.parse(text)
            again = _split(text, segment.parts)
        except NO_MATCH:
            again = None
        if again != texts:
            raise ValueError(f"{self.text!r} does not match {text!r} for {segment.names}")
        return quote(text, safe=SEGMENT_SAFE + "/" if segment.is_rest else SEGMENT_SAFE)


def parse_pattern(text: str, converters: Mapping[str, Converter] = CONVERTERS) -> Pattern:
    """Take a pattern apart.

    Raises:
        ValueError: it is none: no slash in front, a stray brace, an unknown converter, a name twice,
            `path` that does not stand last, or what no path has once it is decoded.
    """
    if not isinstance(text, str) or not text.startswith("/"):
        raise ValueError(f"a path begins with a slash, not {text!r}")
    by_name: dict[str, Converter] = {}
    segments: list[str | Segment] = []
    parts = text.split("/")
    for part in parts:
        if segments and isinstance(segments[-1], Segment) and segments[-1].is_rest:
            raise ValueError(f"in {text!r} something follows a path variable, which takes the rest")
        segments.append(_segment(text, part, converters, by_name))
    if "" in parts[1:-1]:
        raise ValueError(f"{text!r} has two slashes in a row")
    return Pattern(text, tuple(segments), by_name)


def _segment(
    text: str, part: str, converters: Mapping[str, Converter], by_name: dict[str, Converter]
) -> str | Segment:
    names, kinds, parts, at = [], [], [], 0
    for match in _VARIABLE.finditer(part):
        name, kind = match[1], match[2] or "str"
        if name in by_name:
            raise ValueError(f"{text!r} has the name {name!r} twice")
        if kind not in converters:
            known = ", ".join(converters)
            raise ValueError(f"{text!r} has the unknown converter {kind!r}; there are {known}")
        by_name[name] = converters[kind]
        names.append(name)
        kinds.append(kind)
        parts.append(part[at : match.start()])
        at = match.end()
    parts.append(part[at:])
    _check_literals(text, parts)
    if not names:
        if part in DOTS:
            raise ValueError(f"{text!r} has the segment {part!r}, which every client takes out")
        return part
    found = [converters[kind] for kind in kinds]
    is_rest = any(each.is_rest for each in found)
    plain = len(names) == 1 and parts == ["", ""]
    if is_rest and not plain:
        raise ValueError(f"in {text!r} a path variable shares its segment")
    if "" in parts[1:-1]:
        raise ValueError(f"in {text!r} nothing stands between two variables")
    rank = (min(each.rank for each in found) - (0 if plain else 5), -len("".join(parts)))
    parse = _alone(found[0].parse) if plain else _among(found, tuple(parts))
    return Segment(tuple(names), tuple(kinds), tuple(parts), parse, rank, is_rest)


def _check_literals(text: str, parts: list[str]) -> None:
    if any(brace in piece for piece in parts for brace in "{}"):
        raise ValueError(f"{text!r} has a brace that encloses no variable, such as {{name:int}}")
    for piece in parts:
        if _ANGLED.search(piece):  # of Flask, Bottle or Django; here it would be just a text
            raise ValueError(f"{text!r}: a variable is written in braces, such as {{name:int}}")
        wrong = _NOT_LITERAL.search(piece)
        if wrong is not None:
            raise ValueError(f"{text!r} has {wrong[0]!r}, which no path has once it is decoded")


def _alone(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    return lambda text: (parse(text),)


def _among(converters: list[Converter], parts: tuple[str, ...]) -> Callable[[str], tuple[Any, ...]]:
    """Read variables with text around them."""

    def parse(text: str) -> tuple[Any, ...]:
        pairs = zip(converters, _split(text, parts), strict=True)
        return tuple(each.parse(value) for each, value in pairs)

    return parse


def _split(text: str, parts: tuple[str, ...]) -> list[str]:
    """Return what stands between the parts, nowhere nothing, in a time that grows with the text alone.

    Raises:
        ValueError: the parts are not all there.
    """
    at, end = len(parts[0]), len(text) - len(parts[-1])
    if not (text.startswith(parts[0]) and text.endswith(parts[-1])):
        raise ValueError
    found = []
    for part in parts[1:-1]:
        start = text.find(part, at + 1, end)
        if start < 0:
            raise ValueError
        found.append(text[at:start])
        at = start + len(part)
    if at >= end:
        raise ValueError
    found.append(text[at:end])
    return found
