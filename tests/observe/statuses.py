"""Answers of the control command `status` for tests."""

from __future__ import annotations

from typing import Any

from breezeway.observe.recorder import Recorder
from breezeway.observe.tally import Tallies

from .entries import entry


def metrics(*seconds: float, method: str = "GET") -> dict[str, Any]:
    """Count requests that took so long, and return what a status tells of them."""
    tallies = Tallies(1)
    recorder = Recorder(tallies.row(0), None)
    for each in seconds:
        found = entry({"REQUEST_METHOD": method}, seconds=each, size=7)
        recorder.record(found, "", logged=True)
    recorder.advance()
    return tallies.totals([0]).as_dict()


def status(**fields: Any) -> dict[str, Any]:
    """Return a status of a server with one worker."""
    worker = {
        "pid": 4712,
        "number": 1,
        "state": "ready",
        "generation": 1,
        "age": 60.0,
        "requests": 3,
        "connections": 2,
        "connection_states": {"idle": 1, "busy": 1},
        "busy": 1,
        "spare": 2,
        "queued": 0,
        "threads": 8,
        "memory": 40_000_000,
    }
    return {
        "version": "0.1",
        "python": "3.13.1",
        "pid": 4711,
        "application": "shop:application",
        "state": "serving",
        "started": 1_700_000_000.25,
        "uptime": 61.5,
        "generation": 1,
        "listeners": ["http://127.0.0.1:8000"],
        "wanted": 1,
        "workers": [worker],
        "reloads": 1,
        "failed_reloads": 2,
        "deaths": 1,
        "death_causes": [{"cause": "signal", "detail": "SIGSEGV", "count": 1}],
        "memory": 30_000_000,
        "refusals": [{"status": 400, "reason": "malformed request line", "count": 4}],
        "counters": {
            "refused.400": 4,
            "limit.client": 5,
            "timeout.head": 6,
            "static.failed": 7,
            "tls.handshake": 8,
        },
        "metrics": metrics(0.001, 0.003, 1.5),
        **fields,
    }
