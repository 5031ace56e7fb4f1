"""Whether Python runs with its global lock, and what the server does differently without (PEP 703).

docs/decisions/0022-free-threading.md has the reasons.
"""

from __future__ import annotations

import logging
import sys

from breezeway.config.settings import Settings

logger = logging.getLogger("breezeway.worker")


def has_gil() -> bool:
    """Whether one thread at a time runs Python; an extension module may bring that back at any time."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def warn_without_gil(settings: Settings) -> None:
    """Say which settings do less than they promise."""
    if has_gil():
        return
    if settings.request_timeouts:
        logger.warning(
            "Python runs without the GIL: a request that is past --request-timeout gets its 504, but its"
            " thread is interrupted only when it comes back to the server"
        )
    if settings.slow_request_log is not None:
        logger.warning("Python runs without the GIL: --slow-request-log tells of nothing")
