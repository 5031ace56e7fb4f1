"""Writing metrics for Prometheus: its text format 0.0.4, and OpenMetrics 1.0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from breezeway.middleware.metrics.files import FAILED, IN_PROGRESS, LEFT, Key, Totals
from breezeway.semantics.fields import members

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

SECONDS, REQUEST_BYTES, RESPONSE_BYTES, BUCKETS = range(4)
"""Where the numbers of a row are; from BUCKETS on how many requests fell into each, the last +Inf."""

_PARAMETER: Final = re.compile(r"([a-z]+)[ \t]*=[ \t]*\"?([^\"]*)\"?")


def wants_openmetrics(accept: str) -> bool:
    """Tell whether a client rather has OpenMetrics 1.0 than the older format (RFC 9110 12.5.1)."""
    best = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for member in members(accept.lower()):
        name, *parameters = (part.strip(" \t") for part in member.split(";"))
        matches = map(_PARAMETER.fullmatch, parameters)
        found = {match[1]: match[2] for match in matches if match is not None}
        if name not in best or found.get("version", "1.0.0") not in ("1.0.0", "0.0.4"):
            continue
        try:
            best[name] = max(best[name], float(found.get("q", "1")))
        except ValueError:
            continue
    openmetrics, text = best.values()
    return openmetrics > 0 and openmetrics >= text


def written(
    totals: Totals, bounds: Sequence[float], labels: dict[str, str], *, openmetrics: bool
) -> bytes:
    """Write totals; `labels` stand in every series."""
    values, rows = totals
    text = _Text(labels, openmetrics)
    plain = sorted(rows.items())
    text.family("http_requests", "counter", "Requests that were answered.")
    for key, row in plain:
        text.sample("http_requests_total", key, sum(row[BUCKETS:]))
    text.family(
        "http_request_duration_seconds", "histogram", "From the call to the end of the response."
    )
    for key, row in plain:
        total = 0.0
        for bound, count in zip([*map(float, bounds), "+Inf"], row[BUCKETS:], strict=True):
            total += count
            text.sample("http_request_duration_seconds_bucket", key, total, le=str(bound))
        text.sample("http_request_duration_seconds_sum", key, row[SECONDS])
        text.sample("http_request_duration_seconds_count", key, total)
    for name, at, what in (
        ("http_request_bytes", REQUEST_BYTES, "Content-Length of requests."),
        ("http_response_bytes", RESPONSE_BYTES, "Content of responses."),
    ):
        text.family(name, "counter", what)
        for key, row in plain:
            text.sample(f"{name}_total", key, row[at])
    text.family("http_requests_failed", "counter", "Requests at which the application raised.")
    text.sample("http_requests_failed_total", None, values[FAILED])
    text.family("http_requests_left", "counter", "Responses whose client left before their end.")
    text.sample("http_requests_left_total", None, values[LEFT])
    text.family("http_requests_in_progress", "gauge", "Requests that are on their way.")
    text.sample("http_requests_in_progress", None, max(0.0, values[IN_PROGRESS]))
    return text.end()


class _Text:
    def __init__(self, labels: dict[str, str], openmetrics: bool) -> None:
        self._labels = labels
        self._openmetrics = openmetrics
        self._lines: list[str] = []

    def family(self, name: str, kind: str, what: str) -> None:
        if kind == "counter" and not self._openmetrics:
            name += "_total"  # in the older format a counter's family is named as its samples
        self._lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]

    def sample(self, name: str, key: Key | None, value: float, le: str = "") -> None:
        labels = dict(self._labels)
        if key is not None:
            labels["method"], labels["status"], route = key
            if route:
                labels["route"] = route
        if le:
            labels["le"] = le
        inner = ",".join(f'{label}="{_escaped(each)}"' for label, each in labels.items())
        number = int(value) if value.is_integer() else value
        self._lines.append(f"{name}{{{inner}}} {number}" if inner else f"{name} {number}")

    def end(self) -> bytes:
        end = ["# EOF", ""] if self._openmetrics else [""]
        return "\n".join(self._lines + end).encode(errors="replace")


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
