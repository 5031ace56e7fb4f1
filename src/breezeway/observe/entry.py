"""What is known of a request when its response is over: an entry, for the counts and the access log.

A plain tuple, for the thread that serves makes one for each request:

    0  request    the parsed head: `environ` as it came, `whole`, `length`, `size`
    1  environ    the same as the application has left it
    2  response   status code and head lines; None when there was no response
    3  size       bytes of the response body that the kernel took; of one that was broken off in chunks,
                  less the coding around what it did not take
    4  began      when the request was complete
    5  called     when the application was called
    6  first      when the first byte of the response went to the kernel; 0.0: with the last
    7  returned   when the application was done with the response
    8  finished   when the kernel had the last byte; 0.0: the client took it at once, at `returned`
    9  outcome    how it ended: COMPLETE, LEFT, ABORTED, TIMED_OUT

All times are monotonic seconds.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

COMPLETE, LEFT, ABORTED, TIMED_OUT = range(4)
"""The response is complete; the client has left; the server broke it off; the client took too long."""

OUTCOMES: Final = ("complete", "left", "aborted", "timeout")
"""Their names in logs."""

NO_THREAD: Final = "no thread was free for it in time"
"""Why a request is refused with 503."""


class Request(Protocol):
    """A parsed request head."""

    environ: dict[str, Any]
    size: int
    """Bytes of the head."""
    length: int
    """Bytes of the body; negative when it came in chunks."""
    whole: int
    """Bytes of both."""
    note: Any
    """What the access log has made of it, for the next request with the same head."""


class Response(Protocol):
    """A response head."""

    status: int
    lines: bytes


Entry = tuple[Request, dict[str, Any], Response | None, int, float, float, float, float, float, int]
