"""Two things that must hold for long: no error and flat memory under load; service beside a burn.

soak    rate, errors (socket errors and statuses other than 2xx), growth (bytes of RSS from the
        tenth second to the last), rss (bytes at the end)
burn    longest_ms (longest wait for a hello while another request burns 2 s of pure Python),
        median_ms, answers (how many hellos were answered meanwhile), burn_s
"""

from __future__ import annotations

import threading
import time
from statistics import median

import load
from check import WrongError, check_response
from client import Connection, Response
from results import Sample
from scenarios import Scenario
from server import Server

SOAK_SECONDS = 30
SETTLED = 10.0  # seconds after which memory must no longer grow
LOOK = 1.0  # seconds between two looks at memory
TIMEOUT = 60.0  # seconds for an answer beside the burn


def soak(scenario: Scenario, server: Server, request: bytes) -> Sample:
    """Load for 30 s and watch the memory each second."""
    sizes: list[tuple[float, int]] = []
    finished = threading.Event()
    began = time.perf_counter()

    def watch() -> None:
        while not finished.wait(LOOK):
            sizes.append((time.perf_counter() - began, server.memory().rss))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        done = load.run(server.port, request, scenario.connections, SOAK_SECONDS)
    finally:
        finished.set()
        watcher.join()
    if not server.alive():
        raise WrongError(f"died under load: {server.last_words()}")
    settled = [size for seconds, size in sizes if seconds >= SETTLED]
    return {
        "rate": done.requests / done.seconds,
        "errors": done.socket_errors + done.bad_status,
        "growth": max(settled) - settled[0],
        "rss": sizes[-1][1],
    }


def burn(scenario: Scenario, server: Server) -> Sample:
    """Let one request burn 2 s and ask for hellos on another connection until it is answered."""
    answers: list[Response] = []
    waits: list[float] = []

    def ask_for_burn() -> None:
        with Connection(server.port, TIMEOUT) as connection:
            answers.append(connection.ask(scenario.request(server.port, "/burn-long")))

    burner = threading.Thread(target=ask_for_burn)
    began = time.perf_counter()
    burner.start()
    with Connection(server.port, TIMEOUT) as connection:
        while burner.is_alive():
            asked = time.perf_counter()
            check_response(scenario, connection.ask(scenario.request(server.port)))
            waits.append(time.perf_counter() - asked)
    took = time.perf_counter() - began
    burner.join()
    if not answers:
        raise WrongError("wrong: the request that burns was not answered")
    check_response(scenario, answers[0])
    return {
        "longest_ms": max(waits) * 1000,
        "median_ms": median(waits) * 1000,
        "answers": len(waits),
        "burn_s": took,
    }
