"""The report as one page of HTML, which needs nothing from elsewhere and runs no script.

Whatever comes from the log passes `wording.clean` and `html.escape`; the policy in the page's head forbids
all that could be loaded or run, in case it did not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

from breezeway import __version__
from breezeway.report import charts, wording
from breezeway.report.summary import Numbers

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

ROWS: Final = 50
"""Rows of each table."""

TITLES: Final = {
    "traffic": "Traffic",
    "time": "Time",
    "routes": "Routes",
    "slowest": "Slowest requests",
    "errors": "Errors",
    "responses": "Responses",
    "clients": "Clients",
    "programs": "Programs",
}

HEAT: Final = "How long requests took over time: the more of them, the stronger the colour"

Column = tuple[str, Callable[[dict[str, Any]], str]]
"""The heading of a column, and what makes its cells: `<td>` with all that is in it."""


def page(numbers: Numbers) -> str:
    """Return the page."""
    sections = {
        "traffic": _traffic(numbers),
        "time": _time(numbers),
        "routes": _routes(numbers),
        "slowest": _slowest(numbers),
        "errors": _errors(numbers),
        "responses": _responses(numbers),
        "clients": _names("Client", numbers["clients"], numbers["requests"]),
        "programs": _names("Program, by its User-Agent", numbers["programs"], numbers["requests"]),
    }
    shown = {name: body for name, body in sections.items() if body}
    names = ", ".join(wording.clean(each) for each in numbers["files"])
    links = "".join(f'<li><a href="#{name}">{TITLES[name]}</a></li>' for name in shown)
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{TITLES[name]}</h2>{inside}</section>'
        for name, inside in shown.items()
    )
    css = files(__package__).joinpath("page.css").read_text("utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>Report of {escape(names)}</title>'
        f"<style>{css}</style></head><body><header><h1>Report of {escape(names)}</h1>"
        f'{_head(numbers)}<nav aria-label="Sections"><ul>{links}</ul></nav></header><main>{body}</main>'
        f"<footer>Times are in UTC. Breezeway {__version__}, <code>breezeway report</code>.</footer>"
        "</body></html>\n"
    )


def _head(numbers: Numbers) -> str:
    duration, requests = numbers["duration"], numbers["requests"]
    failed = sum(each["requests"] for each in numbers["statuses"] if each["status"] >= 500)
    tiles = [
        ("Requests", wording.number(requests)),
        ("Requests/s", wording.number(numbers["requests_per_second"])),
        ("Failed with 5xx", wording.share(failed, requests) if failed else "none"),
        ("Sent", wording.size(numbers["bytes_out"])),
    ]
    if duration:
        tiles += [
            (f"{title} of the time", wording.quantile(duration, which))
            for which, title in (("0.5", "P50"), ("0.99", "P99"))
        ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in wording.notes(numbers))
    said = "".join(f'<p class="soft">{escape(line)}</p>' for line in wording.head(numbers))
    shown = "".join(f"<div><dt>{title}</dt><dd>{value}</dd></div>" for title, value in tiles)
    return f'{said}{f"<ul class=notes>{notes}</ul>" if notes else ""}<dl class="tiles">{shown}</dl>'


def _traffic(numbers: Numbers) -> str:
    timeline = numbers["timeline"]
    width = wording.span(timeline["seconds"])
    each = f"<span>each column is {width}</span>"
    drawn = [_figure(charts.key("fine", "requests") + each, charts.traffic(timeline))]
    if any(part["client_errors"] + part["server_errors"] for part in timeline["parts"]):
        keys = charts.key("client", "failed with 4xx") + charts.key("server", "with 5xx")
        drawn.append(_figure(keys, charts.failures(timeline)))
    drawn.append(_figure(charts.key("third", "bytes sent"), charts.volume(timeline)))
    columns = [
        _number("Requests", "requests"),
        _number("4xx", "client_errors"),
        _number("5xx", "server_errors"),
        _size(),
    ]
    rows = [
        {**part, "name": wording.moment(part["time"], timeline["seconds"])}
        for part in timeline["parts"]
    ]
    table = _table("Time", columns, rows, "Traffic")
    return f"{''.join(drawn)}<details><summary>The numbers</summary>{table}</details>"


def _figure(caption: str, chart: str) -> str:
    return f"<figure><figcaption>{caption}</figcaption>{chart}</figure>"


def _time(numbers: Numbers) -> str:
    if numbers["duration"] is None:
        return ""
    rows = [
        {"name": words, "duration": numbers[name]}
        for name, words in wording.PHASES.items()
        if numbers[name]
    ]
    parts = [
        (colour, wording.PHASES[name], numbers[name]["seconds"])
        for colour, name in zip(("second", "fine", "third"), wording.PARTS, strict=True)
        if numbers[name]
    ]
    columns = [*_quantiles("0.5", "0.9", "0.95", "0.99"), _spread(rows)]
    return (
        f"{charts.stack(parts) if parts else ''}{_table('Time', columns, rows, 'Quantiles')}"
        f"{_figure(HEAT, charts.heat(numbers['timeline']))}"
    )


def _routes(numbers: Numbers) -> str:
    rows = _rows(numbers["routes"])
    columns = [_number("Requests", "requests")]
    order = "Those with the most requests first."
    if duration := numbers["duration"]:
        order = (
            "Those that took most time in all first."
            " The box is from P50 to P99, the line ends at the longest."
        )
        columns += [
            _share_of_time(duration["seconds"]),
            *_quantiles("0.5", "0.95", "0.99"),
            _spread(rows),
        ]
    columns += [_number("4xx", "client_errors"), _bad("5xx", "server_errors"), _size()]
    return f'<p class="soft">{order}</p>{_table("Route", columns, rows, "Routes")}'


def _slowest(numbers: Numbers) -> str:
    if numbers["duration"] is None:
        return ""
    rows = [
        {**row, "name": f"{row['method']} {row['target']}"} for row in numbers["slowest"][:ROWS]
    ]
    columns: list[Column] = [
        ("Duration", lambda row: _cell(wording.seconds(row["duration"]))),
        ("Queue", lambda row: _cell(wording.seconds(row["queue"]))),
        ("Status", lambda row: _cell(wording.status(row["status"]))),
        ("Began", lambda row: _cell(row["time"])),
        ("Client", lambda row: _cell(row["client"])),
        ("Ended", lambda row: _cell(wording.outcome(row["outcome"]))),
    ]
    return _table("Request", columns, rows, "Slowest requests")


def _errors(numbers: Numbers) -> str:
    rows = _rows(numbers["errors"])
    columns = [_status(), _number("Requests", "requests")]
    return _table("Route", columns, rows, "Errors") if rows else ""


def _responses(numbers: Numbers) -> str:
    whole = numbers["requests"]
    columns = [_number("Requests", "requests"), _share(whole)]
    rows = [{**each, "name": wording.status(each["status"])} for each in numbers["statuses"][:ROWS]]
    ends = [{**each, "name": wording.outcome(each["outcome"])} for each in numbers["outcomes"]]
    return _table("Status", columns, rows, "Responses by status") + (
        _table("How it ended", columns, ends, "How responses ended") if ends else ""
    )


def _names(heading: str, table: Numbers, whole: int) -> str:
    columns = [
        _number("Requests", "requests"),
        _share(whole),
        _number("4xx", "client_errors"),
        _bad("5xx", "server_errors"),
        _size(),
    ]
    return _table(heading, columns, _rows(table), heading)


def _rows(table: Numbers) -> list[dict[str, Any]]:
    """Return the rows to show, and all others as one."""
    return wording.rows(table, ROWS)


def _cell(text: str, kind: str = "") -> str:
    return f"<td{kind}>{escape(wording.clean(text))}</td>"


def _number(heading: str, name: str) -> Column:
    return (heading, lambda row: _cell(wording.count(row[name])))


def _bad(heading: str, name: str) -> Column:
    return (
        heading,
        lambda row: _cell(wording.count(row[name]), ' class="bad"' if row[name] else ""),
    )


def _size() -> Column:
    return ("Bytes", lambda row: _cell(wording.size(row["bytes_out"])))


def _status() -> Column:
    return ("Status", lambda row: _cell(wording.status(row["status"])))


def _share(whole: int) -> Column:
    return ("Share", lambda row: _cell(wording.share(row["requests"], whole)))


def _share_of_time(whole: float) -> Column:
    return ("Of the time", lambda row: _cell(wording.share_of_time(row["duration"], whole)))


def _quantiles(*shares: str) -> list[Column]:
    def column(which: str, title: str) -> Column:
        return (title, lambda row: _cell(wording.quantile(row["duration"], which)))

    shown = [column(share, f"P{float(share) * 100:g}") for share in shares]
    return [*shown, column("most", "Most")]


def _spread(rows: Iterable[dict[str, Any]]) -> Column:
    found = [row["duration"] for row in rows if _has_quantiles(row)]
    least = max(1e-6, min((each["quantiles"]["0.5"] for each in found), default=1.0))
    most = max((each["most"] for each in found), default=1.0)

    def cell(row: dict[str, Any]) -> str:
        duration = row["duration"]
        return f"<td>{charts.spread(duration, least, most) if _has_quantiles(row) else ''}</td>"

    return ("From P50 to P99", cell)


def _has_quantiles(row: dict[str, Any]) -> bool:
    """All others together have none, nor have requests of unknown durations."""
    return row["duration"] is not None and "quantiles" in row["duration"]


def _table(
    heading: str, columns: Sequence[Column], rows: Iterable[dict[str, Any]], caption: str
) -> str:
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title, _ in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(wording.clean(row["name"]))}</th>'
        f"{''.join(make(row) for _, make in columns)}</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{escape(caption)}"><table><thead><tr>'
        f'<th scope="col">{escape(heading)}</th>{titles}</tr></thead><tbody>{body}</tbody></table></div>'
    )
