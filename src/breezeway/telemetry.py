"""What the server does for OpenTelemetry: spans (`--otel`), metrics (`breezeway ctl telemetry`).

Both send to an OTLP receiver over HTTP, and leave everything else to the SDK and its variables,
such as OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_SERVICE_NAME. The threads of the SDK are never in the
supervisor, which forks: spans are sent by each worker, metrics by a process of their own, which asks the
server for its status.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

from breezeway.errors import UsageError, UserError
from breezeway.middleware import OpenTelemetry
from breezeway.observe import opentelemetry

logger = logging.getLogger("breezeway.telemetry")

SERVICE: Final = "OTEL_SERVICE_NAME"
ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"
"""The variables that can name the service."""

TIMEOUT: Final = "OTEL_EXPORTER_OTLP_TIMEOUT"
"""The variable that says how long a receiver may take for what is sent, in seconds."""

TIMEOUT_SECONDS: Final = 3.0
"""And what that is without it: not the 10 s of the SDK, for a worker that ends waits so long, twice at
most, for a receiver that is not there."""

_HINT: Final = "pip install 'breezeway[otel]' brings it."


def traced(application: Any, name: str) -> Any:
    """Return the application within the middleware OpenTelemetry; a worker calls it.

    If the application has set no providers, spans and durations go to OTLP; `name` is that of the
    service, unless a variable says another.

    Raises:
        UsageError: a package is not there.
    """
    try:
        from opentelemetry import metrics, trace
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise _missing("otel", error) from None
    if not _is_set(trace.get_tracer_provider()):
        tracers = TracerProvider(resource=_resource(name))
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_timeout())))
        trace.set_tracer_provider(tracers)
    if not _is_set(metrics.get_meter_provider()):
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=_timeout()))
        metrics.set_meter_provider(MeterProvider([reader], resource=_resource(name)))
    return OpenTelemetry(application)


def export(ask: Callable[[], dict[str, Any]], name: str) -> None:
    """Send the metrics of a server until SIGINT or SIGTERM, and once more then.

    `ask` returns its status, or raises `UserError`; `name` is as for `traced`. How often is what
    OTEL_METRIC_EXPORT_INTERVAL says, in milliseconds, 60 s without it.

    Raises:
        UsageError: a package is not there.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    except ImportError as error:
        raise _missing("ctl telemetry", error) from None

    def read() -> dict[str, Any] | None:
        try:
            return ask()
        except UserError as error:
            logger.warning("no metrics: %s", error.message)
            return None

    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=_timeout()))
    provider = MeterProvider([reader], resource=_resource(name))
    opentelemetry.register(provider.get_meter(opentelemetry.SCOPE), read)
    over.wait()
    provider.shutdown()


def _timeout() -> float | None:
    """Return the timeout for an exporter; None leaves it to the variable."""
    return None if TIMEOUT in os.environ else TIMEOUT_SECONDS


def _resource(name: str) -> Any:
    """Say whose spans and metrics they are; each process is an instance of the service."""
    from opentelemetry.sdk.resources import Resource

    named = SERVICE in os.environ or "service.name=" in os.environ.get(ATTRIBUTES, "")
    attributes = {} if named else {"service.name": name}
    return Resource.create({**attributes, "process.pid": os.getpid()})


def _is_set(provider: object) -> bool:
    """Whether somebody has set this provider: what the API itself brings is a stand-in."""
    return not type(provider).__module__.startswith(
        ("opentelemetry.trace", "opentelemetry.metrics")
    )


def _missing(what: str, error: ImportError) -> UsageError:
    return UsageError(f"{what}: the package of {error.name} is not installed.", _HINT)
