"""BodyLimit: nobody has the same as middleware; Flask's and Django's own limits are part of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from case import Case

from breezeway.middleware import BodyLimit

BODY = b"x" * 10_000


def reads(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Read the body."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    environ["wsgi.input"].read()
    return [b"read"]


def cases() -> list[Case]:
    """Return what is measured."""
    length = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "10000", "wsgi.input": io.BytesIO(BODY)}
    return [
        Case("body_limit", "idle", BodyLimit),
        Case("body_limit", "maybe a body", BodyLimit, environ={"wsgi.input_terminated": True}),
        Case("body_limit", "a length", BodyLimit, application=reads, environ=length),
        Case(
            "body_limit",
            "a length, one of 3 prefixes",
            lambda app: BodyLimit(app, paths={"/a": 1, "/b": 2, "/": 100_000}),
            application=reads,
            environ=length,
        ),
        Case(
            "body_limit", "413", lambda app: BodyLimit(app, maximum=1), environ=length, expect="413"
        ),
    ]
