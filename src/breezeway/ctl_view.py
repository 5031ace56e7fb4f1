"""How the answers of the supervisor look to people: a status as a table, stacks as a list.

Everything here returns text. What the supervisor says is shown without control characters: a
request line in it comes from a client, and could be meant for the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import click

COLOURS: Final = {
    "serving": "green",
    "ready": "green",
    "starting": "yellow",
    "reloading": "yellow",
    "retiring": "yellow",
    "stopping": "yellow",
    "upgrading": "yellow",
    "hung": "red",
}

COUNTED: Final = (
    ("reloads", "reload", "reloads"),
    ("failed_reloads", "failed reload", "failed reloads"),
    ("deaths", "worker died", "workers died"),
)
"""What a status counts, and how one and how several are called; none are not mentioned."""

COLUMNS: Final = ("PID", "STATE", "GEN", "AGE", "REQUESTS", "CONNECTIONS", "BUSY", "MEMORY")
GAP: Final = "  "
SHOWN_QUANTILES: Final = (("0.5", "half within"), ("0.99", "99 % within"))
STATE_COLUMN: Final = COLUMNS.index("STATE")

_DURATIONS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def status(answer: dict[str, Any]) -> str:
    """Show what the server is doing: a head, its addresses, a row for each worker."""
    state = clean(answer.get("state", "unknown"))
    workers = answer.get("workers", [])
    ready = sum(each.get("state") == "ready" for each in workers)
    facts = [f"{ready} of {answer.get('wanted', len(workers))} workers ready"]
    for name, one, more in COUNTED:
        if number := answer.get(name):
            facts.append(f"{number} {one if number == 1 else more}")
    head = (
        click.style(clean(answer.get("application", "?")), bold=True),
        click.style(state, fg=COLOURS.get(state)),
        f"up {duration(answer.get('uptime'))}",
        f"pid {answer.get('pid', '?')}",
        f"Breezeway {clean(answer.get('version', '?'))}",
    )
    lines = [GAP.join(head)]
    lines += [f"{GAP}{click.style(clean(url), fg='green')}" for url in answer.get("listeners", ())]
    lines.append(", ".join(facts))
    if counters := answer.get("counters"):
        counted = ", ".join(f"{clean(counters[each])} {clean(each)}" for each in counters)
        lines.append(f"counted: {counted}")
    if causes := answer.get("death_causes"):
        lines.append(f"died: {', '.join(map(_cause, causes))}")
    lines += _answered(answer.get("metrics", {}))
    lines += _table(workers) if workers else ()
    return "\n".join(lines)


def stacks(answer: dict[str, Any]) -> str:
    """Show what each thread of each worker is doing; the longest request first."""
    parts = []
    for worker in answer.get("workers", ()):
        parts.append(click.style(f"worker {worker.get('pid', '?')}", bold=True))
        threads = sorted(worker.get("threads", ()), key=_by_request)
        # A worker that answers has threads.
        parts += [_thread(each) for each in threads] or [f"{GAP}no answer: it may hang"]
        parts.append("")
    return "\n".join(parts).rstrip("\n")


def clean(value: object) -> str:
    """Return the value as text on one line without control characters."""
    return "".join(
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in str(value)
    )


def duration(seconds: float | None) -> str:
    """Write seconds as `40ms`, `2.5s`, `12s`, `3m 20s`, `2d 4h`."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    rest = int(seconds)
    parts: list[str] = []
    for size, unit in _DURATIONS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def latency(seconds: float) -> str:
    """Write a duration that may be short as `0.42ms`, `12.5ms`, `2.5s`."""
    return f"{seconds * 1000:.3g}ms" if seconds < 0.9995 else duration(seconds)


def memory(size: int | None) -> str:
    """Write bytes in MiB."""
    return "-" if size is None else f"{size / 1024**2:.1f} MiB"


def _cause(death: dict[str, Any]) -> str:
    """Say how many workers have died of what."""
    cause, detail = clean(death.get("cause", "?")), clean(death.get("detail", ""))
    if detail.isdecimal():
        detail = f"exit status {detail}"
    if cause == "boot":
        of = f"a failed start ({detail})"
    else:
        kind = "" if cause in ("signal", "exit") else cause.replace("_", " ")
        of = f"{kind} {detail}".strip()
    return f"{death.get('count', '?')} of {of}"


def _answered(metrics: dict[str, Any]) -> list[str]:
    """Say how many requests were answered while they were counted, and how quickly."""
    counts = metrics.get("requests", ())
    if not counts:
        return []
    failed = sum(each["count"] for each in counts if each["status"] == "5xx")
    facts = [f"{sum(each['count'] for each in counts)} requests"]
    if failed:
        facts.append(f"{failed} of them with 5xx")
    quantiles = metrics.get("durations", {}).get("quantiles", {})
    facts += [
        f"{name} {latency(quantiles[share])}"
        for share, name in SHOWN_QUANTILES
        if share in quantiles
    ]
    return [f"answered: {', '.join(facts)}"]


def _table(workers: Iterable[dict[str, Any]]) -> list[str]:
    rows = [COLUMNS, *map(_row, workers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["", click.style(_line(COLUMNS, widths), dim=True)]
    for row in rows[1:]:
        state = row[STATE_COLUMN]
        lines.append(_line(row, widths, click.style(state, fg=COLOURS.get(state))))
    return lines


def _line(row: tuple[str, ...], widths: list[int], state: str = "") -> str:
    """Align one row: the state to the left, numbers to the right; colour is not counted."""
    cells = []
    for column, (text, width) in enumerate(zip(row, widths, strict=True)):
        padding = " " * (width - len(text))
        cells.append((state or text) + padding if column == STATE_COLUMN else padding + text)
    return GAP + GAP.join(cells)


def _row(worker: dict[str, Any]) -> tuple[str, ...]:
    return (
        _shown(worker.get("pid")),
        _shown(worker.get("state")),
        _shown(worker.get("generation")),
        duration(worker.get("age")),
        _shown(worker.get("requests")),
        _shown(worker.get("connections")),
        f"{_shown(worker.get('busy'))}/{_shown(worker.get('threads'))}",
        memory(worker.get("memory")),
    )


def _shown(value: object) -> str:
    return "-" if value is None else clean(value)


def _by_request(thread: dict[str, Any]) -> tuple[bool, float]:
    return thread.get("request") is None, -(thread.get("seconds") or 0.0)


def _thread(thread: dict[str, Any]) -> str:
    request, seconds = thread.get("request"), thread.get("seconds")
    doing = "no request"
    if request is not None:
        doing = click.style(clean(request), fg="cyan")
        doing += "" if seconds is None else f" for {duration(seconds)}"
    lines = [f"{GAP}{clean(thread.get('name', '?'))}: {doing}"]
    for text in thread.get("stack", ()):
        lines += [f"{GAP * 2}{clean(line)}" for line in str(text).splitlines()]
    return "\n".join(lines)
