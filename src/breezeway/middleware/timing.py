"""`Timing`: tells the browser's tools where the time went, by Server-Timing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware import option_checks
from breezeway.middleware.stack import unset
from breezeway.semantics.fields import Headers
from breezeway.semantics.networks import LOOPBACK

KEY: Final = "breezeway.timing"
"""Where an application finds its `Timings` in the environ."""

MOST_METRICS: Final = 50
"""For each response; a loop that adds more loses them, so that the head stays small."""

MOST_CHARACTERS: Final = 200
"""Of a description."""

KEPT_ADDRESSES: Final = 1024
"""Addresses for which it is kept whether they are among the networks; to look takes 3 us."""

# server-timing-metric = metric-name *( OWS ";" OWS server-timing-param )      Server Timing section 3
# metric-name          = token
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# quoted-string (RFC 9110 section 5.6.4); what it cannot have, or what is not ASCII, becomes "?"
_UNQUOTABLE: Final = re.compile(r"[^ -~]")
_TO_ESCAPE: Final = re.compile(r'(["\\])')


class Timing:
    """Adds `Server-Timing` (W3C) to responses: how long the application took until its head.

    It is for developers: durations tell strangers which user exists, and what is in a cache. So only
    clients in `networks` get it, and of those none whom a proxy has passed on without `ProxyHeaders` or
    the server settling who they are. Which other origins may read it is the application's choice
    (Timing-Allow-Origin).

    An application adds metrics of its own with `environ["breezeway.timing"]`, which is there for every
    request: `timing.add("db", 12.5, "query")`, or `with timing("db"): ...`. They count until the head is
    sent; what is measured later, as in a streamed response, cannot be told any more.
    """

    def __init__(
        self, application: WSGIApplication = unset, *, networks: Iterable[str] = LOOPBACK
    ) -> None:
        """Check and prepare.

        `networks` lists the addresses and networks whose clients get the field, such as
        `10.0.0.0/8`; `unix` stands for unix sockets, `*` for everybody. The default is this machine.

        Raises:
            ValueError: one of them is no network.
        """
        self.application = application
        self._networks = option_checks.networks("networks", networks)
        self._has = lru_cache(KEPT_ADDRESSES)(self._networks.__contains__)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if not (self._has(environ.get("REMOTE_ADDR", "")) and self._networks.admit(environ)):
            environ[KEY] = UNHEARD
            return self.application(environ, start_response)
        timings = environ[KEY] = Timings()

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            headers = [*headers, ("Server-Timing", timings.field())]
            if exc_info is None:
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        return self.application(environ, start)


class Timings:
    """The metrics of one response."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._metrics: list[str] = []

    def add(self, name: str, milliseconds: float | None = None, description: str = "") -> None:
        """Add a metric. `name` is a token, such as `db` or `cache-hit`; `description` is any text.

        Raises:
            ValueError: `name` is no token (RFC 9110 section 5.6.2).
        """
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(
                f"{name!r} cannot name a metric: it must be a token, such as cache-hit"
            )
        metric = name
        if milliseconds is not None:
            metric += f";dur={milliseconds:.3f}"
        if description:
            metric += f";desc={_quoted(description)}"
        if len(self._metrics) < MOST_METRICS:
            self._metrics.append(metric)

    @contextmanager
    def __call__(self, name: str, description: str = "") -> Iterator[None]:
        """Measure what happens within, also if it fails."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, (time.perf_counter() - began) * 1000, description)

    def field(self) -> str:
        """Return the value of Server-Timing as of now."""
        total = (time.perf_counter() - self._began) * 1000
        return ", ".join([f"total;dur={total:.3f}", *self._metrics])


class _Unheard(Timings):
    """Takes metrics for a client that gets none; all share it."""

    def add(self, name: str, milliseconds: float | None = None, description: str = "") -> None:
        """Want the same of `name`, so that an application fails at its developer's, too."""
        if _TOKEN.fullmatch(name) is None:
            super().add(name)


UNHEARD: Final = _Unheard()


def _quoted(text: str) -> str:
    plain = _UNQUOTABLE.sub("?", text[:MOST_CHARACTERS])
    return '"' + _TO_ESCAPE.sub(r"\\\1", plain) + '"'
