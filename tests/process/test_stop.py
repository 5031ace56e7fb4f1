"""A server process, from its start to its end: real processes, real signals."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

APPLICATION = """
import time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        print("waiting", flush=True)
        time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"""

REQUEST = b"GET %s HTTP/1.1\r\nHost: test\r\n\r\n"

DEADLINE_SECONDS = 15


class Server:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr is not None
        line = process.stderr.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert match is not None, line
        self.port = int(match[1])

    def connect(self) -> socket.socket:
        """Connect to it."""
        return socket.create_connection(("127.0.0.1", self.port), DEADLINE_SECONDS)

    def request(self, path: bytes) -> socket.socket:
        """Send a request and wait until the application works on it."""
        client = self.connect()
        client.sendall(REQUEST % path)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "waiting\n"
        return client

    def end(self) -> tuple[int, str]:
        """Wait for its end; return the exit code and what it has said."""
        assert self.process.stderr is not None
        code = self.process.wait(DEADLINE_SECONDS)
        return code, self.process.stderr.read()


@contextmanager
def serving(tmp_path: Path, *options: str) -> Iterator[Server]:
    """Start a server for `APPLICATION` with these options."""
    (tmp_path / "waiting_app.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "breezeway", "waiting_app", "--bind", "127.0.0.1:0", *options]
    process = subprocess.Popen(
        [*command, "--app-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Server(process)
        finally:
            process.kill()


def read_all(client: socket.socket) -> bytes:
    """Read to the end of the connection."""
    received = b""
    while data := client.recv(65536):
        received += data
    client.close()
    return received


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_are_finished(tmp_path: Path, number: signal.Signals) -> None:
    """The signal to stop lets a request end, closes its connection after it, and exits with 0."""
    with serving(tmp_path) as server:
        client = server.request(b"/wait?0.5")
        server.process.send_signal(number)
        response = read_all(client)
        assert response.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in response
        assert response.endswith(b"done")
        code, said = server.end()
        assert code == 0
        assert "stopping" in said


def test_idle_connections_end_at_once(tmp_path: Path) -> None:
    """A connection at rest does not delay the stop; neither does one that has said nothing yet."""
    with serving(tmp_path) as server, server.connect() as used, server.connect() as fresh:
        used.sendall(REQUEST % b"/")
        assert used.recv(65536).endswith(b"done")
        server.process.terminate()
        assert used.recv(1) == b""
        assert fresh.recv(1) == b""
        assert server.end()[0] == 0


def test_stopping_server_refuses_connections(tmp_path: Path) -> None:
    """While the last request is finished, the port is closed already."""
    with serving(tmp_path) as server:
        client = server.request(b"/wait?1")
        server.process.terminate()
        assert server.process.stderr is not None
        assert "stopping" in server.process.stderr.readline()
        refused = False
        while not refused and server.process.poll() is None:
            try:
                server.connect().close()
            except (ConnectionRefusedError, ConnectionResetError):  # closed, or just closing
                refused = True
        assert refused
        assert read_all(client).endswith(b"done")


def test_grace_has_an_end(tmp_path: Path) -> None:
    """A request that outlasts the grace is cut off, and that is said."""
    with serving(tmp_path, "--graceful-timeout", "200ms") as server:
        client = server.request(b"/wait?60")
        server.process.terminate()
        code, said = server.end()
        assert code == 0
        assert "cut off" in said
        client.close()


def test_second_interrupt_quits_at_once(tmp_path: Path) -> None:
    """Ctrl-C twice does not wait for a request: exit code 130, as shells have it."""
    with serving(tmp_path) as server:
        client = server.request(b"/wait?60")
        server.process.send_signal(signal.SIGINT)
        assert server.process.stderr is not None
        assert "stopping" in server.process.stderr.readline()
        server.process.send_signal(signal.SIGINT)
        assert server.end()[0] == 130
        client.close()


def test_access_log(tmp_path: Path) -> None:
    """With --access-log each request has its line on standard output, in the combined format."""
    with serving(tmp_path, "--access-log") as server:
        with server.connect() as client:
            client.sendall(REQUEST % b"/a?b" + b"")
            assert client.recv(65536).endswith(b"done")
        server.process.terminate()
        assert server.process.stdout is not None
        line = server.process.stdout.readline()
        pattern = r'127\.0\.0\.1 - - \[.+ \+0000\] "GET /a\?b HTTP/1\.1" 200 4 "-" "-" [\d.]+ms\n'
        assert re.fullmatch(pattern, line), line
        assert server.end()[0] == 0
