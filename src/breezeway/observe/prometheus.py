"""What Prometheus reads: a status in its text format 0.0.4, or in that of OpenMetrics 1.0.0.

https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from breezeway.observe.metrics import COUNTER, GAUGE, INFO, METRICS, Distribution, Metric

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""The media types of the two."""


def render(status: dict[str, Any], *, openmetrics: bool) -> bytes:
    """Write what the control command `status` answers in OpenMetrics, else in the text format."""
    created = f" {_number(status['started'])}" if openmetrics and "started" in status else ""
    lines = []
    for metric in METRICS:
        samples = list(_samples(metric, status, created))
        if samples:
            lines += [*_head(metric, openmetrics=openmetrics), *samples]
    if openmetrics:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines).encode()


def _head(metric: Metric, *, openmetrics: bool) -> Iterator[str]:
    name, kind, text = metric.name, metric.kind, _escaped(metric.help)
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
            yield f"{metric.name}{suffix}{_braces(labels)} {_number(value)}"
        if created and (metric.kind == COUNTER or isinstance(value, Distribution)):
            yield f"{metric.name}_created{_braces(labels)}{created}"


def _of_distribution(
    metric: Metric, labels: Mapping[str, str], value: Distribution
) -> Iterator[str]:
    name = metric.name
    for bound in metric.bounds:
        yield f"{name}_bucket{_braces({**labels, 'le': _number(bound)})} {value.below(bound)}"
    if metric.bounds:
        yield f"{name}_bucket{_braces({**labels, 'le': '+Inf'})} {value.count}"
    yield f"{name}_count{_braces(labels)} {value.count}"
    yield f"{name}_sum{_braces(labels)} {_number(value.sum)}"


def _braces(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}"


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', '\\"')


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    return repr(value)
