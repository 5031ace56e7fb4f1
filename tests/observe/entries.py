"""Makes entries, as a worker leaves them for the recorder."""

from __future__ import annotations

from typing import Any

from breezeway.http1.head import Head
from breezeway.observe.entry import COMPLETE, Entry


class Response:
    """The head of a response."""

    def __init__(self, status: int, lines: bytes = b"") -> None:
        self.status = status
        self.lines = lines


def entry(
    environ: dict[str, Any],
    *,
    left: dict[str, Any] | None = None,
    status: int | None = 200,
    lines: bytes = b"",
    size: int = 5,
    began: float = 1000.0,
    queued: float = 0.0,
    seconds: float = 0.0,
    first: float = 0.0,
    finished: float = 0.0,
    outcome: int = COMPLETE,
) -> Entry:
    """Make the entry of a request; `left` is the environ as the application has left it."""
    request = Head(
        raw=b"GET / HTTP/1.1\r\n\r\n",
        block=b"",
        environ={"REQUEST_METHOD": "-", **environ},
        length=0,
        flags=0,
    )
    return (
        request,
        dict(environ) if left is None else left,
        None if status is None else Response(status, lines),
        size,
        began,
        began + queued,
        first,
        began + queued + seconds,
        finished,
        outcome,
    )
