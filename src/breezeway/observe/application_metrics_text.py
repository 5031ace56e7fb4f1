"""The application's metrics, as text for Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from breezeway.observe.application_metrics_families import Family, Labels
from breezeway.observe.metrics import METRICS
from breezeway.observe.prometheus import braces, escaped, number

_SUFFIXES: Final = ("", "_total", "_created", "_info", "_bucket", "_sum", "_count")

_OURS: Final = frozenset(metric.name for metric in METRICS)

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_:]")


def lines(families: Iterable[Family], *, openmetrics: bool) -> Iterator[str]:
    """Write families in OpenMetrics 1.0, else in the text format 0.0.4, without the line at its end.

    Characters that a name may not have become `_`: not every reader knows names in quotes. A family
    whose name is one of the server's own, or of one before it, is left out, for a name that is there
    twice makes readers refuse all metrics.
    """
    seen = {f"{name}{suffix}" for name in _OURS for suffix in _SUFFIXES}
    for family in families:
        name = _NOT_IN_NAMES.sub("_", family.name)
        if name in seen:
            continue
        seen.add(name)
        text = escaped(family.help)
        if openmetrics:
            text = text.replace('"', '\\"')
        elif family.kind == "counter":
            name += "_total"
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} {family.kind}"
        for sample, labels, value in family.samples:
            yield f"{_NOT_IN_NAMES.sub('_', sample)}{_braces(labels)} {number(value)}"


def _braces(labels: Labels) -> str:
    return braces({_NOT_IN_NAMES.sub("_", name): value for name, value in labels})
