"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import signal

import pytest
from hypothesis import settings


def pytest_configure(config: pytest.Config) -> None:
    """Undo what those who run the tests have done to this process, and what tests start would inherit."""
    # Hypothesis looks for who has its generator, among objects that are frozen below.
    config.addinivalue_line("filterwarnings", "ignore:It looks like `register_random`")
    # A shell has jobs behind its back ignore interrupts, which then would come in vain.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # pytest imports readline, which sets these; they count for more than the size of the terminal.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    # A machine with other things to do takes long for an example, and nothing is wrong with it.
    settings.register_profile("unhurried", parent=settings.default, deadline=None)
    settings.load_profile("unhurried")


def pytest_sessionstart() -> None:
    """Leave the garbage alone while the tests are collected: there is next to none."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let no later collection go through all the tests themselves, which stay to the end.

    There are more than 20,000 of them. To look at them again and again took every seventh second.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
