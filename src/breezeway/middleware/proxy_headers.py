"""`ProxyHeaders`: who the client is behind proxies, in any server."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.option_checks import texts, whole
from breezeway.middleware.stack import unset
from breezeway.semantics.environ_keys import UNBELIEVED
from breezeway.semantics.forwarded import ForwardedError, Trust, settle

PEER_KEY: Final = "breezeway.peer"
"""Where the environ has the address of the other end of the connection, `unix` for a unix socket."""

ORIGINAL_KEY: Final = "breezeway.before_proxies"
"""Where the environ has a copy of itself as the server has made it; only if that was changed."""

FIELDS: Final = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
)
"""What proxies can be believed about."""

_KEYS: Final = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in FIELDS}
_FAMILY: Final = "HTTP_X_FORWARDED_"

log = logging.getLogger("breezeway.middleware")


class ProxyHeaders:
    """Make the environ tell about the client and not about the proxy, if the proxy is trusted.

    The need: behind a proxy, REMOTE_ADDR is the proxy's, and the scheme that of its own connection.
    Forwarded (RFC 7239) and the X-Forwarded fields tell of the client. The attack: anybody can send
    them. Who believes them from anybody, or counts hops from the wrong end, lets a client choose the
    address that is logged, limited and allowed, and pass for https. So they are believed only from the
    networks that are named, read from the right as far as those reach, and taken away from all.

    Breezeway does the same with `--trusted-proxies`, by the same rules, and earlier; this is for other
    servers. See docs/proxies.md for them. What is malformed, or contradicts itself, is 400.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        trusted_proxies: str | Iterable[str] = (),
        proxy_hops: int | None = None,
        trusted_headers: str | Iterable[str] = FIELDS,
    ) -> None:
        """Take whom to believe; a text does where a list of one would.

        `trusted_proxies`: networks, such as `10.0.0.0/8` or `2001:db8::7`; `unix` for a server on a
        unix socket that tells no REMOTE_ADDR; `*` for every peer, right where nobody but the proxy can
        connect. By default nobody is believed, and the fields are just taken away.
        `proxy_hops`: how many proxies there are one behind the other, at most; by default as many as
        `trusted_proxies` tells.
        `trusted_headers`: the fields that the proxies set, all six by default: `forwarded`,
        `x-forwarded-for`, `-proto`, `-host`, `-port`, `-prefix`. The others are taken away, since the
        proxy may pass them on from the client.

        Raises:
            ValueError: a network is malformed, a field is not one of those, or hops are less than 1.
        """
        self.application = application
        if proxy_hops is not None:
            whole("proxy_hops", proxy_hops, 1)
        networks = texts("trusted_proxies", trusted_proxies)
        try:
            self._trust: Final = Trust(networks, proxy_hops)
        except ValueError as error:
            raise ValueError(f"trusted_proxies: {error}") from None
        names = texts("trusted_headers", trusted_headers)
        if unknown := [name for name in names if name not in _KEYS]:
            raise ValueError(f"trusted_headers: {unknown[0]!r} is none of {', '.join(FIELDS)}")
        self._disbelieved: Final = tuple(key for name, key in _KEYS.items() if name not in names)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Settle who the client is, and let the application answer."""
        environ.setdefault(PEER_KEY, environ.get("REMOTE_ADDR") or "unix")
        # One look at all the names at once: a request that is not proxied has none of them.
        if (
            _FAMILY in " ".join(environ)
            or "HTTP_FORWARDED" in environ
            or "HTTP_X_REAL_IP" in environ
        ):
            environ[ORIGINAL_KEY] = environ.copy()
            for key in self._disbelieved:
                if environ.pop(key, None):
                    environ[UNBELIEVED] = True
            try:
                settle(environ, self._trust)
            except ForwardedError as error:
                log.info("refused a request through the proxy %s: %s", environ[PEER_KEY], error)
                return answer(environ, start_response, "400 Bad Request", str(error))
        return self.application(environ, start_response)
