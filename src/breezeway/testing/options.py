"""What can be said of one request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict

from breezeway.testing.request_body import Content, Pairs

_NAME: Final = re.compile(
    r"[!#$%&'*+\-.^`|~0-9A-Za-z]+"
)  # RFC 9110 section 5.6.2, without underscores
_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

Fields = Mapping[str, str] | Iterable[tuple[str, str]]


class Options(TypedDict, total=False):
    """The options of a request, by their names; all can be left out."""

    params: Pairs | str
    """Names and values that are added to the query, or its text."""
    headers: Fields
    """Fields; they take the place of the client's of the same name."""
    cookies: Mapping[str, str]
    """Cookies of this request alone, in the place of those of the jar with the same name."""
    auth: tuple[str, str] | str | None
    """User and password, or a bearer token, in the place of the client's; None for none."""
    content: Content
    """The body: bytes, text (UTF-8), a file, or an iterable of bytes, which is sent as it comes."""
    data: Pairs
    """The fields of a form."""
    files: Mapping[str, Any] | Iterable[tuple[str, Any]]
    """Files of a form, which becomes multipart/form-data: each is bytes, a Path, a file that is open in
    binary mode, or a tuple of name, content (one of these, or a text) and, if it matters, media type; a
    list of these for several files of one name."""
    json: Any
    """The body, as JSON."""
    stream: bool
    """Do not read the response: the test does, block by block."""
    follow_redirects: bool
    """In the place of what the client was told."""
    environ: Mapping[str, Any]
    """Further keys of the environ, for an application in the process."""


def checked_method(method: str) -> str:
    """Return a method as it is: its case counts (RFC 9110 section 9.1).

    Raises:
        ValueError: it is no token.
    """
    if not _METHOD.fullmatch(method):
        raise ValueError(f"{method!r} is no method of a request")
    return method


def checked_fields(fields: Fields) -> list[tuple[str, str]]:
    """Return fields as pairs.

    Raises:
        TypeError: it is a text.
        ValueError: the name is no token or has an underscore, which servers drop; the value has control
            characters, or ones beyond ISO-8859-1.
    """
    if isinstance(fields, str):
        raise TypeError(f"headers are a mapping or pairs, not {fields!r}")
    pairs = list(fields.items() if isinstance(fields, Mapping) else fields)
    for name, value in pairs:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header that a server hands on")
        if not isinstance(value, str) or _FORBIDDEN.search(value):
            raise ValueError(f"the header {name} cannot have the value {value!r}")
    return pairs
