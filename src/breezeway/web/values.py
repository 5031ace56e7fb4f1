"""`Values`: names with several values each, as in a query or a form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, overload

from breezeway.web.errors import Missing

T = TypeVar("T")
D = TypeVar("D")


class Values(Mapping[str, T]):
    """An immutable mapping from names to values, of which a name may have several.

    As a mapping it has the first value of each name; `all` has every one. `pairs` are in the order in
    which they came. A name that is not there is a `BadRequest`, and a KeyError.
    """

    __slots__ = ("_first", "pairs")

    def __init__(self, pairs: list[tuple[str, T]]) -> None:
        self.pairs = pairs
        self._first: dict[str, T] = dict(pairs)
        if len(self._first) < len(pairs):  # a dict keeps the last of a name, and we the first
            for name, value in reversed(pairs):
                self._first[name] = value

    def __getitem__(self, name: str) -> T:
        try:
            return self._first[name]
        except KeyError:
            raise Missing(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def __contains__(self, name: object) -> bool:
        return name in self._first

    @overload
    def get(self, name: str, /) -> T | None: ...
    @overload
    def get(self, name: str, /, default: D) -> T | D: ...
    def get(self, name: str, /, default: Any = None) -> Any:
        """Return the first value of a name, or a default."""
        return self._first.get(name, default)

    def all(self, name: str) -> list[T]:
        """Return all values of a name, none if it is not there."""
        if name not in self._first:
            return []
        return [value for each, value in self.pairs if each == name]

    def __eq__(self, other: object) -> bool:
        """Compare all values in their order with other `Values`; with a mapping, the first of each name."""
        if isinstance(other, Values):
            return list(self.pairs) == list(other.pairs)
        return self._first == other if isinstance(other, Mapping) else NotImplemented

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pairs!r})"
