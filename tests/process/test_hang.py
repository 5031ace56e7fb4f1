"""A worker whose event loop stands still: said, killed, replaced, while the others serve."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import APPLICATION, Server, eventually, is_alive, serving

HOLDS = """
import ctypes

def hold_the_gil(seconds):
    ctypes.PyDLL(None).sleep(seconds)

def app(environ, start_response, answer=app):
    if environ["PATH_INFO"] == "/hold":
        print("holding", os.getpid(), flush=True)
        hold_the_gil(60)
    return answer(environ, start_response)
"""
"""Put behind an application: /hold keeps the interpreter lock inside of C."""

BREAKS = """
def app(environ, start_response, answer=app):
    if environ["PATH_INFO"] == "/break":
        for fd in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:[eventpoll]":
                    os.close(int(fd))
            except OSError:
                pass
    return answer(environ, start_response)
"""
"""Put behind an application: /break closes the event loop's descriptor, as a daemon's set-up does."""


def hold(server: Server) -> int:
    """Have a worker stand still; return its pid."""
    client = server.send("/hold")
    pid = int(server.out.wait_for(r"holding (\d+)")[1])
    client.close()
    return pid


def test_hanging_worker_is_replaced(tmp_path: Path) -> None:
    """After --worker-timeout its stacks are logged, it is killed, and another one serves.

    So it is with one that somebody has stopped, which can say nothing about itself.
    """
    options = ("--worker-timeout", "1s")
    application = APPLICATION + HOLDS
    with serving(tmp_path, *options, workers=3, application=application) as server:
        began = time.monotonic()
        hung = hold(server)
        stopped = next(pid for pid in server.workers() if pid != hung)
        server.signal(signal.SIGSTOP, stopped)
        with Load(server.address, keep_alive=0, one_shot=4, pause=0.01) as load:
            server.wait_for_workers(3, but=[hung, stopped])
            server.log.wait_for(rf"\(pid {hung}\) has stood still for \d s")
            server.log.wait_for(rf"\(pid {stopped}\) has stood still for \d s")
            server.log.wait_for(r'application\.py", line \d+ in hold_the_gil')
            server.log.wait_for("^  it has told nothing of them$")
            for pid in (hung, stopped):
                eventually(lambda: not is_alive(pid), "the hanging worker killed")
            load.wait_for(20)
        assert {each.last_body for each in load.failures} <= {"", f"1 {stopped}"}
        assert time.monotonic() - began < 10
        status = server.status()
        assert status["deaths"] == 2
        assert status["death_causes"] == [{"cause": "hang", "detail": "", "count": 2}]


def test_worker_with_a_broken_loop_is_replaced(tmp_path: Path) -> None:
    """One whose event loop cannot go on says so and ends; another one serves, and nothing is killed."""
    with serving(tmp_path, workers=1, application=APPLICATION + BREAKS, trouble=True) as server:
        (before,) = server.workers()
        server.send("/break").close()
        server.log.wait_for("the event loop cannot go on .*Bad file descriptor")
        server.log.wait_for(rf"\(pid {before}\) ended with status 70")
        server.wait_for_workers(1, but=[before])
        assert server.status()["death_causes"] == [{"cause": "exit", "detail": "70", "count": 1}]


def test_slow_requests_are_no_hang(tmp_path: Path) -> None:
    """A request, or all threads, may take longer than --worker-timeout: the event loop turns."""
    with serving(tmp_path, "--worker-timeout", "1s", "--threads", "2", workers=1) as server:
        before = set(server.workers())
        clients = [server.sleep(2.5) for _ in range(2)]
        for client in clients:
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
            client.close()
        assert set(server.workers()) == before


def test_slow_boot_is_no_hang(tmp_path: Path) -> None:
    """Loading may take longer than --worker-timeout: the event loop has not begun to turn."""
    slow = "import time\ntime.sleep(2.1)\n" + APPLICATION
    with serving(tmp_path, "--worker-timeout", "500ms", workers=1, application=slow) as server:
        (before,) = server.workers()
        # Nor is it a hang when there is nothing to do: the event loop turns once in a second.
        eventually(lambda: server.status()["workers"][0]["age"] > 4, "some time")
        assert set(server.workers()) == {before}
        assert "stood still" not in server.log.text


def test_stop_with_a_hanging_worker(tmp_path: Path) -> None:
    """A worker that stands still is killed when the grace is over, and the server ends."""
    options = ("--graceful-timeout", "500ms")
    application = APPLICATION + HOLDS
    with serving(tmp_path, *options, workers=2, application=application, trouble=True) as server:
        hung = hold(server)
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        assert 2 < time.monotonic() - began < 5
        server.log.wait_for(rf"\(pid {hung}\) has not ended in time, and is killed")
        server.wait_until_gone()


def test_reload_with_a_hanging_worker(tmp_path: Path) -> None:
    """A worker that hangs before a reload, or in the middle, does not hold the reload up."""
    options = ("--worker-timeout", "1s")
    application = APPLICATION + HOLDS
    with serving(tmp_path, *options, workers=2, application=application) as server:
        hung = hold(server)
        server.ask("reload")
        assert hung not in server.workers()


def test_stacks_of_a_hanging_worker(tmp_path: Path) -> None:
    """`ctl stacks` answers all the same, with what the others say."""
    with serving(tmp_path, workers=2, application=APPLICATION + HOLDS) as server:
        hung = hold(server)
        server.sleep(3).close()
        stacks = {each["pid"]: each["threads"] for each in server.ask("stacks")["workers"]}
        assert not stacks.pop(hung)
        with pytest.raises(UserError, match="no worker that serves has the pid 1;"):
            server.ask("stacks", pid=1)
        ((_, threads),) = stacks.items()
        assert any(each["request"] == "GET /sleep?3" for each in threads), threads
