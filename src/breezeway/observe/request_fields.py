"""What a message of the log tells of the request that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FIELDS: Final = {
    "method": ("REQUEST_METHOD",),
    "target": ("RAW_URI", "PATH_INFO"),
    "client": ("REMOTE_ADDR",),
    "request_id": ("breezeway.request_id",),
    "traceparent": ("breezeway.traceparent", "HTTP_TRACEPARENT"),
}
"""Attributes of a record, and the keys of the environ from which they come, the first that is there."""

NONE: Final = "-"
"""What an attribute is in a message that is about no request."""


def request_fields(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a request that are there; an application may have left anything."""
    found = {
        name: next(filter(None, (_text(environ.get(key)) for key in keys)), "")
        for name, keys in FIELDS.items()
    }
    found["client"] = found["client"] or "unix"
    return {name: value for name, value in found.items() if value}


def _text(value: object) -> str:
    try:
        return str(value) if value else ""
    except BaseException:  # it must not end the event loop, which may be who asks
        return ""


def request_line(fields: Mapping[str, str]) -> str:
    """Name a request by its method and target: `GET /users/42`."""
    return f"{fields.get('method', NONE)} {fields.get('target', NONE)}"


def request_in_words(fields: Mapping[str, str]) -> str:
    """Name a request with all that finds it: `GET /users/42 from 192.0.2.1 (request 4bf92f35)`."""
    named = f" (request {fields['request_id']})" if "request_id" in fields else ""
    return f"{request_line(fields)} from {fields.get('client', NONE)}{named}"
