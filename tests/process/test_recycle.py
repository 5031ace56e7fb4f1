"""Recycling: a worker is replaced after many requests, by age, by memory or on demand."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import APPLICATION, descriptors_of, eventually, is_alive, memory_of, serving

RECYCLINGS = 50

REQUESTS = 100_000

SUPERVISOR_BYTES = 25_000_000 if sys.version_info < (3, 14) else 28_000_000
"""The same modules take 20.6 MB on CPython 3.11, and 25.5 MB on 3.14."""

LEAKS = """
kept = []

def app(environ, start_response, answer=app):
    if environ["PATH_INFO"] == "/leak":
        kept.append(bytearray(b"x") * 64_000_000)
    return answer(environ, start_response)
"""
"""Put behind an application: each request for /leak takes 64 MB for good."""


def test_recyclings_lose_nothing(tmp_path: Path) -> None:
    """50 recyclings under load: no request fails, clients are told, nothing is left behind."""
    with serving(tmp_path, "--max-requests", "200", workers=8) as server:
        supervisor = server.process.pid
        before = len(descriptors_of(supervisor))
        with Load(server.address, keep_alive=64, one_shot=16, pause=0.01) as load:
            eventually(
                lambda: len(load.responses) >= RECYCLINGS + 8,
                "50 recyclings",
                seconds=60,
            )
        assert not load.failures
        assert load.closed >= RECYCLINGS
        assert server.status()["deaths"] == 0
        server.wait_for_workers(8)
        eventually(lambda: len(descriptors_of(supervisor)) <= before, "no descriptors left")
        eventually(lambda: len(server.processes()) == 9, "the old workers gone")


def test_many_requests(tmp_path: Path) -> None:
    """100,000 requests, 1,000 for each worker: none is lost, and the supervisor stays small."""
    with serving(tmp_path, "--max-requests", "1000", workers=2) as server:
        with Load(server.address, keep_alive=24, one_shot=8, most=REQUESTS) as load:
            load.wait_for(REQUESTS // 5, seconds=60)
            early = memory_of(server.process.pid)
            load.join(120)
            late = memory_of(server.process.pid)
        assert not load.failures
        assert load.total == REQUESTS
        assert early < SUPERVISOR_BYTES
        assert late <= early + 256 * 1024
        assert server.status()["deaths"] == 0


def test_on_demand(tmp_path: Path) -> None:
    """`ctl recycle` replaces all workers, or one; its pid has to be that of a worker."""
    with serving(tmp_path, workers=2) as server:
        with Load(server.address, keep_alive=8, one_shot=2) as load:
            before = set(server.workers())
            done = server.ctl("recycle")
            assert done.returncode == 0
            assert [line[:5] for line in done.stderr.splitlines()] == ["[1/2]", "[2/2]"]
            after = server.wait_for_workers(2, but=list(before))
            one, other = after
            server.ask("recycle", pid=one)
            assert server.wait_for_workers(2, but=[one]) > {other}
            for pid in (1, None):
                with pytest.raises(UserError, match=f"no worker that serves has the pid {pid};"):
                    server.ask("recycle", pid=pid)
            with pytest.raises(UserError, match="stop needs true or false"):
                server.ask("stop", now="no")
        assert not load.failures


def test_by_age(tmp_path: Path) -> None:
    """A worker that is older than --max-worker-age is replaced, and its successor, and so on."""
    with (
        serving(tmp_path, "--max-worker-age", "500ms", "--log-level", "debug", workers=1) as server,
        Load(server.address, keep_alive=4, pause=0.01) as load,
    ):
        eventually(lambda: len(load.responses) >= 3, "three workers")
        load.stop()
        assert not load.failures
        server.log.wait_for(r"retires: it is \d+ s old")


def test_by_memory(tmp_path: Path) -> None:
    """A worker that takes more than --max-worker-memory is replaced; the others are not."""
    options = ("--max-worker-memory", "100MiB", "--log-level", "debug")
    with serving(tmp_path, *options, workers=2, application=APPLICATION + LEAKS) as server:
        before = set(server.workers())
        leaky = int(server.get("/leak").split()[1])
        while int(server.get("/leak").split()[1]) != leaky:
            pass
        server.wait_for_workers(2, but=[leaky])
        server.log.wait_for(rf"\(pid {leaky}\) retires: it takes \d+ MiB")
        eventually(lambda: not is_alive(leaky), "the leaky worker gone")
        assert len(before & set(server.workers())) <= 1


def test_jitter(tmp_path: Path) -> None:
    """--max-requests-jitter is added to the limit, so that the workers do not go together."""
    wide = ("--max-requests-jitter", "1000000000")
    with serving(tmp_path, "--max-requests", "1", *wide, workers=2) as server:
        before = set(server.workers())
        with Load(server.address, keep_alive=8) as load:
            load.wait_for(5000)
        eventually(
            lambda: sum(each["requests"] for each in server.workers().values()) >= 5000,
            "the workers have told how many requests they had",
        )
        assert set(server.workers()) == before
    narrow = ("--max-requests-jitter", "0")
    with serving(tmp_path, "--max-requests", "1", *narrow, workers=1) as server:
        (first,) = server.workers()
        server.get()
        server.wait_for_workers(1, but=[first])


def test_successor_that_does_not_come_up(tmp_path: Path) -> None:
    """While the code on disk is broken, the worker that is due serves on."""
    with serving(tmp_path, workers=1, trouble=True) as server:
        (before,) = server.workers()
        server.deploy("raise RuntimeError('half a deploy')\n")
        with Load(server.address, keep_alive=4, one_shot=2) as load:
            with pytest.raises(UserError, match="half a deploy"):
                server.ask("recycle")
            load.wait_for(200)
            assert set(server.workers()) == {before}
            server.deploy(APPLICATION)
            server.wait_for_workers(1, but=[before])
        assert not load.failures


STUCK = """
import ctypes

def app(environ, start_response, answer=app):
    if environ["PATH_INFO"] == "/stuck":
        ctypes.CDLL(None).sleep(60)
    return answer(environ, start_response)
"""
"""Put behind an application: /stuck keeps its thread inside of C, where nothing can interrupt it."""


def test_stuck_threads(tmp_path: Path) -> None:
    """A worker with too many threads that are stuck in C is replaced, and ends after the grace."""
    options = ("--threads", "2", "--request-timeout", "200ms", "--graceful-timeout", "500ms")
    application = APPLICATION + STUCK
    with serving(tmp_path, *options, workers=1, application=application, trouble=True) as server:
        (before,) = server.workers()
        clients = [server.send("/stuck") for _ in range(2)]
        for client in clients:
            assert client.recv(65536).startswith(b"HTTP/1.1 504 ")
            client.close()
        server.wait_for_workers(1, but=[before])
        eventually(lambda: server.get() != f"1 {before}", "answers of the new one")
        eventually(lambda: not is_alive(before), "the old one gone")


def test_fewer_workers_meanwhile(tmp_path: Path) -> None:
    """TTOU while workers are being recycled leaves the number that was asked for, and no more."""
    with serving(tmp_path, "--max-requests", "100", workers=3) as server:
        with Load(server.address, keep_alive=16, one_shot=4) as load:
            signals = (signal.SIGTTOU, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTTOU)
            for count, number in enumerate(signals, 1):
                load.wait_for(500)
                server.signal(number)  # two of a kind that wait would be one
                server.log.wait_for(r"scaling to \d workers?$", count=count)
            load.wait_for(500)
        assert not load.failures
        server.wait_for_workers(1)
        assert server.status()["wanted"] == 1
