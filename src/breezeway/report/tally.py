"""Counts the requests that lines tell of.

A `Tally` is made for each piece of a log, by whatever process; those of the pieces are then added up
in their order, so that the report does not depend on who has read what.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from breezeway.report import lines
from breezeway.report.names import cut, path_of, program_of, route_of
from breezeway.report.tables import Durations, Part, Route, Row, Slowest, Table, Timeline

MOST_ROUTES: Final = 500
MOST_NAMES: Final = 1000
"""Rows of a table that are kept in any case; it may have twice as many."""

MOST_OUTCOMES: Final = 16
MEMO: Final = 10_000
"""Targets and other texts whose name in a table is known without thinking."""

BATCH: Final = 2000
"""Lines that are counted at a time."""

SHOWN_TARGET: Final = 300
SHOWN_LINE: Final = 160
"""Letters of a target, and of a line, that are kept to be shown."""

NO_REQUEST: Final = "(no request)"

CLIENT_ERROR: Final = 400
SERVER_ERROR: Final = 500

PHASES: Final = ("queue", "application", "sending", "first_byte")
"""Parts of a duration that a line may tell; the last one contains the first."""


class Selection(NamedTuple):
    """Which requests are counted: since a second, until before another, with paths below a prefix."""

    since: int | None = None
    until: int | None = None
    path: str = ""

    def has_path(self, path: str) -> bool:
        """Tell whether it is the prefix or below it."""
        prefix = self.path.rstrip("/")
        return path == prefix or path.startswith(f"{prefix}/")


class Tally:
    """What was counted; `unreadable` lines are no requests, `left_out` ones were not selected."""

    def __init__(self) -> None:
        self.requests = self.left_out = self.unreadable = self.unfinished = self.dropped = 0
        self.first_unreadable = ""
        self.bytes_in = self.bytes_out = 0
        self.first: int | None = None
        self.last: int | None = None
        self.statuses: dict[int, int] = {}
        self.outcomes: dict[str, int] = {}
        self.phases = {name: Durations() for name in PHASES}
        self.routes: Table[str, Route] = Table(MOST_ROUTES, Route)
        self.errors: Table[tuple[str, int], Row] = Table(MOST_ROUTES, Row)
        self.clients: Table[str, Row] = Table(MOST_NAMES, Row)
        self.programs: Table[str, Row] = Table(MOST_NAMES, Row)
        self.timeline = Timeline()
        self.slowest = Slowest()

    def settle(self) -> None:
        """Sort all durations into histograms; to be called before anything is read or merged."""
        for phase in self.phases.values():
            phase.settle()
        for row in (*self.routes.rows.values(), self.routes.other):
            row.durations.settle()
        self.timeline.settle()

    def merge(self, other: Tally) -> None:
        """Add what was counted in the next piece; both are settled."""
        for name in (
            "requests",
            "left_out",
            "unreadable",
            "unfinished",
            "dropped",
            "bytes_in",
            "bytes_out",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first_unreadable = self.first_unreadable or other.first_unreadable
        if other.first is not None and other.last is not None:
            self.span(other.first, other.last)
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        for outcome, count in other.outcomes.items():
            self.outcome(outcome, count)
        for name, phase in self.phases.items():
            phase.merge(other.phases[name])
        self.routes.merge(other.routes)
        self.errors.merge(other.errors)
        self.clients.merge(other.clients)
        self.programs.merge(other.programs)
        self.timeline.merge(other.timeline)
        self.slowest.merge(other.slowest.requests)

    def span(self, first: int, last: int) -> None:
        """Note that there are requests from one second to another."""
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def outcome(self, outcome: str, count: int) -> None:
        """Count requests that ended so."""
        if outcome not in self.outcomes and len(self.outcomes) >= MOST_OUTCOMES:
            outcome = "other"
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count

    def unread(self, line: str, *, last: bool) -> None:
        """Count a line that is no request; the last one of a file may be one that is not whole yet."""
        if not line or line.isspace():
            return
        if (dropped := lines.dropped(line)) is not None:
            self.dropped += dropped
        elif last:
            self.unfinished += 1
        else:
            self.unreadable += 1
            self.first_unreadable = self.first_unreadable or line[:SHOWN_LINE]

    def count(self, text: str, selection: Selection) -> None:
        """Count the lines of a text."""
        counting = _Counting(self, selection)
        texts = text.split("\n")
        unfinished = texts.pop()
        for start in range(0, len(texts), BATCH):
            counting.count(texts[start : start + BATCH])
        if unfinished:
            counting.count([unfinished], last=True)


class _Counting:
    """The way from lines to rows, and what it remembers from one line to the next."""

    def __init__(self, tally: Tally, selection: Selection) -> None:
        self._tally = tally
        self._selection = selection
        self._selects = selection != Selection()
        self._routes: dict[tuple[str, str], str] = {}
        self._programs: dict[str, str] = {}

    def count(self, texts: list[str], *, last: bool = False) -> None:
        """Count lines; with `last`, they may be such that are not whole."""
        records = []
        for text in texts:
            if record := lines.record(text):
                records.append(record)
            else:
                self._tally.unread(text, last=last)
        if self._selects:
            selected = [record for record in records if self._has(record)]
            self._tally.left_out += len(records) - len(selected)
            records = selected
        if records:
            self._add_columns(records)
            self._add_rows(records)

    def _has(self, record: lines.Record) -> bool:
        since, until, path = self._selection
        return (
            (since is None or record[0] >= since)
            and (until is None or record[0] < until)
            and (not path or self._selection.has_path(path_of(record[3])))
        )

    def _add_columns(self, records: list[lines.Record]) -> None:
        """Add what is counted for all requests together."""
        tally = self._tally
        seconds, _, _, _, _, outcomes, statuses, received, sent, _, *phases = zip(
            *records, strict=True
        )
        tally.requests += len(records)
        tally.bytes_in += sum(received) + received.count(lines.UNKNOWN)
        tally.bytes_out += sum(sent) + sent.count(lines.UNKNOWN)
        tally.span(min(seconds), max(seconds))
        for status, count in Counter(statuses).items():
            tally.statuses[status] = tally.statuses.get(status, 0) + count
        for outcome, count in Counter(outcomes).items():
            tally.outcome(cut(outcome), count)
        for phase, column in zip(tally.phases.values(), phases, strict=True):
            phase.pending += column

    def _add_rows(self, records: list[lines.Record]) -> None:
        """Add what is counted for each route, client, program and part of the time."""
        tally = self._tally
        timeline, slowest = tally.timeline, tally.slowest
        names, programs = self._routes, self._programs
        routes, clients, agents = tally.routes.rows, tally.clients.rows, tally.programs.rows
        at, part = None, Part()
        for record in records:
            second, client, method, target, agent, outcome, status, _, sent, duration = record[:10]
            if sent < 0:  # not known
                sent = 0
            if second != at:
                at, part = second, timeline.part(second)
            name = names.get((method, target)) or self._route(method, target)
            program = programs.get(agent) or self._program(agent)
            route = routes.get(name) or tally.routes.row(name)
            rows = (
                route,
                clients.get(client) or tally.clients.row(cut(client)),
                agents.get(program) or tally.programs.row(program),
                part,
            )
            for row in rows:
                row.requests += 1
                row.bytes_out += sent
            route.durations.pending.append(duration)
            part.pending.append(duration)
            if status >= CLIENT_ERROR:
                tally.errors.row((name, status)).requests += 1
                for row in rows:
                    if status >= SERVER_ERROR:
                        row.server_errors += 1
                    else:
                        row.client_errors += 1
            if duration > slowest.floor:
                slowest.add(
                    (duration, second, cut(method), target[:SHOWN_TARGET], status, cut(client),
                     record[10], cut(outcome))
                )  # fmt: skip

    def _route(self, method: str, target: str) -> str:
        name = NO_REQUEST if target == "-" else cut(f"{method} {route_of(path_of(target))}")
        if len(target) <= SHOWN_TARGET:
            if len(self._routes) >= MEMO:
                self._routes.clear()
            self._routes[method, target] = name
        return name

    def _program(self, agent: str) -> str:
        program = program_of(agent)
        if len(agent) <= SHOWN_TARGET:
            if len(self._programs) >= MEMO:
                self._programs.clear()
            self._programs[agent] = program
        return program
