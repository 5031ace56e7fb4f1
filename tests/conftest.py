"""What holds for all tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Take interrupts again where a shell has had them ignored, as it does for jobs behind its back.

    Processes that tests start would ignore them as well, and be interrupted in vain.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
