"""Measure one scenario on one server, once: start it, check it, load it, stop it.

A sample is a plain mapping of figures, so that medians and files need to know nothing of them:

load    rate, user_us, kernel_us, cpu_us (both), p50_ms, p99_ms, errors, beside_rate, and shares of
        a core: busy (the server), client_busy (wrk), other_work (neither, on the core with more of it)
start   start_ms, rss, pss, uss, worker_rss (bytes)
idle    per_connection, uss_per_connection, rss, pss, uss, worker_rss (bytes)
soak, burn: see soak.py
"""

from __future__ import annotations

import contextlib
import resource
import select
import time
from pathlib import Path

import load
import soak
from check import WrongError, check, check_response
from client import Beside, Connection
from peers import Launch, Peer
from results import Sample
from scenarios import Kind, Scenario
from server import Server, ServerError, busy_time, cores, free_port

WARM_REQUESTS = 500
WARM_LIMIT = 0.3  # seconds of warming up at most
TIMEOUT = 10.0  # seconds for one answer
BESIDE_CLIENTS = 2
BESIDE_HEAD_START = 0.2  # seconds the two loop before the load begins
SETTLE = 0.3  # seconds between the first answer and the look at memory
IDLE_SECONDS = 8.0
OPEN_FILES = 8192


class RefusedError(Exception):
    """The server cannot be ranked in this scenario: why."""


def measure(
    scenario: Scenario, peer: Peer, executables: Path, seconds: int
) -> tuple[Sample, list[str]]:
    """Return a sample and remarks; `RefusedError` when the server does not start, errs or dies."""
    launch = _launch(scenario, executables)
    request = scenario.request(launch.port)
    try:
        with Server(peer.command(launch), launch.port) as server:
            response, started = server.first_answer(request)
            check_response(scenario, response)
            if scenario.kind is Kind.START:
                return _start_sample(server, started), []
            remarks = check(scenario, peer, launch.port)
            return _sample(scenario, server, request, seconds), remarks
    except (WrongError, ServerError) as error:
        raise RefusedError(str(error)) from None
    except (OSError, ValueError, load.LoadError) as error:
        raise RefusedError(f"failed: {error or type(error).__name__}") from None


def allow_open_files() -> None:
    """Raise the limit of open files, for ourselves and for the servers, who inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _launch(scenario: Scenario, executables: Path) -> Launch:
    """Return what the scenario asks of a server, on a port of its own."""
    return Launch(
        bin=executables,
        app=scenario.app,
        port=free_port(),
        threads=scenario.threads,
        connections=scenario.connections,
        fixed_threads=scenario.fixed_threads,
        streams=scenario.streams,
        closes=scenario.closes,
        access_log=scenario.access_log,
    )


def _sample(scenario: Scenario, server: Server, request: bytes, seconds: int) -> Sample:
    """Measure a server that has passed the check, as the kind of the scenario asks."""
    if scenario.kind is Kind.IDLE:
        return _idle_sample(scenario, server, request)
    if scenario.kind is Kind.BURN:
        return soak.burn(scenario, server)
    _warm_up(server.port, request)
    if scenario.kind is Kind.SOAK:
        return soak.soak(scenario, server, request)
    return _load_sample(scenario, server, request, seconds)


def _start_sample(server: Server, started: float) -> Sample:
    time.sleep(SETTLE)
    return {"start_ms": started * 1000, **_memory(server)}


def _memory(server: Server) -> Sample:
    return {name: float(size) for name, size in server.memory()._asdict().items()}


def _idle_sample(scenario: Scenario, server: Server, request: bytes) -> Sample:
    """Open the connections, one request on each, let them lie, and look at the memory again."""
    time.sleep(SETTLE)
    before = server.memory()
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(scenario.connections):
            connection = stack.enter_context(Connection(server.port, TIMEOUT))
            check_response(scenario, connection.ask(request))
            connections.append(connection)
        time.sleep(IDLE_SECONDS)
        after = server.memory()
        sample = _memory(server)
        _check_open(connections)
        for connection in connections:
            check_response(scenario, connection.ask(request))
    count = scenario.connections
    sample["per_connection"] = (after.rss - before.rss) / count
    sample["uss_per_connection"] = (after.uss - before.uss) / count
    return sample


def _check_open(connections: list[Connection]) -> None:
    """Raise `RefusedError` when the server has closed some of the idle connections."""
    poller = select.poll()
    for connection in connections:
        poller.register(connection.socket, select.POLLIN)
    if closed := len(poller.poll(0)):
        raise RefusedError(f"closes idle connections: {closed:,} of {len(connections):,}")


def _warm_up(port: int, request: bytes) -> None:
    """Let the interpreter specialize and the server's caches fill."""
    deadline = time.perf_counter() + WARM_LIMIT
    connection = Connection(port, TIMEOUT)
    try:
        for _ in range(WARM_REQUESTS):
            if time.perf_counter() > deadline:
                break
            response = connection.ask(request)
            if response.closes:
                connection.close()
                connection = Connection(port, TIMEOUT)
    except (OSError, ValueError) as error:
        raise RefusedError(f"wrong: fails while warming up: {error}") from None
    finally:
        connection.close()


def _load_sample(scenario: Scenario, server: Server, request: bytes, seconds: int) -> Sample:
    """Run wrk, with the two clients beside it if the scenario has them."""
    with contextlib.ExitStack() as stack:
        beside = None
        if scenario.beside:
            aside = scenario.request(server.port, scenario.beside)
            beside = stack.enter_context(Beside(server.port, aside, BESIDE_CLIENTS, TIMEOUT))
            time.sleep(BESIDE_HEAD_START)
        answered = beside.answered if beside else 0
        before = server.cpu()
        busy_before = [busy_time(core) for core in cores()]
        done = load.run(server.port, request, scenario.connections, seconds)
        used = server.cpu().since(before)
        busy = [busy_time(c) - b for c, b in zip(cores(), busy_before, strict=True)]
        answered = beside.answered - answered if beside else 0
    if not server.alive():
        raise RefusedError(f"died under load: {server.last_words()}")
    if not done.requests:
        raise RefusedError("answers nothing under load")
    if done.bad_status:
        raise RefusedError(f"wrong: {done.bad_status:,} answers with a status other than 2xx")
    user_us = used.user / done.requests * 1e6
    kernel_us = used.kernel / done.requests * 1e6
    return {
        "rate": done.requests / done.seconds,
        "user_us": user_us,
        "kernel_us": kernel_us,
        "cpu_us": used.exact / done.requests * 1e6,
        "p50_ms": done.p50,
        "p99_ms": done.p99,
        "busy": used.exact / done.seconds,
        "other_work": max(busy[0] - used.exact, busy[1] - done.client_cpu, 0.0) / done.seconds,
        "client_busy": done.client_cpu / done.seconds,
        "errors": done.socket_errors,
        "beside_rate": answered / done.seconds,
    }
