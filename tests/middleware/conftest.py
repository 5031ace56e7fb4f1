"""What the tests of middleware share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..redis_server import RedisServer, redis_server
from .proxied import stop_servers


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


@pytest.fixture(autouse=True, scope="module")
def _no_server_is_left() -> Iterator[None]:
    """Stop what the proxies of a module have started: other tests count the threads."""
    yield
    stop_servers()
