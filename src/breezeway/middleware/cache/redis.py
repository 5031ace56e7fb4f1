"""Stored responses in Redis, shared by all processes and machines that use the same prefix.

A URL is one hash: `vary` has the names of its Vary, and `v:` with the key of a variant its entry.
So one command forgets a URL whole, and a script replaces the variants when Vary has changed. What
has no Vary, as most, is found in one round trip. While Redis is away nothing is found and nothing
is kept: the application is asked.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Callable
from hashlib import sha256
from itertools import chain
from typing import Any, Final
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.cache.entry import Entry
from breezeway.middleware.redis_link import RedisAwayError, RedisLink
from breezeway.semantics.caching import Rules, variant
from breezeway.semantics.fields import content_length

LONGEST_KEPT: Final = 31 * 24 * 60 * 60
"""Seconds. What is fresh for longer is asked for again once a month."""

AT_A_TIME: Final = 500
"""Keys that are looked for and deleted in one step of `clear`."""

QUIET_SECONDS: Final = 60.0
"""Between two lines of the log about what Redis refuses."""

_STATUS: Final = re.compile("[2-5][0-9][0-9] ")

log = logging.getLogger("breezeway.middleware")

# KEYS: the URL. ARGV: the names of Vary, the variant, the entry, milliseconds, the most variants.
_PUT: Final = """
local vary = redis.call('HGET', KEYS[1], 'vary')
if vary and (vary ~= ARGV[1] or (redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0
    and redis.call('HLEN', KEYS[1]) > tonumber(ARGV[5]))) then
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'vary', ARGV[1], ARGV[2], ARGV[3])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
"""


class RedisStore:
    """A store in a Redis server, which may be away."""

    def __init__(self, redis: Any, prefix: str, variants: int) -> None:
        self._link = RedisLink(redis)
        if self._link.client.get_encoder().decode_responses:
            raise ValueError("redis must be a client without decode_responses: it keeps bytes")
        self._prefix = prefix
        self._variants = variants
        self._put = self._link.script(_PUT)
        self._quiet_until = 0.0

    def get(
        self, key: str, environ: WSGIEnvironment
    ) -> tuple[tuple[str, ...] | None, Entry | None]:
        """See `Store`."""
        name = self._name(key)
        hmget, hget = self._link.client.hmget, self._link.client.hget
        names, blob = self._try(lambda: hmget(name, "vary", "v:")) or (None, None)
        if names is None:
            return None, None
        vary = tuple(names.decode(errors="replace").split())
        if vary:
            which = _field(environ, vary)
            blob = self._try(lambda: hget(name, which))
        return vary, _load(blob)

    def put(self, key: str, environ: WSGIEnvironment, entry: Entry, keep: float) -> None:
        """See `Store`."""
        vary = entry.rules.vary
        milliseconds = max(1, int(min(keep, LONGEST_KEPT) * 1000))
        which = _field(environ, vary)
        args = [" ".join(vary), which, _dump(entry), milliseconds, self._variants]
        self._try(lambda: self._put(keys=[self._name(key)], args=args))

    def delete(self, key: str) -> bool | None:
        """See `Store`."""
        found = self._try(lambda: self._link.client.delete(self._name(key)))
        return None if found is None else bool(found)

    def clear(self) -> None:
        """See `Store`."""
        client = self._link.client

        def delete_all() -> None:
            names = []
            for name in client.scan_iter(match=f"{self._prefix}*", count=AT_A_TIME):
                names.append(name)
                if len(names) == AT_A_TIME:
                    client.unlink(*names)
                    names.clear()
            if names:
                client.unlink(*names)

        self._try(delete_all)

    def forked(self) -> None:
        """See `Store`; the client opens connections of its own."""

    def _try(self, ask: Callable[[], Any]) -> Any:
        """Return what Redis answers; None if it is away, which is logged elsewhere, or refuses."""
        try:
            return self._link.call(ask)
        except RedisAwayError:
            return None
        except Exception as error:  # such as a full memory
            now = time.monotonic()
            if now >= self._quiet_until:
                self._quiet_until = now + QUIET_SECONDS
                log.error("Redis refuses what the cache asks of it: %s", error)
            return None

    def _name(self, key: str) -> str:
        return self._prefix + sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _field(environ: WSGIEnvironment, vary: tuple[str, ...]) -> bytes:
    return f"v:{variant(environ, vary) if vary else ''}".encode("utf-8", "surrogateescape")


def _dump(entry: Entry) -> bytes:
    head = [entry.status, entry.headers, entry.received, entry.age, entry.rules]
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + entry.body


def _load(blob: bytes | None) -> Entry | None:
    """Read an entry; what another version has written, or is damaged, is none."""
    if blob is None:
        return None
    head, _, body = blob.partition(b"\n")
    try:
        status, headers, received, age, rules = json.loads(head)
        lifetime, revalidate, strict, while_revalidate, if_error, vary, hidden = rules
        entry = Entry(
            status,
            [(name, value) for name, value in headers],
            body,
            received,
            age,
            Rules(
                lifetime, revalidate, strict, while_revalidate, if_error, tuple(vary), tuple(hidden)
            ),
        )
    except (ValueError, TypeError, RecursionError):
        return None
    texts = [status, *chain.from_iterable(entry.headers), *entry.rules.vary, *entry.rules.hidden]
    numbers = (received, age, lifetime, while_revalidate, if_error)
    is_sound = (
        all(isinstance(each, str) for each in texts)
        and _STATUS.match(status) is not None
        and all(type(each) in (int, float) and math.isfinite(each) for each in numbers)
        and content_length(entry.headers) in (None, len(body))
    )
    return entry if is_sound else None
