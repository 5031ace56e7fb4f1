"""Sessions in Redis: for all processes of all machines. Redis itself takes away those that have ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from breezeway.middleware.redis_link import RedisAwayError, RedisLink
from breezeway.middleware.sessions.store import Record, StoreAwayError

if TYPE_CHECKING:
    from breezeway.middleware.redis_link import Redis

T = TypeVar("T")

QUIET_SECONDS: Final = 60.0
"""Between two lines of the log about what Redis refuses."""

log = logging.getLogger("breezeway.middleware")


class RedisStore:
    """Sessions under a prefix of keys; a value is `CREATED JSON`, its time to live that of the session."""

    def __init__(self, redis: str | Redis, prefix: str) -> None:
        """`redis` is a URL or a client.

        Raises:
            ValueError: the URL is none, or the package redis is not installed.
        """
        self._link = RedisLink(redis)
        self._client: Any = self._link.client
        self._prefix = prefix
        self._quiet_until = 0.0

    def load(self, key: str, now: float) -> Record | None:
        """Return a record."""
        name = self._prefix + key
        pipeline = self._client.pipeline(transaction=False)
        value, seconds = self._call(lambda: pipeline.get(name).ttl(name).execute())
        if value is None or seconds < 0:
            return None
        try:
            text = value.decode() if isinstance(value, bytes) else value
            created, _, content = text.partition(" ")
            return Record(content, int(created), int(now) + seconds)
        except ValueError as error:  # somebody else has written there
            log.error("a session cannot be read, and is begun anew: %s", error)
            return None

    def create(self, key: str, record: Record, now: float) -> None:
        """Keep a new record."""
        self._set(key, record, now)

    def replace(self, key: str, record: Record, now: float) -> bool:
        """Change a record if it is there."""
        return bool(self._set(key, record, now, xx=True))

    def move(self, old: str, new: str, record: Record, now: float) -> bool:
        """Take a record away, and if it was there keep the new one.

        Two steps, so that the keys may be on two servers of a cluster: whoever takes the old one away is
        alone with what follows. If Redis goes between the two, the session has ended.
        """
        if not self._call(lambda: self._client.delete(self._prefix + old)):
            return False
        self._set(new, record, now)
        return True

    def touch(self, key: str, expires: int, now: float) -> bool:
        """Change the end of a record if it is there."""
        seconds = max(1, int(expires - now))
        return bool(self._call(lambda: self._client.expire(self._prefix + key, seconds)))

    def delete(self, key: str) -> None:
        """Take a record away if it is there."""
        self._call(lambda: self._client.delete(self._prefix + key))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _set(self, key: str, record: Record, now: float, *, xx: bool = False) -> object:
        value = f"{record.created} {record.text}"
        seconds = max(1, int(record.expires - now))
        return self._call(lambda: self._client.set(self._prefix + key, value, ex=seconds, xx=xx))

    def _call(self, ask: Callable[[], T]) -> T:
        from redis.exceptions import RedisError

        try:
            return self._link.call(ask)
        except RedisAwayError as error:
            raise StoreAwayError(f"sessions: {error}") from error
        except RedisError as error:
            # It may not do that, or what is there is of another kind.
            now = time.monotonic()
            if now >= self._quiet_until:
                self._quiet_until = now + QUIET_SECONDS
                log.error("Redis refuses what Sessions asks of it: %s", error)
            raise StoreAwayError(f"sessions: Redis refuses: {error}") from error
