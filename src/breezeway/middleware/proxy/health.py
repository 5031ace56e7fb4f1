"""Looking at the health of an upstream of `Proxy`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from breezeway.middleware.proxy.errors import UpstreamError
from breezeway.middleware.proxy.options import HEAD_BYTES
from breezeway.middleware.proxy.wire import Request, ask

if TYPE_CHECKING:
    from breezeway.middleware.proxy.upstreams import Upstream

HEALTH_WAIT: Final = 5.0
"""Seconds that a look may take."""

_FIRST_BAD: Final = 400


def look(path: str, connect_seconds: float, upstream: Upstream) -> None:
    """Ask an upstream for its health.

    Raises:
        UpstreamError: what is wrong.
    """
    fields = [("Host", upstream.address.authority), ("User-Agent", "breezeway-health")]
    request = Request(
        "GET",
        path,
        fields,
        wait=HEALTH_WAIT,
        deadline=time.monotonic() + HEALTH_WAIT,
        longest_head=HEAD_BYTES,
    )
    try:
        response = ask(upstream.pool, request, connect_seconds)
    except UpstreamError as error:
        if error.is_fault:
            raise
        return  # all its connections are at work
    response.close()
    response.release_conn()
    if request.answer.status >= _FIRST_BAD:
        raise UpstreamError(503, f"{path} answers {request.answer.status}")
