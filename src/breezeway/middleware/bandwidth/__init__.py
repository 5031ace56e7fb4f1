"""`Bandwidth`: so many bytes a second for a response, or for all responses of a client."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.bandwidth.pace import Pace
from breezeway.middleware.bandwidth.response import Limit, Response
from breezeway.middleware.rate_limit.key import IPV6_PREFIX, KeyOf, make_key_of
from breezeway.middleware.rate_limit.refusals import Refusals
from breezeway.middleware.stack import unset

RESPONSES: Final = 4
"""Each holds a thread nearly all the time, of which servers have eight to sixteen."""

MAX_KEYS: Final = 10_000
"""Clients; a megabyte."""

PIECES_A_SECOND: Final = 10
"""A block is sent in pieces of a tenth of a second, so that the stream is even."""

LARGEST_PIECE: Final = 65536
"""Bytes; larger ones save nothing."""


class Bandwidth:
    """Sends a response no faster than so many bytes a second.

    For downloads that would take the whole line, or bytes that cost money. What fits into the burst goes
    on untouched: a page, and a small file by the server's sendfile. Anything longer, or of a length that
    nobody has told, is sent in pieces, with pauses.

    **A response that is slowed down holds a thread of the server**, hence the bound on how many there
    are. Past it the answer is 503 with `Retry-After` (RFC 9110 section 15.6.4), before a byte was sent.
    Where nginx or the like is in front, its `limit_rate` does the same without a thread.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        rate: float,
        burst: int | None = None,
        responses: int = RESPONSES,
        retry_after: int = 1,
        key: str | Iterable[str] | KeyOf = "response",
        ipv6_prefix: int = IPV6_PREFIX,
        paths: Iterable[str] = (),
        exempt_paths: Iterable[str] = (),
        exempt_networks: Iterable[str] = (),
        max_keys: int = MAX_KEYS,
    ) -> None:
        """Limit the bytes of content that an application sends; fields do not count.

        `rate` is in bytes a second.
        `burst` is how many bytes may go at once at first, or after a while without any; a second's.
        `responses` is how many may be slowed down at once, 4.
        `retry_after` is in how many seconds a refused client shall come again, 1.
        `key` says what has a rate of its own: `response` (each), `address` (the client), `header:NAME`
        (without that field: the address), `path` (the prefix of `paths`), `all`, several of them in a
        list, or a function of the environ that returns a text, or None for no limit.
        `ipv6_prefix` is how many bits of an IPv6 address make a client, 64.
        `paths` are prefixes of PATH_INFO that are limited, all if there are none.
        `exempt_paths` and `exempt_networks` (`10.0.0.0/8`, `unix`) are not limited.
        `max_keys` is how many clients are kept in mind, 10,000; who sent last stays.

        Raises:
            ValueError: an option is malformed.
        """
        self.application = application
        if type(rate) not in (int, float) or not 1 <= rate <= 1e12:
            raise ValueError(f"rate must be a number of bytes a second from 1, not {rate!r}")
        for name, number, least in (
            ("burst", 0 if burst is None else burst, 0),
            ("responses", responses, 1),
            ("retry_after", retry_after, 0),
            ("max_keys", max_keys, 1),
        ):
            if type(number) is not int or number < least:
                raise ValueError(f"{name} must be a number from {least}, not {number!r}")
        piece = max(1, min(LARGEST_PIECE, int(rate) // PIECES_A_SECOND))
        burst = int(rate) if burst is None else burst
        self._key_of = make_key_of(
            "all" if key == "response" else key, ipv6_prefix, paths, exempt_paths, exempt_networks
        )
        self._limit = Limit(
            rate,
            burst,
            piece,
            None if key == "response" else Pace(rate, burst, max_keys),
            threading.Semaphore(responses),
            ("Retry-After", str(retry_after)),
            Refusals("Bandwidth"),
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application, and send its response in time."""
        key = self._key_of(environ)
        if key is None:
            return self.application(environ, start_response)
        response = Response(self._limit, key, environ, start_response)
        try:
            blocks = self.application(environ, response.start_response)
        except BaseException:
            response.close()
            raise
        return response.returned(blocks)
