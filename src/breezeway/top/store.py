"""Statuses in, readings out: what a view shows is worked out here, without a view and without a clock.

The first status only has the workers begin to count, which takes them up to a second; numbers are
differences from the second one on. After a gap, and with another supervisor, it is the same again.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from breezeway.ctl_view import clean
from breezeway.observe import span
from breezeway.observe.span import SHARES, Span, Status
from breezeway.top import events
from breezeway.top.events import Event

KEPT_MOMENTS: Final = 600
"""How much of the past is kept for the curves: as many columns as the widest terminal has."""

KEPT_SPANS: Final = 20
"""Enough for the longer window."""

KEPT_EVENTS: Final = 100

RECENT_SECONDS: Final = 10.0
"""The longer of the two windows."""

WORKER_SECONDS: Final = 3.0
"""The window for the rate of one worker, which tells its count about once a second."""

GAP_SECONDS: Final = 5.0
"""After so long without a status the workers may have stopped counting."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One second in the curves: rates, and quantiles in seconds, which are NaN without requests."""

    requests: float
    errors: float
    p50: float
    p90: float
    p99: float
    queue: float
    """The 99th percentile of the time until a thread took a request."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A row of the table."""

    number: int
    pid: int
    state: str
    generation: int
    age: float
    memory: int
    busy: int
    threads: int
    queued: int
    """Requests that wait for a thread."""
    connections: int
    connection_states: Mapping[str, int]
    """How many of them are in which state; empty if the server does not tell."""
    requests: int
    rate: float
    """Requests a second; NaN before it is known."""

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        names = (name for name in self.__slots__ if name != "rate")
        rate = None if math.isnan(self.rate) else round(self.rate, 3)
        return {name: getattr(self, name) for name in names} | {"requests_per_second": rate}


@dataclass(frozen=True, slots=True)
class Reading:
    """All that there is to show at one moment; text is without control characters."""

    at: float
    """Unix time of the server."""
    application: str
    version: str
    state: str
    pid: int
    generation: int
    uptime: float
    listeners: tuple[str, ...]
    wanted: int
    deaths: int
    reloads: int
    failed_reloads: int
    workers: tuple[Worker, ...]
    now: Span
    """The last second."""
    recent: Span
    """The last ten."""
    history: tuple[Moment, ...]
    """Second by second, the newest last; empty until something is measured."""
    news: tuple[Event, ...]
    """What has happened since the reading before."""

    @property
    def measured(self) -> bool:
        """Whether there are rates yet."""
        return bool(self.history)

    @property
    def ready(self) -> int:
        """How many workers serve."""
        return sum(each.state == "ready" for each in self.workers)

    @property
    def busy(self) -> int:
        """How many threads are in a request."""
        return sum(each.busy for each in self.workers)

    @property
    def threads(self) -> int:
        """How many threads there may be."""
        return sum(each.threads for each in self.workers)

    @property
    def queued(self) -> int:
        """How many requests wait for a thread."""
        return sum(each.queued for each in self.workers)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return sum(each.connections for each in self.workers)

    @property
    def connection_states(self) -> Counter[str]:
        """How many connections are in which state, as of a second ago."""
        found: Counter[str] = Counter()
        for each in self.workers:
            found.update(each.connection_states)
        return found

    @property
    def memory(self) -> int:
        """Resident memory of all workers, in bytes; what they share is counted for each."""
        return sum(each.memory for each in self.workers)

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        plain = ("application", "version", "state", "pid", "generation", "uptime", "wanted")
        counted = ("deaths", "reloads", "failed_reloads", "ready", "busy", "threads", "queued")
        return {
            "at": round(self.at, 3),
            **{name: getattr(self, name) for name in (*plain, *counted, "connections", "memory")},
            "connection_states": dict(self.connection_states),
            "listeners": list(self.listeners),
            "last_second": self.now.as_dict() if self.measured else None,
            "last_10_seconds": self.recent.as_dict() if self.measured else None,
            "workers": [each.as_dict() for each in self.workers],
        }


class Store:
    """Keeps what was, and makes readings of it."""

    def __init__(self) -> None:
        self._last: Status | None = None
        self._warm = False
        """Whether the workers counted all the time until the last status."""
        self._spans: deque[Span] = deque(maxlen=KEPT_SPANS)
        self._moments: deque[Moment] = deque(maxlen=KEPT_MOMENTS)
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        """The newest last; who finds out what no status tells appends it."""
        self._counted: dict[int, deque[tuple[float, int]]] = {}
        """By pid of a worker: at which uptime it had answered how many requests."""

    def add(self, status: Status, told: Iterable[dict[str, Any]] = ()) -> Reading:
        """Take a status, and the events that were told with it; return what there is to show now."""
        last, self._last = self._last, status
        news = list(events.logged(told))
        if last is not None:
            news += events.between(last, status)
            step = status.get("uptime", 0.0) - last.get("uptime", 0.0)
            if last.get("pid") != status.get("pid") or not 0 < step <= GAP_SECONDS:
                self._warm = False
                for past in (self._spans, self._moments, self._counted):
                    past.clear()
            elif self._warm:
                found = span.between(last, status)
                self._spans.append(found)
                self._moments.append(_moment(found))
            else:
                self._warm = True
        news.sort(key=lambda each: each.at)
        self.events.extend(news)
        return self._reading(status, news)

    def _reading(self, status: Status, news: Iterable[Event]) -> Reading:
        uptime = float(status.get("uptime", 0.0))
        spans = self._spans
        return Reading(
            at=status.get("started", 0.0) + uptime,
            application=clean(status.get("application", "?")),
            version=clean(status.get("version", "?")),
            state=clean(status.get("state", "unknown")),
            pid=status.get("pid", 0),
            generation=status.get("generation", 0),
            uptime=uptime,
            listeners=tuple(map(clean, status.get("listeners", ()))),
            wanted=status.get("wanted", 0),
            deaths=status.get("deaths", 0),
            reloads=status.get("reloads", 0),
            failed_reloads=status.get("failed_reloads", 0),
            workers=self._workers(status.get("workers", ()), uptime),
            now=spans[-1] if spans else Span(),
            recent=span.together(_last_seconds(spans, RECENT_SECONDS)),
            history=tuple(self._moments),
            news=tuple(news),
        )

    def _workers(self, rows: Iterable[Status], uptime: float) -> tuple[Worker, ...]:
        found, counted = [], {}
        for row in rows:
            pid, requests = row.get("pid", 0), row.get("requests") or 0
            counted[pid] = past = self._counted.get(pid) or deque()
            while past and uptime - past[0][0] > WORKER_SECONDS:
                past.popleft()
            rate = math.nan
            if past and uptime > past[0][0]:
                rate = max(0, requests - past[0][1]) / (uptime - past[0][0])
            past.append((uptime, requests))
            found.append(_worker(row, rate))
        self._counted = counted
        return tuple(sorted(found, key=lambda each: (each.number, each.age)))


def _moment(found: Span) -> Moment:
    p50, p90, p99 = map(found.latency, SHARES)
    return Moment(found.requests, found.errors, p50, p90, p99, found.queue(0.99))


def _worker(row: Status, rate: float) -> Worker:
    counts = ("generation", "memory", "busy", "threads", "queued", "connections", "requests")
    return Worker(
        number=row.get("number", 0),
        pid=row.get("pid", 0),
        state=clean(row.get("state", "unknown")),
        age=row.get("age") or 0.0,
        rate=rate,
        connection_states=row.get("connection_states") or {},
        **{name: row.get(name) or 0 for name in counts},
    )


def _last_seconds(spans: Iterable[Span], seconds: float) -> list[Span]:
    """Return the newest spans that have so many seconds together, about."""
    chosen: list[Span] = []
    left = seconds
    for each in reversed(list(spans)):
        if left < each.seconds / 2:
            break
        chosen.append(each)
        left -= each.seconds
    return chosen
