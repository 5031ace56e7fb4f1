"""How an application's failures are told, however many there are."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from breezeway.gateway import failure
from breezeway.gateway.failure import ApplicationFault, ClientGone, log_failure
from breezeway.observe.throttle import LINES, Throttle

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/a?b",
    "REMOTE_ADDR": "192.0.2.1",
    "breezeway.request_id": "4bf92f35",
}


@pytest.fixture(autouse=True)
def log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.LogCaptureFixture]:
    """Capture what is logged, with nothing counted yet."""
    caplog.set_level(logging.DEBUG, "breezeway")
    monkeypatch.setattr(failure, "throttle", Throttle(failure.logger))
    return caplog


def fail(error: BaseException, way: int = 0) -> None:
    """Have an application fail, having come there on one of two ways."""

    def raise_it() -> None:
        raise error

    try:
        if way:
            raise_it()
        raise_it()
    except BaseException as raised:
        log_failure(raised, ENVIRON, "the application failed")


class Odd(SyntaxError):
    """An exception that Python cannot print."""

    @property
    def lineno(self) -> int:  # type: ignore[override]
        """Fail."""
        raise LookupError


def test_request_is_told(log: pytest.LogCaptureFixture) -> None:
    """A failure has its request in words and as fields, and its traceback."""
    fail(ValueError("no"))
    (record,) = log.records
    told: Any = record
    assert record.getMessage() == (
        "GET /a?b from 192.0.2.1 (request 4bf92f35): the application failed"
    )
    assert (told.method, told.target, told.client) == ("GET", "/a?b", "192.0.2.1")
    assert told.request_id == "4bf92f35"
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError


def test_first_of_each_kind_is_whole(log: pytest.LogCaptureFixture) -> None:
    """The next ones are in a line each, then they are counted; other failures are told all the same."""
    for number in range(LINES + 5):
        fail(ValueError(f"no {number}\nforged"))
    assert [record.exc_info is not None for record in log.records] == [True] + [False] * (LINES - 1)
    assert log.messages[1] == (
        "GET /a?b from 192.0.2.1 (request 4bf92f35): the application failed with the same"
        " traceback as before: ValueError: no 1 forged"
    )
    log.clear()
    fail(KeyError("no"))
    fail(ValueError("no"), way=1)
    assert [record.exc_info is not None for record in log.records] == [True, True]
    log.clear()
    failure.throttle.close()
    (message,) = log.messages
    assert message.startswith("the application failed, ValueError in raise_it (")
    assert message.endswith("): 5 more in the last 10 s")


def test_long_text(log: pytest.LogCaptureFixture) -> None:
    """What is told in a line is no longer than a line."""
    for _ in range(2):
        fail(ValueError("x" * 100_000))
    assert len(log.messages[1]) < 1200
    assert log.messages[1].endswith("x ...")


def test_fault(log: pytest.LogCaptureFixture) -> None:
    """A breach of PEP 3333 has no traceback, and is limited, too."""
    for number in range(LINES + 5):
        fail(ApplicationFault(f"{number} bytes too few"))
    assert len(log.records) == LINES
    assert log.messages[0].endswith("(request 4bf92f35): 0 bytes too few")
    assert not any(record.exc_info for record in log.records)
    fail(ApplicationFault("the application gave a block of type str"))
    assert log.messages[-1].endswith("a block of type str")
    failure.throttle.close()
    assert log.messages[-1] == (
        "a fault of the application, N bytes too few: 5 more in the last 10 s"
    )


def test_client_gone(log: pytest.LogCaptureFixture) -> None:
    """A client that leaves is no failure."""
    fail(ClientGone("gone"))
    assert [record.levelname for record in log.records] == ["DEBUG"]
    assert not failure.throttle


@pytest.mark.parametrize("times", [1, 2])
def test_what_python_cannot_print(times: int, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception that `logging` fails over is told on standard error; nothing is raised."""
    for _ in range(times):
        fail(Odd("what it is"))
    assert capsys.readouterr().err.count("Odd: what it is") == 1
