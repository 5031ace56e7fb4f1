"""The names of the application's metrics in the text for Prometheus, and which are left out."""

from __future__ import annotations

import pytest

from breezeway.observe.application_metrics_families import Family
from breezeway.observe.application_metrics_text import LeftOut, lines


@pytest.mark.parametrize("openmetrics", [False, True])
def test_no_name_is_there_twice(openmetrics: bool) -> None:
    """A metric with a name of the server's own, or of one before it, does not spoil the others."""
    names = ["breezeway_requests", "a_b", "a.b", "breezeway_request_duration_seconds"]
    families = [Family(name, "gauge", "", [(name, (), 1.0)]) for name in names]
    left_out = {}
    assert list(lines(families, openmetrics=openmetrics, leave_out=left_out.setdefault)) == [
        "# HELP a_b ",
        "# TYPE a_b gauge",
        "a_b 1.0",
    ]
    own = "the server has a metric of this name"
    assert left_out == {
        "breezeway_requests": own,
        "a.b": "another metric is a_b there, too",
        "breezeway_request_duration_seconds": own,
    }


@pytest.mark.parametrize("kinds", [("counter", "gauge"), ("gauge", "counter")])
def test_no_name_of_a_sample_is_there_twice(kinds: tuple[str, str]) -> None:
    """Nor may a metric be called like what belongs to another one."""
    names = ["a" if kind == "counter" else "a_total" for kind in kinds]
    families = [
        Family(*each, "", [("a_total", (), 1.0)]) for each in zip(names, kinds, strict=True)
    ]
    left_out = {}
    there = list(lines(families, openmetrics=False, leave_out=left_out.setdefault))
    assert there == ["# HELP a_total ", f"# TYPE a_total {kinds[0]}", "a_total 1.0"]
    assert left_out == {names[1]: "another metric is a_total there, too"}


@pytest.mark.parametrize("openmetrics", [False, True])
def test_names_that_readers_would_refuse(openmetrics: bool) -> None:
    """Names and labels become such that each reader takes them."""
    family = Family("9.lives", "gauge", "", [("9.lives", (("a:b", "x"), ("1st", "y")), 1.0)])
    assert list(lines([family], openmetrics=openmetrics, leave_out=lambda *_: None)) == [
        "# HELP _9_lives ",
        "# TYPE _9_lives gauge",
        '_9_lives{a_b="x",_1st="y"} 1.0',
    ]


def test_each_name_left_out_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is asked for, the log names what is missing, and why; no name spoils the log."""
    left_out = LeftOut()
    for _ in range(3):
        left_out("a.b", "another metric is a_b there, too")
        left_out("x\ny", "it is odd")
    assert [each.getMessage() for each in caplog.records] == [
        "the application's metric 'a.b' is left out of /metrics: another metric is a_b there, too",
        "the application's metric 'x\\ny' is left out of /metrics: it is odd",
    ]
