"""Responses of the admin listener: what all of them say to browsers, and gzip for who takes it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.semantics.negotiation import choose_coding

GZIP_BYTES: Final = 1024
"""Shorter bodies are sent as they are."""

GZIP_LEVEL: Final = 5

SAFE: Final = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Everything comes from here, nobody frames it, and no other site may embed it."""

Fields = list[tuple[str, str]]


class Problem(Exception):
    """An answer that is none: a status and a sentence."""

    def __init__(self, status: HTTPStatus, text: str, *fields: tuple[str, str]) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.fields = fields


def head(status: HTTPStatus, fields: Iterable[tuple[str, str]]) -> tuple[str, Fields]:
    """Return status line and fields, with those that every answer has."""
    found = list(fields)
    if not any(name == "Cache-Control" for name, _ in found):
        found.append(("Cache-Control", "no-store"))
    return f"{status.value} {status.phrase}", [*found, *SAFE]


def send(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    body: bytes,
    media_type: str,
    *fields: tuple[str, str],
    status: HTTPStatus = HTTPStatus.OK,
) -> Iterable[bytes]:
    """Answer with a body."""
    found = [("Content-Type", media_type), *fields]
    if len(body) >= GZIP_BYTES:
        found.append(("Vary", "Accept-Encoding"))
        if choose_coding(environ.get("HTTP_ACCEPT_ENCODING"), ("gzip",)) == "gzip":
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            found.append(("Content-Encoding", "gzip"))
    found.append(("Content-Length", str(len(body))))
    start_response(*head(status, found))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def send_json(
    environ: WSGIEnvironment, start_response: StartResponse, value: Any, *fields: tuple[str, str]
) -> Iterable[bytes]:
    """Answer with JSON."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return send(environ, start_response, body, "application/json", *fields)


def send_problem(
    environ: WSGIEnvironment, start_response: StartResponse, problem: Problem
) -> Iterable[bytes]:
    """Answer with a status and why."""
    body = json.dumps({"error": problem.text}).encode() + b"\n"
    status, fields = problem.status, problem.fields
    return send(environ, start_response, body, "application/json", *fields, status=status)
