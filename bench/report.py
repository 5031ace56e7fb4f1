"""Tables for the terminal and for Markdown, the list of targets, and the files of a run."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peers import OURS
from results import Outcome, Results
from scenarios import Kind, Scenario
from server import cores
from targets import Verdict, judge

Column = tuple[str, Callable[[Outcome], str]]
Facts = dict[str, Any]

PLAIN_FROM = 100  # from here on figures are shown without decimals
CLIENT_LIMIT = 0.95  # of its core: from here on the clients may be what limits the rate


def _figure(name: str, form: str, scale: float = 1.0) -> Callable[[Outcome], str]:
    def show(outcome: Outcome) -> str:
        return form.format(outcome.median(name) / scale)

    return show


def _rate(outcome: Outcome) -> str:
    """Show the rate, with a star where wrk's core was full and the server's was not."""
    limited = outcome.median("client_busy") > CLIENT_LIMIT > outcome.median("busy")
    return f"{outcome.median('rate'):,.0f}{'*' if limited else ''}"


_CPU: tuple[Column, ...] = (
    ("user us", _figure("user_us", "{:.1f}")),
    ("kernel us", _figure("kernel_us", "{:.1f}")),
)
_MEMORY: tuple[Column, ...] = (
    ("worker RSS MB", _figure("worker_rss", "{:.1f}", 1e6)),
    ("all RSS MB", _figure("rss", "{:.1f}", 1e6)),
    ("all PSS MB", _figure("pss", "{:.1f}", 1e6)),
    ("all USS MB", _figure("uss", "{:.1f}", 1e6)),
)
_COLUMNS: dict[Kind, tuple[Column, ...]] = {
    Kind.START: (("first answer ms", _figure("start_ms", "{:.0f}")), *_MEMORY),
    Kind.IDLE: (
        ("bytes/connection", _figure("per_connection", "{:,.0f}")),
        ("of them private", _figure("uss_per_connection", "{:,.0f}")),
        *_MEMORY,
    ),
    Kind.SOAK: (
        ("requests/s", _figure("rate", "{:,.0f}")),
        ("errors", _figure("errors", "{:,.0f}")),
        ("growth KB", _figure("growth", "{:,.0f}", 1e3)),
        ("RSS MB", _figure("rss", "{:.1f}", 1e6)),
    ),
    Kind.BURN: (
        ("longest wait ms", _figure("longest_ms", "{:.1f}")),
        ("median wait ms", _figure("median_ms", "{:.2f}")),
        ("hellos", _figure("answers", "{:,.0f}")),
        ("burn s", _figure("burn_s", "{:.2f}")),
    ),
}
# What a scenario is ordered and compared by, and whether more of it is better.
_ORDER = {
    Kind.LOAD: ("rate", True),
    Kind.START: ("start_ms", False),
    Kind.IDLE: ("per_connection", False),
    Kind.SOAK: ("rate", True),
    Kind.BURN: ("longest_ms", False),
}


def _columns(scenario: Scenario) -> tuple[Column, ...]:
    """Return the columns between the server's name and the ratio."""
    if scenario.kind is not Kind.LOAD:
        return _COLUMNS[scenario.kind]
    beside: tuple[Column, ...] = (("beside/s", _figure("beside_rate", "{:.0f}")),)
    return (
        ("requests/s", _rate),
        *(_CPU if scenario.cpu_per_request else ()),
        ("p50 ms", _figure("p50_ms", "{:.2f}")),
        ("p99 ms", _figure("p99_ms", "{:.2f}")),
        ("core busy", _figure("busy", "{:.0%}")),
        ("errors", _figure("errors", "{:,.0f}")),
        *(beside if scenario.beside else ()),
    )


def table(scenario: Scenario, results: Results) -> list[list[str]]:
    """Return the rows of a scenario's table, its head first, the best server on top."""
    columns = _columns(scenario)
    figure, largest = _ORDER[scenario.kind]
    best = results.best_peer(scenario.name, figure, largest=largest)
    head = ["server", *(title for title, _ in columns), "ratio to best peer", "remarks"]
    rows = [head]
    ranked = results.ranked(scenario.name)
    for name in sorted(ranked, key=lambda n: ranked[n].median(figure), reverse=largest):
        ratio = results.ratio(scenario.name, figure, name, best)
        cells = [show(ranked[name]) for _, show in columns]
        shown = "" if ratio is None else f"{ratio:.2f}"
        rows.append([name, *cells, shown, "; ".join(ranked[name].remarks)])
    for name, outcome in results.outcomes.get(scenario.name, {}).items():
        if outcome.refusal:
            rows.append([name, *("-" for _ in columns), "-", outcome.refusal])
    return rows


def target_rows(verdicts: Iterable[Verdict]) -> list[list[str]]:
    """Return the rows of the list of targets."""
    rows = [["target", "bound", "measured", "verdict"]]
    for verdict in verdicts:
        target = verdict.target
        ratio = "x" if target.against else ""
        sign = ">=" if target.at_least else "<="
        measured = "-"
        if verdict.measured is not None:
            measured = f"{_number(verdict.measured)}{ratio} {verdict.worst_peer}".rstrip()
        rows.append([target.text, f"{sign} {_number(target.bound)}{ratio}", measured, verdict.word])
    return rows


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= PLAIN_FROM else f"{value:.3g}"


def plain(rows: list[list[str]]) -> str:
    """Lay rows out for a terminal: the first and the last column to the left, figures right."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    last = len(widths) - 1
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if n in (0, last) else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown(rows: list[list[str]]) -> str:
    """Lay rows out as a Markdown table, our own row in bold."""
    last = len(rows[0]) - 1
    head, *body = rows
    rule = ["---" if n in (0, last) else "---:" for n in range(last + 1)]
    lines = [head, rule]
    for row in body:
        ours = row[0] == OURS
        lines.append([f"**{cell}**" if ours and cell else cell for cell in row])
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in lines)


def machine(installed: Facts, rounds: int, seconds: int, results: Results) -> Facts:
    """Return what a reader must know to compare these figures with others."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    server_core, client_core = cores()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "server's core": server_core,
        "clients' core": client_core,
        "kernel": platform.release(),
        **installed,
        "rounds": rounds,
        "seconds for each measurement": seconds,
        "other work on a core": f"{results.other_work():.1%}",
    }


def facts_line(facts: Facts) -> str:
    """Say the facts in one paragraph."""
    parts = []
    for name, value in facts.items():
        if isinstance(value, dict):
            parts.append(", ".join(f"{key} {version}" for key, version in value.items()))
        else:
            parts.append(f"{name} {value}")
    return "; ".join(parts) + "."


def write(directory: Path, scenarios: list[Scenario], results: Results, facts: Facts) -> None:
    """Write latest.md and latest.json."""
    directory.mkdir(exist_ok=True)
    parts = ["# Bench", facts_line(facts)]
    for scenario in scenarios:
        parts += [f"## {scenario.title}", markdown(table(scenario, results))]
    verdicts = judge(results, scenarios)
    parts += ["## Targets", markdown(target_rows(verdicts))]
    (directory / "latest.md").write_text("\n\n".join(parts) + "\n")
    record = {
        "facts": facts,
        "scenarios": {
            scenario: {peer: asdict(outcome) for peer, outcome in outcomes.items()}
            for scenario, outcomes in results.outcomes.items()
        },
        "targets": [
            {**asdict(verdict.target), "measured": verdict.measured, "verdict": verdict.word}
            for verdict in verdicts
        ],
    }
    (directory / "latest.json").write_text(json.dumps(record, indent=1) + "\n")
