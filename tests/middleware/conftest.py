"""What the tests of middleware share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..redis_server import RedisServer, redis_server


@pytest.fixture(scope="session")
def _redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def redis(_redis: RedisServer) -> RedisServer:
    """Give a test a Redis server that runs and is empty; it may stop and start it."""
    _redis.stop()
    _redis.start()
    return _redis
