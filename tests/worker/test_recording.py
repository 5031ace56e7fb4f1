"""What the account of requests hears of a connection in events whose order is rare."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway.gateway.failure import ClientGone
from breezeway.testing import LiveServer
from breezeway.worker.poller import HUP, IN, RDHUP

from ..live import eventually
from ..wire.client import Client, Truncated, request
from .driven import Driven, echo, get


class Call:
    """What lies in the window while another thread is in a call."""

    def begins(self) -> None:
        pass

    def uncork(self) -> None:
        """Do nothing."""


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Read the access log."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_thread_that_has_taken_the_baton_back(tmp_path: Path) -> None:
    """What a thread answers after it has taken the baton from another one has its own name."""
    log = tmp_path / "log"

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            reactor = driven.reactor
            assert reactor.recorder is not None
            reactor.baton.window.pop()  # the warden takes the baton; another thread leads
            reactor.recorder.change_thread("another")
            reactor.baton.window.append(Call())
        return echo(environ, start_response)

    driven = Driven(application, access_log_file=str(log), access_log_format="json")
    try:
        for path in ("/a", "/slow", "/b"):
            assert driven.event(get(path))
    finally:
        assert driven.reactor.recorder is not None
        driven.reactor.recorder.close()
        driven.end()
    found = {each["target"]: each["thread"] for each in lines_of(log)}
    assert found == dict.fromkeys(("/a", "/slow", "/b"), threading.current_thread().name)


@pytest.mark.parametrize(("read", "outcome"), [(True, "complete"), (False, "left")])
def test_client_that_leaves_at_the_end(read: bool, outcome: str, tmp_path: Path) -> None:
    """One that has the whole response, and leaves before the server knows that it is whole."""
    log = tmp_path / "log"

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "5")])
        if read:
            yield b"hello"
            assert driven.client.recv(1000).endswith(b"hello")
        driven.client.close()
        assert driven.connection.on_event(IN | RDHUP | HUP)
        if not read:
            yield b"hello"

    driven = Driven(application, access_log_file=str(log), access_log_format="json")
    try:
        assert driven.event(get("/"))
        assert driven.reactor.counters["aborted"] == (not read)
    finally:
        assert driven.reactor.recorder is not None
        driven.reactor.recorder.close()
        driven.end()
    (line,) = lines_of(log)
    assert (line["status"], line["outcome"]) == (200, outcome)


def test_line_of_a_timeout_names_the_thread_of_the_application(tmp_path: Path) -> None:
    """And not the one that has answered in its place."""
    log, go, names = tmp_path / "log", threading.Event(), []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        names.append(threading.current_thread().name)
        go.wait(20)
        return echo(environ, start_response)

    settings = {"access_log_file": str(log), "access_log_format": "json"}
    with (
        LiveServer(application, threads=2, request_timeout=("10ms",), **settings) as server,
        Client(server.address) as client,
    ):
        assert client.get("/").status == 504
        go.set()
        eventually(lambda: bool(lines_of(log)), "the line")
    (line,) = lines_of(log)
    assert (line["status"], line["outcome"], [line["thread"]]) == (504, "complete", names)
    assert line["application_us"] >= 0


def test_application_that_goes_on_when_its_client_has_left(tmp_path: Path) -> None:
    """The response is not complete, though the application has written all of it."""
    log = tmp_path / "log"

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Length", "5")])
        driven.client.close()
        with pytest.raises(ClientGone):
            write(b"hello")
        return []

    driven = Driven(application, access_log_file=str(log), access_log_format="json")
    try:
        assert driven.event(get("/"))
    finally:
        assert driven.reactor.recorder is not None
        driven.reactor.recorder.close()
        driven.end()
    (line,) = lines_of(log)
    assert line["outcome"] == "left"


@pytest.mark.parametrize("error", [KeyError, SystemExit])
def test_filter_that_fails(error: type[BaseException]) -> None:
    """A filter of the user's that raises costs a message, not the response nor the baton."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise ValueError

    def broken(record: logging.LogRecord) -> bool:
        raise error(record.name)

    driven = Driven(application)
    logger = logging.getLogger("breezeway.application")
    logger.addFilter(broken)
    try:
        assert driven.event(get("/"))
        assert driven.client.recv(1000).startswith(b"HTTP/1.1 500 ")
        assert not driven.reactor.baton.window
    finally:
        logger.removeFilter(broken)
        driven.end()


@pytest.mark.parametrize("sent", [0, 100_000], ids=["at once", "later"])
def test_file_that_shrinks(
    sent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that ends too early is no client that has left: the logs tell them apart."""
    log, path, left = tmp_path / "log", tmp_path / "file", [sent]
    path.write_bytes(bytes(1_000_000))

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"))  # type: ignore[no-any-return]

    def sendfile(out: int, source: int, offset: int, count: int) -> int:
        if offset < left[0]:
            return sendfile_of_the_system(out, source, offset, left[0])
        if left[0]:  # now it is the turn of the event loop
            left[0] = 0
            raise BlockingIOError
        return 0

    sendfile_of_the_system = os.sendfile
    monkeypatch.setattr(os, "sendfile", sendfile)
    settings = {"access_log_file": str(log), "access_log_format": "json"}
    with LiveServer(application, **settings) as server, Client(server.address) as client:
        with pytest.raises(Truncated):
            client.get("/a")
        eventually(lambda: bool(lines_of(log)), "the line")
        assert server.reactor.counters["file.shorter"] == 1
    (line,) = lines_of(log)
    assert (line["outcome"], line["bytes_out"]) == ("aborted", sent)
    assert f"response broken off: {str(path)!r} has become shorter while it was sent" in caplog.text


def test_client_that_leaves_in_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same response to a client that leaves."""
    log, path = tmp_path / "log", tmp_path / "file"
    path.write_bytes(bytes(20_000_000))

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"))  # type: ignore[no-any-return]

    settings = {"access_log_file": str(log), "access_log_format": "json"}
    with LiveServer(application, **settings) as server:
        with Client(server.address, window=4096) as client:
            client.send(request("GET", "/"))
            client.head()
            client.reset()
        eventually(lambda: bool(lines_of(log)), "the line")
    (line,) = lines_of(log)
    assert line["outcome"] == "left"
    assert 0 < line["bytes_out"] < 20_000_000
    assert "shorter" not in caplog.text
