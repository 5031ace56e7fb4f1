"""`Values`: names with several values each, as in a query or a form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


class Values(Mapping[str, T]):
    """An immutable mapping from names to values, of which a name may have several.

    As a mapping it has the first value of each name; `all` has every one. `pairs` are in the order in
    which they came.
    """

    __slots__ = ("_lists", "pairs")

    def __init__(self, pairs: list[tuple[str, T]]) -> None:
        self.pairs = pairs
        self._lists: dict[str, list[T]] = {}
        for name, value in pairs:
            if name in self._lists:
                self._lists[name].append(value)
            else:
                self._lists[name] = [value]

    def __getitem__(self, name: str) -> T:
        return self._lists[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lists)

    def __len__(self) -> int:
        return len(self._lists)

    def __contains__(self, name: object) -> bool:
        return name in self._lists

    def all(self, name: str) -> list[T]:
        """Return all values of a name, none if it is not there."""
        return self._lists.get(name, [])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pairs!r})"
