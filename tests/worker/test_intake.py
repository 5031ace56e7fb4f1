"""What the heads of all connections take of a worker's memory before they are complete."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest

from breezeway.gateway.input import BodyStore
from breezeway.gateway.memory_budget import MemoryBudget
from breezeway.http1.errors import ProtocolError
from breezeway.http1.head import Parser
from breezeway.http1.limits import Limits
from breezeway.worker.intake import UNCOUNTED_BYTES, Intake
from tests.worker.driven import Driven

SMALL = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
MORE = SMALL + b"X: " + b"x" * (UNCOUNTED_BYTES - len(SMALL) + 1000 - 3)


def intakes(count: int, heads: MemoryBudget) -> list[Intake]:
    """Make intakes that share memory for heads."""
    return [Intake(Parser(Limits()), BodyStore(100), heads) for _ in range(count)]


def test_memory_of_all_heads() -> None:
    """Past the bound a head that wants more is refused; small ones are served all the same."""
    heads = MemoryBudget(2000)
    first, second, third, small = intakes(4, heads)
    assert first.take(MORE, {"SCRIPT_NAME": ""}) is None
    assert second.take(MORE, {"SCRIPT_NAME": ""}) is None
    with pytest.raises(ProtocolError) as refused:
        third.take(MORE, {"SCRIPT_NAME": ""})
    assert refused.value.status == 503
    assert small.take(SMALL, {"SCRIPT_NAME": ""}) is None
    assert small.take(b"\r\n", {"SCRIPT_NAME": ""}) is not None
    assert heads.held == 2000


def test_memory_of_heads_is_given_back() -> None:
    """By a head that is complete, refused, or thrown away twice."""
    heads = MemoryBudget(4000)
    for end in (b"\r\n\r\n", b"\r\nbad\r\n\r\n"):
        (intake,) = intakes(1, heads)
        assert intake.take(MORE, {"SCRIPT_NAME": ""}) is None
        assert heads.held == 1000
        try:
            assert intake.take(end, {"SCRIPT_NAME": ""}) is not None
        except ProtocolError:
            assert b"bad" in end
        assert heads.held == 0
    (intake,) = intakes(1, heads)
    intake.take(MORE, {"SCRIPT_NAME": ""})
    intake.close()
    intake.close()
    assert heads.held == 0


def test_connection_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is refused, and one that leaves, take nothing any more."""
    monkeypatch.setattr("breezeway.worker.intake.HEADS_MEMORY_BYTES", 1500)
    budgets: list[MemoryBudget] = []

    def budget(limit: int) -> MemoryBudget:
        budgets.append(MemoryBudget(limit))
        return budgets[-1]

    monkeypatch.setattr("breezeway.worker.intake.MemoryBudget", budget)

    def application(environ: Any, start_response: Any) -> list[bytes]:
        raise AssertionError("not called")

    driven = Driven(application)
    driven.event(MORE)
    driven.settle()
    assert budgets[0].held == 1000
    driven.event(b"x" * 1000)
    driven.settle()
    answer = driven.client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nConnection: close\r\n" in answer
    driven.end()
    assert budgets[0].held == 0


def test_little_is_taken_of_what_comes_behind_a_body() -> None:
    """While a request is answered, the next one stays with the client but for as much as a head."""
    ahead: list[int] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        assert environ["wsgi.input"].read() == b"abc"
        intake = driven.connection.intake
        assert intake is not None
        ahead.append(len(intake._buffer))
        start_response("200 OK", [])
        return [b"ok"]

    driven = Driven(application)
    driven.event(POST + b"a")
    driven.event(b"bc" + MORE + b"x" * 40_000)
    driven.settle()
    assert ahead == [8192]
    driven.end()


def test_size_of_a_receive() -> None:
    """Of a body whose length is known, as much as is still to come and a head; of a head, just that."""
    (intake,) = intakes(1, MemoryBudget(0))
    assert intake.receive_size(65536, 8192) == 8192
    intake.expect_body(Parser(Limits()).parse(POST, {"SCRIPT_NAME": ""}))
    assert intake.receive_size(65536, 8192) == 3 + 8192
    intake.take(b"ab", {})
    assert intake.receive_size(65536, 8192) == 1 + 8192
    assert intake.receive_size(4096, 8192) == 4096
    intake.close()


def test_memory_of_a_body_is_given_back() -> None:
    """A client that leaves in the middle of its body takes nothing of what all have together."""
    store = BodyStore(100)
    intake = Intake(Parser(Limits()), store, MemoryBudget(0))
    intake.take(POST + b"ab", {"SCRIPT_NAME": ""})
    assert store.memory.held == 2
    intake.close()
    assert store.memory.held == 0


def test_blank() -> None:
    """An empty line behind a request, or half of one, begins no other; any more does, and a body."""
    for data, blank in ((b"\r", True), (b"\r\n", True), (b"\r\nG", False), (POST + b"\r", False)):
        (intake,) = intakes(1, MemoryBudget(0))
        intake.take(data, {"SCRIPT_NAME": ""})
        assert intake.blank is blank
        intake.close()


def test_bytes_of_a_request() -> None:
    """What the next request has brought with it is none of this one's."""
    (intake,) = intakes(1, MemoryBudget(0))
    intake.take(POST + b"a", {"SCRIPT_NAME": ""})
    assert intake.begun().whole == len(POST) + 1
    request = intake.take(b"bc" + SMALL, {"SCRIPT_NAME": ""})
    assert request is not None
    assert request.head.whole == len(POST) + 3


@pytest.mark.parametrize(
    ("data", "method"),
    [
        (b"\r\nPUT / HTT", "-"),
        (b"\r\nPUT / HTTP/1.1\r\nHo", "PUT"),
        (b"PUT / HTTP/1.1\r\n\r\nGET", "PUT"),
        (b"PUT  / HTTP/1.1\r\n\r\n", "-"),
        (POST + b"ab", "POST"),
    ],
)
def test_request_that_is_refused(data: bytes, method: str) -> None:
    """The log tells of it what was understood."""
    (intake,) = intakes(1, MemoryBudget(0))
    with contextlib.suppress(ProtocolError):
        intake.take(data, {"SCRIPT_NAME": ""})
    assert intake.begun().environ["REQUEST_METHOD"] == method
    intake.close()


def test_time_in_which_nothing_is_asked_for() -> None:
    """A body is no slower for the time in which the application did not read it."""
    (intake,) = intakes(1, MemoryBudget(0))
    intake.take(POST + b"a", {"SCRIPT_NAME": ""})
    intake.want(100.0)
    intake.pause(103.0)
    intake.want(110.0)
    assert intake.too_slow_at(10, 5.0) == 110.0 - 3.0 + 5.0
    assert intake.too_slow_at(0, 5.0) == math.inf
    intake.close()
