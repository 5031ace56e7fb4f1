"""What has happened between two statuses, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from breezeway.ctl_view import clean
from breezeway.top.span import Status

GOOD: Final = "good"
BAD: Final = "bad"
PLAIN: Final = "plain"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened."""

    at: float
    """Unix time."""
    text: str
    kind: str = PLAIN
    """GOOD, BAD or PLAIN."""


def between(old: Status, new: Status) -> Iterator[Event]:
    """Yield what has happened between two statuses."""
    at = new.get("started", 0.0) + new.get("uptime", 0.0)
    if old.get("pid") != new.get("pid"):
        yield Event(at, f"supervisor {new.get('pid')} has taken over", GOOD)
        return
    yield from (Event(at, *each) for each in _of_server(old, new))
    yield from (Event(at, *each) for each in _of_workers(old, new))


def _of_server(old: Status, new: Status) -> Iterator[tuple[str, str]]:
    if new.get("reloads", 0) > old.get("reloads", 0):
        yield f"reloaded: generation {new.get('generation')} serves", GOOD
    if new.get("failed_reloads", 0) > old.get("failed_reloads", 0):
        yield "a reload failed: the old code serves on, the log says why", BAD
    before, after = old.get("wanted"), new.get("wanted")
    if before != after:
        yield f"scaled from {before} to {after} workers", PLAIN
    state = new.get("state")
    if state != old.get("state") and state in ("reloading", "stopping"):
        yield f"the server is {state}", PLAIN


def _of_workers(old: Status, new: Status) -> Iterator[tuple[str, str]]:
    before, after = _by_pid(old), _by_pid(new)
    died = new.get("deaths", 0) - old.get("deaths", 0)
    gone = [each for pid, each in before.items() if pid not in after]
    # One that was not told to end, first; one that hung was killed.
    gone.sort(key=lambda each: each.get("state") == "retiring")
    for at, each in enumerate(gone):
        if at < died:
            yield f"{_name(each)} died", BAD
        else:
            yield f"{_name(each)} has ended", PLAIN
    unseen = died - len(gone)
    if unseen > 0:
        yield f"{unseen} {'worker' if unseen == 1 else 'workers'} died before being ready", BAD
    for pid, each in after.items():
        state, last = each.get("state"), before.get(pid, {}).get("state")
        if state == last:
            continue
        if state == "hung":
            yield f"{_name(each)} hangs", BAD
        elif state == "ready":
            yield f"{_name(each)} serves", GOOD


def _by_pid(status: Status) -> dict[int, dict[str, Any]]:
    return {each["pid"]: each for each in status.get("workers", ()) if each.get("pid")}


def _name(worker: dict[str, Any]) -> str:
    return clean(f"worker {worker.get('number', '?')} (pid {worker['pid']})")
