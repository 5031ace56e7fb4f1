"""The values of variables, written for a page: of any kind, and of a bounded length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

LONGEST_VALUE: Final = 1500
"""Characters of a value."""

DEEPEST_VALUE: Final = 5
"""Containers within containers that are cut."""

MASKED: Final = frozenset(["HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_PROXY_AUTHORIZATION"])
"""Of an environ, wherever one is shown: a screenshot of the page is soon in a ticket."""

MASK: Final = "********"

_UNITS: Final[dict[type, str]] = {
    str: "characters",
    bytes: "bytes",
    **dict.fromkeys((list, tuple, dict, set, frozenset), "items"),
}
"""Of the size of values that are cut."""

name_of: Final = type.__dict__["__name__"].__get__
"""The name of a class, whatever its metaclass makes of `__name__`."""


def shown(value: Any) -> str:
    """Write a value, whatever its `__repr__` does; an environ without what gives rights."""
    try:
        text = str.__str__(repr(_beginning(value, iter(range(LONGEST_VALUE)))))
    except KeyboardInterrupt:  # of who has had enough of it
        raise
    except BaseException as error:
        text = f"<{name_of(type(value))}, whose repr() raised {name_of(type(error))}>"
    if len(text) <= LONGEST_VALUE:
        return text
    unit = _UNITS.get(type(value))
    size = f"{len(value)} {unit}" if unit else f"{len(text)} characters"
    return f"{text[:LONGEST_VALUE]}... ({size})"


def _beginning(value: Any, room: Iterator[int], depth: int = DEEPEST_VALUE) -> Any:
    """Return of a value of Python's own what is shown of it: repr() of millions of rows takes long.

    Each thing in it takes from `room`, as it takes a character at least. An environ may be anywhere in it.
    """
    kind = type(value)
    if kind is str or kind is bytes:
        return value[:LONGEST_VALUE]
    if kind not in _UNITS or not depth:
        return value
    if kind is dict:
        items = zip(room, value.items(), strict=False)
        return {
            key: MASK if key in MASKED else _beginning(each, room, depth - 1)
            for _, (key, each) in items
        }
    return kind(_beginning(each, room, depth - 1) for _, each in zip(room, value, strict=False))
