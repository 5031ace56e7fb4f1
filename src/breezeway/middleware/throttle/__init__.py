"""`Throttle`: so many requests at once, and a short queue for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.closing import ClosingIterator
from breezeway.middleware.rate_limit.key import IPV6_PREFIX, KeyOf, make_key_of
from breezeway.middleware.rate_limit.refusals import Refusals
from breezeway.middleware.stack import unset
from breezeway.middleware.throttle.slots import Slots

QUEUE: Final = 4
"""Requests. Each that waits holds a thread, of which servers have eight to sixteen."""

WAIT_SECONDS: Final = 1.0
"""A reader waits that long without noticing; a proxy does not try again yet."""

LONGEST_WAIT_SECONDS: Final = 3600.0
"""No server lets a thread wait for longer."""


class Throttle:
    """Lets so many requests into an application at once; the next wait for a while, or get 503.

    For what can be done a few times at once only: reports that fill the memory, a service with few
    connections, a client that opens fifty at a time. Unlike a rate it needs no guess how long a request
    takes. Requests wait in the order in which they came; with a key each client has its own slots and
    its own queue. A refusal has `Retry-After` (RFC 9110 sections 10.2.3, 15.6.4).

    A request holds its slot until its response is over, that is until `close()`, also when it fails or
    its client leaves. A list, or a file for `wsgi.file_wrapper`, is the end of the application's work:
    it goes on untouched, and sending it holds no slot.

    **A request that waits holds a thread of the server**, so the queue has to be much shorter than there
    are threads; the counts are those of one process.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        requests: int,
        queue: int = QUEUE,
        wait: float = WAIT_SECONDS,
        retry_after: int = 1,
        key: str | Iterable[str] | KeyOf = "all",
        ipv6_prefix: int = IPV6_PREFIX,
        paths: Iterable[str] = (),
        exempt_paths: Iterable[str] = (),
        exempt_networks: Iterable[str] = (),
    ) -> None:
        """Limit the requests that an application works on at once.

        `requests` is how many, in all or for each key.
        `queue` is how many may wait, in all, 4; 0 refuses at once. With a key, one has half of them.
        `wait` is for how many seconds they wait at most, 1.
        `retry_after` is in how many seconds a refused client shall come again, 1.
        `key` says what has slots of its own: `all`, `address` (the client), `header:NAME` (without that
        field: the address), `path` (the prefix of `paths`), several of them in a list, or a function of
        the environ that returns a text, or None for a request that is not counted.
        `ipv6_prefix` is how many bits of an IPv6 address make a client, 64.
        `paths` are prefixes of PATH_INFO that are counted, all if there are none.
        `exempt_paths` and `exempt_networks` (`10.0.0.0/8`, `unix`) are not counted.

        Raises:
            ValueError: an option is malformed.
        """
        self.application = application
        for name, number, least in (
            ("requests", requests, 1),
            ("queue", queue, 0),
            ("retry_after", retry_after, 0),
        ):
            if type(number) is not int or number < least:
                raise ValueError(f"{name} must be a number from {least}, not {number!r}")
        if type(wait) not in (int, float) or not 0 <= wait <= LONGEST_WAIT_SECONDS:
            raise ValueError(f"wait must be a number of seconds up to 3600, not {wait!r}")
        self._wait = wait
        self._key_of = make_key_of(key, ipv6_prefix, paths, exempt_paths, exempt_networks)
        self._slots = Slots(
            requests, queue if wait else 0, is_keyed=key not in ("all", ["all"], ("all",))
        )
        self._retry = ("Retry-After", str(retry_after))
        self._refusals = Refusals("Throttle")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Take a slot, and call the application; or refuse."""
        key = self._key_of(environ)
        if key is None:
            return self.application(environ, start_response)
        slots = self._slots
        if not slots.take(key, self._wait):
            self._refusals.tell(key, "all slots are taken")
            return answer(environ, start_response, "503 Service Unavailable", headers=[self._retry])
        try:
            blocks = self.application(environ, start_response)
            kind = type(blocks)
            is_whole = kind is list or kind is tuple or kind is environ.get("wsgi.file_wrapper")
            is_whole = is_whole or blocks is None  # the server's to complain about
        except BaseException:
            slots.give(key)
            raise
        if is_whole:
            slots.give(key)
            return blocks
        return ClosingIterator(blocks, lambda: slots.give(key))
