"""What holds for all tests."""

from __future__ import annotations

import gc
import signal


def pytest_configure() -> None:
    """Take interrupts again where a shell has had them ignored, as it does for jobs behind its back.

    Processes that tests start would ignore them as well, and be interrupted in vain.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart() -> None:
    """Leave the garbage alone while the tests are collected: there is next to none."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let no later collection go through all the tests themselves, which stay to the end.

    There are 27,000 of them. To look at them again and again took every seventh second.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
