"""The memory in which workers tell about themselves, and the rule by which they share connections."""

from __future__ import annotations

import os
import signal

import pytest

from breezeway.worker.scoreboard import (
    ACCEPTING,
    BEAT,
    CONNECTIONS,
    FRESH_MILLISECONDS,
    REQUESTS,
    ROWS,
    SLACK,
    Row,
    Scoreboard,
)

NOW = 1_000_000
"""Milliseconds."""


def worker(board: Scoreboard, connections: int, *, accepting: bool = True, beat: int = NOW) -> Row:
    """Take a row and fill it."""
    row = board.take()
    row[CONNECTIONS], row[ACCEPTING], row[BEAT] = connections, accepting, beat
    return row


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_rows_are_shared() -> None:
    """What a worker writes is there for its parent, also when it was killed."""
    board = Scoreboard()
    row = board.take()
    pid = os.fork()
    if not pid:
        row[REQUESTS] = 2**63
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert row[REQUESTS] == 2**63
    assert board.row(row.number)[REQUESTS] == 2**63


def test_rows_are_used_again() -> None:
    """A row that was given back comes to the next worker, and is empty."""
    board = Scoreboard()
    first, second = board.take(), board.take()
    first[REQUESTS] = second[REQUESTS] = 5
    board.give_back(first)
    again = board.take()
    assert again.number == first.number
    assert again[REQUESTS] == 0
    assert second[REQUESTS] == 5


def test_no_more_rows() -> None:
    """There is an end to the rows; when one is given back, there is one again."""
    board = Scoreboard()
    rows = [board.take() for _ in range(ROWS)]
    assert len({row.number for row in rows}) == ROWS
    with pytest.raises(OverflowError):
        board.take()
    board.give_back(rows[100])
    assert board.take().number == 100


def test_alone() -> None:
    """A worker without a sibling takes every connection."""
    assert not worker(Scoreboard(), 10_000).is_ahead()


@pytest.mark.parametrize(
    ("mine", "others", "ahead"),
    [
        (0, 0, False),
        (SLACK - 1, 0, False),
        (100, 100, False),
        (100, 75, False),
        (100, 75 - SLACK, True),
        (100, 0, True),
        (0, 100, False),
    ],
)
def test_share(mine: int, others: int, ahead: bool) -> None:
    """Who has more than a quarter and a few above another leaves the next connection to it."""
    board = Scoreboard()
    row = worker(board, mine)
    worker(board, others)
    assert row.is_ahead() == ahead


def test_sibling_that_does_not_accept() -> None:
    """One that retires, or hangs, is not waited for; nor is a row that nobody has."""
    board = Scoreboard()
    row = worker(board, 100)
    worker(board, 0, accepting=False)
    worker(board, 0, beat=NOW - FRESH_MILLISECONDS)
    board.give_back(worker(board, 0))
    assert not row.is_ahead()
    worker(board, 0, beat=NOW - FRESH_MILLISECONDS + 1)
    assert row.is_ahead()
