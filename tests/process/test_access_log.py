"""The access log of several workers: each answered request once, whatever becomes of a worker."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from .load import Load
from .server import eventually, serving

REQUESTS = 20_000

CONNECTIONS = 32

NUMBERED = """
import itertools, os

numbers = itertools.count()

def app(environ, start_response):
    name = f"{os.getpid()}-{next(numbers)}"
    environ["REMOTE_USER"] = name
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(name)))])
    return [name.encode()]
"""
"""Gives each response a name, and tells it to the client and the access log."""


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Read a log."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_killed_worker_loses_no_line(tmp_path: Path) -> None:
    """With recycling and a SIGKILL, clients, log and counts differ by what the killed one had in hand."""
    log = tmp_path / "access.json"
    options = ("--access-log-file", str(log), "--access-log-format", "json")
    options = (*options, "--max-requests", "4000")
    with serving(tmp_path, *options, workers=2, application=NUMBERED) as server:
        with Load(server.address, keep_alive=CONNECTIONS, most=REQUESTS) as load:
            load.wait_for(REQUESTS // 4)
            killed, worker = next(iter(server.workers().items()))
            os.kill(killed, signal.SIGKILL)
            load.join(60)
        assert 0 < len(load.failures) <= CONNECTIONS, load.failures[:3]
        server.wait_for_workers(2)

        def counted() -> int:
            requests = server.status()["metrics"]["requests"]
            return sum(each["count"] for each in requests)

        eventually(lambda: counted() >= load.total - CONNECTIONS, "the counts")
        count = counted()
        server.signal(signal.SIGTERM)
        assert server.end() == 0
    lines = lines_of(log)
    logged = Counter(line["user"] for line in lines)
    assert not [name for name, times in logged.items() if times > 1]
    only_answered, only_logged = load.responses.keys() - logged, logged.keys() - load.responses
    assert {name.partition("-")[0] for name in only_answered | only_logged} <= {str(killed)}
    assert len(only_answered) <= CONNECTIONS
    assert len(only_logged) <= CONNECTIONS
    assert abs(len(lines) - count) <= CONNECTIONS
    assert {line["worker"] for line in lines if line["pid"] == killed} == {worker["number"]}
