"""Spans and durations: what they say, when they are current, and that they end once."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from breezeway.middleware.opentelemetry import OpenTelemetry
from breezeway.middleware.opentelemetry.attributes import SECRETS, redacted
from breezeway.middleware.profiler import PARAMETER

from .calling import Counted, call, make_environ

exporter = InMemorySpanExporter()
reader = InMemoryMetricReader()


@pytest.fixture(scope="module", autouse=True)
def _providers() -> None:
    """Set the global providers, which can be done once in a process."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    exporter.clear()
    reader.get_metrics_data()
    yield
    assert not trace.get_current_span().get_span_context().is_valid, "a context was left behind"


def only() -> ReadableSpan:
    """Return the span that there is."""
    (span,) = exporter.get_finished_spans()
    return span


def attributes() -> dict[str, Any]:
    """Return the attributes of the span that there is."""
    return dict(only().attributes or {})


def hello(environ: Any, start_response: Any) -> list[bytes]:
    """Answer, with a span below the current one."""
    with trace.get_tracer("app").start_as_current_span("inner"):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"hello"]


def plain(environ: Any, start_response: Any) -> list[bytes]:
    """Answer."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def test_attributes() -> None:
    """A span says what the conventions want."""
    fields = {"User-Agent": "curl", "Host": "shop.example:8443"}
    call(OpenTelemetry(plain), "/a b/é?x=1&token=s3", fields=fields, **{"wsgi.url_scheme": "https"})
    span = only()
    assert span.kind == trace.SpanKind.SERVER
    assert span.name == "GET"
    assert span.status.status_code == StatusCode.UNSET
    assert attributes() == {
        "http.request.method": "GET",
        "url.scheme": "https",
        "url.path": "/a%20b/%E9",
        "url.query": "x=1&token=REDACTED",
        "network.protocol.version": "1.1",
        "server.address": "shop.example",
        "server.port": 8443,
        "client.address": "192.0.2.1",
        "user_agent.original": "curl",
        "http.response.status_code": 200,
    }


@pytest.mark.parametrize(
    ("host", "address", "port"),
    [
        ("[::1]:80", "::1", 80),
        ("a.example", "a.example", 80),
        ("a b", "test", 80),
        ("x" * 5000, "test", 80),
        ("", "test", 80),
    ],
)
def test_hosts(host: str, address: str, port: int) -> None:
    """The Host field tells the server if it is one."""
    call(OpenTelemetry(plain), fields={"Host": host})
    found = attributes()
    assert (found["server.address"], found["server.port"]) == (address, port)


def test_context_of_the_caller() -> None:
    """The span continues the trace of the caller, and the application's spans continue it."""
    fields = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": "x=1"}
    call(OpenTelemetry(hello), fields=fields)
    inner, outer = exporter.get_finished_spans()
    assert outer.parent is not None
    assert outer.parent.span_id == 0xBBBBBBBBBBBBBBBB
    assert outer.parent.is_remote
    assert inner.context is not None
    assert inner.context.trace_id == 0xAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
    assert inner.context.trace_state.get("x") == "1"
    assert inner.parent == outer.context


@pytest.mark.parametrize("value", ["", "x", "00-" + "0" * 32 + "-" + "b" * 16 + "-01", "é" * 1000])
def test_malformed_context(value: str) -> None:
    """A traceparent that is none begins a trace of its own."""
    call(OpenTelemetry(plain), fields={"traceparent": value})
    assert only().parent is None


def test_unknown_method() -> None:
    """A method that a client invents names no span and no series."""
    OpenTelemetry(plain)(make_environ(method="BREW"), lambda status, headers, exc_info=None: None)
    found = attributes()
    assert only().name == "HTTP"
    assert found["http.request.method"] == "_OTHER"
    assert found["http.request.method_original"] == "BREW"
    methods = {point["http.request.method"] for point in points()}
    assert "_OTHER" in methods
    assert "BREW" not in methods


def points() -> list[dict[str, Any]]:
    """Return the labels of each series of the duration that this test has added to."""
    data = reader.get_metrics_data()
    assert data is not None
    return [
        dict(point.attributes or {})
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "http.server.request.duration"
        for point in metric.data.data_points
    ]


def test_duration() -> None:
    """The duration is recorded in seconds, with labels of few values."""
    call(OpenTelemetry(plain), "/secret/path", **{"breezeway.route": "/secret/<id>"})
    expected = {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "http.route": "/secret/<id>",
    }
    assert expected in points()


def test_route_names_the_span() -> None:
    """The framework's route comes into the name, once it is known."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        environ["breezeway.route"] = "/users/<id>"
        return plain(environ, start_response)

    call(OpenTelemetry(application), "/users/7")
    assert only().name == "GET /users/<id>"
    assert attributes()["http.route"] == "/users/<id>"


def test_server_error() -> None:
    """A 5xx is an error, a 4xx is none."""
    call(OpenTelemetry(Counted(status="503 Busy")))
    assert only().status.status_code == StatusCode.ERROR
    assert attributes()["error.type"] == "503"
    exporter.clear()
    call(OpenTelemetry(Counted(status="404 Not Found")))
    assert only().status.status_code == StatusCode.UNSET
    assert "error.type" not in attributes()


@pytest.mark.parametrize("late", [False, True])
def test_exception(late: bool) -> None:
    """An exception is recorded, raised on, and the status is what has gone out."""

    def generate(start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"a"
        raise LookupError("lost")

    def application(environ: Any, start_response: Any) -> Any:
        if not late:
            raise LookupError("lost")
        return generate(start_response)

    with pytest.raises(LookupError):
        call(OpenTelemetry(application))
    span = only()
    assert span.status.status_code == StatusCode.ERROR
    assert span.status.description == "lost"
    assert attributes()["error.type"] == "LookupError"
    assert attributes()["http.response.status_code"] == (200 if late else 500)
    assert [event.name for event in span.events] == ["exception"]


def test_client_that_leaves() -> None:
    """A response that is given up is an event, and no error."""
    found = OpenTelemetry(Counted(b"a", b"b"))(
        make_environ(), lambda status, headers, exc_info=None: None
    )
    next(iter(found))
    assert not exporter.get_finished_spans()
    found.close()  # type: ignore[attr-defined]
    assert [event.name for event in only().events] == ["client left"]
    assert only().status.status_code == StatusCode.UNSET


def test_current_while_blocks_are_made_and_only_then() -> None:
    """Two responses that a thread sends in turn do not get into each other's spans."""
    tracer = trace.get_tracer("app")

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        with tracer.start_as_current_span("inner"):
            for _ in range(2):
                with tracer.start_as_current_span("block"):
                    yield b"%x" % trace.get_current_span().get_span_context().trace_id

    traced = OpenTelemetry(application)
    found = [traced(make_environ(), lambda s, h, e=None: None) for _ in range(2)]
    iterators = [iter(each) for each in found]
    seen: list[list[bytes]] = [[], []]
    for _ in range(2):
        for number in range(2):
            seen[number].append(next(iterators[number]))
            assert not trace.get_current_span().get_span_context().is_valid
    for each, iterator in zip(found, iterators, strict=True):
        assert list(iterator) == []
        each.close()  # type: ignore[attr-defined]
    assert seen[0][0] == seen[0][1] != seen[1][0] == seen[1][1]
    spans = exporter.get_finished_spans()
    by_id = {span.context.span_id: span for span in spans if span.context is not None}
    for span in spans:
        parent = by_id[span.parent.span_id].name if span.parent is not None else None
        assert parent == {"block": "inner", "inner": "GET", "GET": None}[span.name]


def test_close_is_within_the_span() -> None:
    """What an application does in close() belongs to its request."""
    seen = []

    class Blocks(list[bytes]):
        def close(self) -> None:
            seen.append(trace.get_current_span().get_span_context().is_valid)

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Blocks([b"a"])

    call(OpenTelemetry(application))
    assert seen == [True]


def test_lists_pass_and_skipped_paths_too() -> None:
    """A list is the application's own; a path to skip gets no span."""
    body = [b"hello"]

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body

    traced = OpenTelemetry(application, skip=["/healthz"])
    start = lambda status, headers, exc_info=None: None  # noqa: E731
    assert traced(make_environ("/"), start) is body
    exporter.clear()
    traced(make_environ("/healthz"), start)
    assert not exporter.get_finished_spans()


def test_exception_that_cannot_be_told(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that breaks when it is looked at still is the one that is raised."""

    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def application(environ: Any, start_response: Any) -> Any:
        raise Odd

    with pytest.raises(Odd):
        call(OpenTelemetry(application))
    assert only().end_time is not None
    assert caplog.records


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ("a=1", "a=1"),
        ("Password=x&a=1", "Password=REDACTED&a=1"),
        ("%74oken=x", "%74oken=REDACTED"),
        ("token", "token"),
        ("token=a=b&&=", "token=REDACTED&&="),
        ("X-Amz-Signature=x", "X-Amz-Signature=REDACTED"),
    ],
)
def test_redaction(query: str, written: str) -> None:
    """Secrets stay out, however they are spelled; the rest stays as it is."""
    assert redacted(query, frozenset(SECRETS)) == written


def test_the_token_of_the_profiler() -> None:
    """Whoever reads spans must not be able to ask for profiles."""
    assert redacted(f"{PARAMETER}=abc", frozenset(SECRETS)) == f"{PARAMETER}=REDACTED"


def test_redaction_of_more() -> None:
    """An operator names more of them."""
    call(OpenTelemetry(plain, redact=["Card"]), "/?card=1&token=2&a=3")
    assert attributes()["url.query"] == "card=REDACTED&token=REDACTED&a=3"


def test_threads() -> None:
    """Sixteen threads have their spans each."""
    traced = OpenTelemetry(hello)
    threads = [
        threading.Thread(target=lambda: [call(traced) for _ in range(10)]) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = exporter.get_finished_spans()
    outer = {
        span.context.span_id: span.context for span in spans if span.name == "GET" and span.context
    }
    inner = [span for span in spans if span.name == "inner"]
    assert len(outer) == len(inner) == 160
    for span in inner:
        assert span.parent is not None
        assert span.context is not None
        assert outer[span.parent.span_id].trace_id == span.context.trace_id


@pytest.mark.parametrize("options", [{"skip": "/a"}, {"redact": "a"}, {"route": ""}, {"route": 1}])
def test_wrong_options(options: Any) -> None:
    """Each option is checked at construction."""
    with pytest.raises(ValueError, match=next(iter(options))):
        OpenTelemetry(**options)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, construction says what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ValueError, match=r"breezeway\[opentelemetry\]"):
        OpenTelemetry()


def test_without_a_provider() -> None:
    """While there is no SDK, requests pass; the caller's context still passes through the API."""
    program = """
from opentelemetry import trace
from breezeway.middleware import OpenTelemetry
seen = []
def application(environ, start_response):
    seen.append(trace.get_current_span().get_span_context().trace_id)
    start_response("200 OK", [])
    return [b""]
traced = OpenTelemetry(application)
environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"}
traced(environ, lambda *args: None)
traced({**environ, "HTTP_TRACEPARENT": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}, lambda *args: None)
assert seen == [0, int("a" * 32, 16)], seen
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=10)
