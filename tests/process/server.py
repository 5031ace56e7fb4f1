"""A server under a supervisor, in processes of its own: start it, signal it, ask it, read its log.

Whatever a test does, nothing is left behind: every process that descends from the server has a mark in
its environment, and whoever has it is killed at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from breezeway import ctl_client

APPLICATION = """
import os, time

VERSION = "1"

def app(environ, start_response):
    if environ["PATH_INFO"] == "/sleep":
        print("sleeping", flush=True)
        time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{VERSION} {os.getpid()}".encode()]
"""
"""Answers with its version and the pid of its worker."""

DEADLINE_SECONDS = 20.0
"""For anything that a server does at once; a machine may be busy."""

POLL_SECONDS = 0.005

MARK = "TEST_MARK"

TROUBLE = r"Traceback|internal error|has not ended in time"
"""What no log should contain, unless a test says that it should."""


def eventually(
    condition: Callable[[], Any], what: str, *, seconds: float = DEADLINE_SECONDS
) -> Any:
    """Wait until a condition holds, return its value, and fail when it does not in time."""
    ends = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < ends, f"not in time: {what}"
        time.sleep(POLL_SECONDS)
    return value


class Lines:
    """What a process writes, line by line, collected by a thread."""

    def __init__(self, stream: IO[str], name: str) -> None:
        self._stream = stream
        self._name = name
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._at_end = False
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the stream, of which nobody has the other end any more."""
        self._thread.join(DEADLINE_SECONDS)
        self._stream.close()

    def _collect(self) -> None:
        for line in self._stream:
            with self._news:
                self._lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._at_end = True
            self._news.notify_all()

    @property
    def text(self) -> str:
        """Everything so far."""
        with self._news:
            return "\n".join(self._lines)

    def find(self, pattern: str) -> list[re.Match[str]]:
        """Return the matches in all lines so far, one for each line."""
        with self._news:
            found = [re.search(pattern, line) for line in self._lines]
        return [match for match in found if match is not None]

    def wait_for(
        self, pattern: str, *, count: int = 1, seconds: float = DEADLINE_SECONDS
    ) -> re.Match[str]:
        """Wait for the line number `count` that matches; return the match."""
        ends = time.monotonic() + seconds
        while len(found := self.find(pattern)) < count:
            with self._news:
                left = ends - time.monotonic()
                assert left > 0, f"no {pattern!r} in {self._name}:\n" + "\n".join(self._lines)
                assert not self._at_end, f"{self._name} has ended:\n" + "\n".join(self._lines)
                self._news.wait(min(left, 0.1))
        return found[count - 1]


class Server:
    """A supervisor, its workers, and what they say."""

    def __init__(
        self,
        directory: Path,
        command: Sequence[str],
        environ: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.directory = directory
        self.control = str(directory / "control")
        self._mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ, MARK: self._mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = Lines(self.process.stdout, "standard output")
        self.log = Lines(self.process.stderr, "standard error")
        self.url = ""

    # --- clients ---------------------------------------------------------------------------------

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first listener."""
        return address_of(self.url)

    def connect(self, url: str | None = None) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(address_of(url or self.url), DEADLINE_SECONDS)

    def send(self, path: str = "/") -> socket.socket:
        """Send a request on a connection of its own."""
        client = self.connect()
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return client

    def get(self, path: str = "/", url: str | None = None) -> str:
        """Ask for a path on a connection of its own; return the body."""
        with self.connect(url) as client:
            client.sendall(
                f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode()
            )
            return body_of(read_all(client))

    def sleep(self, seconds: float) -> socket.socket:
        """Send a request that takes so long, and wait until the application works on it."""
        before = len(self.out.find("^sleeping$"))
        client = self.send(f"/sleep?{seconds}")
        try:
            self.out.wait_for("^sleeping$", count=before + 1)
        except BaseException:
            client.close()
            raise
        return client

    # --- operators -------------------------------------------------------------------------------

    def signal(self, number: signal.Signals, pid: int = 0) -> None:
        """Send a signal to the supervisor, or to one of its workers."""
        os.kill(pid or self.process.pid, number)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask for something on the control socket; raise `UserError` if it fails."""
        return ctl_client.ask(
            self.control,
            {"command": command, **arguments},
            seconds=3 * DEADLINE_SECONDS,
            on_progress=lambda *_: None,
        )

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `breezeway ctl`."""
        return subprocess.run(
            [sys.executable, "-m", "breezeway", "ctl", "--socket", self.control, *arguments],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=3 * DEADLINE_SECONDS,
        )

    def status(self) -> dict[str, Any]:
        """Return what `ctl status` says."""
        return self.ask("status")

    def workers(self, state: str = "ready") -> dict[int, dict[str, Any]]:
        """Return the workers in this state, by pid."""
        found = self.status()["workers"]
        return {each["pid"]: each for each in found if each["state"] == state}

    def wait_for_workers(
        self, count: int, but: Sequence[int] = (), *, seconds: float = DEADLINE_SECONDS
    ) -> set[int]:
        """Wait until so many workers serve, none of `but` among them; return their pids."""

        def serving() -> set[int] | None:
            pids = set(self.workers())
            return pids if len(pids) == count and pids.isdisjoint(but) else None

        found: set[int] = eventually(serving, f"{count} workers\n{self.log.text}", seconds=seconds)
        return found

    def deploy(self, source: str, name: str = "application.py") -> None:
        """Put another file in the place of the application, in one go."""
        deploy(self.directory / name, source)

    # --- the end ---------------------------------------------------------------------------------

    def end(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Wait for the end of the first supervisor; return its exit status."""
        return self.process.wait(seconds)

    def processes(self) -> list[int]:
        """List every process that descends from this server, zombies not counted."""
        wanted = f"{MARK}={self._mark}".encode()
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in Path(f"/proc/{name}/environ").read_bytes():
                        found.append(int(name))
        return found

    def wait_until_gone(self, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until no process of this server is left."""
        eventually(lambda: not self.processes(), "all processes gone", seconds=seconds)

    def kill(self) -> None:
        """Kill every process of this server."""
        ends = time.monotonic() + DEADLINE_SECONDS
        while pids := self.processes():
            assert time.monotonic() < ends, pids
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.out.close()
        self.log.close()


def command_line(directory: Path, *options: str) -> list[str]:
    """Return the command line of a server for the application in a directory."""
    control = () if "--control-socket" in options else ("--control-socket", "control")
    bind = () if any(each.startswith("--bind") for each in options) else ("--bind", "127.0.0.1:0")
    return [sys.executable, "-m", "breezeway", "application:app", *bind, *control, *options]


@contextmanager
def launching(
    directory: Path,
    *options: str,
    application: str = APPLICATION,
    environ: Mapping[str, str] | None = None,
    command: Sequence[str] | None = None,
    pass_fds: Sequence[int] = (),
    trouble: bool = False,
) -> Iterator[Server]:
    """Start a server; what it serves is the application, written to `application.py`.

    With `trouble`, its log may contain a traceback and the like.
    """
    deploy(directory / "application.py", application)
    command = command or command_line(directory, *options)
    server = Server(directory, command, environ or {}, pass_fds)
    try:
        yield server
        if not trouble:
            assert not server.log.find(TROUBLE), server.log.text
    except BaseException:
        print(server.log.text)  # pytest shows it with the failure
        raise
    finally:
        server.kill()


@contextmanager
def serving(directory: Path, *options: str, workers: int = 0, **more: Any) -> Iterator[Server]:
    """Start a server as `launching` does, and wait until it serves, with so many workers."""
    if workers:
        options = ("--workers", str(workers), *options)
    with launching(directory, *options, **more) as server:
        server.url = server.log.wait_for(r"Serving .*on (\S+)")[1]
        if workers > 1:
            server.wait_for_workers(workers)
        yield server


def deploy(path: Path, source: str) -> None:
    """Write a file in one go."""
    new = path.with_suffix(".new")
    new.write_text(source)
    new.replace(path)


def address_of(url: str) -> tuple[str, int]:
    """Return host and port of a URL."""
    host, _, port = url.partition("://")[2].rpartition(":")
    return host, int(port)


def read_all(client: socket.socket) -> bytes:
    """Read to the end of the connection."""
    received = b""
    while data := client.recv(65536):
        received += data
    return received


def body_of(response: bytes) -> str:
    """Return the body of a response with status 200."""
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), response
    return body.decode()


def memory_of(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors_of(pid: int) -> list[str]:
    """Return what a process has open."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return sorted(found)


def children_of(pid: int) -> dict[int, str]:
    """Return the children of a process and the state of each: R, S, Z for a zombie."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{name}/stat").read_text()
                state, parent = stat.rpartition(")")[2].split()[:2]
                if int(parent) == pid:
                    found[int(name)] = state
    return found


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def as_json(process: subprocess.CompletedProcess[str]) -> Any:
    """Read the result of a `ctl` that succeeded."""
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)
