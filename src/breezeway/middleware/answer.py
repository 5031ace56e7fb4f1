"""A short answer of a piece's own, such as a refusal."""

from __future__ import annotations

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
    start_response(
        status,
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            *headers,
        ],
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
