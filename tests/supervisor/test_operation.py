"""Operations that take a while, as their caller sees them."""

from __future__ import annotations

from typing import Any

from breezeway.supervisor.operation import Operation


class Caller:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def progress(self, text: str, done: int, total: int) -> None:
        """Note it."""
        self.heard.append((text, done, total))

    def succeed(self, result: dict[str, Any]) -> None:
        """Note it."""
        self.heard.append(result)

    def fail(self, error: str) -> None:
        """Note it."""
        self.heard.append(error)


def test_progress() -> None:
    """The caller hears of each step that is new, and of the end once."""
    left = [3]
    caller = Caller()
    operation = Operation(caller, "workers replaced", lambda: left[0], lambda: {"done": True})
    over = []
    for now in (3, 2, 2, 3, 2, 0, 0):
        left[0] = now
        over.append(operation.is_over())
    assert over == [False] * 5 + [True, True]
    assert caller.heard == [
        ("1 of 3 workers replaced", 1, 3),
        ("1 of 3 workers replaced", 1, 3),  # one has died in between
        ("3 of 3 workers replaced", 3, 3),
        {"done": True},
    ]


def test_nothing_to_do() -> None:
    """With no step at all it succeeds at the first look."""
    caller = Caller()
    assert Operation(caller, "", lambda: 0, dict).is_over()
    assert caller.heard == [{}]


def test_settled() -> None:
    """After the last step the operation may have something to wait for."""
    settled = [False]
    caller = Caller()
    operation = Operation(caller, "", lambda: 0, dict, is_settled=lambda: settled[0])
    assert not operation.is_over()
    assert caller.heard == []
    settled[0] = True
    assert operation.is_over()
    assert caller.heard == [{}]


def test_failure() -> None:
    """A failure is the end, and nothing comes after it."""
    caller = Caller()
    operation = Operation(caller, "", lambda: 0, dict)
    operation.fail("no database today")
    operation.fail("once more")
    assert operation.is_over()
    assert caller.heard == ["no database today"]
