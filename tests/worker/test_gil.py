"""What the server does differently where Python runs without the GIL."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway import RequestTimeout
from breezeway.config.settings import Settings
from breezeway.testing import LiveServer
from breezeway.worker import gil, interruption
from breezeway.worker.gil import has_gil, warn_without_gil

from ..applications import PLAIN
from ..live import eventually
from ..wire.client import Client


def test_told_by_the_interpreter() -> None:
    """A build that has always one has one."""
    free_threaded = hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled()
    assert has_gil() is not free_threaded


def test_what_is_missing_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that do less without the GIL are named at the start; others say nothing."""
    caplog.set_level(logging.WARNING, "breezeway.worker")
    asked = Settings(request_timeout=("5",), slow_request_log=1.0)
    monkeypatch.setattr(gil, "has_gil", lambda: True)
    warn_without_gil(asked)
    monkeypatch.setattr(gil, "has_gil", lambda: False)
    warn_without_gil(Settings())
    assert not caplog.records
    warn_without_gil(asked)
    said = [each.getMessage() for each in caplog.records]
    assert ["--request-timeout" in said[0], "--slow-request-log" in said[1]] == [True, True]


class Slow:
    """/slow computes past its deadline, and begins its response then; the rest says hello."""

    def __init__(self) -> None:
        self.late = threading.Event()
        self.seen: list[str] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/slow":
            start_response("200 OK", [PLAIN])
            return [b"hello"]
        while not self.late.is_set():
            pass
        self.seen.append("computed")
        try:
            start_response("200 OK", [PLAIN])
            return [b"too late"]
        except RequestTimeout:
            self.seen.append("interrupted")
            raise
        finally:
            self.seen.append("over")


def test_deadline_without_the_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client has its 504 at once, and the thread its exception where it comes back to the server."""
    monkeypatch.setattr(interruption, "has_gil", lambda: False)
    slow = Slow()
    with LiveServer(slow, threads=2, request_timeout=("/slow=0.05",)) as server:
        with Client(server.address) as client:
            assert client.get("/slow").status == 504
        assert slow.seen == []
        with Client(server.address) as client:
            assert client.get("/").body == b"hello"
        slow.late.set()
        eventually(lambda: len(slow.seen) == 3, "the thread comes back")
    assert slow.seen == ["computed", "interrupted", "over"]
