"""What one value of the application's metrics is called, and how those of several workers become one.

The rules are those of prometheus_client for several processes: counters, summaries and histograms are
added up, and a gauge says itself what becomes of it, by its `multiprocess_mode`. A mode that begins
with `live` counts workers that are there; the others count those that have ended, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

Value = tuple[float, float]
"""The value, and for gauges of the mode `mostrecent` when it was set, in Unix time, else 0."""

MOST_PARSED: Final = 65_536
"""Keys that are remembered as parsed: some 10 MB, and more than twice what fits into a region."""

_LIVE: Final = "live"


class Series(NamedTuple):
    """A key, parsed."""

    kind: str
    """`counter`, `gauge`, `histogram`, `summary`."""
    mode: str
    """The `multiprocess_mode` of a gauge, without `live`; empty for all others."""
    is_live: bool
    """Whether it ends with its worker."""
    family: str
    """The name of the metric, without `_total` and the like."""
    name: str
    """The name of the sample, with it."""
    help: str
    labels: tuple[tuple[str, str], ...]
    """By name; `le` for a bucket, which holds what is in it and not what is below, too."""


def key_of(
    kind: str,
    mode: str,
    family: str,
    name: str,
    text: str,
    labels: Iterable[tuple[str, str]],
) -> bytes:
    """Write a key."""
    fields = [kind, mode, family, name, text, sorted(labels)]
    return json.dumps(fields, separators=(",", ":")).encode()


@lru_cache(MOST_PARSED)
def parse(key: bytes) -> Series:
    """Read a key."""
    kind, mode, family, name, text, labels = json.loads(key)
    return Series(
        kind,
        mode.removeprefix(_LIVE),
        mode.startswith(_LIVE),
        family,
        name,
        text,
        tuple((label, value) for label, value in labels),
    )


def with_pid(key: bytes, pid: int) -> bytes:
    """Return the key of a gauge of the mode `all` of a worker that has ended."""
    kind, mode, family, name, text, labels = json.loads(key)
    return key_of(kind, mode, family, name, text, [*map(tuple, labels), ("pid", str(pid))])


def combined(series: Series, one: Value, other: Value) -> Value:
    """Make one value of those of two workers."""
    if series.kind != "gauge" or series.mode == "sum":
        return one[0] + other[0], 0.0
    if series.mode == "min":
        return min(one, other)
    if series.mode == "max":
        return max(one, other)
    return other if other[1] > one[1] else one  # the most recent; of `all` each has its own pid
