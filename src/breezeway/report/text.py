"""The report for a terminal: tables, and charts of block characters."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import click

from breezeway.report import wording
from breezeway.report.summary import Numbers

ROWS: Final = 15
"""Rows of each table; the page has more of them."""

LEAST_NAME: Final = 20
"""Columns for a name, however narrow the terminal is."""

SPARE: Final = ("BYTES", "P90", "P95", "MOST", "QUEUE", "4XX", "P50", "STATUS")
"""Columns that a narrow terminal does without, in this order."""

HEAT_ROWS: Final = 12

GAP: Final = "  "
BARS: Final = " ▁▂▃▄▅▆▇█"
SHADES: Final = " ·░▒▓█"

Column = tuple[str, Callable[[dict[str, Any]], str]]


def report(numbers: Numbers, width: int) -> str:
    """Return the report in lines of about `width` columns."""
    sections = [
        _head(numbers, width),
        _traffic(numbers["timeline"], width),
        _durations(numbers, width),
        _heat(numbers["timeline"], width),
        _statuses(numbers, width),
        _routes(numbers, width),
        _slowest(numbers, width),
        _errors(numbers, width),
        _names("Clients", "CLIENT", numbers["clients"], numbers["requests"], width),
        _names("Programs", "PROGRAM", numbers["programs"], numbers["requests"], width),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _title(text: str) -> str:
    return click.style(text, bold=True)


def _head(numbers: Numbers, width: int) -> list[str]:
    names = ", ".join(map(wording.clean, numbers["files"]))
    said = [line for each in wording.head(numbers) for line in textwrap.wrap(each, width)]
    notes = [
        click.style(line, fg="yellow")
        for note in wording.notes(numbers)
        for line in textwrap.wrap(note, width)
    ]
    return [_title(names), *said, *notes]


def _traffic(timeline: Numbers, width: int) -> list[str]:
    parts = timeline["parts"]
    rows = [
        ("requests", [part["requests"] for part in parts], None),
        ("4xx", [part["client_errors"] for part in parts], "yellow"),
        ("5xx", [part["server_errors"] for part in parts], "red"),
        ("bytes", [part["bytes_out"] for part in parts], "cyan"),
    ]
    step = wording.span(timeline["seconds"])
    room = width - len("  requests   at most 10,000,000 in 15 min")
    lines = [_title("Traffic")]
    for name, values, colour in rows:
        if most := max(values):
            bars = click.style(_bars(_fit(values, room)), fg=colour)
            top = wording.size(most) if name == "bytes" else wording.number(most)
            lines.append(f"{GAP}{name:<9}{bars}  at most {top} in {step}")
    begin, end = (wording.moment(parts[n]["time"], timeline["seconds"]) for n in (0, -1))
    columns = len(_fit([0.0] * len(parts), room))
    lines.append(f"{GAP}{'':<9}{begin}{end:>{max(columns - len(begin), len(end) + 1)}}")
    return lines


def _fit(values: Sequence[float], room: int) -> list[float]:
    """Join neighbours, when there are more values than columns."""
    joined = math.ceil(len(values) / max(room, 10))
    return [max(values[start : start + joined]) for start in range(0, len(values), joined)]


def _bars(values: Sequence[float]) -> str:
    """Draw values as bars; what is not 0 can be seen."""
    most = max(values)
    top = len(BARS) - 1
    return "".join(BARS[math.ceil(value / most * top)] for value in values)


def _durations(numbers: Numbers, width: int) -> list[str]:
    if numbers["duration"] is None:
        return []
    rows: list[dict[str, Any]] = []
    whole = numbers["duration"]["seconds"]
    for name, words in wording.PHASES.items():
        if found := numbers[name]:
            part = (
                wording.share(found["seconds"], whole)
                if name not in ("duration", "first_byte")
                else ""
            )
            rows.append({"name": words, "duration": found, "share": part})
    columns = [*_quantiles("0.5", "0.9", "0.95", "0.99"), ("SHARE", lambda row: row["share"])]
    least = len(wording.PHASES["sending"])
    return [_title("Time"), *_table("", columns, rows, width, least)]


def _quantiles(*shares: str) -> list[Column]:
    def column(which: str, title: str) -> Column:
        return (title, lambda row: wording.quantile(row["duration"], which))

    shown = [column(share, f"P{float(share) * 100:g}") for share in shares]
    return [*shown, column("most", "MOST")]


def _heat(timeline: Numbers, width: int) -> list[str]:
    rows = timeline["heat"]
    if not rows:
        return []
    step = math.ceil(len(rows) / HEAT_ROWS)
    joined = math.ceil(len(timeline["parts"]) / max(width - 16, 10))
    columns: list[dict[int, int]] = []
    for number, part in enumerate(timeline["parts"]):
        if number % joined == 0:
            columns.append({})
        for bits, count in part["heat"].items():
            row = (bits - rows[0]) // step
            columns[-1][row] = columns[-1].get(row, 0) + count
    most = max(max(column.values(), default=0) for column in columns)
    lines = [_title("Time over time: from few requests \u00b7 to many \u2588")]
    for row in reversed(range(math.ceil(len(rows) / step))):
        bound = wording.bits(rows[0] + (row + 1) * step - 1)
        shades = "".join(_shade(column.get(row, 0), most) for column in columns)
        lines.append(f"{GAP}< {bound:>7} {shades}")
    return lines


def _shade(count: int, most: int) -> str:
    """Choose a shade by the logarithm: the few slow ones matter most."""
    if not count:
        return SHADES[0]
    level = math.log(count + 1) / math.log(most + 1)
    return SHADES[max(1, round(level * (len(SHADES) - 1)))]


def _statuses(numbers: Numbers, width: int) -> list[str]:
    statuses = [(wording.status(each["status"]), each) for each in numbers["statuses"][:ROWS]]
    lines = [_title("Status"), *_shares(statuses, numbers["requests"], width)]
    if ends := [(wording.outcome(each["outcome"]), each) for each in numbers["outcomes"]]:
        lines += [_title("How responses ended"), *_shares(ends, numbers["requests"], width)]
    return lines


def _shares(named: Sequence[tuple[str, dict[str, Any]]], whole: int, width: int) -> list[str]:
    lines: list[str] = []
    for name, each in named:
        part = wording.share(each["requests"], whole)
        said = f"{name} {part} ({wording.number(each['requests'])})"
        if lines and len(lines[-1]) + len(said) + len(", ,") <= width:
            lines[-1] += f", {said}"
        else:
            lines.append(GAP + said)
    return [*(f"{line}," for line in lines[:-1]), *lines[-1:]]


def _count(key: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: wording.count(row[key])


def _routes(numbers: Numbers, width: int) -> list[str]:
    timed = numbers["duration"] is not None
    columns: list[Column] = [("REQUESTS", _count("requests"))]
    if timed:
        whole = numbers["duration"]["seconds"]
        columns.append(("TIME", lambda row: wording.share_of_time(row["duration"], whole)))
        columns += _quantiles("0.5", "0.95", "0.99")
    columns += [
        ("4XX", _count("client_errors")),
        ("5XX", _count("server_errors")),
        ("BYTES", lambda row: wording.size(row["bytes_out"])),
    ]
    order = "those that took most time in all" if timed else "those with the most requests"
    return [_title(f"Routes: {order}"), *_table("ROUTE", columns, _rows(numbers["routes"]), width)]


def _rows(table: Numbers) -> list[dict[str, Any]]:
    return wording.rows(table, ROWS)


def _slowest(numbers: Numbers, width: int) -> list[str]:
    rows = numbers["slowest"][:ROWS]
    if numbers["duration"] is None or not rows:
        return []
    for_table = [{**row, "name": f"{row['method']} {row['target']}"} for row in rows]
    columns: list[Column] = [
        ("DURATION", lambda row: wording.seconds(row["duration"])),
        ("QUEUE", lambda row: wording.seconds(row["queue"])),
        ("STATUS", lambda row: wording.status(row["status"])),
        ("TIME", lambda row: row["time"]),
    ]
    return [_title("Slowest requests"), *_table("REQUEST", columns, for_table, width)]


def _errors(numbers: Numbers, width: int) -> list[str]:
    rows = _rows(numbers["errors"])
    if not rows:
        return []
    columns: list[Column] = [
        ("STATUS", lambda row: wording.status(row["status"])),
        ("REQUESTS", _count("requests")),
    ]
    return [_title("Errors"), *_table("ROUTE", columns, rows, width)]


def _names(title: str, heading: str, table: Numbers, whole: int, width: int) -> list[str]:
    columns: list[Column] = [
        ("REQUESTS", _count("requests")),
        ("SHARE", lambda row: wording.share(row["requests"], whole)),
        ("4XX", _count("client_errors")),
        ("5XX", _count("server_errors")),
        ("BYTES", lambda row: wording.size(row["bytes_out"])),
    ]
    return [_title(title), *_table(heading, columns, _rows(table), width)]


def _table(
    heading: str,
    columns: Sequence[Column],
    rows: Iterable[dict[str, Any]],
    width: int,
    least: int = LEAST_NAME,
) -> list[str]:
    """Draw a table: a name to the left, cut where there is no room, and values to the right.

    Before a name is cut to less than `least` letters, columns are left out.
    """
    rows = list(rows)
    names = [wording.clean(row["name"]) for row in rows]
    values = {title: [write(row) for row in rows] for title, write in columns}
    longest = max(len(heading), *map(len, names))

    def room() -> int:
        sizes = (max(len(title), *map(len, cells)) for title, cells in values.items())
        return width - len(GAP) - sum(len(GAP) + size for size in sizes)

    for title in SPARE:
        if room() >= min(least, longest):
            break
        values.pop(title, None)
    space = min(max(LEAST_NAME, room()), longest)
    cells_of = [[title, *cells] for title, cells in values.items()]
    aligned = [[cell.rjust(max(map(len, cells))) for cell in cells] for cells in cells_of]
    titles, *lines = (GAP.join(cells) for cells in zip(*aligned, strict=True))
    drawn = [click.style(f"{GAP}{heading:<{space}}{GAP}{titles}", dim=True)]
    for name, line in zip(names, lines, strict=True):
        name = name if len(name) <= space else f"{name[: space - 3]}..."
        drawn.append(f"{GAP}{name:<{space}}{GAP}{line}")
    return drawn
