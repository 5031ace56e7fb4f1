"""Decompress: nobody has the same as middleware."""

from __future__ import annotations

import functools
import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import brotli
import zstandard
from case import Application, Case

from breezeway.middleware import Decompress

BODY = json.dumps(
    [{"id": n, "name": f"n{n * 7919 % 1000}", "square": n * n} for n in range(300)]
).encode()
ENCODED = {
    "gzip": gzip.compress(BODY),
    "br": brotli.compress(BODY, quality=5),
    "zstd": zstandard.compress(BODY),
}


def reads(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Read the body."""
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"read"]


def with_input(application: Application, encoded: bytes) -> Application:
    """Give each request an input of its own."""

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["wsgi.input"] = io.BytesIO(encoded)
        return application(environ, start_response)

    return wrapped


def cases() -> list[Case]:
    """Return what is measured."""
    return [
        Case("decompress", "idle", Decompress),
        *(
            Case(
                "decompress",
                f"14 KB of JSON, {name}{', as it is read' * stream}",
                functools.partial(_ours, ENCODED[name], stream),
                application=with_input(reads, b""),
                environ={
                    "REQUEST_METHOD": "POST",
                    "HTTP_CONTENT_ENCODING": name,
                    "CONTENT_LENGTH": str(len(ENCODED[name])),
                },
            )
            for stream in (False, True)
            for name in ENCODED
        ),
    ]


def _ours(encoded: bytes, stream: bool, _: Application) -> Application:
    return with_input(Decompress(reads, stream=stream), encoded)
