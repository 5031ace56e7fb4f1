"""Patterns of paths: `/users/{id:int}/files/{name}.{kind}` taken apart and put together.

A segment is what stands between two slashes. A variable in braces has a name and perhaps a converter,
which says what it matches and what it becomes. Variables within a segment with other text around make a
regular expression of that segment. `path` takes the rest, slashes and all, so that it stands last.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

INT_DIGITS: Final = 18
"""Of an `int` in a path: what has more fits into no column of a database."""

_VARIABLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z_0-9]*)(?::([A-Za-z_][A-Za-z_0-9]*))?\}")

SEGMENT_SAFE: Final = "!$&'()*+,;=:@-._~"
"""What RFC 3986 section 3.3 lets stand in a segment."""


@dataclass(frozen=True, slots=True)
class Converter:
    """What a variable matches, and what it becomes.

    `parse` returns the value of a text, or raises ValueError if it is none of this kind. `write` makes the
    text of a value for a URL. Of several that match one segment, that of the lowest `rank` counts.
    `schema` says what it is to OpenAPI.
    """

    parse: Callable[[str], Any]
    write: Callable[[Any], str] = str
    rank: int = 50
    schema: Mapping[str, Any] | None = None
    is_rest: bool = False


def _int(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > INT_DIGITS:
        raise ValueError
    return int(text)


_FLOAT: Final = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError
    return float(text)


def _uuid(text: str) -> uuid.UUID:
    if len(text) != 36:
        raise ValueError
    return uuid.UUID(text)


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _write_int(value: Any) -> str:
    if type(value) is not int or value < 0:
        raise ValueError(f"must be a whole number from 0, not {value!r}")
    return str(value)


CONVERTERS: Final[Mapping[str, Converter]] = {
    "int": Converter(_int, _write_int, 10, {"type": "integer", "minimum": 0}),
    "uuid": Converter(_uuid, str, 20, {"type": "string", "format": "uuid"}),
    "float": Converter(_float, str, 30, {"type": "number"}),
    "str": Converter(_text, str, 90, {"type": "string"}),
    "path": Converter(_text, str, 99, {"type": "string"}, is_rest=True),
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment that is not plain text: its variables and how they are read."""

    names: tuple[str, ...]
    converters: tuple[str, ...]
    parts: tuple[str, ...]
    """The text around and between the variables, one more than these."""
    parse: Callable[[str], tuple[Any, ...]]
    rank: int
    is_rest: bool

    @property
    def key(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What two segments have in common that match the same."""
        return self.converters, self.parts


@dataclass(frozen=True)
class Pattern:
    """A whole pattern; `segments` are texts and segments with variables."""

    text: str
    segments: tuple[str | Segment, ...]
    converters: Mapping[str, Converter]
    """By the name of the variable."""

    @property
    def names(self) -> tuple[str, ...]:
        """The variables in order."""
        return tuple(
            name for part in self.segments if isinstance(part, Segment) for name in part.names
        )

    def path(self, values: Mapping[str, Any]) -> str:
        """Put the values in; return the path, percent-encoded.

        Raises:
            ValueError: a value is missing, or would not be matched again.
        """
        return "/".join(
            quote(part, safe=SEGMENT_SAFE) if isinstance(part, str) else self._written(part, values)
            for part in self.segments
        )

    def _written(self, segment: Segment, values: Mapping[str, Any]) -> str:
        texts = [segment.parts[0]]
        for name, after in zip(segment.names, segment.parts[1:], strict=True):
            if name not in values:
                raise ValueError(f"{self.text!r} needs a value for {name!r}")
            try:
                texts.append(self.converters[name].write(values[name]))
            except ValueError as error:
                raise ValueError(f"{name!r} of {self.text!r} {error}") from None
            texts.append(after)
        text = "".join(texts)
        try:
            segment.parse(text)
        except ValueError:
            raise ValueError(f"{self.text!r} does not match {text!r} for {segment.names}") from None
        if not segment.is_rest and "/" in text:
            raise ValueError(f"a value with a slash does not fit into {self.text!r}: {text!r}")
        return quote(text, safe=SEGMENT_SAFE + "/" if segment.is_rest else SEGMENT_SAFE)


def parse_pattern(text: str, converters: Mapping[str, Converter] = CONVERTERS) -> Pattern:
    """Take a pattern apart.

    Raises:
        ValueError: it is none: no slash in front, a stray brace, an unknown converter, a name twice, or
            `path` that does not stand last.
    """
    if not text.startswith("/"):
        raise ValueError(f"a path begins with a slash, not {text!r}")
    by_name: dict[str, Converter] = {}
    segments: list[str | Segment] = []
    for part in text.split("/"):
        if segments and isinstance(segments[-1], Segment) and segments[-1].is_rest:
            raise ValueError(f"in {text!r} something follows a path variable, which takes the rest")
        segments.append(_segment(text, part, converters, by_name))
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
    if any(brace in piece for piece in parts for brace in "{}"):
        raise ValueError(f"{text!r} has a brace that encloses no variable, such as {{name:int}}")
    if not names:
        return part
    found = [converters[kind] for kind in kinds]
    is_rest = any(each.is_rest for each in found)
    plain = len(names) == 1 and parts == ["", ""]
    if is_rest and not plain:
        raise ValueError(f"in {text!r} a path variable shares its segment")
    rank = min(each.rank for each in found) - (0 if plain else 5)
    parse = _alone(found[0].parse) if plain else _among(found, parts)
    return Segment(tuple(names), tuple(kinds), tuple(parts), parse, rank, is_rest)


def _alone(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    return lambda text: (parse(text),)


def _among(converters: list[Converter], parts: list[str]) -> Callable[[str], tuple[Any, ...]]:
    """Read variables with text around them; each is as short as it can be, but for the last."""
    pattern = "".join(f"{re.escape(part)}(.+?)" for part in parts[:-1]) + re.escape(parts[-1])
    match = re.compile(pattern, re.DOTALL).fullmatch

    def parse(text: str) -> tuple[Any, ...]:
        found = match(text)
        if found is None:
            raise ValueError
        return tuple(
            each.parse(value) for each, value in zip(converters, found.groups(), strict=True)
        )

    return parse
