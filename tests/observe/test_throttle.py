"""A log that stays readable while somebody makes the server repeat itself."""

from __future__ import annotations

import logging

import pytest

from breezeway.observe.throttle import LINES, MOST_KINDS, OTHERS, WINDOW_SECONDS, Throttle

from ..live import eventually, serving

LOGGER = logging.getLogger("breezeway.test")


@pytest.fixture
def throttle(caplog: pytest.LogCaptureFixture) -> Throttle:
    """Give a throttle whose lines are captured."""
    caplog.set_level(logging.INFO, "breezeway")
    return Throttle(LOGGER)


def test_so_many_of_a_kind(throttle: Throttle, caplog: pytest.LogCaptureFixture) -> None:
    """Of each kind so many are logged in a window, and then how many more there were."""
    assert not throttle
    for number in range(LINES + 5):
        throttle.log(100.0, "a", logging.WARNING, "a %d", number)
    throttle.log(100.0, "b", logging.INFO, "b")
    assert throttle
    assert caplog.messages == [*(f"a {number}" for number in range(LINES)), "b"]
    caplog.clear()
    throttle.advance(100.0 + WINDOW_SECONDS - 0.1)
    assert not caplog.messages
    throttle.advance(100.0 + WINDOW_SECONDS)
    assert caplog.messages == ["a: 5 more in the last 10 s"]
    assert not throttle


def test_next_window(throttle: Throttle, caplog: pytest.LogCaptureFixture) -> None:
    """Then it is logged again."""
    for number in range(2 * LINES):
        throttle.log(100.0, "a", logging.WARNING, "before %d", number)
    throttle.advance(100.0 + WINDOW_SECONDS)
    caplog.clear()
    throttle.log(111.0, "a", logging.WARNING, "after")
    assert caplog.messages == ["after"]


def test_end(throttle: Throttle, caplog: pytest.LogCaptureFixture) -> None:
    """At the end of a worker what was withheld is told at once."""
    for number in range(LINES + 1):
        throttle.log(100.0, "a", logging.WARNING, "%d", number)
    throttle.close()
    assert caplog.messages[-1].startswith("a: 1 more")
    assert not throttle


def test_flood_on_a_server(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred malformed requests are counted one by one, and logged in eleven lines."""
    caplog.set_level(logging.INFO, "breezeway")
    with serving() as live:
        for _ in range(100):
            assert live.send(b"no request\r\n\r\n").status == 400
    eventually(lambda: any("more in the last" in text for text in caplog.messages), "the sum")
    assert sum("refused with 400" in text for text in caplog.messages) == LINES
    assert f"refused.400: {100 - LINES} more in the last 10 s" in caplog.messages


def test_kinds_are_bounded(throttle: Throttle, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever makes up kinds does not get around the limit."""
    for number in range(3 * MOST_KINDS):
        throttle.log(100.0, f"kind {number}", logging.WARNING, "%d", number)
    assert len(caplog.messages) == MOST_KINDS + LINES
    throttle.close()
    assert caplog.messages[-1] == f"{OTHERS}: {2 * MOST_KINDS - LINES} more in the last 10 s"
