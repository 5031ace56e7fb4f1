"""The metrics of the application, of all workers together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from breezeway.observe.application_metrics_memory import Contents, Entry
from breezeway.observe.application_metrics_series import Series, Value, combined, parse

Labels = tuple[tuple[str, str], ...]

UNSHARED: Final = "breezeway_unshared_values"
"""The metric that tells what had no room."""


@dataclass
class Family:
    """A metric with all its samples."""

    name: str
    """Without `_total`."""
    kind: str
    """`counter`, `gauge`, `histogram`, `summary`."""
    help: str
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)
    """The name, with `_total`, `_bucket` and so on; the labels; the value."""


class _Merged:
    """A family in the making."""

    def __init__(self, series: Series) -> None:
        self.first = series
        self.values: dict[tuple[str, Labels], Value] = {}

    def add(self, series: Series, labels: Labels, value: Value) -> None:
        """Add what one worker has."""
        at = series.name, labels
        before = self.values.get(at)
        self.values[at] = value if before is None else combined(series, before, value)

    def family(self) -> Family:
        """Return it, complete."""
        first = self.first
        family = Family(first.family, first.kind, first.help)
        if first.kind == "histogram":
            family.samples = list(self._of_histogram())
        else:
            family.samples = [(*at, value) for at, (value, _) in sorted(self.values.items())]
        return family

    def _of_histogram(self) -> Iterator[tuple[str, Labels, float]]:
        """Add up the buckets, so that each holds what is below, too."""
        name = self.first.family
        buckets: dict[Labels, list[tuple[float, str, float]]] = {}
        for (sample, labels), (value, _) in self.values.items():
            if sample == f"{name}_bucket":
                bound = dict(labels)["le"]
                others = tuple(pair for pair in labels if pair[0] != "le")
                buckets.setdefault(others, []).append((float(bound), bound, value))
        for labels, found in sorted(buckets.items()):
            total = 0.0
            for _, bound, count in sorted(found):
                total += count
                yield f"{name}_bucket", (*labels, ("le", bound)), total
            if (
                min(found)[0] >= 0
            ):  # else the sum may fall, and both are not there (OpenMetrics 1.0)
                yield f"{name}_count", labels, total
                yield f"{name}_sum", labels, self.values.get((f"{name}_sum", labels), (0.0, 0.0))[0]


def merge(contents: Contents) -> list[Family]:
    """Make one of what all workers have, those that have ended included.

    When one metric is of several kinds, as after a reload that has changed it, it is of that which
    the first worker has, and what is of another one is left out.
    """
    merged: dict[str, _Merged] = {}

    def add(entries: Iterable[Entry], pid: int) -> None:
        for key, value in entries:
            series = parse(key)
            family = merged.get(series.family)
            if family is None:
                family = merged[series.family] = _Merged(series)
            if family.first[:3] == series[:3]:  # kind and mode
                own = pid and series.mode == "all"
                labels = (*series.labels, ("pid", str(pid))) if own else series.labels
                family.add(series, labels, value)

    for pid, entries in contents.workers:
        add(entries, pid)
    add(contents.departed, 0)
    families = [each.family() for each in merged.values()]
    if contents.workers or contents.departed or contents.refused:
        text = "Values of the application's metrics that had no room in the memory of all workers."
        samples: list[tuple[str, Labels, float]]
        samples = [(f"{UNSHARED}_total", (), float(contents.refused))]
        families.append(Family(UNSHARED, "counter", text, samples))
    return families
