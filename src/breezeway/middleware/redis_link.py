"""The way to a Redis server, which may be away for a while.

While it is away, nobody waits for it: after a failure the next attempt is made `RETRY_SECONDS` later, by
one thread alone, and until then each call fails at once. What is done then is the caller's choice. The
log says when it has gone and when it is back, once each. A process that was forked opens connections of
its own.

Away is also a server that answers, but cannot do its work for now: it loads its data, is out of memory,
is a replica or without its cluster, or a script keeps it busy. Other errors are the caller's, and raised.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from redis import Redis as Redis

TIMEOUT_SECONDS = 0.25
"""For connecting and for each answer; a healthy server in the same network takes a millisecond."""

RETRY_SECONDS = 1.0
"""After a failure, before Redis is asked again."""

PASSING = ("OOM ", "MISCONF ", "BUSY ", "NOREPLICAS ")
"""How answers begin that have no exception of their own, or lost it on the way through a script."""

PASSING_TEXTS = ("command not allowed when used memory", "Redis Cluster cannot be connected")
"""The same, for answers from which the client takes the first word, and for what it says itself."""

T = TypeVar("T")

log = logging.getLogger("breezeway.middleware")


class RedisAwayError(Exception):
    """Redis does not answer."""


class RedisLink:
    """The way to one Redis server."""

    def __init__(self, redis: str | Redis, timeout: float = TIMEOUT_SECONDS) -> None:
        """`redis` is a URL (`redis://`, `rediss://`, `unix://`) or a client; `timeout` is in seconds.

        The timeouts of a client that is given are its own.

        Raises:
            ValueError: the URL is none, or the package redis is not installed.
        """
        self.name = "its client"
        if isinstance(redis, str):
            self.client = _connect(redis, timeout)
            self.name = redis.rpartition("@")[2]  # without a password
        elif hasattr(redis, "register_script"):
            self.client = redis
        else:
            kind = type(redis).__name__
            raise ValueError(f"redis must be a URL or a client of the package redis, not a {kind}")
        self._lock = threading.Lock()
        self._away_until = 0.0
        self._is_away = False
        self._turn = 0
        """Counts how often it has gone and come: what was asked before tells nothing about now."""

    def call(self, ask: Callable[[], T]) -> T:
        """Return what `ask` does, which uses `client`.

        Raises:
            RedisAwayError: Redis did not answer, or has not a moment ago.
        """
        from redis.exceptions import (
            ConnectionError,
            RedisClusterException,
            RedisError,
            TimeoutError,
        )

        turn = self._turn
        is_probe = self._is_away
        if is_probe:
            with self._lock:
                now = time.monotonic()
                if now < self._away_until:
                    raise RedisAwayError(f"Redis at {self.name} is away")
                self._away_until = now + RETRY_SECONDS  # one asks, the others go on without
        try:
            result = ask()
        except (RedisError, RedisClusterException, OSError) as error:
            if isinstance(error, (ConnectionError, TimeoutError, OSError)) or _is_passing(error):
                self._gone(error, turn)
                raise RedisAwayError(f"Redis at {self.name} is away: {error}") from error
            if is_probe:
                self._back()
            raise
        if is_probe:
            self._back()
        return result

    def script(self, source: str) -> Any:
        """Return a function for a Lua script, which runs whole or not at all: `f(keys=, args=)`."""
        return self.client.register_script(source)

    def _gone(self, error: Exception, turn: int) -> None:
        with self._lock:
            if turn != self._turn:  # it was asked before Redis went, or came back
                return
            was_away, self._is_away = self._is_away, True
            self._away_until = time.monotonic() + RETRY_SECONDS
            if was_away:
                return
            self._turn += 1
        log.error("Redis at %s is away: %s; it is asked again every second", self.name, error)

    def _back(self) -> None:
        with self._lock:
            was_away, self._is_away = self._is_away, False
            if not was_away:
                return
            self._turn += 1
        log.warning("Redis at %s is back", self.name)


def _is_passing(error: Exception) -> bool:
    """Tell whether what Redis has answered will be over by itself, or when an operator has looked."""
    from redis import exceptions

    types = (
        exceptions.ReadOnlyError,
        exceptions.ClusterDownError,
        exceptions.MasterDownError,
        exceptions.TryAgainError,
    )
    return isinstance(error, types) or str(error).startswith(PASSING + PASSING_TEXTS)


def _connect(url: str, timeout: float) -> Redis:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError
        from redis.retry import Retry
    except ImportError:
        raise ValueError("Redis needs the package redis: pip install 'breezeway[redis]'") from None
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        # An idle connection that a restart has closed is opened anew; a second failure counts. Who has
        # waited in vain does not wait again.
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
    )
