"""`Proxy`: a reverse proxy as a WSGI application.

`proxy.request` says what of an environ goes on, `proxy.upstreams` to which upstream, `proxy.wire` how it
gets there over urllib3, `proxy.upstream_answer` reads what comes back, and `proxy.response` says what
of that is for the client.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.proxy import options as options
from breezeway.middleware.proxy.address import parse_address
from breezeway.middleware.proxy.errors import RefusedError, UpstreamError
from breezeway.middleware.proxy.request import Incoming, incoming
from breezeway.middleware.proxy.response import Blocks, Places, client_fields, phrase
from breezeway.middleware.proxy.target import below, script_name
from breezeway.middleware.proxy.upstreams import Upstream, Upstreams

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from breezeway.middleware.proxy.wire import Request

RETRY_AFTER: Final = 5.0
"""Seconds, where no breaker says when."""

_PHRASES: Final = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
_SAID: Final = {
    502: "The server behind this one does not answer as it should.",
    503: "The server behind this one is not available.",
    504: "The server behind this one does not answer in time.",
}
log = logging.getLogger("breezeway.middleware")


class Proxy:
    """Sends requests on to other servers and their answers back: for moving a site piece by piece.

    It is an application, to be mounted: `Dispatch({"/old": Proxy("http://10.0.0.5:8000")}, new)`.
    Bodies stream both ways. Fields of one connection stay there (RFC 9110 section 7.6.1); what the
    client says of itself in Forwarded (RFC 7239) and X-Forwarded-* is replaced by what the server knows,
    so that nobody gets past an upstream's checks of addresses. Nothing goes out, and nothing is taken
    from an upstream, that two parties could read in two ways (request smuggling). A request is sent
    a second time only if the first has not had any effect (RFC 9110 section 9.2.2).
    """

    def __init__(
        self,
        upstreams: str | Iterable[str],
        *,
        balance: str = "round_robin",
        connections: int = options.CONNECTIONS,
        connect_timeout: float = options.CONNECT_SECONDS,
        read_timeout: float = options.READ_SECONDS,
        total_timeout: float = 0,
        retries: int = options.RETRIES,
        failures: int = options.FAILURES,
        recovery: float = options.RECOVERY_SECONDS,
        health_path: str = "",
        health_interval: float = options.HEALTH_SECONDS,
        host: str = "keep",
        via: str = "breezeway",
        rewrite_location: bool = True,
        rewrite_cookies: bool = False,
        longest_head: int = options.HEAD_BYTES,
        verify: bool = True,
        ca_file: str = "",
    ) -> None:
        """Say where the requests go.

        `upstreams` is a URL, `http://host:port/base`, `https://...` or `unix:/run/app.sock`, or several.
        `balance` among them is `round_robin` or `least_connections`. `connections` is how many each
        has at most, in each process. `connect_timeout`, `read_timeout` (for the whole head of a
        response, then for each block of either body) and `total_timeout` (for a response as a whole; 0 is
        no limit) are in seconds. `retries` is how often a request may be sent again.

        After so many `failures` in a row an upstream gets nothing for `recovery` seconds, then one
        request to try. `health_path` is asked for every `health_interval` seconds, if it is given; a
        status from 400 on takes an upstream out of service.

        `host` is what upstreams see as Host: `keep` (the client's), `upstream` (its own) or a text.
        `via` is the name of this gateway in Via. `rewrite_location` and `rewrite_cookies` make the
        paths in Location and in Set-Cookie those of the client. `longest_head` bounds the head of a
        response, in bytes. `verify` checks the certificates of https upstreams, by `ca_file` in PEM
        if it is given, else by those of the system.

        Raises:
            ValueError: an option cannot be, or the package urllib3 is not installed.
        """
        options.check(locals())
        self._connect, self._read, self._total = connect_timeout, read_timeout, total_timeout
        self._retries, self._longest_head = retries, longest_head
        self._host, self._via, self._health_path = host, via, health_path
        self._rewrites = {"locations": rewrite_location, "cookies": rewrite_cookies}
        try:
            from breezeway.middleware.proxy import health as proxy_health
            from breezeway.middleware.proxy import wire as proxy_wire
        except ImportError:
            raise ValueError(
                "Proxy needs the package urllib3: pip install 'breezeway[proxy]'"
            ) from None
        self._wire = proxy_wire
        pool = {"connections": connections, "verify": verify, "ca_file": ca_file}
        self._upstreams = Upstreams(
            [self._upstream(url, pool) for url in options.urls(upstreams)],
            least=balance == "least_connections",
            failures=failures,
            recovery=recovery,
        )
        if health_path:
            self._upstreams.watch = partial(proxy_health.look, health_path, connect_timeout)
            self._upstreams.watch_seconds = health_interval

    def _upstream(self, url: str, pool: dict[str, Any]) -> Upstream:
        address = parse_address(url)
        make: Callable[[], Any] = partial(
            self._wire.make_pool, address.scheme, address.host, address.port, **pool
        )
        return Upstream(address, make)

    @property
    def status(self) -> list[dict[str, Any]]:
        """Tell of each upstream, in this process: its URL, the state of its breaker, and counts."""
        return self._upstreams.status()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request by that of an upstream."""
        try:
            request = incoming(environ, self._via)
            upstream, response, sent = self._ask(request)
        except RefusedError as refusal:
            return answer(environ, start_response, refusal.status, str(refusal))
        except UpstreamError as error:
            return self._failure(environ, start_response, error)
        return self._respond(environ, start_response, upstream, response, sent)

    def _ask(self, incoming: Incoming) -> tuple[Upstream, BaseHTTPResponse, Request]:
        """Ask one upstream after the other, where that is safe; return the first answer."""
        upstreams, body = self._upstreams, incoming.body
        deadline = time.monotonic() + self._total if self._total else None
        tried: list[Upstream] = []
        last = UpstreamError(503, "no upstream is in service", is_sent=False)
        for _ in range(self._retries + 1):
            upstream = upstreams.take(tried)
            if upstream is None:
                if not tried:
                    log.warning("proxy: %s %s: %s", incoming.method, incoming.path, str(last))
                break
            url = upstream.address.url
            try:
                request = self._request(incoming, upstream, deadline)
                response = self._wire.ask(upstream.pool, request, self._connect)
            except UpstreamError as error:
                last = error
                log.warning(
                    "proxy: %s %s to %s: %s", incoming.method, incoming.path, url, str(error)
                )
                if error.is_fault and not error.is_stale:
                    upstreams.failed(upstream, error)
                upstreams.done(upstream)
                if not error.is_stale:
                    tried.append(upstream)
            except BaseException:
                upstreams.done(upstream)
                raise
            else:
                upstreams.answered(upstream)
                return upstream, response, request
            is_consumed = body is not None and body.is_consumed
            may_repeat = last.is_stale and incoming.method in options.IDEMPOTENT
            if is_consumed or (last.is_sent and not may_repeat):
                break
        raise last

    def _request(self, incoming: Incoming, upstream: Upstream, deadline: float | None) -> Request:
        """Make the request for one of the upstreams."""
        address = upstream.address
        own = self._host == "upstream" or not (incoming.host or self._host != "keep")
        host = address.authority if own else incoming.host if self._host == "keep" else self._host
        target = f"{below(incoming.path, address.base)}{incoming.query}"
        body = incoming.body
        request = self._wire.Request(
            incoming.method,
            target,
            [("Host", host), *incoming.fields],
            body,
            wait=self._read,
            deadline=deadline,
            longest_head=self._longest_head,
        )
        if body is not None:
            body.is_answered = request.is_answered
        return request

    def _respond(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        upstream: Upstream,
        response: BaseHTTPResponse,
        request: Request,
    ) -> Iterable[bytes]:
        """Give the answer of an upstream to the client."""
        found = request.answer
        blocks = Blocks(
            response,
            self._wire.FAILURES,
            partial(self._finish, upstream, f"{request.method} {request.target.partition('?')[0]}"),
        )
        try:
            address = upstream.address
            hosts = (address.authority, f"{address.host}:{address.port}", self._host.lower())
            public = environ.get("HTTP_HOST", "").lower()
            places = Places(script_name(environ), address.base, hosts, public)
            headers = client_fields(found.fields, found.status, places, **self._rewrites)
            start_response(f"{found.status} {found.reason or phrase(found.status)}", headers)
            if found.is_here:
                content = [*blocks]
                blocks.close()
                return content
        except BaseException:
            blocks.close()
            raise
        return blocks

    def _finish(self, upstream: Upstream, what: str, error: UpstreamError | None) -> None:
        self._upstreams.finished(upstream, error)
        if error is not None:
            log.warning("proxy: %s to %s: %s", what, upstream.address.url, str(error))

    def _failure(
        self, environ: WSGIEnvironment, start_response: StartResponse, error: UpstreamError
    ) -> Iterable[bytes]:
        """Tell the client that there is no answer; when to come back, if nothing has happened."""
        headers = []
        if not error.is_sent:
            seconds = math.ceil(self._upstreams.seconds_to_wait(RETRY_AFTER))
            headers = [("Retry-After", str(max(1, seconds)))]
        status = f"{error.status} {_PHRASES[error.status]}"
        return answer(environ, start_response, status, _SAID[error.status], headers)
