"""What an operator says for parts of a site: tables by the prefix of the path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class PathTable(Generic[T]):
    """Values by prefix of the path; the longest that covers a path counts.

    A prefix covers itself and what is below it: `/api` covers `/api` and `/api/v1`, not `/apis`. With
    a slash at its end, `/api/`, it covers only what is below. A path is compared as it is: `//api`
    and `/API` are other paths.
    """

    def __init__(self, table: Mapping[str, T]) -> None:
        """Take the prefixes, each with a slash in front.

        Raises:
            ValueError: one has none.
        """
        for prefix in table:
            if not isinstance(prefix, str) or not prefix.startswith("/"):
                raise ValueError(f"{prefix!r} is no prefix of a path: it begins with a slash")
        longest_first = sorted(table.items(), key=lambda entry: -len(entry[0]))
        self._exact: Final = dict(table)
        self._entries: Final = [
            (f"{key.removesuffix('/')}/", value) for key, value in longest_first
        ]
        self._below: Final = tuple(below for below, _ in self._entries)

    def get(self, path: str, default: T) -> T:
        """Return the value for a path."""
        if path in self._exact:
            return self._exact[path]
        if path.startswith(self._below):
            for below, value in self._entries:
                if path.startswith(below):
                    return value
        return default
