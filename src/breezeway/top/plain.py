"""The same without a screen: a line a second, a report of one second, JSON."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from breezeway import ctl_view
from breezeway.errors import UserError
from breezeway.observe.span import SHARES, Span
from breezeway.top import figures
from breezeway.top.events import Event, logged
from breezeway.top.feed import PERIOD_SECONDS
from breezeway.top.running import Request, requests
from breezeway.top.servers import Server
from breezeway.top.store import Reading, Store

HEAD_EVERY: Final = 20
"""Lines between two heads of the columns."""

COLUMNS: Final = (
    ("time", 8),
    ("req/s", 8),
    ("4xx/s", 7),
    ("5xx/s", 7),
    ("out/s", 7),
    ("refused", 7),
    ("p50", 7),
    ("p90", 7),
    ("p99", 7),
    ("queue", 7),
    ("conn", 6),
    ("busy", 7),
    ("workers", 7),
)

LEFT_OUT: Final = (
    "p90", "out/s", "conn", "4xx/s", "refused", "queue", "busy", "p50", "workers", "5xx/s", "p99",
)  # fmt: skip
"""Columns that a terminal does without when it is too narrow, in this order."""

MOST_REQUESTS: Final = 10
"""Running requests in a report."""

Write = Callable[[str], None]


def _unlimited() -> int:
    return sys.maxsize


def follow(
    server: Server,
    write: Write,
    *,
    as_json: bool,
    width: Callable[[], int] = _unlimited,
    period: float = PERIOD_SECONDS,
) -> None:
    """Write a line each second, until interrupted; what has happened gets a line of its own.

    `width` tells how many columns there are for a line. Raises `UserError` if the server cannot be
    asked at first.
    """
    server.status()
    server.events()  # what was before
    lines, shown = 0, _fitting(sys.maxsize)
    news: list[Event] = []
    for found in _readings(server, period):
        if isinstance(found, str):
            write(json.dumps({"error": found}) if as_json else f"-- {found}")
            continue
        news += found.news
        if not as_json:
            for event in news:
                write(f"-- {_event(event)}")
            news.clear()
        if not found.measured:
            continue
        if as_json:
            write(json.dumps(_document(found, news)))
            news.clear()
        else:
            fitting = _fitting(width())
            if fitting != shown:
                lines, shown = 0, fitting
            if lines % HEAD_EVERY == 0:
                write(_aligned([title for title, _ in COLUMNS], shown))
            write(_aligned(_cells(found), shown))
            lines += 1


def once(server: Server, write: Write, *, as_json: bool, period: float = PERIOD_SECONDS) -> None:
    """Write about the next second; raise `UserError` if the server cannot be asked."""
    store = Store()
    reading = store.add(server.status())
    while not reading.measured:
        time.sleep(period)
        reading = store.add(server.status())
    running = requests(server.stacks())
    if as_json:
        document = _document(reading, logged(server.events()))
        document["running"] = [each.as_dict() for each in running]
        write(json.dumps(document, indent=2))
    else:
        write("\n".join(_report(reading, running)))


def _readings(server: Server, period: float) -> Iterator[Reading | str]:
    """Yield what there is each second, or why there is nothing, once for each reason."""
    store, trouble, due = Store(), "", time.monotonic()
    while True:
        try:
            reading = store.add(server.status(), server.events())
        except UserError as error:
            if trouble != error.message:
                trouble = error.message
                yield ctl_view.clean(trouble)
        else:
            trouble = ""
            yield reading
        due = max(due + period, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def _document(reading: Reading, events: Iterable[Event]) -> dict[str, Any]:
    told = [{"at": round(each.at, 3), "text": each.text} for each in events]
    return reading.as_dict() | {"events": told}


def _cells(reading: Reading) -> list[str]:
    now = reading.now
    at = time.gmtime(reading.at)
    return [
        time.strftime("%H:%M:%S", at),
        figures.number(now.requests),
        figures.number(now.rate(now.classes["4xx"])),
        figures.number(now.errors),
        figures.size(now.rate(now.bytes_out)),
        figures.number(now.refusals),
        *(_ascii(now.latency(share)) for share in SHARES),
        _ascii(now.queue(0.99)),
        f"{reading.connections}",
        f"{reading.busy}/{reading.threads}",
        f"{reading.ready}/{reading.wanted}",
    ]


def _fitting(width: int) -> list[str]:
    """Return the titles of the columns that fit; a line is shorter than the terminal is wide."""
    widths = dict(COLUMNS)
    for title in LEFT_OUT:
        if sum(widths.values()) + len(widths) <= width:
            break
        del widths[title]
    return list(widths)


def _aligned(cells: Sequence[str], shown: Sequence[str]) -> str:
    return " ".join(
        cell.rjust(width)
        for cell, (title, width) in zip(cells, COLUMNS, strict=True)
        if title in shown
    ).rstrip()


def _event(event: Event) -> str:
    return f"{time.strftime('%H:%M:%S', time.gmtime(event.at))} {event.text}"


def _report(reading: Reading, running: Sequence[Request]) -> Iterator[str]:
    now = reading.now
    yield (
        f"{reading.application}  {reading.state}  up {ctl_view.duration(reading.uptime)}"
        f"  pid {reading.pid}  generation {reading.generation}  Breezeway {reading.version}"
    )
    yield "  ".join(reading.listeners)
    yield f"requests   {figures.number(now.requests)}/s  {_rates(now, now.classes)}".rstrip()
    received, sent = (figures.size(now.rate(each)) for each in (now.bytes_in, now.bytes_out))
    yield f"bytes      in {received}/s  out {sent}/s"
    shares = "  ".join(f"p{share * 100:g} {_ascii(now.latency(share))}" for share in SHARES)
    yield f"latency    {shares}  queue p99 {_ascii(now.queue(0.99))}"
    yield f"refused    {figures.number(now.refusals)}/s  {_rates(now, now.refused)}".rstrip()
    yield (
        f"threads    {reading.busy}/{reading.threads} busy  waiting {reading.queued}"
        f"  GIL {_ascii(now.gil_wait)}  memory {ctl_view.memory(reading.memory)}"
    )
    states = "".join(
        f"  {ctl_view.clean(name)} {n}" for name, n in reading.connection_states.items()
    )
    yield f"connected  {reading.connections}{states}"
    yield ""
    yield from _workers(reading)
    if running:
        yield ""
        yield "running requests, the longest first"
    for each in running[:MOST_REQUESTS]:
        yield f"  {ctl_view.duration(each.seconds):>7}  {each.pid:>7}  {each.line}  {each.place}".rstrip()


def _rates(found: Span, counts: Counter[str]) -> str:
    return "  ".join(
        f"{ctl_view.clean(name)} {figures.number(found.rate(count))}"
        for name, count in sorted(counts.items())
    )


def _workers(reading: Reading) -> Iterator[str]:
    row = "{:>3} {:>8} {:<8} {:>4} {:>7} {:>10} {:>7} {:>6} {:>10} {:>8}"
    yield row.format(
        "#", "PID", "STATE", "GEN", "AGE", "MEMORY", "BUSY", "CONN", "REQUESTS", "REQ/S"
    )
    for each in reading.workers:
        yield row.format(
            each.number,
            each.pid,
            each.state,
            each.generation,
            ctl_view.duration(each.age),
            ctl_view.memory(each.memory),
            f"{each.busy}/{each.threads}",
            each.connections,
            each.requests,
            "-" if math.isnan(each.rate) else figures.number(each.rate),
        )


def _ascii(seconds: float) -> str:
    """Write a duration for terminals that may have ASCII alone."""
    return figures.seconds(seconds).replace("µ", "u")
