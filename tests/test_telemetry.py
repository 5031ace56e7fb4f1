"""OpenTelemetry: what arrives at a receiver of OTLP, from a real server."""

from __future__ import annotations

import gzip
import http.server
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from breezeway import telemetry
from breezeway.errors import UsageError
from breezeway.observe import opentelemetry
from breezeway.observe.metrics import METRICS

from .observe.statuses import status
from .process.server import DEADLINE_SECONDS, eventually, serving

KINDS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class Receiver:
    """Takes what comes by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.metrics: dict[str, Any] = {}
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    data = gzip.decompress(data)
                receiver.take(KINDS[self.path].FromString(data))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        self.environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
        }

    def take(self, request: Any) -> None:
        """Keep what a request has."""
        if isinstance(request, ExportTraceServiceRequest):
            for resource in request.resource_spans:
                self.services |= services_of(resource.resource)
                for scope in resource.scope_spans:
                    self.spans += scope.spans
        else:
            for resource in request.resource_metrics:
                self.services |= services_of(resource.resource)
                for scope in resource.scope_metrics:
                    self.metrics |= {each.name: each for each in scope.metrics}

    def close(self) -> None:
        """End."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def services_of(resource: Any) -> set[str]:
    """Return the name of the service, and nothing else."""
    return {each.value.string_value for each in resource.attributes if each.key == "service.name"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    found = Receiver()
    yield found
    found.close()


def test_spans_and_metrics_of_a_server_arrive(tmp_path: Path, receiver: Receiver) -> None:
    """A span for each request, from the workers; the status, from a process of its own."""
    options = ("--otel", "--metrics")
    with serving(tmp_path, *options, workers=2, environ=receiver.environ) as server:
        for _ in range(10):
            server.get("/orders?token=secret")
        eventually(lambda: len(receiver.spans) == 10, "all spans")
        eventually(lambda: "http.server.request.duration" in receiver.metrics, "durations")
        command = [
            sys.executable,
            "-m",
            "breezeway",
            "ctl",
            "--socket",
            server.control,
            "telemetry",
        ]
        with subprocess.Popen(
            command, env={**os.environ, **receiver.environ}, cwd=tmp_path
        ) as exporter:
            eventually(lambda: "breezeway.requests" in receiver.metrics, "metrics")
            exporter.send_signal(signal.SIGTERM)
            assert exporter.wait(DEADLINE_SECONDS) == 0
        server.signal(signal.SIGTERM)
        assert server.end() == 0
    assert {each.name for each in receiver.spans} == {"GET"}
    assert receiver.services == {"application:app"}
    counts = {
        tuple(each.value.string_value for each in point.attributes): point.as_int
        for point in receiver.metrics["breezeway.requests"].sum.data_points
    }
    assert counts["GET", "2xx"] == 10
    assert receiver.metrics["breezeway.requests"].sum.is_monotonic


def test_instruments_tell_what_the_status_says() -> None:
    """All of the table; nothing while there is no status."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    answers: list[dict[str, Any] | None] = [status()]
    opentelemetry.register(provider.get_meter("test"), lambda: answers[-1])
    data = reader.get_metrics_data()
    assert data is not None
    found = {each.name: each for each in data.resource_metrics[0].scope_metrics[0].metrics}
    provider.shutdown()
    names = {opentelemetry.name_of(metric) for metric in METRICS if not metric.is_distribution}
    assert names <= set(found)
    assert found["breezeway.request_bytes"].unit == "By"
    assert found["breezeway.request_duration_seconds.count"].data.data_points[0].value == 3
    total = found["breezeway.request_duration_seconds.sum"]
    assert total.unit == "s"
    assert total.data.data_points[0].value == pytest.approx(1.504)
    states = {
        point.attributes["state"]: point.value
        for point in found["breezeway.workers"].data.data_points
    }
    assert states["ready"] == 1


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, with what brings it."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(UsageError, match=r"otel: the package of opentelemetry\.sdk\.trace"):
        telemetry.traced(lambda *_: [], "shop")


def test_no_status_is_no_number() -> None:
    """While the server does not answer, nothing is said: a zero would be a lie."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    opentelemetry.register(provider.get_meter("test"), lambda: None)
    assert not reader.get_metrics_data()
    provider.shutdown()


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "shop"),
        ({"OTEL_SERVICE_NAME": "web"}, "web"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team=a,service.name=web"}, "web"),
    ],
)
def test_the_service_is_named_by_variables_first(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], name: str
) -> None:
    """Else like the application."""
    for variable in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    assert telemetry._resource("shop").attributes["service.name"] == name
