"""The admin listener: a process of its own, which lives as long as the server."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.errors import UserError

from .server import (
    Server,
    body_of,
    children_of,
    descriptors_of,
    eventually,
    is_alive,
    launching,
    read_all,
    serving,
)
from .test_upgrade import supervisor_of, upgrade

TOKEN = "a-token-of-some-length"
ADMIN = ("--admin-bind", "127.0.0.1:0")
PATHS = ("/metrics", "/health", "/api/status", "/api/events", "/api/reload", "/dashboard.js")


WAITING = """
import os, time

def app(environ, start_response):
    print("waiting", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"""
"""Answers when there is a file `go`."""


class Unix(http.client.HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


def dashboard_of(server: Server) -> str:
    """Return the URL that the server says."""
    return server.log.wait_for(r"Dashboard on (\S+)")[1]


def ask(
    url: str, path: str, body: Any = None, token: str = "", host: str = ""
) -> tuple[int, bytes]:
    """Ask the admin listener for something; return status and content."""
    is_unix = url.startswith("unix:")
    where = url.removeprefix("unix:") if is_unix else url.removeprefix("http://")
    client = Unix(where) if is_unix else http.client.HTTPConnection(where, timeout=20)
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    fields |= {"Host": host} if host else {}
    with contextlib.closing(client):
        if body is None:
            client.request("GET", path, headers=fields)
        else:
            fields["Content-Type"] = "application/json"
            client.request("POST", path, json.dumps(body), fields)
        answer = client.getresponse()
        return answer.status, answer.read()


def is_served(url: str) -> bool:
    """Whether the admin listener answers."""
    try:
        return ask(url, "/health")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def admin_process(server: Server) -> int:
    """Return the pid of the admin process: the child that is no worker."""
    workers = {each["pid"] for each in server.status()["workers"]}
    found = [
        pid
        for pid, state in children_of(supervisor_of(server)).items()
        if state != "Z" and pid not in workers
    ]
    assert len(found) == 1, found
    return found[0]


@contextlib.contextmanager
def stream(url: str) -> Iterator[Any]:
    """Open the stream of events; give its response, of which something has been read."""
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    with contextlib.closing(client):
        client.request("GET", "/api/events")
        answer = client.getresponse()
        with contextlib.closing(answer):
            assert answer.readline().startswith(b"retry:")
            yield answer


def test_counts_from_the_start(tmp_path: Path) -> None:
    """All numbers are there: requests are counted from the first, nothing is watched for."""
    with serving(tmp_path, *ADMIN, workers=2) as server:
        url = dashboard_of(server)
        for _ in range(5):
            server.get()

        def counted() -> bool:
            _, text = ask(url, "/metrics")
            return b'breezeway_requests_total{method="GET",status="2xx"} 5\n' in text

        eventually(counted, "5 requests in the metrics")
        assert json.loads(ask(url, "/api/status")[1])["pid"] == server.process.pid


def test_public_listener_has_nothing_of_it(tmp_path: Path) -> None:
    """Its paths are the application's on the public listener, and it does not answer there."""
    with serving(tmp_path, *ADMIN, "--admin-token", TOKEN, workers=1) as server:
        admin = admin_process(server)
        for path in PATHS:
            assert server.get(path).startswith("1 ")
        port = server.address[1]
        inodes = {f"socket:[{line.split()[9]}]" for line in _listening(port)}
        assert inodes
        assert not inodes & set(descriptors_of(admin))
        its = {
            f"socket:[{line.split()[9]}]"
            for line in _listening(int(dashboard_of(server).rpartition(":")[2]))
        }
        (worker,) = server.workers()
        assert its & set(descriptors_of(admin))
        assert not its & set(descriptors_of(worker))


def _listening(port: int) -> list[str]:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [
        line
        for line in lines
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    ]


def test_actions(tmp_path: Path) -> None:
    """With the token the server is reloaded, scaled and recycled; another host or token is refused."""
    with serving(tmp_path, *ADMIN, "--admin-token", TOKEN, workers=1) as server:
        url = dashboard_of(server)
        (before,) = server.workers()
        assert ask(url, "/api/reload", {}, "wrong-token-of-some-length")[0] == 401
        assert ask(url, "/api/reload", {}, TOKEN, "attacker.example")[0] == 421
        status, text = ask(url, "/api/reload", {}, TOKEN)
        assert (status, json.loads(text)["generation"]) == (200, 2)
        assert ask(url, "/api/scale", {"workers": 2}, TOKEN)[0] == 200
        pids = server.wait_for_workers(2, but=[before])
        recycled = min(pids)
        assert ask(url, "/api/recycle", {"pid": recycled}, TOKEN)[0] == 200
        server.wait_for_workers(2, but=[recycled])
        status, text = ask(url, "/api/scale", {"workers": 0}, TOKEN)
        assert status == 409
        assert b"1 to 128" in text
        assert TOKEN.encode() not in ask(url, "/api/settings")[1]
        assert TOKEN not in server.log.text


def test_is_started_again(tmp_path: Path) -> None:
    """When it is killed, the log says how, and another one takes its place; workers do not notice."""
    with serving(tmp_path, *ADMIN, workers=1) as server:
        url = dashboard_of(server)
        first = admin_process(server)
        os.kill(first, signal.SIGKILL)
        server.log.wait_for("the admin process was killed by SIGKILL")
        eventually(lambda: is_served(url), "served again")
        assert admin_process(server) != first
        assert server.status()["deaths"] == 0
        assert b"the admin process was killed by SIGKILL" in ask(url, "/api/log")[1]


def test_stops_with_the_server(tmp_path: Path) -> None:
    """It shows how the last requests are finished, and ends with the supervisor, streams and all."""
    with serving(tmp_path, *ADMIN, workers=1, application=WAITING) as server:
        url = dashboard_of(server)
        with stream(url) as answer:
            client = server.send("/wait")
            server.out.wait_for("^waiting$")
            for pid in (server.process.pid, admin_process(server)):  # as a service manager does
                os.kill(pid, signal.SIGTERM)
            eventually(lambda: ask(url, "/health") == (503, b"stopping\n"), "stopping")
            (tmp_path / "go").touch()
            with client:
                assert body_of(read_all(client))
            answer.read()
        assert server.end() == 0
        with pytest.raises(ConnectionRefusedError):
            ask(url, "/health")
        server.wait_until_gone()


def test_ends_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """It does not outlive a supervisor that could not say goodbye."""
    with serving(tmp_path, *ADMIN, workers=1) as server:
        admin = admin_process(server)
        server.process.kill()
        eventually(lambda: not is_alive(admin), "the admin process gone")


def test_reload(tmp_path: Path) -> None:
    """A reload leaves it alone, unless its own settings change: then its address moves."""
    first, second = tmp_path / "first", tmp_path / "second"
    settings = tmp_path / "breezeway.toml"
    settings.write_text('admin_bind = "unix:first"\n')
    with serving(tmp_path, workers=1) as server:
        assert dashboard_of(server) == f"unix:{first}"
        assert first.stat().st_mode & 0o777 == 0o600
        before = admin_process(server)
        server.ask("reload")
        assert admin_process(server) == before
        settings.write_text('admin_bind = "unix:second"\n')
        server.ask("reload")
        eventually(lambda: is_served(f"unix:{second}"), "served at the new address")
        assert not first.exists()
        eventually(lambda: not is_alive(before), "the one before gone")
        settings.write_text(f'admin_bind = "unix:second"\nadmin_token = "{TOKEN}"\n')
        server.ask("reload")
        eventually(
            lambda: ask(f"unix:{second}", "/api/reload", {})[0] == 401, "the token asked for"
        )
        settings.write_text('admin_bind = "unix:no/such/place"\nthreads = 3\n')
        with pytest.raises(UserError, match=r"cannot listen on .* \(--admin-bind\)"):
            server.ask("reload")
        assert is_served(f"unix:{second}")
        assert (server.status()["reloads"], server.status()["failed_reloads"]) == (3, 1)
        settings.write_text("")
        server.ask("reload")
        eventually(lambda: not second.exists(), "the socket gone")


def test_to_another_host(tmp_path: Path) -> None:
    """The port stays while a reload or an upgrade changes the host; what was there makes no noise."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    settings = tmp_path / "breezeway.toml"
    settings.write_text(f'admin_bind = "127.0.0.1:{port}"\n')
    with serving(tmp_path, workers=1) as server:
        before = admin_process(server)
        settings.write_text(f'admin_bind = "0.0.0.0:{port}"\nadmin_token = "{TOKEN}"\n')
        assert server.ctl("reload").returncode == 0
        eventually(lambda: is_served(f"http://127.0.0.2:{port}"), "served at the new address")
        eventually(lambda: not is_alive(before), "the one before gone")
        assert ask(f"http://127.0.0.1:{port}", "/api/status")[0] == 401
        server.log.wait_for(rf"dashboard on http://0\.0\.0\.0:{port}")
        settings.write_text(f'admin_bind = "127.0.0.1:{port}"\n')
        old = server.process.pid
        new = upgrade(server, old)
        eventually(lambda: not is_alive(old), "the old supervisor gone")
        status = json.loads(ask(f"http://127.0.0.1:{port}", "/api/status")[1])
        assert status["pid"] == new
        assert not is_served(f"http://127.0.0.2:{port}")
        assert not server.log.find("WARNING|ERROR|cannot")
        server.signal(signal.SIGTERM, new)
        server.wait_until_gone()


def test_upgrade(tmp_path: Path) -> None:
    """An upgrade hands the listener over: the address stays, the process is another one."""
    path = tmp_path / "admin"
    with serving(tmp_path, "--admin-bind", "unix:admin", workers=1) as server:
        url = f"unix:{path}"
        eventually(lambda: is_served(url), "served")
        inode = path.stat().st_ino
        old = server.process.pid
        new = upgrade(server, old)
        eventually(lambda: not is_alive(old), "the old supervisor gone")
        eventually(lambda: json.loads(ask(url, "/api/status")[1])["pid"] == new, "its numbers")
        assert path.stat().st_ino == inode
        server.signal(signal.SIGTERM, new)
        server.wait_until_gone()
        assert not path.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--admin-bind", ":0"), "admin_bind needs admin_token"),
        (("--admin-bind", ":0", "--admin-token", "short"), "16 characters"),
        (("--admin-token", TOKEN), "needs admin_bind"),
        (("--admin-bind", "unix:no/such/place"), "--admin-bind"),
    ],
)
def test_wrong_settings(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    """What would let strangers look in, or cannot be, is said at the start."""
    with launching(tmp_path, *options) as server:
        assert server.end() in (2, 4)
        server.log.wait_for(message)
        assert "short" not in server.log.text.replace("--admin-token", "")


def test_without_a_supervisor(tmp_path: Path) -> None:
    """A program that serves by itself, without workers, is told that it needs one."""
    program = "import breezeway; breezeway.serve(lambda e, s: [], ':0', admin_bind='127.0.0.1:0')"
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert found.returncode == 2
    assert "workers=1" in found.stderr
