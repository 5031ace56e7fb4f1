"""The rules of caching, as stories of several requests: in memory and in Redis."""

from __future__ import annotations

import re
from collections import Counter
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
    from redis import Redis

    client = Redis.from_url(redis.url)  # patient, however busy the machine is
    failed = []
    for number, case in enumerate(CASES):
        try:
            play(case, redis=client, prefix=f"case-{number}:")
        except AssertionError as error:
            failed.append(f"{case.name}: {error}")
    assert not failed


def test_page_counts_right() -> None:
    """The page says how many of the public tests apply, and how many come out as they ask."""
    told = Counter((case.kind, bool(case.differs)) for case in CASES if case.vector)
    rows = re.findall(
        r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [row[0] for row in rows] == ["required", "optimal", "check"]
    for kind, *numbers in rows:
        same, other = told[kind, False], told[kind, True]
        assert [*map(int, numbers)] == [same + other, same, other], kind
    assert f"{told.total()} apply" in PAGE.read_text(encoding="utf-8")
    vectors = [case.vector for case in CASES if case.vector]
    assert len(vectors) == len({*vectors})
