"""How many connections the system's limit on open files allows (RLIMIT_NOFILE)."""

from __future__ import annotations

import logging
import resource
from typing import Final

logger = logging.getLogger("breezeway.worker")

RESERVE: Final = 1000
"""Descriptors that are not for connections: listeners, pipes and logs are some twenty; the rest is for
request bodies in temporary files, files that are being sent, and what the application opens."""


def connections(wanted: int) -> int:
    """Return how many of `wanted` connections there may be; raise this process's limit for them.

    The soft limit goes up as far as they need and the hard one allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _reachable(wanted + RESERVE)
    if soft != resource.RLIM_INFINITY and soft < limit:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):  # macOS has a bound that the hard limit does not tell
            limit = soft
    return _within(limit, wanted)


def warn_if_few(wanted: int) -> None:
    """Say so when there cannot be that many connections; this process's limit stays."""
    limit = _reachable(wanted + RESERVE)
    allowed = _within(limit, wanted)
    if allowed < wanted:
        logger.warning(
            "only %d connections for each worker instead of %d (--limit-connections): a process may"
            " have %d open files, of which some stay for other uses; raise that limit to %d"
            " (ulimit -n, LimitNOFILE= of systemd), or lower --limit-connections to %d",
            allowed,
            wanted,
            limit,
            wanted + RESERVE,
            allowed,
        )


def _within(limit: int, wanted: int) -> int:
    """Return how many connections there may be; of a small limit the reserve would leave none."""
    return min(wanted, max(limit - RESERVE, limit // 2))


def _reachable(needed: int) -> int:
    """Return up to which limit, at most `needed`, this process may have open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY in (soft, hard):
        return needed
    return min(needed, max(soft, hard))
