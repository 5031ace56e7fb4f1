"""Workers: how many, how evenly they are used, and what happens when one dies."""

from __future__ import annotations

import errno
import signal
import socket
import time
from bisect import bisect
from collections import Counter
from pathlib import Path

import pytest

from .load import Load
from .server import (
    APPLICATION,
    body_of,
    children_of,
    descriptors_of,
    eventually,
    is_alive,
    serving,
)

KILLS = 20


def test_kills_lose_only_what_was_inside(tmp_path: Path) -> None:
    """Of 20 workers killed under load, only the requests inside fail; the others answer all along."""
    with serving(tmp_path, workers=2) as server:
        killed: list[str] = []
        kills: list[float] = []
        with Load(server.address, keep_alive=64, one_shot=16) as load:
            load.wait_for(500)
            for _ in range(KILLS):
                victim = next(iter(server.workers()))
                killed.append(f"1 {victim}")
                kills.append(time.monotonic())
                server.signal(signal.SIGKILL, victim)
                server.wait_for_workers(2, but=[victim])
                load.wait_for(200)
        # On its first request a client does not know yet which worker it has.
        assert {each.last_body for each in load.failures} <= {"", *killed}, load.failures
        # Each of the 80 clients has one request inside at most, and so fails once for each kill.
        for failed in Counter(bisect(kills, each.at) for each in load.failures).values():
            assert failed <= 80, load.failures
        assert load.longest_gap < 1.0
        status = server.status()
        assert status["deaths"] == KILLS
        assert len(server.log.find(r"was killed by SIGKILL.*another one takes its place")) == KILLS


def test_process_of_the_application_does_not_keep_the_port(tmp_path: Path) -> None:
    """What is forked at the import, and outlives the server, leaves its address to the next."""
    application = "import os, signal\nif not os.fork():\n    signal.pause()\n" + APPLICATION
    with serving(tmp_path, workers=1, application=application) as server:
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        assert len(server.processes()) == 1
        with socket.socket() as late:
            assert late.connect_ex(server.address) == errno.ECONNREFUSED


@pytest.mark.parametrize(
    ("options", "said"), [((), "True"), (("--reload",), "False"), (("--workers=2",), "True")]
)
def test_multiprocess(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    """wsgi.multiprocess is false for the one worker of a developer, who scales nothing."""
    application = (
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [str(environ['wsgi.multiprocess']).encode()]\n"
    )
    with serving(tmp_path, *options, application=application) as server:
        assert server.get() == said


def test_dead_worker_is_replaced_at_once(tmp_path: Path) -> None:
    """The only worker is killed: who connects meanwhile waits in the backlog, and is answered."""
    with serving(tmp_path) as server:
        (before,) = server.workers()
        server.signal(signal.SIGKILL, before)
        began = time.monotonic()
        after = server.get()
        assert after != f"1 {before}"
        assert time.monotonic() - began < 5.0


def test_worker_that_is_starting_is_replaced(tmp_path: Path) -> None:
    """A worker killed while it loads the application counts as one that did not come up."""
    slow = "import os, time\nprint('loading', os.getpid(), flush=True)\ntime.sleep(0.4)\n"
    with serving(tmp_path, workers=1, application=slow + APPLICATION) as server:
        server.signal(signal.SIGKILL, int(server.get().split()[1]))
        starting = int(server.out.wait_for(r"loading (\d+)", count=2)[1])
        server.signal(signal.SIGKILL, starting)
        server.log.wait_for(r"was killed by SIGKILL \([a-z ]+\) before it was ready")
        server.wait_for_workers(1, but=[starting])


@pytest.mark.parametrize("workers", [2, 4])
def test_connections_are_spread(tmp_path: Path, workers: int) -> None:
    """Of 64 connections no worker has more than twice another's, nor of the requests.

    A worker that gets no processor for a while gets no connections, so that a machine with other work
    has ten chances.
    """
    with serving(tmp_path, workers=workers) as server:
        for _ in range(10):
            # The pause lets the number of connections decide, and not who gets the processor.
            with Load(server.address, keep_alive=64, pause=0.01) as load:
                load.wait_for(5_000)
                counted = (load.spread(), load.responses.copy())
            assert not load.failures
            if all(is_even(counts, workers) for counts in counted):
                return
        raise AssertionError(counted)


def is_even(counts: Counter[str], workers: int) -> bool:
    """Whether each of so many workers has its part, and none more than twice another's."""
    return len(counts) == workers and max(counts.values()) <= 2 * min(counts.values())


def test_one_shot_connections_are_spread(tmp_path: Path) -> None:
    """Connections that come one after the other reach all workers."""
    with serving(tmp_path, workers=2) as server:
        with Load(server.address, keep_alive=0, one_shot=64, pause=0.01) as load:
            load.wait_for(5_000)
        assert not load.failures
        assert max(load.responses.values()) <= 2 * min(load.responses.values()), load.responses


def test_stopped_worker_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """While one worker stands still, new connections go to the other; then both serve again."""
    with serving(tmp_path, workers=2) as server:
        stopped, other = server.workers()
        server.signal(signal.SIGSTOP, stopped)
        with Load(server.address, keep_alive=0, one_shot=8) as load:
            # What the kernel has given to the stopped one waits for it; the others do not.
            load.wait_for(500)
            server.signal(signal.SIGCONT, stopped)
            load.wait_for(500)
        assert not load.failures
        assert load.responses[f"1 {other}"] >= 500
        assert set(server.workers()) == {stopped, other}


def test_supervisor_that_stood_still_blames_nobody(tmp_path: Path) -> None:
    """After a suspension longer than the worker timeout, the workers are still the same."""
    with serving(tmp_path, "--worker-timeout", "1s", workers=2) as server:
        before = set(server.workers())
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in (server.process.pid, *before):
                server.signal(number, pid)
            if number == signal.SIGSTOP:
                time.sleep(2.5)  # this is the suspension
        server.ask("stacks")
        assert set(server.workers()) == before
        assert "stood still" not in server.log.text


def test_nothing_is_left_of_dead_workers(tmp_path: Path) -> None:
    """After 10 deaths the supervisor has no zombie and no descriptor that it did not have before."""
    with serving(tmp_path, workers=2) as server:
        supervisor = server.process.pid
        before = len(descriptors_of(supervisor))
        for _ in range(10):
            victim = next(iter(server.workers()))
            server.signal(signal.SIGKILL, victim)
            server.wait_for_workers(2, but=[victim])
        # The connection that has just asked for the workers may not be closed yet.
        eventually(lambda: len(descriptors_of(supervisor)) <= before, "no descriptors left")
        assert set(children_of(supervisor)) == set(server.workers())


def test_killed_supervisor(tmp_path: Path) -> None:
    """When the supervisor is killed, its workers finish what they have, and the port is free."""
    with serving(tmp_path, workers=2) as server:
        client = server.sleep(0.5)
        server.signal(signal.SIGKILL)
        server.log.wait_for("the supervisor is gone", count=2)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.close()
        server.wait_until_gone()
        again = tmp_path / "again"
        again.mkdir()
        host, port = server.address
        with serving(again, "--bind", f"{host}:{port}") as other:
            assert other.get().startswith("1 ")


def test_sigterm_to_a_worker_is_not_noticed(tmp_path: Path) -> None:
    """A worker that somebody ends with SIGTERM finishes its requests; its successor serves at once."""
    with serving(tmp_path) as server:
        with Load(server.address, keep_alive=8, one_shot=4) as load:
            load.wait_for(200)
            (before,) = server.workers()
            client = server.sleep(1.3)
            server.signal(signal.SIGTERM, before)
            server.wait_for_workers(1, but=[before])
            load.wait_for(200)
        assert not load.failures
        assert load.longest_gap < 1.0
        assert before in server.workers("retiring")
        assert body_of(client.recv(65536)) == f"1 {before}"
        client.close()
        eventually(lambda: not is_alive(before), "the old worker gone")
        assert server.status()["deaths"] == 0
