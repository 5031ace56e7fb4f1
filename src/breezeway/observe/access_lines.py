"""What the access log says of a request: a line in the combined format, or a JSON object.

A line costs the thread that serves, so that what is the same for each request with the same head is
made once and kept with the head (`entry.Request.note`).

Nobody can forge a line or hide one (CWE-117): what could end a quoted value or the line, or steer
a terminal, is written as an escape.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from breezeway.observe.entry import OUTCOMES, Entry

Lines = Callable[[list[Entry], str], list[str]]
"""Makes the lines of requests that were answered by the thread of that name."""

_ESCAPES: Final = {
    code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0), 0x22, 0x5C]
}

_OFFSET_SECONDS: Final = 1.0
"""After so long it is looked whether the clock was set."""


class Clock:
    """Tells what time of day a moment of the monotonic clock was."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._look_at = 0.0

    def at(self, moment: float) -> float:
        """Return the time in seconds since 1970, in UTC."""
        if moment >= self._look_at:
            self._offset = time.time() - time.monotonic()
            self._look_at = moment + _OFFSET_SECONDS
        return moment + self._offset


class _Stamp:
    """Writes times in one form; its text is made anew when the second is another."""

    def __init__(self, form: str) -> None:
        self._clock = Clock()
        self._form = form
        self._second = 0
        self._text = ""

    def whole(self, moment: float) -> str:
        """Return the time to the second."""
        second = int(self._clock.at(moment))
        if second != self._second:
            self._second = second
            self._text = time.strftime(self._form, time.gmtime(second))
        return self._text

    def exact(self, moment: float) -> str:
        """Return the time with six digits behind a point."""
        now = self._clock.at(moment)
        text = self.whole(moment)
        return f"{text}.{int((now - self._second) * 1e6):06d}"


def combined() -> Lines:
    """Return what makes lines as Apache and nginx have them, with the duration at the end."""
    stamp = _Stamp("%d/%b/%Y:%H:%M:%S +0000")

    def lines(entries: list[Entry], thread: str) -> list[str]:
        made = []
        at, time_text = -1.0, ""
        for request, environ, response, size, began, _, _, returned, finished, _ in entries:
            if began != at:
                at, time_text = began, stamp.whole(began)
            peer, line, tail = request.note or _combined_note(request)
            user = _user(environ["REMOTE_USER"]) if environ.get("REMOTE_USER") else "-"
            tenths = int(((finished or returned) - began) * 10_000 + 0.5)
            made.append(
                f"{peer} - {user} [{time_text}] {line} "
                f"{response.status if response is not None else '-'} {size} {tail} "
                f"{tenths // 10}.{tenths % 10}ms\n"
            )
        return made

    return lines


def _combined_note(request: Any) -> tuple[str, str, str]:
    get = request.environ.get
    line = " ".join(
        _quoted(get(key, "-")) for key in ("REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL")
    )
    request.note = note = (
        _quoted(get("REMOTE_ADDR") or "unix"),
        f'"{line}"',
        f'"{_quoted(get("HTTP_REFERER", "-"))}" "{_quoted(get("HTTP_USER_AGENT", "-"))}"',
    )
    return note


# Of a JSON line, what does not change while the head is the same: member and key of the environ.
_FROM_HEAD: Final = {
    "client": "REMOTE_ADDR",
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
_FROM_APPLICATION: Final = (("user", "REMOTE_USER"), ("request_id", "breezeway.request_id"))


_TEXTS: Final = [str(number) for number in range(4096)]
"""The numbers of most lines as text: to look them up takes a quarter of the time to write them."""


def json(identity: Mapping[str, int]) -> Lines:
    """Return what makes JSON objects, one in a line; `identity` tells in each who has written it."""
    stamp = _Stamp("%Y-%m-%dT%H:%M:%S")
    who = "".join(f',"{name}":{value}' for name, value in identity.items())

    def lines(entries: list[Entry], thread: str) -> list[str]:
        made = []
        texts = _TEXTS
        at, time_text = -1.0, ""
        end = f'{who},"thread":{_json(thread)}}}\n'
        for entry in entries:
            request, environ, response, size, began, called, first, returned, finished, _ = entry
            if began != at:  # all of one batch of events have begun at the same time
                at, time_text = began, stamp.exact(began)
            queue = int((called - began) * 1e6)
            duration = int((returned - began) * 1e6)
            if (
                duration >= len(texts)
                or size >= len(texts)
                or first
                or finished
                or response is None
                or "REMOTE_USER" in environ
                or "breezeway.request_id" in environ
            ):
                made.append(_json_line(time_text, entry, end))
                continue
            text = texts[duration]
            made.append(
                f'{{"time":"{time_text}Z"{request.note or _json_note(request)}'
                f',"status":{texts[response.status]},"bytes_out":{texts[size]},"duration_us":{text}'
                f',"queue_us":{texts[queue]},"application_us":{texts[duration - queue]}'
                f',"first_byte_us":{text},"sending_us":0,"outcome":"complete"{end}'
            )
        return made

    return lines


def _json_line(time_text: str, entry: Entry, end: str) -> str:
    """Make the line of a request that is not the common case."""
    request, environ, response, size, began, called, first, returned, finished, outcome = entry
    queue = int((called - began) * 1e6)
    application = int((returned - called) * 1e6)
    sending = max(0, int((finished - returned) * 1e6)) if finished else 0
    duration = queue + application + sending
    first_byte = int((first - began) * 1e6) if first else queue + application
    more = "".join(
        f',"{name}":{_json(environ[key])}' for name, key in _FROM_APPLICATION if key in environ
    )
    return (
        f'{{"time":"{time_text}Z"{request.note or _json_note(request)}'
        f',"status":{response.status if response is not None else 0},"bytes_out":{size}'
        f',"duration_us":{duration},"queue_us":{queue},"application_us":{application}'
        f',"first_byte_us":{first_byte},"sending_us":{sending}'
        f',"outcome":"{OUTCOMES[outcome]}"{more}{end}'
    )


def _json_note(request: Any) -> str:
    environ = request.environ
    members = [
        f',"{name}":{_json(environ[key])}' for name, key in _FROM_HEAD.items() if environ.get(key)
    ]
    received = request.whole if request.length >= 0 else request.size
    request.note = note = f'{"".join(members)},"bytes_in":{received}'
    return note


def _json(value: object) -> str:
    return encode_basestring_ascii(str(value))


def _user(value: object) -> str:
    return _quoted(value).replace(" ", "\\x20")


def _quoted(value: object) -> str:
    """Escape what could end a quoted field or the line; an application may have left anything."""
    text = str(value)
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.translate(_ESCAPES)
