"""The options of `Static` that say something of the files, and what a page is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Final
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.option_checks import listed
from breezeway.middleware.static.files import in_a_path
from breezeway.semantics.fields import Headers, members, replaced, with_vary
from breezeway.semantics.file_plan import ASK_FIRST, FOR_EVER, fields_of
from breezeway.semantics.fingerprints import is_fingerprinted

# field-name = token (RFC 9110 section 5.1); a value has no control characters
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")

_OF_THE_FILE: Final = frozenset(
    [
        "accept-ranges",
        "content-encoding",
        "content-length",
        "content-range",
        "etag",
        "last-modified",
        "transfer-encoding",
    ]
)
"""What only the file itself can say."""

_HTML: Final = frozenset(["text/html", "application/xhtml+xml"])
_REFUSED: Final = re.compile(r";[ \t]*q=0(?:\.0{0,3})?[ \t]*(?:;|$)", re.IGNORECASE)


class Description:
    """Says the response fields of a file."""

    def __init__(
        self,
        fingerprinted: frozenset[str],
        *,
        immutable: str,
        max_age: int,
        fields: Mapping[str, str],
        types: Mapping[str, str],
    ) -> None:
        """`fingerprinted` are names from the manifest; the rest are options of `Static`.

        Raises:
            ValueError: an option is wrong.
        """
        self._fingerprinted = fingerprinted
        if not isinstance(immutable, str):
            raise ValueError(f"immutable must be a regular expression, not {immutable!r}")
        try:
            self._immutable = re.compile(immutable) if immutable else None
        except re.error as error:
            raise ValueError(f"immutable must be a regular expression: {error}") from None
        if not isinstance(max_age, int) or isinstance(max_age, bool) or max_age < 0:
            raise ValueError(f"max_age must be a number of seconds, 0 or more, not {max_age!r}")
        self._otherwise = f"public, max-age={max_age}" if max_age else ASK_FIRST
        self._fields = [*_checked(fields)]
        if not isinstance(types, Mapping) or not all(
            isinstance(key, str)
            and isinstance(value, str)
            and "/" in value
            and _VALUE.fullmatch(value)
            for key, value in types.items()
        ):
            raise ValueError(f"types must give a media type for each extension, not {types!r}")
        self._types = {"." + key.lower().lstrip("."): value for key, value in types.items()}

    def __call__(self, name: str, coding: str, varies: bool) -> Headers:
        """Return the fields of a file by its name; `varies`: there are variants of it."""
        last = name.rpartition("/")[2]
        headers = fields_of(last, coding)
        own_type = self._types.get(os.path.splitext(last)[1].lower())
        if own_type is not None:
            headers = replaced(headers, "Content-Type", own_type)
        if varies:
            headers = with_vary(headers, "Accept-Encoding")
        headers.append(("Cache-Control", self._cache_control(name, last)))
        for field, value in self._fields:
            if field.lower() == "vary":
                headers = with_vary(headers, *members(value))
            else:
                headers = replaced(headers, field, value)
        return headers

    def _cache_control(self, name: str, last: str) -> str:
        if (
            name in self._fingerprinted
            or is_fingerprinted(last)
            or (self._immutable is not None and self._immutable.search(name))
        ):
            return FOR_EVER
        return self._otherwise


def _checked(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    if not isinstance(fields, Mapping):
        raise ValueError(f"fields must be a table of response fields, not {fields!r}")
    for name, value in fields.items():
        texts = isinstance(name, str) and isinstance(value, str)
        if not texts or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"fields: {name!r} = {value!r} cannot be a response field")
        if name.lower() in _OF_THE_FILE:
            raise ValueError(f"fields: {name} is what the file itself says")
    return list(fields.items())


def _in_full(path: object) -> str:
    """Say where a relative path leads to from the directory of the process."""
    given = str(path)
    return "" if os.path.isabs(given) else f": {os.path.abspath(given)}"


def directories(given: Any) -> list[str]:
    """Return the directories in full.

    Raises:
        ValueError: there is none, or one is no directory.
    """
    several = [given] if isinstance(given, (str, PathLike)) else given
    if not isinstance(several, Sequence) or not several:
        raise ValueError(f"directory must name a directory, or several, not {given!r}")
    found = []
    for each in several:
        if not isinstance(each, (str, PathLike)) or not os.path.isdir(each):
            raise ValueError(f"directory {str(each)!r} is not there{_in_full(each)}")
        found.append(os.path.abspath(each))
    return found


def prefixes(option: str, given: Sequence[str]) -> list[str]:
    """Return paths without a slash at the end.

    Raises:
        ValueError: one is no path.
    """
    found = listed(option, given)
    if not all(each.startswith("/") for each in found):
        raise ValueError(f"{option} must be a list of paths that begin with a slash, not {given!r}")
    return [in_a_path(each.rstrip("/")) for each in found]


def navigates(environ: WSGIEnvironment) -> bool:
    """Whether a browser asks for a page to show, and not a script for data.

    Browsers say so (Fetch Metadata); one that does not asks for HTML by name, as no script does
    unless it wants a page.
    """
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return False
    if environ.get("HTTP_SEC_FETCH_MODE", "navigate") != "navigate":
        return False
    for member in environ.get("HTTP_ACCEPT", "").split(","):
        media_type, _, rest = member.partition(";")
        if media_type.strip(" \t").lower() in _HTML and not _REFUSED.search(f";{rest}"):
            return True
    return False
