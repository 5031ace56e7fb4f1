"""Every piece, around every kind of application, under three servers: what arrives is the same."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from .matrix_app import FILE, KINDS
from .pieces import PIECES

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
APPLICATION = "tests.middleware.matrix_app:application"
DEADLINE_SECONDS = 20.0
POLL_SECONDS = 0.02

SERVERS = {
    "breezeway": ("breezeway", APPLICATION, "--bind={address}"),
    "gunicorn": ("gunicorn", APPLICATION, "--bind={address}", "--threads=4", "--no-control-socket"),
    "waitress": ("waitress", "--listen={address}", APPLICATION),
}
"""Modules and their arguments."""

FORM = b"said=hello&said=you"
FORM_FIELDS = {"Content-Type": "application/x-www-form-urlencoded"}


class Seen(NamedTuple):
    """What has arrived of a response."""

    status: int
    content: bytes
    whole: bool


@contextmanager
def running(name: str) -> Iterator[tuple[str, int]]:
    """Run a server in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address: tuple[str, int] = probe.getsockname()
    module, *arguments = SERVERS[name]
    given = [each.format(address=f"{address[0]}:{address[1]}") for each in arguments]
    process = subprocess.Popen(
        [sys.executable, "-m", module, *given],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ends = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                socket.create_connection(address, 1.0).close()
            except OSError:
                assert process.poll() is None, f"{name} does not start"
                assert time.monotonic() < ends, f"{name} does not answer"
                time.sleep(POLL_SECONDS)
            else:
                break
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_SECONDS)
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Run each of the servers."""
    with running(request.param) as address:
        yield address


def ask(
    address: tuple[str, int], path: str, method: str = "GET", body: bytes | None = None
) -> Seen:
    """Send one request."""
    connection = http.client.HTTPConnection(*address, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, path, body, FORM_FIELDS if body else {})
        response = connection.getresponse()
        try:
            return Seen(response.status, response.read(), whole=True)
        except http.client.IncompleteRead as error:
            return Seen(response.status, error.partial, whole=False)
    finally:
        connection.close()


REQUESTS = [
    *((kind, "GET", None) for kind in KINDS),
    *((kind, "HEAD", None) for kind in KINDS if not kind.startswith("failing")),
    ("block", "POST", FORM),
    ("flask", "POST", FORM),
]


@cache
def bare(address: tuple[str, int], kind: str, method: str, body: bytes | None) -> Seen:
    """Ask the application without anything around it."""
    return ask(address, f"/bare/{kind}/", method, body)


@pytest.mark.parametrize("piece", PIECES)
def test_same_bytes(server: tuple[str, int], piece: str) -> None:
    """Around each kind of application a piece leaves status and content as they are."""
    for kind, method, body in REQUESTS:
        wanted = bare(server, kind, method, body)
        found = ask(server, f"/{piece}/{kind}/", method, body)
        if kind == "failing":  # the page is the server's or the piece's
            assert (found.status, found.whole) == (500, True), (kind, found)
        else:
            assert found == wanted, (kind, method)


def test_what_is_compared(server: tuple[str, int]) -> None:
    """The applications answer what they are meant to, under each server."""
    assert ask(server, "/bare/block/", "POST", FORM) == (200, FORM + b"<p>POST", True)
    assert ask(server, "/bare/file/") == (200, FILE, True)
    assert ask(server, "/bare/written/") == (200, b"first,second", True)
    assert ask(server, "/bare/generator/").content.endswith(b"second,third")
    assert b"<p>hello,you</p>" in ask(server, "/bare/flask/", "POST", FORM).content
    assert ask(server, "/bare/failing/").status == 500
    assert ask(server, "/bare/failing_late/")[1:] == (b"first", False)
