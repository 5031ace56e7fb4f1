"""Responses under several servers: the same arrives from each, and each end is told."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .response_app import LARGE

ROOT = Path(__file__).parents[2]
APPLICATION = "tests.web.response_app:application"
DEADLINE_SECONDS = 20.0
POLL_SECONDS = 0.02

BY_WSGIREF = (
    "import sys; from wsgiref.simple_server import make_server;"
    " from tests.web.response_app import application;"
    " make_server('127.0.0.1', int(sys.argv[1]), application).serve_forever()"
)

SERVERS = {
    "breezeway": ("-m", "breezeway", APPLICATION, "--bind=127.0.0.1:{port}"),
    "gunicorn": ("-m", "gunicorn", APPLICATION, "--bind=127.0.0.1:{port}", "--no-control-socket"),
    "waitress": ("-m", "waitress", "--listen=127.0.0.1:{port}", APPLICATION),
    "wsgiref": ("-c", BY_WSGIREF, "{port}"),
}


class Running(NamedTuple):
    """A server."""

    port: int
    folder: Path

    def ask(self, path: str, method: str = "GET", **fields: str) -> Any:
        """Send one request; return the response and its content."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        try:
            given = {name.replace("_", "-"): value for name, value in fields.items()}
            connection.request(method, path, headers=given)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def closed(self) -> int:
        """Count what has been closed so far."""
        path = self.folder / "closed"
        return path.stat().st_size if path.exists() else 0

    def wait_for(self, count: int) -> None:
        """Wait until so many are closed."""
        ends = time.monotonic() + DEADLINE_SECONDS
        while self.closed() < count:
            assert time.monotonic() < ends, f"{self.closed()} closed, not {count}"
            time.sleep(POLL_SECONDS)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: Any, tmp_path_factory: Any) -> Iterator[Running]:
    """Run each server."""
    folder = tmp_path_factory.mktemp("responses")
    (folder / "large.bin").write_bytes(LARGE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, *(each.format(port=port) for each in SERVERS[request.param])],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RESPONSES_FOLDER": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ends = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1.0).close()
                break
            except OSError:
                assert process.poll() is None, f"{request.param} does not start"
                assert time.monotonic() < ends, f"{request.param} does not answer"
                time.sleep(POLL_SECONDS)
        yield Running(port, folder)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_SECONDS)
        finally:
            process.kill()
            process.wait()


def test_content(server: Running) -> None:
    """Texts, JSON and events arrive as they were made."""
    response, body = server.ask("/text")
    assert (response.status, body, response.headers["Content-Length"]) == (
        200,
        "höher".encode(),
        "6",
    )
    response, body = server.ask("/json")
    assert (response.status, response.reason, body) == (299, "Fine Indeed", b'{"a":1}')
    response, body = server.ask("/events")
    assert body == b':\n\ndata: a\n\n:\n\ndata: {"b":1}\n\n'
    response, body = server.ask("/text", "HEAD")
    assert (response.status, body, response.headers["Content-Length"]) == (200, b"", "6")


def test_stream(server: Running) -> None:
    """A stream arrives whole, and is closed."""
    before = server.closed()
    _, body = server.ask("/stream")
    assert body == ("ä" + "b" * 100_000).encode()
    server.wait_for(before + 1)


def test_file(server: Running) -> None:
    """A file arrives whole and in parts, or not at all, and its end is told each time."""
    before = server.closed()
    response, body = server.ask("/file")
    assert (response.status, body == LARGE) == (200, True)
    assert response.headers["Content-Disposition"] == 'attachment; filename="large.bin"'
    tag = response.headers["ETag"]
    response, body = server.ask("/file", Range="bytes=70000-")
    assert (response.status, body == LARGE[70000:]) == (206, True)
    response, body = server.ask("/file", Range="bytes=10-199999")
    assert (response.status, body == LARGE[10:200000]) == (206, True)
    response, body = server.ask("/file", If_None_Match=tag)
    assert (response.status, body) == (304, b"")
    response, body = server.ask("/file", "HEAD")
    assert (response.headers["Content-Length"], body) == (str(len(LARGE)), b"")
    server.wait_for(before + 5)


def test_redirect(server: Running) -> None:
    """A redirect has its path and its cookie."""
    response, _ = server.ask("/away")
    assert (response.status, response.headers["Location"]) == (303, "/text")
    assert response.headers["Set-Cookie"] == "a=1; Path=/; SameSite=Lax; HttpOnly"
