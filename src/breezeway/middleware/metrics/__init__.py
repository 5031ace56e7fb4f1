"""`Metrics`: figures of all requests, for Prometheus to scrape."""

from __future__ import annotations

import logging
import math
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware import option_checks
from breezeway.middleware.answer import answer
from breezeway.middleware.closing import Observed
from breezeway.middleware.metrics.files import FAILED, IN_PROGRESS, LEFT, OTHER
from breezeway.middleware.metrics.store import Store
from breezeway.middleware.metrics.text import (
    BUCKETS,
    OPENMETRICS,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    SECONDS,
    TEXT,
    wants_openmetrics,
    written,
)
from breezeway.middleware.stack import unset
from breezeway.semantics.networks import LOOPBACK

DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds; those of the Prometheus clients, less some in between."""

MOST_BUCKETS: Final = 50

MOST_SERIES: Final = 1000
"""Method, status class and route: some 200 routes with what happens to each."""

MOST_KNOWN: Final = 10_000
"""Combinations of method, status line and route of which it is kept which series they belong to."""

METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
)
"""All others count as OTHER: a client may send any word (RFC 9110 section 9.1)."""

CLASSES: Final = {digit: f"{digit}xx" for digit in "12345"}

LONGEST_LENGTH: Final = 18
"""Digits of a Content-Length; one that has more is a lie."""

ROUTE_KEY: Final = "breezeway.route"

log = logging.getLogger("breezeway.middleware")


class Metrics:
    """Counts requests by method, status class and route, with their durations and bytes.

    Prometheus gets them at a path of this piece's own, as text or as OpenMetrics, as it asks. Who may
    ask is restricted to networks, for figures tell strangers what they should not know; a client that
    a proxy has passed on, without anybody settling who it is, is nobody.

    A request counts when its response is over: that of a list or a file when the application returns it
    (the bytes of a file are those of Content-Length), anything else when the server closes it. What
    a client can choose freely makes no series: there is no label for the path, only for the route that the
    framework tells. Series have a bound, past which methods and routes count as OTHER.

    With several processes a scrape reaches any of them. With `directory` it gets the sum of all that share
    it, also of those that have ended. Without, it gets that one's, with a label `pid`.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        path: str = "/metrics",
        networks: Iterable[str] = LOOPBACK,
        directory: str | os.PathLike[str] | None = None,
        buckets: Iterable[float] = DURATIONS,
        route: str | Callable[[WSGIEnvironment], str | None] = ROUTE_KEY,
        series: int = MOST_SERIES,
    ) -> None:
        """Check and prepare.

        `path` is where metrics are told (PATH_INFO). `networks` lists whose clients get them, such as
        `10.0.0.0/8`; `unix` stands for unix sockets, `*` for everybody; the default is this
        machine. `directory` is where the processes of this machine share their numbers; it is made.
        `buckets` are the bounds of the durations, in seconds, rising. `route` is the key of the environ in
        which the framework leaves the pattern of the route, or a function of the environ that returns
        it or None. `series` is how many combinations of method, status and route are told apart.

        Raises:
            ValueError: an option is wrong.
        """
        if not isinstance(path, str) or not path.startswith("/"):
            raise ValueError(f"path must be a path such as /metrics, not {path!r}")
        if not isinstance(series, int) or isinstance(series, bool) or not 20 <= series <= 100_000:
            raise ValueError(f"series must be a number from 20 to 100000, not {series!r}")
        if not callable(route) and not (isinstance(route, str) and route):
            raise ValueError(f"route must be a key of the environ or a function, not {route!r}")
        self.application = application
        self._path = path
        self._networks = option_checks.networks("networks", networks)
        self._bounds = _checked_bounds(buckets)
        self._route = None if isinstance(route, str) else route
        self._route_key = route if isinstance(route, str) else ""
        width = BUCKETS + len(self._bounds) + 1
        shared = None if directory is None else option_checks.path("directory", directory)
        self._store = Store(width, series, None if shared is None else Path(shared).absolute())
        self._report = self._record  # bound once
        self._has_failed = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("PATH_INFO") == self._path:
            return self._tell(environ, start_response)
        store = self._store
        with store.lock:
            store.values[IN_PROGRESS] += 1.0
        return Observed(environ, start_response, self._report).call(self.application)

    def _record(self, seen: Observed) -> None:
        seconds = time.perf_counter() - seen.began
        bucket = bisect_left(self._bounds, seconds) + BUCKETS
        environ = seen.environ
        sent = environ.get("CONTENT_LENGTH")
        route = environ.get(self._route_key) if self._route is None else self._route_of(environ)
        if route is not None and type(route) is not str:
            route = str(route)
        store = self._store
        with store.lock:
            at = store.known.get((seen.method, seen.status, route))
            if at is None or seen.error is not None:
                at = self._row_of(seen, route)
            values = store.values
            values[IN_PROGRESS] -= 1.0
            values[at + bucket] += 1.0
            values[at + SECONDS] += seconds
            values[at + RESPONSE_BYTES] += seen.size
            if sent and len(sent) <= LONGEST_LENGTH and sent.isdecimal():
                values[at + REQUEST_BYTES] += int(sent)
            if seen.error is not None:
                values[FAILED] += 1.0
            elif seen.left:
                values[LEFT] += 1.0

    def _row_of(self, seen: Observed, route: str | None) -> int:
        """Return where the row of a request begins; the next time `known` tells."""
        store = self._store
        is_usual = seen.method in METHODS
        method = seen.method if is_usual else OTHER
        at = store.row((method, CLASSES.get(seen.code[:1], "5xx"), route or ""))
        if is_usual and seen.error is None and len(store.known) < MOST_KNOWN:
            store.known[seen.method, seen.status, route] = at
        return at

    def _route_of(self, environ: WSGIEnvironment) -> str:
        assert self._route is not None
        try:
            return str(self._route(environ) or "")
        except Exception as error:
            if not self._has_failed:
                self._has_failed = True
                log.error("metrics cannot tell the route of a request: %r", error)
            return OTHER

    def _tell(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._networks.admit(environ):
            text = "metrics are not told to this address"
            return answer(environ, start_response, "403 Forbidden", text)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            allow = [("Allow", "GET, HEAD")]
            return answer(environ, start_response, "405 Method Not Allowed", headers=allow)
        try:
            totals = self._store.read()
        except OSError as error:
            log.error("metrics cannot be read: %s", error)
            return answer(environ, start_response, "503 Service Unavailable")
        alone = environ.get("wsgi.multiprocess") and not self._store.is_shared
        labels = {"pid": str(os.getpid())} if alone else {}
        openmetrics = wants_openmetrics(environ.get("HTTP_ACCEPT", ""))
        body = written(totals, self._bounds, labels, openmetrics=openmetrics)
        headers = [
            ("Content-Type", OPENMETRICS if openmetrics else TEXT),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Vary", "Accept"),
        ]
        start_response("200 OK", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _checked_bounds(buckets: Any) -> tuple[float, ...]:
    bounds = tuple(buckets) if isinstance(buckets, Iterable) else ()
    if not (
        0 < len(bounds) <= MOST_BUCKETS
        and all(isinstance(each, int | float) and not isinstance(each, bool) for each in bounds)
        and all(math.isfinite(each) and each > 0 for each in bounds)
        and all(one < other for one, other in pairwise(bounds))
    ):
        raise ValueError(f"buckets must be 1 to {MOST_BUCKETS} rising seconds, not {buckets!r}")
    return tuple(map(float, bounds))
