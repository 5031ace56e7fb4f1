"""Metrics of a real server: exact, whatever happens to workers, and pushed as they are told."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from breezeway.observe.metrics import METRICS, Distribution

from .load import Load
from .server import DEADLINE_SECONDS, Server, eventually, serving

APPLICATION = """
import time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sleep":
        print("sleeping", flush=True)
        time.sleep(float(environ["QUERY_STRING"]))
    start_response("404 Not Found" if path == "/no" else "200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


REQUESTS = 4000
CLIENTS = 6


STATES = {"idle": 1, "reading_head": 1, "busy": 3}


def responses(answer: dict[str, Any]) -> int:
    """Count the responses of the application and of the server."""
    return sum(each["count"] for each in answer["metrics"]["requests"])


def counters(answer: dict[str, Any]) -> dict[str, float]:
    """Read all that may never fall."""
    found: dict[str, float] = {}
    for metric in METRICS:
        for values, value in metric.read(answer):
            key = " ".join([metric.name, *values])
            if isinstance(value, Distribution):
                found[key] = value.count
                found[f"{key} sum"] = value.sum
                found |= {f"{key} {at}": count for at, count in value.buckets.items()}
            elif metric.kind == "counter":
                found[key] = value
    return found


@contextmanager
def watching(server: Server) -> Iterator[list[str]]:
    """Look at the status all the time; collects what has fallen."""
    fallen: list[str] = []
    over = threading.Event()

    def watch() -> None:
        before: dict[str, float] = {}
        while not over.is_set():
            now = counters(server.status())
            fallen.extend(key for key, value in before.items() if now.get(key, 0) < value)
            before = now
            over.wait(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield fallen
    finally:
        over.set()
        thread.join()


def test_counts_are_exact_through_deaths_and_recycling(tmp_path: Path) -> None:
    """Each answered request is counted once; a killed worker takes only what it had in hand with it."""
    options = ("--metrics", "--max-requests", "400")
    with serving(tmp_path, *options, workers=3, application=APPLICATION) as server:
        load = Load(server.address, keep_alive=CLIENTS, one_shot=CLIENTS, most=REQUESTS)
        with watching(server) as fallen, load:
            load.wait_for(REQUESTS // 3)
            server.signal(signal.SIGKILL, min(server.workers()))
            load.join(60)
        answer = server.status()
        counted = responses(answer)
        assert load.total - 2 * CLIENTS <= counted <= REQUESTS
        assert answer["metrics"]["bytes_out"] == 5 * counted
        assert answer["metrics"]["durations"]["count"] <= counted
        assert not fallen
        # The one that was killed may have been on its way out: these have only just begun.
        server.ask("recycle")
        before = server.status()["deaths"]
        server.signal(signal.SIGKILL, min(server.workers()))
        after = eventually(
            lambda: (found := server.status())["deaths"] > before and found, "the death is counted"
        )
        assert after["deaths"] == before + 1
        (causes,) = after["death_causes"]
        assert (causes["cause"], causes["count"]) == ("signal", after["deaths"])
        assert responses(after) == counted


def test_counts_and_access_log_agree(tmp_path: Path) -> None:
    """All numbers of all workers, and quantiles within 2 % of those of the lines."""
    options = ("--metrics", "--access-log-file", "access.json", "--access-log-format", "json")
    with serving(tmp_path, *options, workers=2, application=APPLICATION) as server:
        for at in range(50):
            server.get(f"/sleep?{0.001 + at / 5000}")
        with server.send("/no") as client:
            client.recv(4096)
        found = eventually(
            lambda: (told := server.status()["metrics"])["durations"]["count"] == 51 and told,
            "all requests counted",
        )
        file = tmp_path / "access.json"
        lines = eventually(
            lambda: len(told := file.read_text().splitlines()) == 51 and told, "all lines written"
        )
    logged = [json.loads(line) for line in lines]
    assert found["bytes_in"] == sum(each["bytes_in"] for each in logged)
    assert found["bytes_out"] == sum(each["bytes_out"] for each in logged) == 5 * 51
    counts = {(each["method"], each["status"]): each["count"] for each in found["requests"]}
    assert counts == {("GET", "2xx"): 50, ("GET", "4xx"): 1}
    seconds = sorted(each["duration_us"] / 1e6 for each in logged)
    assert found["durations"]["seconds"] == pytest.approx(sum(seconds), rel=0.001)
    for share, value in found["durations"]["quantiles"].items():
        exact = seconds[math.ceil(float(share) * len(seconds)) - 1]
        assert value == pytest.approx(exact, rel=0.02)


def test_status_tells_of_connections_refusals_and_threads(tmp_path: Path) -> None:
    """By state; by status and reason; busy, spare, waiting."""
    with (
        serving(tmp_path, "--threads", "2", application=APPLICATION, workers=1) as server,
        contextlib.ExitStack() as stack,
    ):
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"NONSENSE\r\n\r\n", b"NONSENSE\r\n\r\n"):
            with server.connect() as client:
                client.sendall(data)
                assert b" 400 " in client.recv(4096)
        stack.enter_context(server.connect())
        stack.enter_context(server.connect()).sendall(b"GET / HT")
        stack.enter_context(server.sleep(30))
        stack.enter_context(server.sleep(30))
        stack.enter_context(server.send())

        def told() -> dict[str, Any] | None:
            answer = server.status()
            states = answer["workers"][0]["connection_states"]
            if {state: count for state, count in states.items() if count} != STATES:
                return None
            return answer if answer["refusals"] and answer["metrics"]["gil_wait"]["count"] else None

        answer = eventually(told, "all connections in their states, samples of waits")
        worker = answer["workers"][0]
        assert (worker["busy"], worker["spare"], worker["queued"]) == (2, 0, 1)
        assert answer["metrics"]["hand_overs"] >= 2
        assert answer["metrics"]["pooled"] >= 1
        wait = answer["metrics"]["gil_wait"]
        assert 0 < wait["seconds"] < wait["count"]
        assert answer["refusals"] == [
            {"status": 400, "reason": "malformed request line", "count": 2},
            {"status": 400, "reason": "no Host field in an HTTP/1.1 request", "count": 1},
        ]
        assert answer["memory"] > 1_000_000


def test_what_is_pushed_adds_up(tmp_path: Path) -> None:
    """The sum of all pushes is exact, the last one at the end included."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(DEADLINE_SECONDS)
        receiver.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{receiver.getsockname()[1]}"
        options = ("--statsd", where, "--statsd-interval", "1s", "--statsd-prefix", "shop")
        with serving(tmp_path, *options, workers=2, application=APPLICATION) as server:
            told = receiver.recv(65536)
            for _ in range(30):
                server.get()
            server.signal(signal.SIGTERM)
            assert server.end() == 0
        receiver.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                told += b"\n" + receiver.recv(65536)
    counts = [
        int(line.partition(b":")[2].partition(b"|")[0])
        for line in told.splitlines()
        if line.startswith(b"shop.requests.GET.2xx:")
    ]
    assert sum(counts) == 30
