"""A line of the access log as a JSON object (RFC 8259), in ASCII.

The common case is written in one go, from texts that are there already; all others by `_line`.
"""

from __future__ import annotations

from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from math import floor
from typing import TYPE_CHECKING, Any, Final

from breezeway.observe.access_text import Stamp
from breezeway.observe.entry import OUTCOMES, Entry

if TYPE_CHECKING:
    from breezeway.observe.access_lines import Lines

# What does not change while the head is the same: member and key of the environ.
_FROM_HEAD: Final = {
    "method": "REQUEST_METHOD",
    "target": "RAW_URI",
    "version": "SERVER_PROTOCOL",
    "host": "HTTP_HOST",
    "referer": "HTTP_REFERER",
    "user_agent": "HTTP_USER_AGENT",
    "traceparent": "HTTP_TRACEPARENT",
    "tls": "SSL_PROTOCOL",
    "cipher": "SSL_CIPHER",
}

# And what middleware or the application may add.
_FROM_APPLICATION: Final = {"user": "REMOTE_USER", "request_id": "breezeway.request_id"}

MEMBERS: Final = {
    "time": "when the request was complete: UTC, RFC 3339, with microseconds",
    "client": "address of the client; `unix` on a unix socket",
    "method": "method",
    "target": "request-target as it came",
    "version": "`HTTP/1.1` or `HTTP/1.0`",
    "host": "field `Host`",
    "referer": "field `Referer`",
    "user_agent": "field `User-Agent`",
    "traceparent": "field `traceparent` (W3C Trace Context)",
    "tls": "version of TLS: `TLSv1.3`; not there without TLS",
    "cipher": "cipher suite: `TLS_AES_256_GCM_SHA384`; not there without TLS",
    "bytes_in": "bytes of the request, head and body, as they came",
    "status": "status; 0 when there was no response",
    "bytes_out": "bytes of the response body that the system took",
    "duration_us": "from the complete request to the last byte of its response that the system took",
    "queue_us": "of that, until the application was called: waiting for a thread",
    "application_us": "then until the application was done",
    "first_byte_us": "from the complete request to the first byte of the response",
    "sending_us": "from the application's end to the last byte: waiting for the client to read",
    "outcome": "how it ended: one of the below",
    "user": "`REMOTE_USER` as the application has left it; not there without one",
    "request_id": "id that the middleware RequestId has given; not there without one",
    "worker": "number of the worker, as `breezeway ctl status` has it; 0 without a supervisor",
    "pid": "process id of the worker",
    "thread": "name of the thread that ran the application",
}
"""All members of an object, in their order, for the reference."""

_TEXTS: Final = [str(number) for number in range(4096)]
"""The numbers of most lines as text: to look them up takes a quarter of the time to write them."""

MOST_THREADS: Final = 1024
"""The ends of lines that are kept; threads come and go."""


def lines_of(identity: Mapping[str, int]) -> Lines:
    """Return what makes JSON objects, one in a line; `identity` tells in each who has written it."""
    stamp = Stamp("%Y-%m-%dT%H:%M:%S")
    ends: dict[str, tuple[str, str]] = {}
    who = "".join(f',"{name}":{value}' for name, value in identity.items())

    def lines(entries: list[Entry], thread: str) -> list[str]:
        made: list[str] = []
        add, texts = made.append, _TEXTS
        at, time_text = -1.0, ""
        try:
            end, well = ends[thread]
        except KeyError:
            if len(ends) >= MOST_THREADS:
                ends.clear()
            end = f'{who},"thread":{_text(thread)}}}\n'
            well = f',"sending_us":0,"outcome":"complete"{end}'
            ends[thread] = end, well
        for entry in entries:
            request, environ, response, size, began, called, first, returned, finished, bad = entry
            if began != at:  # all of one batch of events have begun at the same time
                at, time_text = began, f'{{"time":"{stamp.exact(began)}Z"'
            if not (
                first
                or finished
                or bad
                or response is None
                or "REMOTE_USER" in environ
                or "breezeway.request_id" in environ
            ):
                queue, duration = floor((called - began) * 1e6), floor((returned - began) * 1e6)
                try:
                    text = texts[duration]
                    add(
                        f"{time_text}{request.note or _note(request)}"
                        f',"status":{texts[response.status]},"bytes_out":{texts[size]}'
                        f',"duration_us":{text},"queue_us":{texts[queue]}'
                        f',"application_us":{texts[duration - queue]},"first_byte_us":{text}{well}'
                    )
                    continue
                except IndexError:  # it took longer, or is larger
                    pass
            add(_line(time_text, entry, end))
        return made

    return lines


def _line(time_text: str, entry: Entry, end: str) -> str:
    """Make the line of a request that is not the common case."""
    request, environ, response, size, began, called, first, returned, finished, outcome = entry
    queue = int((called - began) * 1e6)
    application = int((returned - called) * 1e6)
    sending = max(0, int((finished - returned) * 1e6)) if finished else 0
    duration = queue + application + sending
    first_byte = int((first - began) * 1e6) if first else queue + application
    more = "".join(
        f',"{name}":{_text(environ[key])}'
        for name, key in _FROM_APPLICATION.items()
        if environ.get(key)
    )
    return (
        f"{time_text}{request.note or _note(request)}"
        f',"status":{response.status if response is not None else 0},"bytes_out":{size}'
        f',"duration_us":{duration},"queue_us":{queue},"application_us":{application}'
        f',"first_byte_us":{first_byte},"sending_us":{sending}'
        f',"outcome":"{OUTCOMES[outcome]}"{more}{end}'
    )


def _note(request: Any) -> str:
    environ = request.environ
    client = _text(environ.get("REMOTE_ADDR") or "unix")
    members = "".join(
        f',"{name}":{_text(environ[key])}' for name, key in _FROM_HEAD.items() if environ.get(key)
    )
    request.note = note = f',"client":{client}{members},"bytes_in":{request.whole}'
    return note


def _text(value: object) -> str:
    return encode_basestring_ascii(str(value))
