"""Response header fields, as PEP 3333 has them: a list of pairs, names in any case."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

Headers = list[tuple[str, str]]

# quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE (RFC 9110 section 5.6.4)
_MEMBER: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')

HOP_BY_HOP: Final = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    ]
)
"""Fields of one connection alone, in lower case: those of RFC 2616 section 13.5.1, to which PEP 3333
refers, and of RFC 9110 section 7.6.1."""


def get(headers: Headers, name: str) -> str | None:
    """Return the value of a field, its lines joined with commas; None if it is not there.

    `name` is in lower case.
    """
    values = [value for field, value in headers if field.lower() == name]
    return ", ".join(values) if values else None


def without(headers: Headers, *names: str) -> Headers:
    """Return the fields that do not have one of these names, which are in lower case."""
    return [field for field in headers if field[0].lower() not in names]


def replaced(headers: Headers, name: str, value: str) -> Headers:
    """Return the fields with this one in place of those of its name."""
    return [*without(headers, name.lower()), (name, value)]


def members(value: str) -> list[str]:
    """Take a list apart (RFC 9110 section 5.6.1): commas within quoted strings divide nothing."""
    found = (member.strip(" \t") for member in _MEMBER.findall(value))
    return [member for member in found if member]


def with_vary(headers: Headers, *names: str) -> Headers:
    """Return the fields with `names` in Vary (RFC 9110 section 12.5.5); as they are if they were there."""
    value = get(headers, "vary")
    if value is None:
        return [*headers, ("Vary", ", ".join(names))]
    there = {member.lower() for member in members(value)}
    if "*" in there:
        return headers
    more = [name for name in names if name.lower() not in there]
    return replaced(headers, "Vary", ", ".join(filter(None, [value, *more]))) if more else headers


def weakened(headers: Headers) -> Headers:
    """Return the fields with a weak ETag in place of a strong one (RFC 9110 section 8.8.3)."""
    return [
        (name, f"W/{value}") if name.lower() == "etag" and value[:2] != "W/" else (name, value)
        for name, value in headers
    ]


def content_length(headers: Iterable[tuple[str, str]]) -> int | None:
    """Return the Content-Length in bytes; None if there is none, or none that is a number."""
    for name, value in headers:
        if name.lower() == "content-length":
            return int(value) if value.isascii() and value.isdigit() else None
    return None
