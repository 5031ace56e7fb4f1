"""The format of Breezeway's own log, and what it leaves alone."""

import logging
import re

import pytest

from breezeway.observe import logs

LOGGER = logging.getLogger("breezeway.worker.test")


@pytest.fixture(autouse=True)
def restored():
    """Leave the loggers as they were."""
    root = logging.getLogger("breezeway")
    before = root.handlers[:], root.level, root.propagate
    yield
    root.handlers[:], root.level, root.propagate = before


def test_line_is_readable(capsys):
    """A line has a UTC time with milliseconds, the level in one column, and the message."""
    logs.configure("info")
    LOGGER.info("started with %d threads", 8)
    LOGGER.warning("slow")
    info, warning = capsys.readouterr().err.splitlines()
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
    assert re.fullmatch(f"{time} INFO  started with 8 threads", info)
    assert re.fullmatch(f"{time} WARN  slow", warning)


def test_times_are_utc(capsys):
    """The time is UTC, whatever the machine's zone."""
    logs.configure("info")
    record = LOGGER.makeRecord(LOGGER.name, logging.INFO, "file", 1, "message", (), None)
    record.created, record.msecs = 1_795_273_445.123, 123.0
    LOGGER.handle(record)
    assert capsys.readouterr().err == "2026-11-21 15:04:05.123 INFO  message\n"


def test_level_is_respected_and_can_change(capsys):
    """Messages below the level are dropped; a second call changes the level and adds no line."""
    logs.configure("error")
    LOGGER.info("quiet")
    logs.configure("debug")
    LOGGER.debug("loud")
    assert capsys.readouterr().err.count("\n") == 1


def test_traceback_is_shown(capsys):
    """An exception comes with its traceback."""
    logs.configure("info")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        LOGGER.exception("failed")
    assert "RuntimeError: broken" in capsys.readouterr().err


def test_root_logger_is_left_alone(caplog, capsys):
    """The root logger keeps its handlers and level, and does not see our messages."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure("debug")
    LOGGER.error("ours")
    assert (root.handlers[:], root.level) == before
    assert not caplog.records
    assert "ours" in capsys.readouterr().err
