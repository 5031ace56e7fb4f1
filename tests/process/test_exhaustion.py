"""When the machine has no more: descriptors, threads, room on a disk, somebody who reads the log."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import APPLICATION, Server, command_line, eventually, launching, serving

FAILING = """
def app(environ, start_response, answer=app):
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("failed")
    return answer(environ, start_response)
"""
"""Put behind an application: /fail leaves a traceback in the log."""

LISTEN_TIME_WAIT = ("0A", "06")
"""States of tcp(7), as numbers of the kernel, in which no process has a connection."""

QUICK_SECONDS = 1.0
"""How soon a server is well again when the cause is gone."""


def worker_of(server: Server) -> int:
    """Return the pid of the only worker."""
    (pid,) = server.workers()
    return pid


@contextlib.contextmanager
def limited(pid: int, what: int, limit: int) -> Iterator[None]:
    """Set a process a limit for the time being."""
    soft, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (limit, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, what, (soft, hard))


def descriptors(pid: int) -> int:
    """Return one more than the highest descriptor of a process."""
    return max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1


def test_no_descriptors(tmp_path: Path) -> None:
    """Idle connections go for new ones; without such, new ones wait, and are served soon after."""
    with serving(tmp_path, "--threads", "8", workers=1) as server, contextlib.ExitStack() as stack:
        pid = worker_of(server)
        with limited(pid, resource.RLIMIT_NOFILE, descriptors(pid) + 4):
            idle = [stack.enter_context(server.connect()) for _ in range(10)]
            assert server.get().startswith("1 ")
            busy = [stack.enter_context(server.sleep(1.5)) for _ in range(4)]
            late = stack.enter_context(server.send())
            server.log.wait_for("cannot accept connections: Too many open files")
            for client in busy:
                assert client.recv(65536)
            assert late.recv(65536).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert server.get().startswith("1 ")
        assert time.monotonic() - began < QUICK_SECONDS
        server.log.wait_for(r"accepting connections again, after \d+\.\d s")
        assert len(server.log.find("cannot accept connections")) == 1
        assert idle


def open_connections(port: int) -> int:
    """Count the connections to a port that some process has open still (proc(5), net/tcp)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = [(line.split()[1], line.split()[3]) for line in lines]
    return sum(
        end.endswith(f":{port:04X}") and state not in LISTEN_TIME_WAIT for end, state in ends
    )


def test_last_descriptor(tmp_path: Path) -> None:
    """The connection that gets the last descriptor keeps it: there is nobody to make room for."""
    with serving(tmp_path, workers=1) as server:
        with (
            server.send() as client
        ):  # which ends the connection, so that its state tells of the server
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        eventually(lambda: not open_connections(server.address[1]), "the first connection gone")
        pid = worker_of(server)
        taken = set(map(int, os.listdir(f"/proc/{pid}/fd")))
        last = next(fd for fd in range(len(taken) + 1) if fd not in taken)
        with limited(pid, resource.RLIMIT_NOFILE, last + 1), server.connect() as client:
            eventually(lambda: os.path.exists(f"/proc/{pid}/fd/{last}"), "the connection accepted")
            client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        assert not server.log.find("cannot accept connections|closed for a new connection")


def test_low_limit_on_descriptors(tmp_path: Path) -> None:
    """With fewer descriptors than connections, there are fewer connections, and one line says so."""
    line = shlex.join(command_line(tmp_path, "--workers", "2"))
    command = ["sh", "-c", f"ulimit -n 300 && exec {line}"]
    with serving(tmp_path, command=command) as server, contextlib.ExitStack() as stack:
        server.wait_for_workers(2)
        assert len(server.log.find("only 150 connections for each worker instead of 10000")) == 1
        for _ in range(400):
            stack.enter_context(server.connect())
        assert server.get().startswith("1 ")
        assert not server.log.find("Too many open files")


def test_no_threads(tmp_path: Path) -> None:
    """When the system has no more threads, requests wait for those that there are."""
    with serving(tmp_path, "--threads", "8", workers=1) as server, contextlib.ExitStack() as stack:
        assert server.get().startswith("1 ")
        pid = worker_of(server)
        status = Path(f"/proc/{pid}/status").read_text()
        size = int(re.findall(r"VmSize:\s+(\d+) kB", status)[0]) * 1024
        with limited(pid, resource.RLIMIT_AS, size + 6 * 1024 * 1024):
            clients = [stack.enter_context(server.send("/sleep?0.1")) for _ in range(6)]
            for client in clients:
                assert client.recv(65536).startswith(b"HTTP/1.1 200")
            server.log.wait_for("cannot start a thread")
        clients = [stack.enter_context(server.send("/sleep?0.1")) for _ in range(6)]
        for client in clients:
            assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_nobody_reads_the_log(tmp_path: Path) -> None:
    """A pipe that nobody empties, full of tracebacks, stops no request."""
    os.mkfifo(tmp_path / "log")
    line = shlex.join(command_line(tmp_path, "--bind", "unix:web", "--workers", "1"))
    command = ["sh", "-c", f"exec {line} >log 2>&1"]
    application = APPLICATION + FAILING
    with (
        launching(tmp_path, command=command, application=application),
        (tmp_path / "log").open() as log,
    ):
        assert "Serving" in log.readline()
        for _ in range(400):
            assert unix_get(tmp_path / "web", "/fail").startswith(b"HTTP/1.1 500")
        assert unix_get(tmp_path / "web", "/").startswith(b"HTTP/1.1 200")


def unix_get(path: Path, target: str) -> bytes:
    """Ask over a unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return client.recv(65536)


def test_logs_that_are_full_from_the_start(tmp_path: Path) -> None:
    """The log goes to standard error, the access log is lost, and requests are served."""
    options = ("--log-file", "/dev/full", "--access-log-file", "/dev/full")
    with launching(tmp_path, *options, "--workers", "1", "--bind", "unix:web") as server:
        server.log.wait_for("Serving")
        for _ in range(20):
            assert unix_get(tmp_path / "web", "/").startswith(b"HTTP/1.1 200")
        server.log.wait_for("cannot write to the log file /dev/full: No space left on device")
        server.log.wait_for(
            "cannot write to the access log: No space left on device; its lines are"
        )
        assert len(server.log.find("cannot write to the access log")) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a directory on a disk of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_disk_that_fills_up(tmp_path: Path, small_disk: Path) -> None:
    """While the disk of the logs is full, requests are served, and lines of the access log are kept."""
    log, access = small_disk / "log", small_disk / "access"
    options = ("--log-file", str(log), "--access-log-file", str(access))
    with launching(
        tmp_path,
        *options,
        "--workers",
        "1",
        "--bind",
        "unix:web",
        application=APPLICATION + FAILING,
        trouble=True,
    ) as server:
        server.log.wait_for("Serving")
        assert unix_get(tmp_path / "web", "/").startswith(b"HTTP/1.1 200")
        eventually(lambda: access.stat().st_size, "a line of the access log")
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        for _ in range(50):
            assert unix_get(tmp_path / "web", "/fail").startswith(b"HTTP/1.1 500")
        server.log.wait_for("cannot write to the log file .*: No space left on device")
        eventually(
            lambda: unix_get(tmp_path / "web", "/") and server.log.find("write to the access log"),
            "the access log cannot be written to, either",
        )
        filler.unlink()
        assert unix_get(tmp_path / "web", "/fail").startswith(b"HTTP/1.1 500")
        wanted = r"the log file could not be written to: \d+ lines went to standard error"
        eventually(lambda: re.search(wanted, log.read_text()), "the log goes on")

        def goes_on() -> bool:
            unix_get(tmp_path / "web", "/later")
            return b"GET /later" in access.read_bytes()

        eventually(goes_on, "the access log goes on")
        eventually(lambda: "the access log is written again" in log.read_text(), "and says so")
        assert b"dropped" not in access.read_bytes()


def test_status_tells_what_was_counted(tmp_path: Path) -> None:
    """The counters of all workers are summed up, and those of workers that have ended stay."""

    def refused() -> int:
        found = server.status()["counters"].get("refused.400", 0)
        assert isinstance(found, int)
        return found

    with serving(tmp_path, workers=2) as server:
        assert server.status()["counters"] == {}
        for _ in range(10):
            with server.connect() as client:
                client.sendall(b"no request\r\n\r\n")
                assert client.recv(65536).startswith(b"HTTP/1.1 400")
        eventually(lambda: refused() == 10, "all of them counted")
        server.ask("recycle")
        eventually(lambda: not server.workers("retiring"), "the old workers gone")
        assert refused() == 10
        assert "counted: 10 refused.400" in server.ctl("status", "--no-json").stdout
