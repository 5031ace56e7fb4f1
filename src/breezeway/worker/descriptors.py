"""How many connections the system's limit on open files allows (RLIMIT_NOFILE)."""

from __future__ import annotations

import contextlib
import logging
import resource
from typing import Final

logger = logging.getLogger("breezeway.worker")

RESERVE: Final = 1000
"""Descriptors that are not for connections: listeners, pipes and logs are some twenty; the rest is for
request bodies in temporary files, files that are being sent, and what the application opens."""


def connections(wanted: int) -> int:
    """Return how many of `wanted` connections there may be; raise this process's limit for them.

    The soft limit goes up as far as they need and the hard one allows. A small limit is halved: the
    reserve would leave nothing.
    """
    limit = _raise(wanted + RESERVE)
    return min(wanted, max(limit - RESERVE, limit // 2))


def warn_if_few(wanted: int) -> None:
    """Raise the limit for so many connections; say so when there will be fewer."""
    allowed = connections(wanted)
    if allowed < wanted:
        logger.warning(
            "only %d connections for each worker instead of %d (--limit-connections): a process may"
            " have %d open files, of which some stay for other uses; raise that limit to %d"
            " (ulimit -n, LimitNOFILE= of systemd), or lower --limit-connections to %d",
            allowed,
            wanted,
            resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            wanted + RESERVE,
            allowed,
        )


def _raise(needed: int) -> int:
    """Raise the soft limit to `needed`, or as far as it may go; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    if hard == resource.RLIM_INFINITY or hard > needed:
        target = needed
    else:
        target = hard
    # macOS has a limit above which it takes nothing, whatever the hard one says.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        return target
    return soft
