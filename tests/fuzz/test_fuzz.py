"""The fuzzers for some seconds, always with the same inputs; `make fuzz` runs them for minutes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from .single_faults import single_faults
from .targets import TARGETS

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Have no log line for each refusal."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_falls_out(name: str) -> None:
    """Any bytes are understood in one way or refused, in bounded time; see `checks`."""
    target = TARGETS[name]
    became: Counter[str] = Counter()
    with target.opened() as opened:

        @settings(
            max_examples=target.budget,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(target.inputs)
        def check(data: bytes) -> None:
            became[opened.check(data)] += 1

        check()
    assert became["accepted"] > target.budget / 10, "the inputs are too far from right"
    assert became.total() - became["accepted"] > target.budget / 10, "the inputs are too good"


@pytest.mark.parametrize("name", ["head", "chunks", "intake", "connection"])
def test_every_single_fault(name: str) -> None:
    """The same holds for a right connection with one wrong part, whichever that is."""
    target = TARGETS[name]
    became: Counter[str] = Counter()
    with target.opened() as opened:
        for seed in target.seeds:
            for data in single_faults(target.write, seed):
                became[opened.check(data)] += 1
    assert became["accepted"] > became.total() / 10, "the connections to begin with are not right"
