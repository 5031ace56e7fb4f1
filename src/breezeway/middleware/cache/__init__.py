"""A shared HTTP cache in front of an application (RFC 9111)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import TIMEOUT_MAX
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.cache.engine import Engine
from breezeway.middleware.cache.options import checked_settings, make_store, networks, number, token
from breezeway.middleware.cache.shelf import Shelf
from breezeway.middleware.option_checks import flag, whole
from breezeway.middleware.stack import unset
from breezeway.semantics.caching import (
    NO_WISHES,
    SAFE_METHODS,
    cache_key,
    invalidated_keys,
    read_wishes,
    url_key,
)
from breezeway.semantics.fields import Headers

DEFAULT_SIZE: Final = 64 * 1024 * 1024
"""Bytes: some thousand pages in each worker."""

DEFAULT_LARGEST: Final = 1024 * 1024
"""Bytes: a large page; files are better served by what can send them without reading."""

DEFAULT_VARIANTS: Final = 16
"""Codings times languages, for most sites."""

DEFAULT_WAIT_SECONDS: Final = 5.0
"""Longer than a page takes, and shorter than clients wait."""

LONGEST_KEY: Final = 4096
"""Characters of a URL; a longer one is no page that many ask for."""


NO_CONTENT: Final = ("", "0")
"""Content-Length of a request whose answer may be one for all."""


class Cache:
    """Answers GET and HEAD from stored responses, where these and RFC 9111 allow it.

    An application says with `Cache-Control` what may be stored and for how long; without a word of it
    nothing is. What is stored is kept apart by scheme, host, path and query, and by the fields that
    `Vary` names (section 4.1). A stale response is revalidated with its validators (section 4.3), and
    with `stale-while-revalidate` or `stale-if-error` (RFC 5861) served meanwhile, or instead of an
    error. When many ask for the same that is not there, one request goes to the application, and the
    others wait for its answer. Requests with unsafe methods invalidate (section 4.4). `Cache-Status`
    (RFC 9211) says what was done.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        redis: Any = None,
        prefix: str = "breezeway:cache:",
        size: int = DEFAULT_SIZE,
        largest: int = DEFAULT_LARGEST,
        variants: int = DEFAULT_VARIANTS,
        wait: float = DEFAULT_WAIT_SECONDS,
        stale_while_revalidate: int = 0,
        stale_if_error: int = 0,
        heuristic: float = 0.0,
        targeted: str | Iterable[str] = (),
        request_directives: bool = True,
        purge_from: str | Iterable[str] = (),
        cache_status: str = "Breezeway",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a cache.

        - `redis`: URL of a Redis server, or a client, in which responses are stored for all processes
          that use the same `prefix`; without it each process stores its own in memory
        - `prefix`: text in front of each key in Redis
        - `size`: bytes of memory; the least recently used goes first. Redis has a bound of its own
        - `largest`: bytes of the largest content that is stored
        - `variants`: how many responses are stored for one URL
        - `wait`: seconds for which a request waits at most for another one's answer; 0: not at all
        - `stale_while_revalidate`, `stale_if_error`: seconds, for responses that do not say
        - `heuristic`: the part of the time since `Last-Modified`, such as 0.1, for which a response
          is fresh that does not say; 0: it is not stored
        - `targeted`: fields such as `CDN-Cache-Control` that govern in place of `Cache-Control`
        - `request_directives`: whether `Cache-Control` of a request counts
        - `purge_from`: networks from which the method PURGE forgets a URL; empty: from nowhere
        - `cache_status`: the name of this cache in `Cache-Status`; empty: without the field
        - `clock`: returns the seconds since the epoch

        Raises:
            ValueError: an option is not what it has to be.
        """
        self.application = application
        if not callable(clock):
            raise ValueError(f"clock must be callable, not {clock!r}")
        largest = whole("largest", largest, 1, unit="bytes")
        store = make_store(redis, prefix, size, largest, variants)
        settings = checked_settings(targeted, heuristic, stale_while_revalidate, stale_if_error)
        self._shelf = Shelf(store, settings, largest, clock)
        wait = number("wait", wait, TIMEOUT_MAX, unit="seconds")
        self._engine = Engine(self._shelf, wait, token("cache_status", cache_status))
        self._uncacheable = self._shelf.uncacheable
        self._honours_requests = flag("request_directives", request_directives)
        self._purgers = networks("purge_from", purge_from)

    def purge(self, url: str) -> bool | None:
        """Forget all that is stored for an absolute URL; return whether there was something.

        None: Redis is away, and what it has may be served when it is back.

        Raises:
            ValueError: it is no absolute URL of http or https.
        """
        return self._shelf.forget(url_key(url))

    def clear(self) -> None:
        """Forget everything."""
        self._shelf.invalidations.add_all()
        self._shelf.store.clear()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        method = environ["REQUEST_METHOD"]
        if method != "GET" and method != "HEAD":
            return self._other(environ, start_response, method)
        key = cache_key(environ)
        if key in self._uncacheable and "HTTP_CACHE_CONTROL" not in environ:
            return self._engine.pass_on(self.application, environ, start_response)
        wishes = NO_WISHES
        if "HTTP_CACHE_CONTROL" in environ and self._honours_requests:
            wishes = read_wishes(environ["HTTP_CACHE_CONTROL"])
        if (
            wishes.no_store
            or "HTTP_IF_MATCH" in environ  # RFC 9111 section 4.3.2: these are for the origin
            or "HTTP_IF_UNMODIFIED_SINCE" in environ
            or ("CONTENT_LENGTH" in environ and environ["CONTENT_LENGTH"] not in NO_CONTENT)
            or "HTTP_TRANSFER_ENCODING" in environ
            or "breezeway.trailers" in environ  # a body that comes in chunks, as it is read
            or len(key) > LONGEST_KEY
        ):
            return self.application(environ, start_response)
        vary, entry = self._shelf.store.get(key, environ)
        if entry is not None:
            served = self._engine.reuse(
                self.application, environ, start_response, key, entry, wishes
            )
            if served is not None:
                return served
        if wishes.only_if_cached:
            said = self._engine.said("fwd=uri-miss")
            return answer(environ, start_response, "504 Gateway Timeout", headers=said)
        if method == "GET" and "HTTP_RANGE" not in environ:
            return self._engine.ask(
                self.application, environ, start_response, key, vary, entry, wishes
            )
        return self.application(environ, start_response)

    def _other(
        self, environ: WSGIEnvironment, start_response: StartResponse, method: str
    ) -> Iterable[bytes]:
        """Let a method through that is neither GET nor HEAD, and note what it invalidates."""
        if method in SAFE_METHODS:
            return self.application(environ, start_response)
        if method == "PURGE" and self._purgers is not None:
            if environ.get("REMOTE_ADDR", "") not in self._purgers:
                return answer(environ, start_response, "403 Forbidden")
            found = self._shelf.forget(cache_key(environ))
            if found is None:
                return answer(environ, start_response, "503 Service Unavailable")
            return answer(environ, start_response, "200 OK" if found else "404 Not Found")

        def start(status: str, headers: Headers, exc_info: Any = None, /) -> Any:
            if status[0] in "23":
                for key in invalidated_keys(environ, headers):
                    self._shelf.forget(key)
            if exc_info is None:
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        return self.application(environ, start)
