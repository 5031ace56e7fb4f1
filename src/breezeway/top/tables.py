"""The tables: workers and running requests, with as many columns as there is room for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from rich.text import Text

from breezeway import ctl_view
from breezeway.top import figures
from breezeway.top.painting import ACCENT, DIM, RED, YELLOW, fit, state_style
from breezeway.top.running import Request
from breezeway.top.store import Worker

SLOW_SECONDS: Final = 1.0
STUCK_SECONDS: Final = 10.0
"""A request that takes so long is shown in yellow, in red."""

MARK: Final = "▸"
"""Before the row that is chosen."""

CHOSEN: Final = "bold on #1b2a3a"

BAR_CELLS: Final = 8
MOST_BAR_CELLS: Final = 40
"""The bar that shows the share of a worker in the requests."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column; of those that do not fit into the width, the ones of the highest `rank` go first."""

    title: str
    width: int
    """Cells; 0 for what is left of the width."""
    rank: int
    cell: Callable[[Row], tuple[str, str]]
    """Returns text and style."""
    left: bool = False
    """Whether it stands on the left, as words do."""
    least: int = 24
    """Cells that it needs, if it has no width of its own."""


def table(
    columns: Sequence[Column[Row]], rows: Sequence[Row], chosen: int, width: int, height: int
) -> Text:
    """Show the head and the rows around the one that is chosen, which is marked; -1 for none."""
    shown = _that_fit(columns, width)
    first = first_shown(len(rows), chosen, height - 1)
    lines = [_line([(each.title, "") for each in shown], shown, width, DIM)]
    for at, row in enumerate(rows[first : first + height - 1], first):
        lines.append(_line([each.cell(row) for each in shown], shown, width, "", at == chosen))
    return Text("\n").join(lines)


def first_shown(count: int, chosen: int, height: int) -> int:
    """Return the first row that is shown, so that the chosen one is in the middle, if it can be."""
    return max(0, min(chosen - height // 2, count - height))


def workers(rows: Sequence[Worker], chosen: int, width: int, height: int) -> Text:
    """Show the workers."""
    most = max((each.rate for each in rows if not math.isnan(each.rate)), default=0.0)

    def share(row: Worker) -> tuple[str, str]:
        rate = 0.0 if math.isnan(row.rate) or not most else row.rate / most
        return figures.bar(rate, room)[0], ACCENT

    shown = _that_fit([*WORKER_COLUMNS, Column("", 0, 9, share, left=True, least=BAR_CELLS)], width)
    room = min(MOST_BAR_CELLS, width - _needed(shown[:-1]) - 1)
    return table(shown, rows, chosen, width, height)


def running(rows: Sequence[Request], chosen: int, width: int, height: int) -> Text:
    """Show the running requests."""
    if not rows:
        return fit([Text("none", DIM)], width)
    return table(REQUEST_COLUMNS, rows, chosen, width, height)


def _that_fit(columns: Sequence[Column[Row]], width: int) -> list[Column[Row]]:
    shown = list(columns)
    while len(shown) > 1 and _needed(shown) > width:
        shown.remove(max(shown, key=lambda each: each.rank))
    return shown


def _needed(columns: Sequence[Column[Row]]) -> int:
    """Return how wide they are together, with the mark and a gap before each."""
    return 1 + sum(1 + (each.width or each.least) for each in columns)


def _line(
    cells: Sequence[tuple[str, str]],
    columns: Sequence[Column[Row]],
    width: int,
    style: str,
    chosen: bool = False,
) -> Text:
    line = Text(MARK if chosen else " ", no_wrap=True)
    fixed = 1 + sum(1 + each.width for each in columns)
    for (text, colour), column in zip(cells, columns, strict=True):
        part = Text(text, colour or style)
        room = column.width or max(width - fixed, 0)
        part.truncate(room, overflow="ellipsis")
        padding = " " * (room - part.cell_len)
        line.append(" ")
        line.append_text(
            Text.assemble(part, padding) if column.left else Text.assemble(padding, part)
        )
    line.truncate(width)
    if chosen:
        line.stylize(CHOSEN)
    return line


def _state(row: Worker) -> tuple[str, str]:
    return row.state, state_style(row.state)


def _threads(row: Worker) -> tuple[str, str]:
    return f"{row.busy}/{row.threads}", RED if row.threads and row.busy >= row.threads else ""


def _rate(row: Worker) -> tuple[str, str]:
    return "-" if math.isnan(row.rate) else figures.number(row.rate), ""


def _seconds(row: Request) -> tuple[str, str]:
    style = RED if row.seconds >= STUCK_SECONDS else YELLOW if row.seconds >= SLOW_SECONDS else ""
    return ctl_view.duration(row.seconds), style


WORKER_COLUMNS: Final[tuple[Column[Worker], ...]] = (
    Column("#", 3, 0, lambda row: (str(row.number), DIM)),
    Column("PID", 8, 1, lambda row: (str(row.pid), "")),
    Column("STATE", 8, 2, _state, left=True),
    Column("GEN", 4, 8, lambda row: (str(row.generation), DIM)),
    Column("AGE", 7, 5, lambda row: (ctl_view.duration(row.age), "")),
    Column("MEMORY", 10, 4, lambda row: (ctl_view.memory(row.memory), "")),
    Column("BUSY", 7, 3, _threads),
    Column("WAIT", 5, 6, lambda row: (f"{row.queued:,}", YELLOW if row.queued else DIM)),
    Column("CONN", 6, 5, lambda row: (f"{row.connections:,}", "")),
    Column("REQUESTS", 11, 7, lambda row: (f"{row.requests:,}", DIM)),
    Column("REQ/S", 7, 1, _rate),
)

REQUEST_COLUMNS: Final[tuple[Column[Request], ...]] = (
    Column("FOR", 7, 0, _seconds),
    Column("PID", 8, 2, lambda row: (str(row.pid), DIM)),
    Column("REQUEST", 0, 1, lambda row: (row.line, ""), left=True),
    Column("IN", 32, 3, lambda row: (row.place, DIM), left=True),
)
