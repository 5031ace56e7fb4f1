"""Histograms: every value is in its bucket, and quantiles are right within 2 %."""

from __future__ import annotations

import math
import random

import pytest

from breezeway.observe.histogram import BUCKETS, buckets_of, buckets_until, lower_bound, quantile


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_each_bucket_holds_what_is_within_its_bounds(share: float) -> None:
    """From its lower bound up to that of the next."""
    for bucket in range(BUCKETS):
        low, high = lower_bound(bucket), lower_bound(bucket + 1)
        assert buckets_of([low + share * (high - low)]) == {bucket: 1}


def test_what_is_too_short_or_too_long_is_counted_all_the_same() -> None:
    """In the first bucket, or the last; a clock that goes backwards too."""
    assert buckets_of([0.0, 1e-9, 1e9, -1.0]) == {0: 3, BUCKETS - 1: 1}


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 0.999, 1.0])
def test_quantiles_are_right_within_two_per_cent(share: float) -> None:
    """As sorting says."""
    source = random.Random(7)
    values = sorted(source.lognormvariate(-7, 1.5) for _ in range(20_000))
    counts = [0] * BUCKETS
    for bucket, count in buckets_of(values).items():
        counts[bucket] = count
    exact = values[max(1, math.ceil(share * len(values))) - 1]
    assert quantile(counts, share) == pytest.approx(exact, rel=0.02)


def test_nothing_has_no_quantile() -> None:
    """It is not a number."""
    assert math.isnan(quantile([0] * BUCKETS, 0.5))


def test_buckets_until_a_bound() -> None:
    """Powers of two, and the bounds between them, are bounds of buckets."""
    assert buckets_until(lower_bound(100)) == 100
    assert lower_bound(buckets_until(0.75)) == 0.75
    assert buckets_until(1e9) == BUCKETS
    assert buckets_until(1e-9) == 0
