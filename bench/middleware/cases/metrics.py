"""Metrics: counting is what they do for each request, so there is no other idle."""

from __future__ import annotations

import tempfile
import time
from typing import Any

from case import Application, Case

from breezeway.middleware import Metrics


def prometheus(application: Application) -> Application:
    """Count the same with prometheus_client, as its Flask and Django exporters do."""
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

    registry = CollectorRegistry()
    names = ("method", "status")
    total = Counter("requests", "Requests", names, registry=registry)
    duration = Histogram("duration_seconds", "Durations", names, registry=registry)
    received = Counter("bytes", "Bytes", names, registry=registry)
    progress = Gauge("progress", "In progress", registry=registry)

    def wrapped(environ: dict[str, Any], start_response: Any) -> Any:
        began = time.perf_counter()
        progress.inc()
        seen = ""

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            nonlocal seen
            seen = status
            return start_response(status, headers, exc_info)

        try:
            blocks = application(environ, start)
        finally:
            labels = (environ["REQUEST_METHOD"], f"{seen[:1]}xx")
            total.labels(*labels).inc()
            duration.labels(*labels).observe(time.perf_counter() - began)
            received.labels(*labels).inc(12)
            progress.dec()
        return blocks

    return wrapped


def cases() -> list[Case]:
    """Return the cases."""
    directory = tempfile.mkdtemp(prefix="breezeway-bench-")
    return [
        Case("metrics", "count", Metrics, "prometheus_client", prometheus),
        Case(
            "metrics",
            "count, shared",
            lambda app: Metrics(app, directory=directory),
            "prometheus_client",
            prometheus,
        ),
    ]
