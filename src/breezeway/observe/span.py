"""What two statuses have between them: how much was counted in so many seconds.

Counts of a status (docs/control.md) only grow, so that the difference of two is what came in between;
and that of two histograms is the histogram of what came in between.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from breezeway.observe.histogram import quantile_of

CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")
"""Of responses; `none` is a request that got none."""

SHARES: Final = (0.5, 0.9, 0.99)
"""The quantiles that are shown."""

REFUSING: Final = (
    "refused.",
    "timeout.",
    "limit.",
    "accept.",
    "tls.",
    "proxy_protocol",
    "static.busy",
)
"""How the counters begin that count clients who were refused, cut off or too slow (docs/control.md)."""

Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """Some seconds of a server."""

    seconds: float = 0.0
    classes: Counter[str] = field(default_factory=Counter)
    """Responses by class of their status."""
    bytes_in: int = 0
    bytes_out: int = 0
    durations: Counter[int] = field(default_factory=Counter)
    """How many fell into which bucket of `observe.histogram`."""
    queued: Counter[int] = field(default_factory=Counter)
    """The same for the time until a thread took them."""
    counters: Counter[str] = field(default_factory=Counter)
    """What the server has counted beside them, by name."""
    gil_waits: int = 0
    gil_waited: float = 0.0
    """Samples of how late a thread ran that wanted to; their sum in seconds."""

    def rate(self, count: float) -> float:
        """Return a count for each second."""
        return count / self.seconds if self.seconds > 0 else 0.0

    @property
    def requests(self) -> float:
        """Responses a second."""
        return self.rate(self.classes.total())

    @property
    def errors(self) -> float:
        """Responses a second that the server or the application has failed to give."""
        return self.rate(self.classes["5xx"] + self.classes["none"])

    @property
    def refused(self) -> Counter[str]:
        """The counters of clients who were refused, cut off or too slow."""
        return Counter({name: n for name, n in self.counters.items() if name.startswith(REFUSING)})

    @property
    def refusals(self) -> float:
        """Such clients a second."""
        return self.rate(self.refused.total())

    def latency(self, share: float) -> float:
        """Return a quantile of the durations in seconds; NaN if there were none."""
        return quantile_of(self.durations, share)

    def queue(self, share: float) -> float:
        """Return a quantile of the times that requests waited for a thread; NaN if none did."""
        return quantile_of(self.queued, share)

    @property
    def gil_wait(self) -> float:
        """Return how late a thread ran that wanted to, on average; NaN if nobody has looked."""
        return self.gil_waited / self.gil_waits if self.gil_waits > 0 else math.nan

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; rates are for each second, durations in seconds."""
        return {
            "seconds": round(self.seconds, 3),
            "requests": round(self.requests, 3),
            "status": {name: round(self.rate(self.classes[name]), 3) for name in CLASSES},
            "bytes_in": round(self.rate(self.bytes_in), 1),
            "bytes_out": round(self.rate(self.bytes_out), 1),
            "latency": _shares(self.durations),
            "queue": _shares(self.queued),
            "gil_wait": round(self.gil_wait, 6) if self.gil_waits > 0 else None,
            "refusals": {name: round(self.rate(n), 3) for name, n in self.refused.items()},
        }


def between(old: Status, new: Status) -> Span:
    """Return what came between two statuses of the same supervisor."""
    before, after = old.get("metrics") or {}, new.get("metrics") or {}
    waited, waited_before = after.get("gil_wait") or {}, before.get("gil_wait") or {}
    return Span(
        seconds=new.get("uptime", 0.0) - old.get("uptime", 0.0),
        classes=_classes(after) - _classes(before),
        bytes_in=max(0, after.get("bytes_in", 0) - before.get("bytes_in", 0)),
        bytes_out=max(0, after.get("bytes_out", 0) - before.get("bytes_out", 0)),
        durations=_buckets(after, "durations") - _buckets(before, "durations"),
        queued=_buckets(after, "queued") - _buckets(before, "queued"),
        counters=Counter(new.get("counters") or {}) - Counter(old.get("counters") or {}),
        gil_waits=max(0, waited.get("count", 0) - waited_before.get("count", 0)),
        gil_waited=max(0.0, waited.get("seconds", 0.0) - waited_before.get("seconds", 0.0)),
    )


def together(spans: Iterable[Span]) -> Span:
    """Return spans that follow each other as one."""
    chosen = list(spans)

    def total(name: str) -> Counter[Any]:
        found: Counter[Any] = Counter()
        for each in chosen:
            found.update(getattr(each, name))
        return found

    return Span(
        seconds=sum(each.seconds for each in chosen),
        classes=total("classes"),
        bytes_in=sum(each.bytes_in for each in chosen),
        bytes_out=sum(each.bytes_out for each in chosen),
        durations=total("durations"),
        queued=total("queued"),
        counters=total("counters"),
        gil_waits=sum(each.gil_waits for each in chosen),
        gil_waited=sum(each.gil_waited for each in chosen),
    )


def _classes(metrics: Mapping[str, Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in metrics.get("requests", ()):
        found[each["status"]] += each["count"]
    return found


def _buckets(metrics: Mapping[str, Any], name: str) -> Counter[int]:
    return Counter(dict(metrics.get(name, {}).get("buckets", ())))


def _shares(buckets: Counter[int]) -> dict[str, float]:
    if not buckets:
        return {}
    return {f"{share:g}": round(quantile_of(buckets, share), 6) for share in SHARES}
