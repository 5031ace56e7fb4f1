"""What the supervisor says about workers."""

from __future__ import annotations

import logging
import signal

import pytest

from breezeway.supervisor import report

FAILURE = {
    "message": "importing 'shop' failed with RuntimeError.",
    "hint": "Is it there?",
    "detail": "Traceback (most recent call last):\n"
    + "".join(f"  line {number}\n" for number in range(30))
    + "RuntimeError: no database today\n",
}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, "has ended"),
        (0, "ended with status 0"),
        (3 << 8, "ended with status 3"),
        (signal.SIGKILL, "was killed by SIGKILL"),
        (signal.SIGSEGV | 0x80, "was killed by SIGSEGV"),  # with a core dump
        (signal.SIGRTMIN + 3, f"was killed by signal {signal.SIGRTMIN + 3}"),
    ],
)
def test_exit(status: int | None, said: str) -> None:
    """How a process ended, in words."""
    assert report.describe_exit(status) == said


def test_traceback_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same traceback is not repeated; another one is shown, and then the first once more."""
    monkeypatch.setattr(report, "_logged", {})
    monkeypatch.setattr(logging.getLogger("breezeway"), "propagate", True)
    other = {**FAILURE, "detail": "Traceback\nValueError: another\n"}
    for failure in (FAILURE, FAILURE, other, other, FAILURE):
        report.log_failure(failure, "the reload failed")
    texts = [record.getMessage() for record in caplog.records]
    assert ["\n" in text for text in texts] == [True, False, True, False, True]
    first = "the reload failed: importing 'shop' failed with RuntimeError. Is it there?"
    assert texts[1] == first
    assert texts[0] == f"{first}\n{FAILURE['detail'].rstrip()}"


def test_failure_without_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some failures have a message alone."""
    monkeypatch.setattr(logging.getLogger("breezeway"), "propagate", True)
    report.log_failure({"message": "it died."}, "the upgrade failed")
    assert caplog.messages == ["the upgrade failed: it died."]


def test_last_lines() -> None:
    """The answer to an operator has the message and the end of the traceback."""
    lines = report.last_lines(FAILURE).splitlines()
    assert lines[0] == FAILURE["message"]
    assert lines[-1] == "RuntimeError: no database today"
    assert len(lines) == report.LAST_LINES + 1
    assert report.last_lines({"message": "it died."}) == "it died."


def test_stacks() -> None:
    """Each thread with its request, if it is in one, and its stack."""
    threads = [
        {"name": "breezeway-1", "request": "GET /x", "seconds": 12.34, "stack": ["a", "b"]},
        {"name": "MainThread", "request": None, "seconds": None, "stack": ["c"]},
    ]
    assert report.stacks_as_text(threads) == (
        "breezeway-1 in GET /x for 12.3 s:\n  a\n  b\nMainThread:\n  c"
    )
    assert report.stacks_as_text([]) == ""
