"""The metrics: one table, over what the control command `status` answers.

Each row says what a metric is and how it is read from a status, so that Prometheus, statsd,
OpenTelemetry and the reference page name the same numbers. A status comes from JSON, perhaps of a
server of another version: what is missing there counts as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from breezeway.observe.entry import NO_THREAD
from breezeway.observe.histogram import buckets_until
from breezeway.observe.tally import CLASSES

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
HISTOGRAM: Final = "histogram"
SUMMARY: Final = "summary"
INFO: Final = "info"

BOUNDS: Final = tuple(2.0**power for power in range(-13, 7))
"""Upper bounds of the buckets that are told, in seconds: 0.12 ms to 64 s. The powers of two are bounds
of the buckets that are counted (`histogram`), and so the counts are exact."""

SHOWN_CLASSES: Final = CLASSES[2:]
"""Of a method that has occurred each of these is told, also with zero: a rate needs a first value."""

Status = dict[str, Any]


@dataclass(frozen=True)
class Distribution:
    """What was measured: how many, their sum, and how many are in which bucket of `histogram`."""

    count: int
    sum: float
    buckets: Mapping[int, int] = field(default_factory=dict)

    def below(self, bound: float) -> int:
        """Count those up to a bound; it is exact if a bucket ends there."""
        limit = buckets_until(bound)
        return sum(count for at, count in self.buckets.items() if at < limit)

    def since(self, before: Distribution) -> Distribution:
        """Return what was measured since then."""
        added = {at: count - before.buckets.get(at, 0) for at, count in self.buckets.items()}
        return Distribution(
            self.count - before.count,
            self.sum - before.sum,
            {at: count for at, count in added.items() if count},
        )


Sample = tuple[tuple[str, ...], float | Distribution]
"""The values of the labels, and what was counted or measured."""


@dataclass(frozen=True)
class Metric:
    """A row of the table."""

    name: str
    """As OpenMetrics has it: without `_total` and `_info`."""
    kind: str
    help: str
    read: Callable[[Status], Iterable[Sample]]
    labels: tuple[str, ...] = ()
    unit: str = ""
    """`seconds` or `bytes`; the name ends with it."""
    bounds: tuple[float, ...] = ()
    """Those of a histogram, in ascending order."""

    @property
    def is_distribution(self) -> bool:
        """Whether its samples are distributions."""
        return self.kind in (HISTOGRAM, SUMMARY)


# --- how rows are read ---------------------------------------------------------------------------


def _value(*path: str) -> Callable[[Status], Iterable[Sample]]:
    """Read one number; what is not there is not told."""

    def read(status: Status) -> Iterator[Sample]:
        found: Any = status
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if found is not None:
            yield (), found

    return read


def _counted(
    where: str, prefix: str, known: Iterable[str] = ()
) -> Callable[[Status], Iterable[Sample]]:
    """Read the counters whose names begin so; those that are `known` also with zero."""

    def read(status: Status) -> Iterator[Sample]:
        found = dict.fromkeys(known, 0)
        for name, count in status.get(where, {}).items():
            if name.startswith(prefix):
                found[name.removeprefix(prefix)] = count
        for name in sorted(found):
            yield (name,), found[name]

    return read


def _of_workers(name: str) -> Callable[[Status], Iterable[Sample]]:
    """Read a field of each worker."""

    def read(status: Status) -> Iterator[Sample]:
        for worker in status.get("workers", ()):
            if name in worker:
                yield (str(worker["number"]),), worker[name]

    return read


def _distribution(name: str) -> Callable[[Status], Iterable[Sample]]:
    def read(status: Status) -> Iterator[Sample]:
        found = status.get("metrics", {}).get(name)
        if found is not None:
            yield (), Distribution(found["count"], found["seconds"], dict(found.get("buckets", ())))

    return read


def _build(status: Status) -> Iterator[Sample]:
    yield (str(status.get("version", "")), str(status.get("python", ""))), 1


def _requests(status: Status) -> Iterator[Sample]:
    found = {
        (each["method"], each["status"]): each["count"]
        for each in status.get("metrics", {}).get("requests", ())
    }
    methods = sorted({method for method, _ in found} | {"GET"})
    for method in methods:
        for name in CLASSES:
            if (method, name) in found or name in SHOWN_CLASSES:
                yield (method, name), found.get((method, name), 0)


def _refusals(status: Status) -> Iterator[Sample]:
    found = {("503", NO_THREAD): 0}  # whoever is alerted by it wants to see the first one
    for each in status.get("refusals", ()):
        found[str(each["status"]), each["reason"]] = each["count"]
    yield from found.items()


def _deaths(status: Status) -> Iterator[Sample]:
    found = dict.fromkeys(_CAUSES, 0)
    for each in status.get("death_causes", ()):
        found[each["cause"]] = found.get(each["cause"], 0) + each["count"]
    for cause, count in found.items():
        yield (cause,), count


def _reloads(status: Status) -> Iterator[Sample]:
    yield ("ok",), status.get("reloads", 0)
    yield ("failed",), status.get("failed_reloads", 0)


def _workers(status: Status) -> Iterator[Sample]:
    found = dict.fromkeys(("starting", "ready", "retiring", "hung"), 0)
    for worker in status.get("workers", ()):
        found[worker["state"]] = found.get(worker["state"], 0) + 1
    for state, count in found.items():
        yield (state,), count


def _worker_starts(status: Status) -> Iterator[Sample]:
    now = status.get("started", 0) + status.get("uptime", 0)
    for worker in status.get("workers", ()):
        yield (str(worker["number"]),), round(now - worker["age"], 3)


def _connections(status: Status) -> Iterator[Sample]:
    found: dict[str, int] = {}
    for worker in status.get("workers", ()):
        for state, count in worker.get("connection_states", {}).items():
            found[state] = found.get(state, 0) + count
    for state, count in found.items():
        yield (state,), count


def _threads(status: Status) -> Iterator[Sample]:
    for worker in status.get("workers", ()):
        for state in ("busy", "spare"):
            if state in worker:
                yield (str(worker["number"]), state), worker[state]


def _others(status: Status) -> Iterator[Sample]:
    for name, count in status.get("counters", {}).items():
        if not name.startswith(_FAMILIES) and name not in _OF_THEIR_OWN:
            yield (name,), count


_FAMILIES: Final = ("refused.", "limit.", "timeout.", "tls.")
_OF_THEIR_OWN: Final = ("aborted", "internal_error")
_CAUSES: Final = ("boot", "exit", "hang", "out_of_memory", "signal", "unknown")
_LIMITS: Final = ("client", "connections", "idle", "lingering", "slow_head", "unsent")
_TLS_REASONS: Final = ("broken", "handshake", "plain_http")
_TIMEOUTS: Final = ("body", "body_rate", "head", "layer", "request", "send", "send_rate")


def _own(name: str) -> Callable[[Status], Iterable[Sample]]:
    def read(status: Status) -> Iterator[Sample]:
        yield (), status.get("counters", {}).get(name, 0)

    return read


# --- the table -----------------------------------------------------------------------------------

METRICS: Final = (
    Metric(
        "breezeway_build",
        INFO,
        "Versions of Breezeway and of Python.",
        _build,
        ("version", "python"),
    ),
    Metric(
        "breezeway_start_time_seconds",
        GAUGE,
        "When the server was started, in Unix time.",
        _value("started"),
        unit="seconds",
    ),
    Metric(
        "breezeway_requests",
        COUNTER,
        "Responses, by method and class of the status; `none` are requests that got none.",
        _requests,
        ("method", "status"),
    ),
    Metric(
        "breezeway_request_bytes",
        COUNTER,
        "Bytes of request heads and bodies.",
        _value("metrics", "bytes_in"),
        unit="bytes",
    ),
    Metric(
        "breezeway_response_body_bytes",
        COUNTER,
        "Bytes of response bodies.",
        _value("metrics", "bytes_out"),
        unit="bytes",
    ),
    Metric(
        "breezeway_request_duration_seconds",
        HISTOGRAM,
        "Time from a complete request to the last byte of its response.",
        _distribution("durations"),
        unit="seconds",
        bounds=BOUNDS,
    ),
    Metric(
        "breezeway_request_queue_seconds",
        HISTOGRAM,
        "Time from a complete request to the call of the application.",
        _distribution("queued"),
        unit="seconds",
        bounds=BOUNDS,
    ),
    Metric(
        "breezeway_refused_requests",
        COUNTER,
        "Requests that the server has refused, by status and reason: malformed, too large, too late.",
        _refusals,
        ("status", "reason"),
    ),
    Metric(
        "breezeway_limited_connections",
        COUNTER,
        "Connections refused or closed at a limit.",
        _counted("counters", "limit.", _LIMITS),
        ("limit",),
    ),
    Metric(
        "breezeway_timeouts",
        COUNTER,
        "Clients and requests that took too long, by what they were too late with.",
        _counted("counters", "timeout.", _TIMEOUTS),
        ("phase",),
    ),
    Metric(
        "breezeway_tls_failures",
        COUNTER,
        "Connections that failed over TLS: in the handshake, by plain http, or broken afterwards.",
        _counted("counters", "tls.", _TLS_REASONS),
        ("reason",),
    ),
    Metric(
        "breezeway_aborted_connections",
        COUNTER,
        "Connections broken off, so that nobody takes a response for whole.",
        _own("aborted"),
    ),
    Metric(
        "breezeway_internal_errors",
        COUNTER,
        "Errors of the server's own.",
        _own("internal_error"),
    ),
    Metric(
        "breezeway_events",
        COUNTER,
        "Whatever else was counted: the other counters of `breezeway ctl status`.",
        _others,
        ("event",),
    ),
    Metric(
        "breezeway_connections",
        GAUGE,
        "Open connections, by state, as of a second ago.",
        _connections,
        ("state",),
    ),
    Metric(
        "breezeway_threads",
        GAUGE,
        "Threads in a request, and threads that wait for one.",
        _threads,
        ("worker", "state"),
    ),
    Metric(
        "breezeway_threads_limit",
        GAUGE,
        "How many threads may be in a request.",
        _of_workers("threads"),
        ("worker",),
    ),
    Metric(
        "breezeway_queued_requests",
        GAUGE,
        "Requests that wait for a thread.",
        _of_workers("queued"),
        ("worker",),
    ),
    Metric(
        "breezeway_hand_overs",
        COUNTER,
        "Times that a thread began to run the event loop: one at the start of a worker, and one when it "
        "goes to another thread, for a call of the application takes long.",
        _value("metrics", "hand_overs"),
    ),
    Metric(
        "breezeway_pooled_requests",
        COUNTER,
        "Requests for which the event loop wanted another thread.",
        _value("metrics", "pooled"),
    ),
    Metric(
        "breezeway_gil_wait_seconds",
        SUMMARY,
        "How late a thread runs that wants to, by samples: what it waits for the GIL and for a core.",
        _distribution("gil_wait"),
        unit="seconds",
    ),
    Metric(
        "breezeway_workers",
        GAUGE,
        "Workers, by state.",
        _workers,
        ("state",),
    ),
    Metric(
        "breezeway_workers_wanted",
        GAUGE,
        "How many workers there should be.",
        _value("wanted"),
    ),
    Metric(
        "breezeway_worker_start_time_seconds",
        GAUGE,
        "When a worker was started, in Unix time.",
        _worker_starts,
        ("worker",),
        "seconds",
    ),
    Metric(
        "breezeway_worker_resident_memory_bytes",
        GAUGE,
        "Resident memory of a worker.",
        _of_workers("memory"),
        ("worker",),
        "bytes",
    ),
    Metric(
        "breezeway_supervisor_resident_memory_bytes",
        GAUGE,
        "Resident memory of the supervisor.",
        _value("memory"),
        unit="bytes",
    ),
    Metric(
        "breezeway_worker_deaths",
        COUNTER,
        "Workers that ended and should not have, by cause.",
        _deaths,
        ("cause",),
    ),
    Metric(
        "breezeway_reloads",
        COUNTER,
        "Reloads, by how they ended.",
        _reloads,
        ("result",),
    ),
    Metric(
        "breezeway_generation",
        GAUGE,
        "1 at first, one more with each reload.",
        _value("generation"),
    ),
)
