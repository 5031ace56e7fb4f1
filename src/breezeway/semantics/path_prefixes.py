"""What an operator says for parts of a site: tables by the prefix of the path.

Many applications take `//admin` or `/x/../admin` for `/admin`, and some a path without a slash in front.
A browser sends all of these when it is told to (`..%2fadmin`). Servers of Java, which may be behind a
proxy, take parameters off each segment first: `/admin;x` and `/x/..;/admin` are `/admin` for them. So a
path has several readings, and who protects a part of a site looks at all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_SLASHES: Final = re.compile("//+")
_PARAMETERS: Final = re.compile(";[^/]*")
"""Of a segment (RFC 3986 section 3.3)."""


def readings(path: str) -> list[str]:
    """Return what an application may take a path for; one that is tidy has one reading."""
    if path[:1] == "/" and "//" not in path and "/." not in path and ";" not in path:
        return [path]
    rooted = path if path[:1] == "/" else f"/{path}"
    found: dict[str, None] = {}
    for each in (rooted, _PARAMETERS.sub("", rooted)):
        merged, undotted = _SLASHES.sub("/", each), _undotted(each)
        tidy = (_SLASHES.sub("/", undotted), _undotted(merged))
        found.update(dict.fromkeys((each, merged, undotted, *tidy)))
    return list(found)


def tidied(path: str) -> str:
    """Return a path with a slash in front, without empty segments, and without dot segments."""
    if path[:1] == "/" and "//" not in path and "/." not in path:
        return path
    return _undotted(_SLASHES.sub("/", f"/{path}"))


def mount_point(script_name: str) -> str:
    """Return where an application is mounted: empty, or a path with one slash in front and none last.

    PEP 3333 has SCRIPT_NAME so, and not all servers do: with two slashes in front, the path of a URL would
    be the name of a host (RFC 3986 section 4.2).
    """
    name = script_name.strip("/")
    return f"/{name}" if name else ""


def _undotted(path: str) -> str:
    """Take out dot segments (RFC 3986 section 5.2.4); empty ones stay."""
    kept: list[str] = []
    for segment in path[1:].split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


class PathTable(Generic[T]):
    """Values by prefix of the path; the longest that covers a path counts.

    A prefix covers itself and what is below it: `/api` covers `/api` and `/api/v1`, not `/apis`. With
    a slash at its end, `/api/`, it covers only what is below. Letters are compared as they are.
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

    def agreed(self, path: str, default: T, doubt: T) -> T:
        """Return the value for all readings of a path; `doubt` if they have not the same one."""
        found = readings(path)
        value = self.get(found[0], default)
        if len(found) == 1:
            return value
        return value if all(self.get(each, default) is value for each in found) else doubt

    def get(self, path: str, default: T) -> T:
        """Return the value for a path as it is: `//api` is another one than `/api`."""
        if path in self._exact:
            return self._exact[path]
        if path.startswith(self._below):
            for below, value in self._entries:
                if path.startswith(below):
                    return value
        return default
