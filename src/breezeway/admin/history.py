"""The last ten minutes, a sample for each second: what a page that was just opened has to show.

A sample is what JSON holds, with short names, for there are 600 of them:

    t   when it was taken, Unix time          n   responses by class of their status
    s   how many seconds it is about          d   pairs: row of the heat map, how many responses
    i   bytes that came in                    q   latency in seconds: 50 %, 90 %, 99 %; or null
    o   bytes that went out                   r   clients refused, cut off and the like
    c   open connections                      b   threads in a request

A row of the heat map is a quarter of a power of two.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Any, Final

from breezeway.observe.histogram import BUCKETS, LEAST_POWER, STEPS, quantile
from breezeway.observe.span import Span, between, together

SAMPLES: Final = 600
"""Ten minutes of seconds."""

ROWS: Final = 4
"""Rows of the heat map for each power of two."""

SHARES: Final = (0.5, 0.9, 0.99)

RECENT_SAMPLES: Final = 60
"""Quantiles of the last minute are of so many samples."""

Sample = dict[str, Any]
Status = dict[str, Any]

SHAPE: Final = {"rows": ROWS, "least_power": LEAST_POWER, "shares": SHARES, "samples": SAMPLES}
"""What a page has to know to draw samples."""


class History:
    """Statuses in, samples out; for one thread that adds."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)
        self._spans: deque[Span] = deque(maxlen=RECENT_SAMPLES)
        self._before: Status | None = None

    def add(self, status: Status) -> Sample | None:
        """Take in a status; return what came since the one before, None after the first."""
        before, self._before = self._before, status
        if before is None:
            return None
        span = between(before, status)
        sample = sample_of(span, status)
        self._spans.append(span)
        self._samples.append(sample)
        return sample

    def samples(self) -> list[Sample]:
        """Return all that are kept, the oldest first."""
        return list(self._samples)

    def recent(self) -> Sample:
        """Return latency and queue time of the last minute: quantiles in seconds, or null."""
        span = together(self._spans)
        return {
            "latency": _quantiles(span.durations),
            "queue": _quantiles(span.queued),
            "seconds": round(span.seconds, 1),
        }


def sample_of(span: Span, status: Status) -> Sample:
    """Put what came in a second into few bytes."""
    rows: Counter[int] = Counter()
    for bucket, count in span.durations.items():
        rows[bucket * ROWS // STEPS] += count
    workers = status["workers"]
    return {
        "t": round(status["started"] + status["uptime"], 2),
        "s": round(span.seconds, 3),
        "n": {name: count for name, count in span.classes.items() if count},
        "d": sorted(rows.items()),
        "q": _quantiles(span.durations),
        "i": span.bytes_in,
        "o": span.bytes_out,
        "c": sum(each["connections"] for each in workers),
        "b": sum(each["busy"] for each in workers),
        "r": span.counters.total(),
    }


def _quantiles(buckets: Counter[int]) -> list[float] | None:
    counts = [0] * BUCKETS
    for bucket, count in buckets.items():
        counts[bucket] = count
    found = [quantile(counts, share) for share in SHARES]
    return None if math.isnan(found[0]) else [round(each, 6) for each in found]
