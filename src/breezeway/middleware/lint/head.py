"""What `Lint` has to say about the arguments of start_response."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

from breezeway.middleware.lint.faults import (
    CONTENT_LENGTH,
    DETAILS,
    ERROR_HANDLING,
    HTTP_FEATURES,
    START_RESPONSE,
    UNICODE,
    Fault,
    shown,
    typed,
)
from breezeway.semantics.fields import HOP_BY_HOP

WITHOUT_CONTENT: Final = ("204", "304")

_STATUS: Final = re.compile(r"[1-9][0-9][0-9] [^\x00-\x1f\x7f]*")
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.1
_PLAIN_NAME: Final = re.compile(r"[A-Za-z][-_0-9A-Za-z]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def check_arguments(args: tuple[Any, ...], keywords: dict[str, Any]) -> Iterator[Fault]:
    """Find the faults of a call of start_response."""
    if keywords or len(args) not in (2, 3):
        yield Fault(
            START_RESPONSE,
            f"start_response was called with {len(args)} positional arguments"
            + (f" and {', '.join(keywords)} by name" if keywords else ""),
            "Pass two or three, all by position: status, headers, exc_info",
        )
        return
    yield from _check_status(args[0])
    yield from _check_headers(args[0], args[1])
    if len(args) == 3:
        yield from _check_exc_info(args[2])


def _check_status(status: Any) -> Iterator[Fault]:
    if type(status) is not str:
        yield Fault(UNICODE, f"the status is {typed(status)}, not a str", "Write it like '200 OK'")
    elif not _is_latin_1(status):
        yield Fault(UNICODE, f"the status is {shown(status)}", "Stay within ISO-8859-1")
    elif not _STATUS.fullmatch(status):
        yield Fault(
            START_RESPONSE,
            f"the status is {shown(status)}",
            "Write a code of three digits, a space and a reason, without control characters",
        )
    elif status[0] == "1":
        yield Fault(
            START_RESPONSE,
            f"the status is {shown(status)}, which does not end a request",
            "Interim responses are the server's; answer with 200 or above",
        )


def _check_headers(status: Any, headers: Any) -> Iterator[Fault]:
    if type(headers) is not list:
        yield Fault(
            START_RESPONSE,
            f"the headers are {typed(headers)}",
            "Pass a list, not a tuple, an iterator or a subclass: servers may change it",
        )
        return
    lengths: list[str] = []
    names: set[str] = set()
    for field in headers:
        found = [*_check_field(field)]
        yield from found
        if not found:
            names.add(field[0].lower())
            if field[0].lower() == "content-length":
                lengths.append(field[1])
    yield from _check_lengths(lengths)
    code = status[:3] if type(status) is str else ""
    if code in WITHOUT_CONTENT:
        if "content-type" in names:
            yield Fault(
                DETAILS,
                f"a {code} has a Content-Type, though it has no content",
                "Leave the field out",
            )
    elif "content-type" not in names:
        yield Fault(
            DETAILS,
            "there is no Content-Type, so that clients guess",
            "Say what it is, such as ('Content-Type', 'text/html; charset=utf-8')",
        )


def _check_field(field: Any) -> Iterator[Fault]:
    if type(field) is not tuple or len(field) != 2:
        yield Fault(
            START_RESPONSE, f"a header is {typed(field)}", "It is a tuple of a name and a value"
        )
        return
    name, value = field
    for part, what in ((name, "name"), (value, "value")):
        if type(part) is not str:
            yield Fault(UNICODE, f"the {what} of a header is {typed(part)}", "Use str")
            return
    if not _NAME.fullmatch(name):
        yield Fault(START_RESPONSE, f"a header is called {shown(name)}", "A name is a token")
    elif not _PLAIN_NAME.fullmatch(name):
        yield Fault(
            START_RESPONSE,
            f"a header is called {shown(name)}",
            "Letters, digits and hyphens, a letter first: not everybody takes other names",
            advice=True,
        )
    elif name[-1] in "-_":
        yield Fault(START_RESPONSE, f"a header is called {shown(name)}", "It ends in a letter")
    elif name.lower() == "status":
        yield Fault(
            START_RESPONSE,
            "there is a header called Status",
            "The status is the first argument; servers that speak CGI would take this one for it",
        )
    elif name.lower() in HOP_BY_HOP:
        yield Fault(
            HTTP_FEATURES,
            f"the header {name} concerns one connection, which only the server knows",
            "Leave it out: an application must not send hop-by-hop fields",
        )
    if _CONTROL.search(value):
        yield Fault(
            START_RESPONSE,
            f"the value of {name} is {shown(value)}, with control characters",
            "Take them out: a line end would begin another field",
        )
    elif not _is_latin_1(value):
        yield Fault(
            UNICODE,
            f"the value of {name} is {shown(value)}, beyond ISO-8859-1",
            "Encode it (RFC 8187, percent-encoding, RFC 2047)",
        )
    elif value != value.strip(" \t"):
        yield Fault(
            START_RESPONSE,
            f"the value of {name} is {shown(value)}",
            "Spaces around it do not arrive",
            advice=True,
        )


def _check_lengths(lengths: list[str]) -> Iterator[Fault]:
    if len(lengths) > 1:
        yield Fault(
            CONTENT_LENGTH,
            f"there are {len(lengths)} Content-Length headers",
            "Send one: recipients take several for an attack",
        )
    for length in lengths:
        if not (length.isascii() and length.isdigit()):
            yield Fault(CONTENT_LENGTH, f"the Content-Length is {shown(length)}", "Write digits")


def _check_exc_info(exc_info: Any) -> Iterator[Fault]:
    if exc_info is None:
        return
    is_one = (
        type(exc_info) is tuple
        and len(exc_info) == 3
        and isinstance(exc_info[1], BaseException)
        and isinstance(exc_info[2], TracebackType | None)
    )
    if not is_one:
        yield Fault(
            ERROR_HANDLING,
            f"exc_info is {typed(exc_info)}",
            "Pass sys.exc_info() within an except clause, or leave it out",
        )


def _is_latin_1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
