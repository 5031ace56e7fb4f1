"""The dashboard, the alerts and the page of metrics: of metrics that there are, and as Prometheus wants."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser

from breezeway.observe.metrics import METRICS
from breezeway.observe.prometheus import render

from . import debian
from .observe.statuses import status

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
ALERTS = ROOT / "docs/prometheus/alerts.yml"
DASHBOARD = ROOT / "docs/grafana/breezeway.json"
PAGE = ROOT / "docs/metrics.md"

PACKAGE = "prometheus"
"""The package, and the program in it, that promtool is in."""

NAME = re.compile(r"\bbreezeway_\w+")
LABEL = re.compile(r"(\w+)(?:=~|!~|!=|=)\"|\bby \(([^)]*)\)|\{\{(\w+)\}\}")

OUTSIDE = {"job", "instance", "alertname", "le"}
"""Labels that Prometheus itself adds."""

VARIABLES = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}


def promtool(*arguments: str, text: str = "") -> None:
    """Run promtool, which has to be content; skip where it is not. In CI it is installed."""
    if os.environ.get("CI"):
        assert not debian.install([PACKAGE])
    elif debian.missing([PACKAGE]):
        pytest.skip(f"Prometheus is not installed. {debian.advice([PACKAGE])}")
    command = [debian.program("promtool"), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr, done.stderr


def samples() -> dict[str, set[str]]:
    """Return the labels of each name that is told."""
    found: dict[str, set[str]] = {}
    text = render(status(), openmetrics=False).decode()
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Walk through all objects of a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from objects(each)


def expressions() -> list[str]:
    """Return what the dashboard asks for."""
    return [each["expr"] for each in objects(json.loads(DASHBOARD.read_text())) if each.get("expr")]


def test_what_is_told_is_as_prometheus_wants_it() -> None:
    """Names, units, types and texts, by its own judgement."""
    promtool("check", "metrics", text=render(status(), openmetrics=False).decode())


def test_alerts_are_rules() -> None:
    """They can be loaded, stay quiet while all is well, and fire when it is not."""
    promtool("check", "rules", str(ALERTS))
    promtool("test", "rules", "tests/prometheus_rules.yml")


def test_dashboard_asks_what_can_be_answered(tmp_path: Path) -> None:
    """Its expressions are PromQL: here each as a rule."""
    rules = []
    for at, expression in enumerate(expressions()):
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        rules.append({"record": f"panel:{at}", "expr": expression})
    assert len(rules) > 30
    file = tmp_path / "rules.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(file))


@pytest.mark.parametrize("path", [ALERTS, DASHBOARD, PAGE], ids=lambda path: path.name)
def test_metrics_that_are_named_exist(path: Path) -> None:
    """So do their labels; the page and the dashboard leave none out."""
    known = samples()
    text = path.read_text()
    names = set(NAME.findall(text))
    assert names <= {*known, *(metric.name for metric in METRICS), "breezeway_"}
    for expression in expressions() if path == DASHBOARD else ():
        allowed = OUTSIDE.union(*(known[name] for name in NAME.findall(expression)))
        found = {label for match in LABEL.findall(expression) for label in match[:2] if label}
        for label in ", ".join(found).split(", "):
            assert label in allowed, expression
    if path != ALERTS:
        for metric in METRICS:
            assert any(name.startswith(metric.name) for name in names), metric.name


def test_panels_of_the_dashboard_stand_side_by_side() -> None:
    """Each has an id of its own, a title, and a place where no other one is."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
