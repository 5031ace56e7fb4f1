"""Readings as coloured text: each function makes the lines of one panel, never wider than it is.

Colours mean something: red is what somebody has to look at, yellow what is about to change, green what
is well. Nothing is said by colour alone, for there are terminals without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.text import Text

from breezeway import ctl_view
from breezeway.observe.span import CLASSES
from breezeway.top import figures
from breezeway.top.events import BAD, GOOD, WARNING, Event
from breezeway.top.store import Moment, Reading

DIM: Final = "#7d8da1"
ACCENT: Final = "#56c8b4"
BLUE: Final = "#6cb6ff"
GREEN: Final = "#86d183"
YELLOW: Final = "#e8c268"
RED: Final = "bold #ff6b74"
BOLD: Final = "bold"

STATES: Final = {"green": GREEN, "yellow": YELLOW, "red": RED}
"""The colours of `ctl_view` as they are here."""

EVENTS: Final = {GOOD: GREEN, BAD: RED, WARNING: YELLOW}
CLASS_STYLES: Final = {"2xx": GREEN, "3xx": BLUE, "4xx": YELLOW, "5xx": RED, "none": RED}

QUANTILES: Final = (("p50", 0.5, GREEN), ("p90", 0.9, YELLOW), ("p99", 0.99, "#ff9f5a"))

GAP: Final = "  "
LEAST_CURVE: Final = 6
"""Columns; a shorter curve says nothing."""

EMPTY: Final = "#33404f"
"""Of a bar, the part that is not full."""

NARROW: Final = 40
"""Below so many columns the time of the day is left out if need be."""

WIDE: Final = 100
WIDE_BAR: Final = 24
NARROW_BAR: Final = 12

LONG_WAIT: Final = 0.005
"""Seconds that a thread waits for the GIL or a core, on average, from which on that is worth a look."""

SHORT_STATES: Final = {"reading_head": "head", "reading_body": "body"}
"""Names of states of connections that are shorter than those in the status."""

FULL_SHARE: Final = 0.9
"""So many of the threads busy are worth a look."""


def state_style(state: str) -> str:
    """Return the style of the state of a server or a worker."""
    return STATES.get(ctl_view.COLOURS.get(state, ""), "")


def fit(pieces: Sequence[Text], width: int) -> Text:
    """Put pieces into a line with gaps; those that find no room, the last first, are left out."""
    line = Text(no_wrap=True)
    for piece in filter(None, pieces):
        gap = GAP if line else ""
        if line.cell_len + len(gap) + piece.cell_len > width:
            break
        line.append(gap)
        line.append_text(piece)
    if not line and pieces:
        line = pieces[0].copy()
        line.truncate(width, overflow="ellipsis")
    return line


def spread(left: Text, right: Text, width: int) -> Text:
    """Put two texts at both ends of a line; the right one only if there is room for it."""
    room = width - left.cell_len - right.cell_len
    if room >= len(GAP):
        return Text.assemble(left, " " * room, right)
    left.truncate(max(width, 0), overflow="ellipsis")
    return left


def clock(at: float) -> str:
    """Write the time of the day, UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def head(reading: Reading, trouble: str, paused: bool, width: int) -> Text:
    """Say which server it is and how it is; two lines. `trouble` is why it cannot be asked."""
    state, style = reading.state, state_style(reading.state)
    if trouble:
        state, style = "not there", RED
    pieces = [
        Text.assemble((reading.application, BOLD), GAP, (f"● {state}", style)),
        Text(f"up {ctl_view.duration(reading.uptime)}"),
        Text(f"pid {reading.pid}", DIM),
        Text(f"generation {reading.generation}", DIM),
        Text(f"Breezeway {reading.version}", DIM),
    ]
    now = Text(f"{clock(reading.at)} UTC", DIM)
    if paused:
        now = Text(" PAUSED ", "reverse")
    first = fit(pieces, width - now.cell_len - len(GAP) if width >= NARROW else width)
    first = spread(first, now, width)
    if trouble:
        second = Text(trouble, RED, no_wrap=True)
        second.truncate(width, overflow="ellipsis")
        return Text("\n").join([first, second])
    second = fit([*_counted(reading), *(Text(url, BLUE) for url in reading.listeners)], width)
    return Text("\n").join([first, second])


def traffic(reading: Reading, width: int, height: int) -> Text:
    """Show rates: requests with a graph, by class of the status, bytes, refusals."""
    now, rates = reading.now, [each.requests for each in reading.history]
    title = Text.assemble((figures.number(now.requests), BOLD), (" requests/s", DIM))
    if not reading.measured:
        title = Text("measuring …", DIM)
    most = Text(f"most {figures.number(max(rates, default=0.0))}", DIM)
    classes = []
    for name in CLASSES:
        rate = now.rate(now.classes[name])
        if rate or name in ("2xx", "4xx", "5xx"):
            style = CLASS_STYLES.get(name, "") if rate else DIM
            classes.append(Text.assemble((f"{name} ", DIM), (figures.number(rate), style)))
    flow = [
        Text.assemble(("in ", DIM), figures.size(now.rate(now.bytes_in)), ("/s", DIM)),
        Text.assemble(("out ", DIM), figures.size(now.rate(now.bytes_out)), ("/s", DIM)),
        *_refusals(reading),
    ]
    lines = figures.graph(rates, width, max(height - 3, 1)) if height > 3 else []
    return Text("\n").join(
        [
            spread(title, most, width),
            *(Text(line, ACCENT) for line in lines),
            fit(classes, width),
            fit(flow, width),
        ]
    )


def latency(reading: Reading, width: int, height: int) -> Text:
    """Show quantiles of the last second and the last ten, and errors, with their curves.

    What there is of height beyond a line for each makes the curve of the 99th percentile taller.
    """
    history, now, recent = reading.history, reading.now, reading.recent
    rows = [fit([Text(f"{'':6}{'1 s':>8}{'10 s':>8}", DIM)], width)]
    for name, share, style in QUANTILES:
        values = [figures.seconds(each.latency(share)) for each in (now, recent)]
        lines = max(1, height - 5) if share == QUANTILES[-1][1] else 1
        rows += _curve_rows(name, values, _series(history, name), style, width, lines)
    values = [figures.seconds(each.queue(0.99)) for each in (now, recent)]
    rows += _curve_rows("queue", values, _series(history, "queue"), BLUE, width, 1)
    values = [f"{figures.number(each.errors)}/s" for each in (now, recent)]
    errors = _curve_rows("errors", values, _series(history, "errors"), RED, width, 1)
    if recent.errors:
        errors[0].stylize(RED, 6, 22)
    return Text("\n").join([*rows, *errors])


def gauges(reading: Reading, width: int, height: int, *, brief: bool) -> Text:
    """Show threads, waits, connections and memory; in a second line the connections by state.

    `brief` is whether that is all there is room for: then rates come first.
    """
    share = reading.busy / reading.threads if reading.threads else 0.0
    full, rest = figures.bar(share, WIDE_BAR if width >= WIDE else NARROW_BAR)
    style = RED if share >= FULL_SHARE else GREEN
    busy = f" {reading.busy}/{reading.threads}"
    pieces = [
        Text.assemble(("threads ", DIM), (full, style), (rest, EMPTY), busy),
        Text.assemble(("waiting ", DIM), (f"{reading.queued:,}", YELLOW if reading.queued else "")),
    ]
    connections = Text.assemble(("connections ", DIM), f"{reading.connections:,}")
    wait = reading.recent.gil_wait
    gil = Text.assemble(("GIL ", DIM), (figures.seconds(wait), YELLOW if wait >= LONG_WAIT else ""))
    memory = Text.assemble(("memory ", DIM), ctl_view.memory(reading.memory))
    pieces += [gil, memory] if height > 1 else [connections, memory, gil]
    if brief:
        p99 = figures.seconds(reading.recent.latency(0.99))
        pieces[:0] = [
            Text.assemble((figures.number(reading.now.requests), BOLD), (" requests/s", DIM)),
            Text.assemble(("p99 ", DIM), p99),
            Text.assemble(("errors ", DIM), f"{figures.number(reading.recent.errors)}/s"),
        ]
    line = fit(pieces, width)
    if height > 1:
        line = Text("\n").join([line, fit([connections, *_states(reading)], width)])
    return line


def _states(reading: Reading) -> list[Text]:
    """Count the connections by state."""
    return [
        Text.assemble(
            (f"{SHORT_STATES.get(name) or ctl_view.clean(name)} ", DIM),
            (f"{count:,}", "" if count else DIM),
        )
        for name, count in reading.connection_states.items()
    ]


def events(found: Sequence[Event], width: int, height: int) -> Text:
    """Show the newest events, the newest at the top."""
    lines = []
    for each in list(reversed(found))[:height]:
        line = Text.assemble((clock(each.at), DIM), GAP, (each.text, EVENTS.get(each.kind, "")))
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return Text("\n").join(lines) if lines else fit([Text("nothing yet", DIM)], width)


def _counted(reading: Reading) -> list[Text]:
    ready = f"{reading.ready}/{reading.wanted} workers ready"
    pieces = [Text(ready, GREEN if reading.ready >= reading.wanted else YELLOW)]
    for name, one, more in ctl_view.COUNTED:
        if count := getattr(reading, name):
            style = "" if name == "reloads" else RED
            pieces.append(Text(f"{count} {one if count == 1 else more}", style))
    return pieces


def _refusals(reading: Reading) -> list[Text]:
    """Count what was refused in the last seconds, and name what was refused most."""
    refused = reading.recent.refused
    if not refused:
        return [Text("refused 0", DIM)]
    rate = figures.number(reading.recent.refusals)
    ((name, _),) = refused.most_common(1)
    return [
        Text.assemble(("refused ", DIM), (f"{rate}/s", YELLOW)),
        Text(ctl_view.clean(name), DIM),
    ]


def _series(history: Sequence[Moment], name: str) -> list[float]:
    return [getattr(each, name) for each in history]


def _curve_rows(
    name: str, values: Sequence[str], series: Sequence[float], style: str, width: int, height: int
) -> list[Text]:
    """Make a row: a name, two values, and a curve, of so many lines, where there is room for one."""
    label = f"{name:6}{values[0]:>8}{values[1]:>8}{GAP}"
    room = width - len(label)
    most = max((each for each in series if not math.isnan(each)), default=0.0)
    curves = [""] * height
    if room >= LEAST_CURVE and most > 0:
        curves = figures.graph(series, room, height)
    rows = []
    for at, curve in enumerate(curves):
        is_last = at == height - 1
        row = Text.assemble(label if is_last else " " * len(label), (curve, style))
        row.stylize(DIM, 0, len(name) if is_last else 0)
        row.truncate(width)
        rows.append(row)
    return rows
