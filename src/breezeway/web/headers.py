"""Header fields of requests and responses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar, overload
from wsgiref.types import WSGIEnvironment

from breezeway.semantics.cookies import unshared
from breezeway.web.errors import Missing

D = TypeVar("D")

TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""RFC 9110 section 5.6.2: names of fields, methods."""

_FORBIDDEN: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_NOT_PREFIXED: Final = ("CONTENT_TYPE", "CONTENT_LENGTH")
_CREDENTIALS: Final = ("Authorization", "Cookie", "Proxy-Authorization")


class RequestHeaders(Mapping[str, str]):
    """The fields of a request, by their names in any case; a view of its environ.

    A field that came more than once has its values joined with commas: WSGI keeps no more of it.
    """

    __slots__ = ("_environ",)

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value: str | None = self.get(name)
        if value is None:
            raise Missing(name)
        return value

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: D) -> str | D: ...
    def get(self, name: str, /, default: Any = None) -> Any:
        """Return the value of a field."""
        key = _key(name)
        value = self._environ.get(key)
        # Servers in the manner of CGI have those two in any case.
        return default if value is None or (not value and key in _NOT_PREFIXED) else value

    def all(self, name: str) -> list[str]:
        """Return the members of a field that is a list, over all its lines (RFC 9110 section 5.6.1)."""
        from breezeway.semantics.fields import members

        return members(self.get(name, ""))

    def __iter__(self) -> Iterator[str]:
        for key, value in self._environ.items():
            if key.startswith("HTTP_") and key[5:] not in _NOT_PREFIXED:
                yield key[5:].replace("_", "-").title()
            elif key in _NOT_PREFIXED and value:
                yield key.replace("_", "-").title()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __repr__(self) -> str:
        # Without what would let a reader of the log, or of a debugger's page, in as this user.
        masked = {name: "***" for name in _CREDENTIALS if name in self}
        return f"RequestHeaders({dict(self) | masked!r})"


def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in _NOT_PREFIXED else f"HTTP_{key}"


class ResponseHeaders:
    """The fields of a response: a list of pairs that is looked at by names in any case.

    Nothing gets in that would end a field and begin another one (CRLF injection): `ValueError`.
    """

    __slots__ = ("fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] | Mapping[str, str] = ()) -> None:
        self.fields: list[tuple[str, str]] = []
        if fields == ():
            return
        for name, value in fields.items() if isinstance(fields, Mapping) else fields:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Add a line; fields of the same name stay."""
        self.fields.append(checked(name, value))

    def __setitem__(self, name: str, value: str) -> None:
        """Put one line in the place of all of its name."""
        field = checked(name, value)
        self._remove(name)
        self.fields.append(field)
        if len(name) == 13 and name.lower() == "cache-control" and "set-cookie" in self:
            self.fields = unshared(self.fields)

    def __getitem__(self, name: str) -> str:
        found = self.all(name)
        if not found:
            raise KeyError(name)
        return ", ".join(found)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._remove(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.all(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: D) -> str | D: ...
    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a field, its lines joined with commas."""
        found = self.all(name)
        return ", ".join(found) if found else default

    def all(self, name: str) -> list[str]:
        """Return the lines of a field."""
        lower = name.lower()
        return [value for field, value in self.fields if field.lower() == lower]

    def setdefault(self, name: str, value: str) -> None:
        """Add a field if there is none of its name."""
        if name not in self:
            self.add(name, value)

    def vary(self, *names: str) -> None:
        """Say in Vary that the response depends on these fields of the request.

        Raises:
            ValueError: one cannot be the name of a field.
        """
        from breezeway.semantics.fields import with_vary

        for name in names:
            checked(name, "")
        self.fields = with_vary(self.fields, *names)

    def _remove(self, name: str) -> None:
        lower = name.lower()
        self.fields = [field for field in self.fields if field[0].lower() != lower]

    def __repr__(self) -> str:
        return f"ResponseHeaders({self.fields!r})"


def checked(name: str, value: str) -> tuple[str, str]:
    """Return a field if it can be one.

    Raises:
        TypeError: name or value is no text.
        ValueError: the name is no token, or the value has control characters or ones beyond ISO-8859-1.
    """
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"a header is made of texts, not {name!r}: {value!r}")
    if not TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header")
    found = _FORBIDDEN.search(value)
    if found is not None:
        raise ValueError(f"the header {name} must not have {found[0]!r} in its value {value!r}")
    return name, value
