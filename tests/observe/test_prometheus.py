"""The text formats: Prometheus' own parsers read them, and find what the status says."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from breezeway.observe.metrics import BOUNDS, METRICS
from breezeway.observe.prometheus import render

from .statuses import metrics, status

Found = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(answer: dict[str, Any], *, openmetrics: bool) -> Found:
    """Parse what is rendered; each sample by its name and its labels."""
    text = render(answer, openmetrics=openmetrics).decode()
    parse = openmetrics_parser if openmetrics else parser
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse.text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """Name a sample."""
    return name, frozenset(labels.items())


@pytest.mark.parametrize("openmetrics", [False, True])
def test_both_formats_tell_what_the_status_says(openmetrics: bool) -> None:
    """Counters, gauges, those of workers, histograms."""
    found = read(status(), openmetrics=openmetrics)
    assert found[key("breezeway_build_info", version="0.1", python="3.13.1")] == 1
    assert found[key("breezeway_start_time_seconds")] == 1_700_000_000.25
    assert found[key("breezeway_requests_total", method="GET", status="2xx")] == 3
    assert found[key("breezeway_requests_total", method="GET", status="5xx")] == 0
    assert found[key("breezeway_response_body_bytes_total")] == 21
    assert found[key("breezeway_connections", state="idle")] == 1
    assert found[key("breezeway_threads", worker="1", state="spare")] == 2
    assert found[key("breezeway_limited_connections_total", limit="client")] == 5
    assert found[key("breezeway_limited_connections_total", limit="unsent")] == 0
    assert found[key("breezeway_timeouts_total", phase="head")] == 6
    assert found[key("breezeway_tls_failures_total", reason="handshake")] == 8
    assert found[key("breezeway_tls_failures_total", reason="plain_http")] == 0
    assert key("breezeway_events_total", event="tls.handshake") not in found
    assert found[key("breezeway_events_total", event="static.failed")] == 7
    assert found[key("breezeway_worker_deaths_total", cause="signal")] == 1
    assert found[key("breezeway_worker_deaths_total", cause="hang")] == 0
    assert found[key("breezeway_reloads_total", result="failed")] == 2
    refused = key("breezeway_refused_requests_total", status="400", reason="malformed request line")
    assert found[refused] == 4
    busy = "no thread was free for it in time"
    assert found[key("breezeway_refused_requests_total", status="503", reason=busy)] == 0
    assert found[key("breezeway_worker_resident_memory_bytes", worker="1")] == 40_000_000
    assert found[key("breezeway_request_duration_seconds_count")] == 3
    assert found[key("breezeway_request_duration_seconds_sum")] == pytest.approx(1.504)
    assert found[key("breezeway_request_duration_seconds_bucket", le="+Inf")] == 3
    assert found[key("breezeway_request_duration_seconds_bucket", le="0.00390625")] == 2
    created = key("breezeway_requests_created", method="GET", status="2xx") in found
    assert created is openmetrics


def test_all_metrics_are_told() -> None:
    """Nothing of the table is missing in what is rendered of a whole status."""
    text = render(status(), openmetrics=True).decode()
    for metric in METRICS:
        assert f"# TYPE {metric.name} {metric.kind}\n" in text
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize("bound", BOUNDS)
def test_bounds_divide_exactly(bound: float) -> None:
    """What is just below a bound is counted there, and what is at it or above is not."""
    answer = status(metrics=metrics(bound * 0.999, bound * 1.001))
    found = read(answer, openmetrics=True)
    name = "breezeway_request_duration_seconds_bucket"
    assert found[key(name, le=repr(bound))] == 1


@pytest.mark.parametrize("openmetrics", [False, True])
@pytest.mark.parametrize(
    "reason", ['a "quoted" reason', "a\\back\\slash\\n", "two\nlines", "é\u2028"]
)
def test_label_values_are_escaped(reason: str, openmetrics: bool) -> None:
    """Whatever a label says, it stays one label of one line."""
    answer = status(refusals=[{"status": 400, "reason": reason, "count": 1}])
    found = read(answer, openmetrics=openmetrics)
    assert found[key("breezeway_refused_requests_total", status="400", reason=reason)] == 1


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_status_of_another_version_is_told_as_far_as_it_goes(openmetrics: bool) -> None:
    """What is not there is left out, or zero."""
    found = read({"version": "0.0"}, openmetrics=openmetrics)
    assert found[key("breezeway_build_info", version="0.0", python="")] == 1
    assert key("breezeway_start_time_seconds") not in found
