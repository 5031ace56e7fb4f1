"""Certificates before there is a worker: at the start, at a reload, in `breezeway check`.

What they need is imported when there are any: it takes a megabyte, and many servers have a proxy for
TLS.
"""

from __future__ import annotations

import logging

from breezeway.config.settings import Settings

logger = logging.getLogger("breezeway.worker")


def prepare(settings: Settings) -> None:
    """Load what these settings need, anew if a file has changed; workers forked later have it.

    Raises:
        UsageError: a file cannot be used.
    """
    for complaint in check(settings):
        logger.warning("%s", complaint)


def follow(settings: Settings) -> None:
    """Load what has changed, for a worker that is about to be forked; what is wrong goes to the log."""
    if settings.certfile:
        from breezeway.worker import tls

        tls.of(settings).follow()


def check(settings: Settings) -> list[str]:
    """Do the same, and return what is to be said to the operator.

    Raises:
        UsageError: a file cannot be used.
    """
    if not settings.certfile:
        return []
    from breezeway.worker import tls

    found = tls.of(settings)
    found.renew()
    return found.complaints()
