"""The numbers of a report as plain values, for `--json`, and for those that show them.

Durations are in seconds, times in seconds since 1970. What a line does not tell is None: the combined
format says nothing about the queue, for example.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from breezeway.observe import histogram
from breezeway.report.lines import UNKNOWN
from breezeway.report.tables import MICROSECONDS, WIDTHS, Durations, Part, Row, Table
from breezeway.report.tally import Tally

QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)

MOST_ROWS: Final = 200
"""Rows of each table in a report."""

COLUMNS: Final = 120
"""Parts of the time in a report, at most; a chart has no more room."""

Numbers = dict[str, Any]


def summary(tally: Tally, files: Sequence[str]) -> Numbers:
    """Return the numbers of what was counted, of which there is something."""
    assert tally.first is not None
    assert tally.last is not None
    every = Durations()
    for route in (*tally.routes.rows.values(), tally.routes.other):
        every.merge(route.durations)
    seconds = tally.last - tally.first + 1
    return {
        "files": list(files),
        "requests": tally.requests,
        "left_out": tally.left_out,
        "unreadable": tally.unreadable,
        "unfinished": tally.unfinished,
        "first_unreadable": tally.first_unreadable or None,
        "dropped": tally.dropped,
        "first": tally.first,
        "last": tally.last,
        "first_time": iso(tally.first),
        "last_time": iso(tally.last),
        "requests_per_second": tally.requests / seconds,
        "bytes_in": tally.bytes_in,
        "bytes_out": tally.bytes_out,
        "duration": durations(every),
        **{name: durations(phase) for name, phase in tally.phases.items()},
        "statuses": [
            {"status": status, "requests": count}
            for status, count in sorted(tally.statuses.items())
        ],
        "outcomes": [
            {"outcome": outcome, "requests": count}
            for outcome, count in sorted(tally.outcomes.items(), key=lambda item: -item[1])
            if outcome != "-"
        ],
        "routes": _table(tally.routes, _by_time),
        "errors": _table(tally.errors, _by_requests),
        "clients": _table(tally.clients, _by_requests),
        "programs": _table(tally.programs, _by_requests),
        "slowest": _slowest(tally),
        "timeline": timeline(tally),
    }


def iso(second: int) -> str:
    """Write a time as RFC 3339 has it; years that no calendar here has, as a number."""
    try:
        return f"{datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()}Z"
    except (ValueError, OverflowError, OSError):
        return str(second)


def durations(found: Durations) -> Numbers | None:
    """Return count, sum, quantiles and maximum in seconds; None when none are known."""
    count = sum(found.buckets.values())
    if not count:
        return None
    counts = [found.buckets.get(bucket, 0) for bucket in range(histogram.BUCKETS)]
    most = found.most / MICROSECONDS
    return {
        "count": count,
        "seconds": found.total / MICROSECONDS,
        "quantiles": {
            str(share): min(histogram.quantile(counts, share), most) for share in QUANTILES
        },
        "most": most,
    }


def _by_requests(row: Any) -> tuple[int, int]:
    return (-row.requests, 0)


def _by_time(row: Any) -> tuple[int, int]:
    """Put first what takes most time; without times, what is asked for most."""
    return (-row.durations.total, -row.requests)


def _table(table: Table[Any, Any], order: Any) -> Numbers:
    """Return the rows that count most, and all others as one."""
    table.cut()
    names = sorted(table.rows, key=lambda name: (order(table.rows[name]), name))
    for name in names[MOST_ROWS:]:
        table.other.merge(table.rows[name])
    rows = [{**_name(name), **_row(table.rows[name])} for name in names[:MOST_ROWS]]
    other = _row(table.other) if table.other.requests else None
    return {"rows": rows, "other": other, "cut": bool(table.cuts)}


def _name(name: str | tuple[str, int]) -> Numbers:
    return {"name": name} if isinstance(name, str) else {"name": name[0], "status": name[1]}


def _row(row: Row) -> Numbers:
    found: Numbers = {
        "requests": row.requests,
        "bytes_out": row.bytes_out,
        "client_errors": row.client_errors,
        "server_errors": row.server_errors,
    }
    if hasattr(row, "durations"):
        found["duration"] = durations(row.durations)
    return found


def _slowest(tally: Tally) -> list[Numbers]:
    return [
        {
            "duration": duration / MICROSECONDS,
            "time": iso(second),
            "method": method,
            "target": target,
            "status": status,
            "client": client,
            "queue": None if queue <= UNKNOWN else queue / MICROSECONDS,
            "outcome": outcome,
        }
        for duration, second, method, target, status, client, queue, outcome in sorted(
            tally.slowest.requests, reverse=True
        )
    ]


def timeline(tally: Tally) -> Numbers:
    """Return the parts of the time, those without a request, too, and how long each is."""
    parts = tally.timeline.parts
    for width in WIDTHS[WIDTHS.index(tally.timeline.width) :]:
        tally.timeline.widen(width)
        parts = tally.timeline.parts
        if max(parts) - min(parts) < COLUMNS:
            break
    width = tally.timeline.width
    none = Part()
    rows = [
        _part(number * width, parts.get(number, none))
        for number in range(min(parts), max(parts) + 1)
    ]
    return {"seconds": width, "parts": rows, "heat": heat(row["heat"] for row in rows)}


def _part(second: int, part: Part) -> Numbers:
    return {
        "time": second,
        "requests": part.requests,
        "client_errors": part.client_errors,
        "server_errors": part.server_errors,
        "bytes_out": part.bytes_out,
        "heat": dict(sorted(part.heat.items())),
    }


def heat(parts: Iterable[dict[int, int]]) -> list[int]:
    """Return the rows of the heat map: bits of microseconds, from the least to the most."""
    bits = {bit for part in parts for bit in part}
    return list(range(min(bits), max(bits) + 1)) if bits else []
