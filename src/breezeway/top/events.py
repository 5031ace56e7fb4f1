"""What has happened: what the supervisor has logged, and what the log does not tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from breezeway.ctl_view import clean
from breezeway.observe.span import Status

GOOD: Final = "good"
BAD: Final = "bad"
WARNING: Final = "warning"
PLAIN: Final = "plain"

_KINDS: Final = {"error": BAD, "critical": BAD, "warning": WARNING}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened."""

    at: float
    """Unix time."""
    text: str
    """One line without control characters."""
    kind: str = PLAIN
    """GOOD, BAD, WARNING or PLAIN."""


def logged(told: Iterable[dict[str, Any]]) -> Iterator[Event]:
    """Read what the control command `events` tells; of several lines, the first."""
    for each in told:
        text = str(each.get("text", "")).partition("\n")[0]
        kind = _KINDS.get(each.get("level", ""), PLAIN)
        yield Event(each.get("time", 0.0), clean(text), kind)


def between(old: Status, new: Status) -> Iterator[Event]:
    """Yield what has happened between two statuses, and is not in the log."""
    at = new.get("started", 0.0) + new.get("uptime", 0.0)
    if old.get("pid") != new.get("pid"):
        yield Event(at, clean(f"supervisor {new.get('pid')} has taken over"), GOOD)
        return
    before, after = old.get("wanted"), new.get("wanted")
    if before != after:
        yield Event(at, clean(f"scaled from {before} to {after} workers"))
    workers, now = _by_pid(old), _by_pid(new)
    for pid, each in workers.items():
        if pid not in now and each.get("state") == "retiring":
            yield Event(at, f"{_name(each)} has ended")
    for pid, each in now.items():
        if each.get("state") == "ready" != workers.get(pid, {}).get("state"):
            yield Event(at, f"{_name(each)} serves", GOOD)


def _by_pid(status: Status) -> dict[int, dict[str, Any]]:
    return {each["pid"]: each for each in status.get("workers", ()) if each.get("pid")}


def _name(worker: dict[str, Any]) -> str:
    return clean(f"worker {worker.get('number', '?')} (pid {worker['pid']})")
