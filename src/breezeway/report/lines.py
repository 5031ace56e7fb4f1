"""Reads lines of an access log: our JSON, and the common and combined formats of Apache and nginx.

What a line says is checked here, for anybody may have written it: after this, texts are texts and
numbers are numbers that can be added up.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

UNKNOWN: Final = -1
"""In place of a number that the line does not have."""

MOST: Final = 2**53
"""Numbers from here on are in no honest line; JSON itself has no limit."""

MOST_STATUS: Final = 999

Record = tuple[int, str, str, str, str, str, int, int, int, int, int, int, int, int]
"""What a line tells of a request:

    0  second       when it began, in seconds since 1970
    1  client       2  method   3  target   4  agent    5  outcome; `-` for what is not known
    6  status       0: there was no response
    7  bytes_in     8  bytes_out
    9  duration     10 queue    11 application   12 sending   13 first byte; in microseconds
"""

_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"

_QUOTED: Final = r'"((?:[^"\\]|\\.)*+)"'
_COMBINED: Final = re.compile(
    rf"(\S++) \S++ .*? \[([^\]]{{20,30}})\] {_QUOTED} (\d{{3}}|-) (\d{{1,18}}|-)"
    rf"(?: {_QUOTED} {_QUOTED})?+(.*)"
)
_TIME: Final = re.compile(
    r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", re.ASCII
)
_MILLISECONDS: Final = re.compile(r"(\d{1,12})\.(\d)ms\r?$", re.ASCII)

_DROPPED: Final = re.compile(r'# (\d{1,15}) lines dropped$|\{"dropped":(\d{1,15})\}$', re.ASCII)

_decode: Final = json.JSONDecoder().raw_decode

_MEMO_TIMES: Final = 4096
_times: dict[str, int] = {}
"""Seconds by their text: most lines have that of the line before."""


def record(line: str) -> Record | None:
    """Return what a line tells, without its end; None if it cannot be read."""
    return _from_json(line) if line.startswith("{") else _from_combined(line)


def dropped(line: str) -> int | None:
    """Return how many lines the server has not written at this place, if that is what it tells."""
    found = _DROPPED.match(line)
    return int(found[1] or found[2]) if found else None


def _from_json(line: str) -> Record | None:
    try:
        found, end = _decode(line)
        if end != len(line) and not line[end:].isspace():
            return None
        time = found["time"]
        method, status = found["method"], found["status"]
    except (ValueError, KeyError, RecursionError):
        return None
    get = found.get
    target, client = get("target", "-"), get("client", "-")
    agent, outcome = get("user_agent", "-"), get("outcome", "-")
    texts = type(time) is type(client) is type(method) is type(target) is str
    if not (texts and type(agent) is type(outcome) is str):
        return None
    received, sent = get("bytes_in", UNKNOWN), get("bytes_out", UNKNOWN)
    duration, queue = get("duration_us", UNKNOWN), get("queue_us", UNKNOWN)
    application, sending = get("application_us", UNKNOWN), get("sending_us", UNKNOWN)
    first = get("first_byte_us", UNKNOWN)
    integers = type(status) is type(received) is type(sent) is type(duration) is int
    if not (integers and type(queue) is type(application) is type(sending) is type(first) is int):
        return None
    numbers = (received, sent, duration, queue, application, sending, first)
    if max(numbers) >= MOST or min(numbers) < UNKNOWN:
        return None
    second = _times.get(time[:19]) if time[-1:] == "Z" else None
    if second is None:
        second = _iso_second(time)
    if second is None or not 0 <= status <= MOST_STATUS:
        return None
    return (second, client, method, target, agent, outcome, status, *numbers)


def _from_combined(line: str) -> Record | None:
    found = _COMBINED.match(line)
    if not found:
        return None
    client, time, request, status, size, _, agent, rest = found.groups()
    second = _times.get(time)
    if second is None:
        second = _combined_second(time)
        if second is None:
            return None
    method, _, target = request.partition(" ")
    target, _, _ = target.rpartition(" ") if " HTTP/" in target else (target, "", "")
    duration = UNKNOWN
    if rest and (milliseconds := _MILLISECONDS.search(rest)):
        duration = int(milliseconds[1]) * 1000 + int(milliseconds[2]) * 100
    if not target or target == "- -":  # no request was understood
        target = "-"
    return (second, client, method, target, agent or "-", "-",
            0 if status == "-" else int(status), UNKNOWN, 0 if size == "-" else int(size),
            duration, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)  # fmt: skip


def _iso_second(text: str) -> int | None:
    """Return the second of a time as RFC 3339 has it; without an offset it is in UTC."""
    try:
        time = datetime.fromisoformat(text)
        second = int(time.replace(tzinfo=time.tzinfo or UTC).timestamp() // 1)
    except (ValueError, OverflowError):
        return None
    if text[-1:] == "Z":
        _remember(text[:19], second)
    return second


def _combined_second(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    if not found:
        return None
    day, name, year, hour, minute, second = found.groups()[:6]
    month, between = divmod(_MONTHS.find(name), 3)
    offset = timedelta(hours=int(found[8]), minutes=int(found[9]))
    try:
        zone = timezone(-offset if found[7] == "-" else offset)
        parts = (int(year), month + 1, int(day), int(hour), int(minute), int(second))
        value = int(datetime(*parts, tzinfo=zone).timestamp())
    except (ValueError, OverflowError):
        return None
    if between:
        return None
    _remember(text, value)
    return value


def _remember(text: str, second: int) -> None:
    if len(_times) >= _MEMO_TIMES:
        _times.clear()
    _times[text] = second
