"""Histograms of durations that can be added up, and whose quantiles are right within 2 %.

Log-linear: each power of two is divided into 32 buckets of the same width, so that none is wider than
1/32 of its values, and its middle at most 1.6 % off. They are those that the bits of an IEEE single
make by themselves: exponent and upper five bits of the fraction, which stand at the beginning.
That is how many values at a time become buckets without a step of Python for each.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

STEPS: Final = 32
"""Buckets for each power of two."""

LEAST_POWER: Final = -20
"""The first bucket begins at 2**-20 s, about a microsecond; what is shorter is counted there."""

MOST_POWER: Final = 12
"""The last bucket ends at 2**12 s, above an hour; what is longer is counted there."""

BUCKETS: Final = (MOST_POWER - LEAST_POWER) * STEPS

_BIAS: Final = 127  # of the exponent (IEEE 754, binary32)
_FIRST: Final = (LEAST_POWER + _BIAS) * STEPS
_SIGN: Final = 0x8000
_UPPER_HALF: Final = 1 if sys.byteorder == "little" else 0


def buckets_of(seconds: list[float]) -> dict[int, int]:
    """Return how many of these durations fall into which bucket."""
    halves = array("H")
    halves.frombytes(array("f", seconds).tobytes())
    found: dict[int, int] = {}
    for half, count in Counter(halves[_UPPER_HALF::2]).items():
        bucket = min(max((half >> 2) - _FIRST, 0), BUCKETS - 1) if half < _SIGN else 0
        found[bucket] = found.get(bucket, 0) + count
    return found


def lower_bound(bucket: int) -> float:
    """Return where a bucket begins, in seconds."""
    power, step = divmod(bucket, STEPS)
    return math.ldexp(1 + step / STEPS, power + LEAST_POWER)


def quantile(counts: Sequence[int], share: float) -> float:
    """Return the duration, in seconds, that so much of the counted ones (0 to 1) do not exceed.

    It is NaN when nothing was counted.
    """
    return quantile_of({at: count for at, count in enumerate(counts) if count}, share)


def quantile_of(counts: Mapping[int, int], share: float) -> float:
    """Return the same for counts by bucket."""
    rank = max(1, math.ceil(share * sum(counts.values())))
    below = 0
    for bucket in sorted(counts):
        below += counts[bucket]
        if below >= rank:
            return (lower_bound(bucket) + lower_bound(bucket + 1)) / 2
    return math.nan


def buckets_until(bound: float) -> int:
    """Count the buckets that end at `bound` or before."""
    fraction, power = math.frexp(bound)  # from 0.5 up to 1
    step = int((2 * fraction - 1) * STEPS)
    return min(max((power - 1 - LEAST_POWER) * STEPS + step, 0), BUCKETS)
