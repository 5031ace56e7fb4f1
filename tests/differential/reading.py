"""What a parser reads in the bytes of a connection, in words that are the same for all parsers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple

from ..http1.outcome import outcome

_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")

_NOT_PASSED_ON = re.compile(
    r"proxy|transfer-encoding|content-length|host|forwarded|x-forwarded-.*|x-real-ip|.*_.*"
)
"""Fields that an application does not see as they came: dropped, of the framing, or told apart."""


class Request(NamedTuple):
    """One request: what decides who answers it, and where the next one begins."""

    method: str
    target: str
    host: str
    """Of the target if it has one, else of the Host field (RFC 9112 section 3.2.2)."""
    fields: tuple[tuple[str, str], ...]
    """The other fields, by their keys in an environ."""
    body: bytes


class End(Enum):
    """How it ended, after the last request that is complete."""

    OPEN = "waits for the next request"
    INCOMPLETE = "waits for the rest of a request"
    CLOSED = "closes after a request that asks for it"
    REFUSED = "refuses"


class Reading(NamedTuple):
    """What was read in the bytes of a connection."""

    requests: tuple[Request, ...]
    end: End
    why: str = ""
    """Why it was refused, in the parser's words."""


def host_of(target: str, field: str) -> str:
    """Return the host that a request is for."""
    match = _AUTHORITY.match(target)
    return match[1] if match else field


def request_of(
    method: bytes, target: bytes, fields: Iterable[tuple[bytes, bytes]], body: bytes
) -> Request:
    """Build a request from what another parser has found: fields of one name are one list."""
    passed_on: dict[str, str] = {}
    host = ""
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip(" \t")
        if name == "host":
            host = value
        if _NOT_PASSED_ON.fullmatch(name) or (name == "content-type" and not value):
            continue
        key = "CONTENT_TYPE" if name == "content-type" else f"HTTP_{name.upper().replace('-', '_')}"
        comma = "; " if name == "cookie" else ", "
        passed_on[key] = passed_on[key] + comma + value if key in passed_on else value
    target_text = target.decode("latin-1")
    return Request(
        method.decode("latin-1"),
        target_text,
        host_of(target_text, host),
        tuple(sorted((key, value.strip()) for key, value in passed_on.items())),
        body,
    )


def by_breezeway(data: bytes) -> Reading:
    """Read with our parser."""
    read = outcome([data])
    requests = tuple(_of_environ(served.environ, served.body) for served in read.requests)
    if read.refused:
        return Reading(requests, End.REFUSED, str(read.refused))
    if not read.complete:
        return Reading(requests, End.INCOMPLETE)
    return Reading(requests, End.CLOSED if read.closes else End.OPEN)


def _of_environ(environ: dict[str, Any], body: bytes) -> Request:
    fields = sorted(
        (key, value.strip())
        for key, value in environ.items()
        if (key.startswith("HTTP_") and key != "HTTP_HOST") or key == "CONTENT_TYPE"
    )
    host = environ.get("HTTP_HOST", "")
    return Request(environ["REQUEST_METHOD"], environ["RAW_URI"], host, tuple(fields), body)
