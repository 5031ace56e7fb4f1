"""How a report words numbers and what comes from a log, alike in a terminal and in a page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from breezeway.report.summary import Numbers

UNITS: Final = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
SPANS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))

LEAST: Final = 0.98e-6
"""Seconds; where the second bucket of the histograms begins, so that what is shorter can be 0."""

NO_RESPONSE: Final = "none"
"""In place of the status of a request that got no response."""

NOTHING: Final = "-"

OTHER: Final = "all others"

PHASES: Final = {
    "duration": "all of it",
    "queue": "waiting for a thread",
    "application": "in the application",
    "sending": "sending what the client did not take at once",
    "first_byte": "until the first byte left",
}
"""Members of a summary that are durations, and what they are."""

PARTS: Final = ("queue", "application", "sending")
"""Those that a duration is the sum of."""

OUTCOMES: Final = {
    "complete": "complete",
    "left": "the client left",
    "aborted": "broken off by the server",
    "timeout": "the client took too long",
}


def clean(value: object) -> str:
    """Write what could steer a terminal, end a line or turn its direction as an escape."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def number(value: float) -> str:
    """Write a count, or a rate with as many digits as matter."""
    if isinstance(value, int) or value >= 99.95:
        return f"{value:,.0f}"
    return "<0.001" if 0 < value < 0.001 else f"{value:.3g}"


def size(value: float) -> str:
    """Write a number of bytes."""
    for factor, unit in UNITS:
        if value >= 0.9995 * factor:  # from there on three digits would round up to it
            return (
                f"{value / factor:.3g} {unit}"
                if value < 999.5 * factor
                else f"{value / factor:,.0f} {unit}"
            )
    return f"{value} B"


def seconds(value: float | None) -> str:
    """Write a duration, with three digits."""
    if value is None:
        return NOTHING
    if value < LEAST:
        return "<1 us"
    if value < 0.000_999_5:
        return f"{value * 1e6:.0f} us"
    if value < 0.999_5:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.3g} s" if value < 999.5 else span(value)


def span(value: float) -> str:
    """Write a long time: its two greatest units."""
    rest, parts = round(value), []
    for factor, unit in SPANS:
        count, rest = divmod(rest, factor)
        if count:
            parts.append(f"{count:,} {unit}")
    if rest or not parts:
        parts.append(f"{rest} s")
    return " ".join(parts[:2])


def moment(second: int, width: int) -> str:
    """Write a time as precisely as parts of that many seconds are, in UTC."""
    try:
        found = datetime.fromtimestamp(second, UTC)
    except (ValueError, OverflowError, OSError):
        return str(second)
    if width >= 86_400:
        return f"{found:%d %b} {found.year}"
    return f"{found:%d %b %H:%M:%S}" if width < 60 else f"{found:%d %b %H:%M}"


def share(part: float, whole: float) -> str:
    """Write what share one number is of another."""
    if not whole or not part:
        return NOTHING if not part else "all"
    percent = 100 * part / whole
    return (
        f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f} %" if percent >= 0.1 else "<0.1 %"
    )


def bits(value: int) -> str:
    """Write the upper bound of a row of the heat map."""
    return seconds(2**value / 1e6)


def status(value: int | None) -> str:
    """Write a status code; 0 is that of a request without a response."""
    return NOTHING if value is None else str(value) if value else NO_RESPONSE


def quantile(numbers: Numbers | None, which: str) -> str:
    """Write a quantile of durations, or `most`."""
    if numbers is None or "quantiles" not in numbers:
        return NOTHING
    return seconds(numbers["most"] if which == "most" else numbers["quantiles"][which])


def notes(numbers: Numbers) -> list[str]:
    """Say what is not in the report, and why."""
    said = []
    if unreadable := numbers["unreadable"]:
        lines = "line" if unreadable == 1 else "lines"
        first = clean(numbers["first_unreadable"])
        said.append(f"{number(unreadable)} {lines} could not be read, the first: {first}")
    if numbers["unfinished"]:
        said.append(_unfinished(numbers["unfinished"]))
    if dropped := numbers["dropped"]:
        said.append(
            f"The log itself says that {number(dropped)} lines were dropped: it was too slow, or could"
            " not be written to."
        )
    if left_out := numbers["left_out"]:
        said.append(f"{number(left_out)} requests were left out, as you have asked for.")
    return said


def head(numbers: Numbers) -> list[str]:
    """Say in a few sentences what there is."""
    requests = numbers["requests"]
    long = span(numbers["last"] - numbers["first"] + 1)
    failed = sum(each["requests"] for each in numbers["statuses"] if each["status"] >= 500)
    timeline = numbers["timeline"]
    most = max(part["requests"] for part in timeline["parts"]) / timeline["seconds"]
    bytes_in = f", {size(numbers['bytes_in'])} received" if numbers["bytes_in"] else ""
    return [
        f"{number(requests)} request{'s' if requests != 1 else ''} in {long}:"
        f" {numbers['first_time']} to {numbers['last_time']}",
        f"{number(numbers['requests_per_second'])} requests/s;"
        f" {number(most)} in the busiest {span(timeline['seconds'])};"
        f" {share(failed, requests) if failed else 'none'} failed with 5xx",
        f"{size(numbers['bytes_out'])} sent{bytes_in}",
    ]


def outcome(value: str) -> str:
    """Say how a response ended."""
    return OUTCOMES.get(value, clean(value))


def count(value: int) -> str:
    """Write a number in a table."""
    return number(value) if value else NOTHING


def share_of_time(duration: Numbers | None, whole: float) -> str:
    """Write what share of all the time these durations are."""
    return share(duration["seconds"], whole) if duration else NOTHING


def rows(table: Numbers, limit: int) -> list[dict[str, Any]]:
    """Return so many rows of a table, and one for all others.

    The one has no quantiles of durations, for they cannot be added up.
    """
    shown: list[dict[str, Any]] = table["rows"][:limit]
    rest = [*table["rows"][limit:], *([table["other"]] if table["other"] else [])]
    if not rest:
        return shown
    other: dict[str, Any] = {"name": OTHER, "status": None, "duration": None}
    for name in ("requests", "bytes_out", "client_errors", "server_errors"):
        other[name] = sum(row[name] for row in rest)
    if known := [row["duration"]["seconds"] for row in rest if row.get("duration")]:
        other["duration"] = {"seconds": sum(known)}
    return [*shown, other]


def _unfinished(count: int) -> str:
    if count == 1:
        return "The last line is not whole; it is not counted."
    return f"{number(count)} lines are not whole; they are not counted."
