"""What a machine does to a server: no rows, no descriptors, closed streams, what a dead one has left."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import (
    APPLICATION,
    DEADLINE_SECONDS,
    POLL_SECONDS,
    Server,
    command_line,
    eventually,
    is_alive,
    launching,
    read_all,
    serving,
)

BEAT_SECONDS = 1.0
"""So often at least a worker says how many of its threads are busy."""

FOUR_ROWS = """
try:
    import breezeway.worker.scoreboard
except ImportError:
    pass
else:
    breezeway.worker.scoreboard.ROWS = 4
"""
"""A `sitecustomize` for a server that can have four workers at a time."""

FORKS = """
def app(environ, start_response, answer=app):
    if environ["PATH_INFO"] == "/fork" and not os.fork():
        time.sleep(30)
        os._exit(0)
    return answer(environ, start_response)
"""
"""Put behind an application: /fork leaves a process with a copy of all that the worker has open."""


def busied(server: Server) -> list[socket.socket]:
    """Send requests until every worker is in one; on a busy machine one may take several."""
    clients = [server.sleep(60) for _ in range(6)]
    ends = time.monotonic() + DEADLINE_SECONDS
    look_again = time.monotonic() + BEAT_SECONDS
    while not all(each["busy"] for each in server.workers().values()):
        assert time.monotonic() < ends, "not every worker has taken a request"
        if time.monotonic() >= look_again:
            clients.append(server.sleep(60))
            look_again = time.monotonic() + BEAT_SECONDS
        time.sleep(POLL_SECONDS)
    return clients


def test_no_row_left(tmp_path: Path) -> None:
    """With as many workers as there can be, a reload fails until one of them has ended."""
    (tmp_path / "sitecustomize.py").write_text(FOUR_ROWS)
    environ = {"PYTHONPATH": str(tmp_path)}
    options = ("--threads", "16")
    with serving(tmp_path, *options, workers=2, environ=environ, trouble=True) as server:
        clients = []
        for _ in range(2):
            clients += busied(server)
            if not server.workers("retiring"):
                server.ask("reload")
        with pytest.raises(UserError, match="cannot start a process: more than 4 workers"):
            server.ask("reload")
        assert server.get().startswith("1 ")
        for pid in server.workers("retiring"):
            server.signal(signal.SIGKILL, pid)
        eventually(lambda: not server.workers("retiring"), "the old workers gone")
        server.ask("reload")
        for client in clients:
            client.close()


def test_no_descriptor_left(tmp_path: Path) -> None:
    """A supervisor that has no descriptor for a new worker goes on, and starts it when it can."""
    with serving(tmp_path, workers=2) as server:
        pid = server.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        open_now = len(os.listdir(f"/proc/{pid}/fd"))
        victim = next(iter(server.workers()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now - 2, limits[1]))
        server.signal(signal.SIGKILL, victim)
        server.log.wait_for("cannot start a process: .*Too many open files")
        assert server.get().startswith("1 ")
        server.signal(signal.SIGUSR2)
        server.log.wait_for("the upgrade failed, .*: cannot start a process: .*Too many open files")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        server.wait_for_workers(2, but=[victim])


@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_children_of_workers(tmp_path: Path, preload: tuple[str, ...]) -> None:
    """A process that the application has forked, and that lives on, holds up neither reload nor stop."""
    application = APPLICATION + FORKS
    with serving(tmp_path, *preload, workers=1, application=application) as server:
        (old,) = server.workers()
        server.send("/fork").close()
        eventually(lambda: len(server.processes()) == 3 + len(preload), "the child")
        server.ask("reload")
        eventually(lambda: not is_alive(old), "the old worker gone")
        eventually(lambda: not server.workers("retiring"), "its end noticed")
        server.send("/fork").close()
        server.signal(signal.SIGTERM)
        assert server.end() == 0


@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_closed_streams(tmp_path: Path, preload: tuple[str, ...]) -> None:
    """Without standard streams it serves, reloads, is upgraded and stops all the same."""
    line = shlex.join(command_line(tmp_path, "--bind", "unix:web", "--workers", "2", *preload))
    command = ["sh", "-c", f"exec {line} <&- >&- 2>&-"]
    with launching(tmp_path, command=command) as server:
        eventually(lambda: Path(server.control).exists(), "the control socket")
        server.wait_for_workers(2)
        with Load(str(tmp_path / "web"), keep_alive=8, one_shot=4) as load:
            load.wait_for(100)
            server.ask("reload")
            server.ask("upgrade")
            assert server.end() == 0
            load.wait_for(100)
        assert not load.failures
        server.ask("stop")
        server.wait_until_gone()


def test_reader_of_the_log_is_gone(tmp_path: Path) -> None:
    """When nobody reads standard error any more, nothing ends of it."""
    os.mkfifo(tmp_path / "log")
    line = shlex.join(command_line(tmp_path, "--bind", "unix:web", "--workers", "2", "--preload"))
    with launching(tmp_path, command=["sh", "-c", f"exec {line} >log 2>&1"]) as server:
        with (tmp_path / "log").open() as log:
            assert "Serving" in log.readline()
        server.wait_for_workers(2)
        with Load(str(tmp_path / "web"), keep_alive=8, one_shot=4) as load:
            server.ask("reload")
            server.ask("upgrade")
            assert server.end() == 0
            server.deploy("raise RuntimeError('no database today')\n")
            with pytest.raises(UserError, match="no database today"):
                server.ask("reload")
            load.wait_for(100)
        assert not load.failures
        server.ask("stop")
        server.wait_until_gone()


def test_after_a_crash(tmp_path: Path) -> None:
    """What a killed server has left, sockets and a pid file, does not keep the next from starting."""
    options = ("--bind", "unix:web", "--pid-file", "pid", "--workers", "1")
    with serving(tmp_path, *options) as server:
        for pid in server.processes():
            server.signal(signal.SIGKILL, pid)
        eventually(lambda: not server.processes(), "all dead")
        for name in ("web", "control"):
            assert stat.S_ISSOCK((tmp_path / name).stat().st_mode)
        assert (tmp_path / "pid").exists()
        with serving(tmp_path, *options) as other:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "web"))
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert read_all(client).startswith(b"HTTP/1.1 200 ")
            assert int((tmp_path / "pid").read_text()) == other.status()["pid"]


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"threads = [[[[", b"=", b"workers = 99999999999999999999", b"[" * 5000],
)
def test_strange_settings(tmp_path: Path, content: bytes) -> None:
    """Whatever is in the settings file, a reload fails in words, and the server goes on."""
    with serving(tmp_path) as server:
        (tmp_path / "breezeway.toml").write_bytes(content)
        with pytest.raises(UserError, match=r"breezeway\.toml|there can be 128 workers"):
            server.ask("reload")
        server.signal(signal.SIGHUP)
        server.log.wait_for("the reload failed", count=2)
        assert server.get().startswith("1 ")


FAULT = """
import os

def raise_sometimes(*arguments, ask=None):
    if os.path.exists("fault"):
        os.unlink("fault")
        raise RuntimeError("this cannot happen")
    return ask(*arguments)

try:
    from breezeway.supervisor import policy
except ImportError:
    pass
else:
    from functools import partial

    policy.next_steps = partial(raise_sometimes, ask=policy.next_steps)
"""
"""A `sitecustomize` that plants a mistake in the supervisor."""


def test_mistake_of_our_own(tmp_path: Path) -> None:
    """A mistake in the supervisor itself is told with its traceback, and the supervisor goes on."""
    (tmp_path / "sitecustomize.py").write_text(FAULT)
    environ = {"PYTHONPATH": str(tmp_path)}
    with serving(tmp_path, workers=2, environ=environ, trouble=True) as server:
        (tmp_path / "fault").touch()
        server.log.wait_for("internal error in the supervisor; it goes on")
        server.log.wait_for("RuntimeError: this cannot happen")
        victim = next(iter(server.workers()))
        server.signal(signal.SIGKILL, victim)
        server.wait_for_workers(2, but=[victim])
        server.ask("reload")


CHILD_FAULT = """
import os

def fail(*_):
    raise RuntimeError("this cannot happen")

try:
    from breezeway.supervisor.supervisor import Supervisor
except ImportError:
    pass
else:
    after_fork = Supervisor.after_fork

    def sometimes(*arguments):
        after_fork(*arguments)
        if os.path.exists("fault"):
            os.unlink("fault")
            fail()

    Supervisor.after_fork = sometimes
"""
"""A `sitecustomize` that plants one in a process that has just been forked."""


@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_mistake_after_the_fork(tmp_path: Path, preload: tuple[str, ...]) -> None:
    """A mistake in a process just forked ends it, and it does nothing that is the supervisor's."""
    (tmp_path / "sitecustomize.py").write_text(CHILD_FAULT)
    environ = {"PYTHONPATH": str(tmp_path)}
    options = ("--pid-file", "pid", *preload)
    with serving(tmp_path, *options, workers=2, environ=environ, trouble=True) as server:
        (tmp_path / "fault").touch()
        with pytest.raises(UserError, match=r"died|ended with status"):
            server.ask("reload")
        assert (tmp_path / "pid").exists()
        server.ask("reload")
        eventually(lambda: len(server.processes()) == 3 + len(preload), "the old ones gone")


def test_second_server(tmp_path: Path) -> None:
    """A second server with the same pid file does not start, and leaves the first one alone."""
    with serving(tmp_path, "--pid-file", "pid", workers=1) as server:
        command = command_line(tmp_path, "--pid-file", "pid", "--control-socket", "off")
        second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20)
        assert second.returncode == 1
        assert f"process {server.process.pid} has locked it" in second.stderr
        assert int((tmp_path / "pid").read_text()) == server.process.pid
        assert server.get().startswith("1 ")
