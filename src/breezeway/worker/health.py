"""The health path: whether this worker serves, as load balancers ask it every few seconds.

The event loop answers, so that it is told of the server and not of the application: also while all
threads are busy and the queue is full. `--probe-path` is for the application.

It is not in the access log: such lines would be most of it, and nobody reads them. A load balancer
that asks by address, or over plain HTTP, is answered whatever `--allowed-hosts` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from breezeway.gateway.types import Application, Environ, StartResponse

UNLOGGED: Final = "breezeway.unlogged"
"""In the environ of a request that does not go to the access log."""

_FIELDS: Final = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Cache-Control", "no-store"),
]


class Health:
    """Answers for one path."""

    def __init__(self, path: str, is_serving: Callable[[], bool]) -> None:
        """`path` is as clients ask for it, the root path included."""
        self._path = path
        self._is_serving = is_serving

    def local(self, environ: Environ) -> Application | None:
        """Return what answers, if the request is for this."""
        path = environ["RAW_URI"].partition("?")[0]
        return self.answer if path == self._path else None

    def answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer: 200, or 503 once the worker is on its way out."""
        environ[UNLOGGED] = True
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [*_FIELDS, ("Allow", "GET, HEAD")])
            return [b"405 Method Not Allowed\n"]
        if self._is_serving():
            start_response("200 OK", list(_FIELDS))
            return [b"ok\n"]
        start_response("503 Service Unavailable", [*_FIELDS, ("Retry-After", "1")])
        return [b"stopping\n"]
