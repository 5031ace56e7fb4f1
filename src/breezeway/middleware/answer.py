"""A short answer of a piece's own, such as a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment


def answer(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    status: str,
    text: str = "",
    headers: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    """Answer with one line of plain text, the status itself if there is no other."""
    body = f"{text or status}\n".encode()
    return _respond(environ, start_response, status, "text/plain; charset=utf-8", body, headers)


def problem(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    status: str,
    detail: str = "",
    headers: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    """Answer with problem details (RFC 9457), where those who ask are programs."""
    code, _, title = status.partition(" ")
    told = {"title": title, "status": int(code)} | ({"detail": detail} if detail else {})
    body = json.dumps(told, separators=(",", ":")).encode()
    return _respond(environ, start_response, status, "application/problem+json", body, headers)


def _respond(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    status: str,
    content_type: str,
    body: bytes,
    headers: Iterable[tuple[str, str]],
) -> list[bytes]:
    fields = [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers]
    start_response(status, fields)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
