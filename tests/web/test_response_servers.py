"""Responses under several servers: the same arrives from each, and each end is told."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ..servers import COMMANDS, DEADLINE_SECONDS, running
from .response_app import LARGE

APPLICATION = "tests.web.response_app:application"
POLL_SECONDS = 0.02


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


@pytest.fixture(scope="module", params=COMMANDS)
def server(request: Any, tmp_path_factory: Any) -> Iterator[Running]:
    """Run each server."""
    folder = tmp_path_factory.mktemp("responses")
    (folder / "large.bin").write_bytes(LARGE)
    with running(request.param, APPLICATION, RESPONSES_FOLDER=str(folder)) as (_, port):
        yield Running(port, folder)


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
