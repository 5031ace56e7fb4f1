"""What an attack bench says: one row for each attack, in the terminal, in Markdown and in JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from attack.scenarios import Scenario
from attack.stage import MEGABYTE, Outcome
from report import markdown

HEAD = [
    "attack",
    "connections",
    "requests",
    "MB sent",
    "answered",
    "dropped",
    "RSS MB",
    "threads",
    "p99 ms",
    "with it",
    "ratio",
    "one-shot p99 ms",
    "with it",
    "verdict",
]

Row = tuple[Scenario, Outcome]


def rows(results: list[Row], *, servers: bool = False) -> list[list[str]]:
    """Return the table, its head first."""
    table = [["server", *HEAD] if servers else HEAD]
    for scenario, outcome in results:
        row = _row(scenario, outcome)
        table.append([outcome.server, *row] if servers else row)
    return table


def _row(scenario: Scenario, outcome: Outcome) -> list[str]:
    tally = outcome.tally
    looks = (outcome.before, outcome.peak, outcome.after)
    statuses = [f"{status}: {count:,}" for status, count in sorted(tally.statuses.items())]
    verdict = "; ".join(outcome.failures) or "holds"
    if outcome.holds and tally.notes:
        verdict += f" ({'; '.join(tally.notes)})"
    return [
        scenario.name,
        f"{tally.connections:,}",
        f"{tally.requests:,}",
        f"{tally.sent / MEGABYTE:,.1f}",
        ", ".join(statuses) or "-",
        f"{tally.closed:,}",
        " / ".join(f"{each.memory / MEGABYTE:.0f}" for each in looks if each),
        " / ".join(str(each.threads) for each in looks if each),
        f"{outcome.without.p99:.2f}",
        f"{outcome.during.p99:.2f}",
        f"{outcome.ratio:.2f}",
        f"{outcome.without.one_shot_p99:.1f}",
        f"{outcome.during.one_shot_p99:.1f}",
        verdict,
    ]


def legend(results: list[Row]) -> list[str]:
    """Say what each attack does, a line each."""
    seen: dict[str, str] = {}
    for scenario, _ in results:
        options = f" (server with `{' '.join(scenario.options)}`)" if scenario.options else ""
        seen[scenario.name] = f"- **{scenario.name}**: {scenario.title}{options}."
    return list(seen.values())


def write(directory: Path, results: list[Row], facts: dict[str, str]) -> None:
    """Write attack.md and attack.json."""
    directory.mkdir(exist_ok=True)
    servers = len({outcome.server for _, outcome in results}) > 1
    about = "; ".join(f"{name} {value}" for name, value in facts.items())
    parts = ["# Attacks", f"{about}.", markdown(rows(results, servers=servers))]
    parts.append("\n".join(legend(results)))
    (directory / "attack.md").write_text("\n\n".join(parts) + "\n")
    record = {
        "facts": facts,
        "attacks": [
            {
                "name": scenario.name,
                "title": scenario.title,
                "ratio": outcome.ratio,
                **asdict(outcome),
            }
            for scenario, outcome in results
        ],
    }
    (directory / "attack.json").write_text(json.dumps(record, indent=1) + "\n")
