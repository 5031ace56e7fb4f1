"""The log of slow requests."""

from __future__ import annotations

import json
import logging
import re
import time
from contextlib import AbstractContextManager

import pytest

from breezeway.observe.log_format import JSONFormatter
from breezeway.observe.throttle import LINES
from breezeway.worker.slow_requests import SlowRequests

from ..gil import needs_gil
from ..live import eventually
from ..wire.client import Client
from .parts import Served, answers, asked, hello, serving

pytestmark = needs_gil

LOGGER = "breezeway.slow_requests"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Capture what is logged of slow requests alone."""
    caplog.set_level(logging.WARNING, LOGGER)
    return caplog


def slow(**settings: object) -> AbstractContextManager[Served]:
    """Serve so that whatever waits is slow."""
    return serving(threads=2, slow_request_log=0.01, **settings)


def messages(log: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged."""
    return [each.getMessage() for each in list(log.records) if each.name == LOGGER]


def test_told_while_it_runs_and_at_its_end(log: pytest.LogCaptureFixture) -> None:
    """A request that takes long is told with its stack, once, and once more with its whole time."""
    with slow() as (server, parts), asked(server, "/wait?a=1") as waiting:
        eventually(lambda: len(messages(log)) == 1, "the stack")
        parts.go.set()
        answers(waiting)
        eventually(lambda: len(messages(log)) == 2, "the end")
    first, last = (each for each in log.records if each.name == LOGGER)
    head, *stack = first.getMessage().splitlines()
    assert re.fullmatch(
        r"GET /wait\?a=1 from 127.0.0.1: slow, \d+\.\d{3} s so far; its thread breezeway-\d is here:",
        head,
    )
    assert "assert self.go.wait(5)" in "".join(stack)
    assert not any("breezeway/worker" in line for line in stack)
    found = json.loads(JSONFormatter().format(first))
    assert (found["target"], found["client"]) == ("/wait?a=1", "127.0.0.1")
    assert found["frames"][0]["function"] == "__call__"
    ended = json.loads(JSONFormatter().format(last))
    assert ended["message"].startswith("GET /wait?a=1 from 127.0.0.1: answered with 200 after ")
    assert ended["duration"] >= found["duration"] >= 0.01


def test_in_the_pool(log: pytest.LogCaptureFixture) -> None:
    """It does not matter whether the event loop or the pool has called the application."""
    with slow() as (server, parts), asked(server, "/wait", 2) as waiting:
        eventually(lambda: len(messages(log)) == 2, "the stacks")
        parts.go.set()
        answers(waiting)
        eventually(lambda: len(messages(log)) == 4, "the ends")


def test_quick_ones_are_not_told(log: pytest.LogCaptureFixture) -> None:
    """Who keeps below the limit is told nowhere."""
    with (
        serving(threads=2, slow_request_log=60) as (server, parts),
        Client(server.address) as client,
    ):
        hello(client)
        with asked(server, "/wait") as waiting:
            assert parts.entered.acquire(timeout=20)
            server.reactor.tick_at(0.0)
            hello(client)
            parts.go.set()
            answers(waiting)
    assert not messages(log)


def test_bounded_rate(log: pytest.LogCaptureFixture) -> None:
    """So many in ten seconds are told; of the rest, how many there were."""
    requests = SlowRequests(0.0)
    with (
        serving(threads=LINES + 5) as (server, parts),
        asked(server, "/wait", LINES + 5) as waiting,
    ):
        for _ in waiting:
            assert parts.entered.acquire(timeout=20)
        requests.look(time.monotonic())
        assert len(messages(log)) == LINES
        requests.look(time.monotonic())
        assert len(messages(log)) == LINES
        assert requests
        parts.go.set()
        answers(waiting)

        def ended() -> bool:
            requests.look(time.monotonic())
            return len(messages(log)) == 2 * LINES

        eventually(ended, "the ends of those that were told")
    requests.close(time.monotonic())
    assert messages(log)[-1] == "slow requests: 5 more in the last 10 s"
    assert not requests


def test_past_its_deadline(log: pytest.LogCaptureFixture) -> None:
    """When the server has answered in place of the application, that is said."""
    with slow(request_timeout=("50ms",)) as (server, parts), asked(server, "/wait") as waiting:
        assert [each.status for each in answers(waiting)] == [504]
        eventually(lambda: len(messages(log)) == 1, "the stack")
        parts.go.set()
        eventually(lambda: len(messages(log)) == 2, "the end")
    assert "its thread came back, too late for the client, after " in messages(log)[1]


def test_deadline(log: pytest.LogCaptureFixture) -> None:
    """With a deadline for requests it is the same."""
    with slow(request_timeout=("60s",)) as (server, parts), asked(server, "/wait") as waiting:
        eventually(lambda: len(messages(log)) == 1, "the stack")
        parts.go.set()
        answers(waiting)
        eventually(lambda: len(messages(log)) == 2, "the end")
