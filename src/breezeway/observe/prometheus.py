"""What Prometheus reads: a status in its text format 0.0.4, or in that of OpenMetrics 1.0.0.

https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from breezeway.observe.metrics import COUNTER, GAUGE, INFO, METRICS, Distribution, Metric

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""The media types of the two."""


def render(status: dict[str, Any], *, openmetrics: bool, more: Iterable[str] = ()) -> bytes:
    """Write what the control command `status` answers in OpenMetrics, else in the text format.

    `more` are lines for other metrics, which come last.
    """
    created = f" {number(status['started'])}" if openmetrics and "started" in status else ""
    lines = []
    for metric in METRICS:
        samples = list(_samples(metric, status, created))
        if samples:
            lines += [*_head(metric, openmetrics=openmetrics), *samples]
    lines += more
    if openmetrics:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines).encode(errors="replace")


def _head(metric: Metric, *, openmetrics: bool) -> Iterator[str]:
    name, kind, text = metric.name, metric.kind, escaped(metric.help)
    if openmetrics:
        text = text.replace('"', '\\"')
    elif kind == COUNTER:
        name += "_total"
    elif kind == INFO:
        name, kind = f"{name}_info", GAUGE
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    if openmetrics and metric.unit:
        yield f"# UNIT {name} {metric.unit}"


def _samples(metric: Metric, status: dict[str, Any], created: str) -> Iterator[str]:
    """Write the samples of a metric; `created` is the time since when it counts, in OpenMetrics."""
    suffix = {COUNTER: "_total", INFO: "_info"}.get(metric.kind, "")
    for values, value in metric.read(status):
        labels = dict(zip(metric.labels, values, strict=True))
        if isinstance(value, Distribution):
            yield from _of_distribution(metric, labels, value)
        else:
            yield f"{metric.name}{suffix}{braces(labels)} {number(value)}"
        if created and (metric.kind == COUNTER or isinstance(value, Distribution)):
            yield f"{metric.name}_created{braces(labels)}{created}"


def _of_distribution(
    metric: Metric, labels: Mapping[str, str], value: Distribution
) -> Iterator[str]:
    name = metric.name
    for bound in metric.bounds:
        yield f"{name}_bucket{braces({**labels, 'le': number(bound)})} {value.below(bound)}"
    if metric.bounds:
        yield f"{name}_bucket{braces({**labels, 'le': '+Inf'})} {value.count}"
    yield f"{name}_count{braces(labels)} {value.count}"
    yield f"{name}_sum{braces(labels)} {number(value.sum)}"


def braces(labels: Mapping[str, str]) -> str:
    """Write labels behind a name."""
    if not labels:
        return ""
    pairs = (f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}"


def _quoted(value: str) -> str:
    return escaped(value).replace('"', '\\"')


def escaped(text: str) -> str:
    """Write a text, as help has it; one in quotes needs more."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def number(value: float) -> str:
    """Write a number."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
