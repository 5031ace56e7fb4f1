"""Statuses as a supervisor tells them, second by second."""

from __future__ import annotations

from collections import Counter
from typing import Any

from breezeway.observe.histogram import buckets_of

STARTED = 1_763_740_800.0  # 2025-11-21 16:00:00 UTC


def worker(number: int, **more: Any) -> dict[str, Any]:
    """Return the row of a worker."""
    return {
        "pid": 4711 + number,
        "number": number,
        "state": "ready",
        "generation": 1,
        "age": 60.0,
        "requests": 0,
        "connections": 5,
        "connection_states": {
            "idle": 1,
            "reading_head": 1,
            "reading_body": 0,
            "busy": 2,
            "sending": 0,
            "lingering": 1,
        },
        "busy": 2,
        "threads": 8,
        "queued": 1,
        "memory": 40 * 1024**2,
        **more,
    }


class Server:
    """Counts as workers do, and tells its status."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {
            "version": "0.1",
            "pid": 4711,
            "application": "shop.wsgi:application",
            "state": "serving",
            "started": STARTED,
            "generation": 1,
            "listeners": ["http://127.0.0.1:8000"],
            "wanted": 2,
            "workers": [worker(1), worker(2)],
            "reloads": 0,
            "failed_reloads": 0,
            "deaths": 0,
        }
        self.uptime = 100.0
        self.requests: Counter[tuple[str, str]] = Counter()
        self.counters: Counter[str] = Counter()
        self.durations: Counter[int] = Counter()
        self.queued: Counter[int] = Counter()
        self.bytes_in = self.bytes_out = self.gil_waits = 0
        self.gil_waited = 0.0

    def answer(self, count: int, seconds: float, status: str = "2xx", method: str = "GET") -> None:
        """Answer so many requests, each after so long; a tenth of that it waited."""
        self.requests[method, status] += count
        self.durations.update({at: count * n for at, n in buckets_of([seconds]).items()})
        self.queued.update({at: count * n for at, n in buckets_of([seconds / 10]).items()})
        self.bytes_in += 100 * count
        self.bytes_out += 1000 * count
        self.facts["workers"][0]["requests"] += count

    def wait_for_gil(self, samples: int, seconds: float) -> None:
        """Have so many samples of a thread that ran so late, each."""
        self.gil_waits += samples
        self.gil_waited += samples * seconds

    def status(self, later: float = 0.0) -> dict[str, Any]:
        """Return the status so many seconds after the last one."""
        self.uptime += later
        metrics = {
            "requests": [
                {"method": method, "status": status, "count": count}
                for (method, status), count in self.requests.items()
            ],
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "durations": {"buckets": sorted(map(list, self.durations.items()))},
            "queued": {"buckets": sorted(map(list, self.queued.items()))},
            "gil_wait": {"count": self.gil_waits, "seconds": self.gil_waited},
        }
        workers = [dict(each) for each in self.facts["workers"]]
        return {
            **self.facts,
            "workers": workers,
            "uptime": self.uptime,
            "counters": dict(self.counters),
            "metrics": metrics,
        }
