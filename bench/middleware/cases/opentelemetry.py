"""OpenTelemetry: without a provider there is nothing to do; with the SDK each request has a span."""

from __future__ import annotations

from typing import Any

from case import Application, Case

from breezeway.middleware import OpenTelemetry


def instrumentation(application: Application) -> Application:
    """Wrap with OpenTelemetry's own middleware for WSGI, with the stable conventions."""
    import os

    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    return OpenTelemetryMiddleware(application)  # type: ignore[no-any-return]


def with_sdk(wrap: Any) -> Any:
    """Set the SDK up, once, in the order of the cases: the idle one comes before."""

    def wrapped(application: Application) -> Application:
        from opentelemetry import metrics, trace
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.trace import TracerProvider

        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(TracerProvider())
            metrics.set_meter_provider(MeterProvider())
        return wrap(application)  # type: ignore[no-any-return]

    return wrapped


def streamed(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer in ten blocks."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(10):
        yield b"block"


def cases() -> list[Case]:
    """Return the cases."""
    name = "opentelemetry-instrumentation-wsgi"
    return [
        Case("opentelemetry", "idle", OpenTelemetry, name, instrumentation),
        Case("opentelemetry", "span", with_sdk(OpenTelemetry), name, with_sdk(instrumentation)),
        Case(
            "opentelemetry",
            "span, 10 blocks",
            with_sdk(OpenTelemetry),
            name,
            with_sdk(instrumentation),
            application=streamed,
        ),
        Case(
            "opentelemetry",
            "span, traceparent",
            with_sdk(OpenTelemetry),
            name,
            with_sdk(instrumentation),
            environ={"HTTP_TRACEPARENT": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"},
        ),
    ]
