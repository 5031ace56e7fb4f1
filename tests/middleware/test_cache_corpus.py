"""The rules of caching, as stories of several requests: in memory and in Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..redis_server import RedisServer
from .cache_corpus import Case, cases, play

CASES = cases()
PAGE = Path(__file__).parents[2] / "docs" / "middleware" / "cache.md"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_in_memory(case: Case) -> None:
    """What a case expects comes true."""
    play(case)


def test_in_redis(redis: RedisServer) -> None:
    """It comes true in Redis as well."""
    failed = []
    for number, case in enumerate(CASES):
        try:
            play(case, redis=redis.url, prefix=f"case-{number}:")
        except AssertionError as error:
            failed.append(f"{case.name}: {error}")
    assert not failed
