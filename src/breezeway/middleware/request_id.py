"""`RequestId`: a name for each request, and its place in a trace."""

from __future__ import annotations

import logging
import os
import random
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.closing import ClosingIterator
from breezeway.middleware.option_checks import flag, whole
from breezeway.middleware.stack import unset
from breezeway.semantics.fields import Headers, without
from breezeway.semantics.trace_context import parse_traceparent, parse_tracestate

ID_KEY: Final = "breezeway.request_id"
TRACE_ID_KEY: Final = "breezeway.trace_id"
TRACEPARENT_KEY: Final = "breezeway.traceparent"
TRACESTATE_KEY: Final = "breezeway.tracestate"

LONGEST: Final = 128
"""Characters of an id of a client: it goes into each line of the log."""

PATTERN: Final = r"[A-Za-z0-9._~:/+=@\-]+"
"""What ids are made of: UUIDs, ULIDs, base64, and those of the large clouds."""

# field-name = token                                                       RFC 9110 section 5.6.2
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# A generator of our own, for applications seed the one of the library. The system has seeded it with
# 2,500 bytes; an id costs 0.2 us so, and 0.4 us of os.urandom. An id is unique, and no secret.
_random: Final = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=_random.seed)
_random_bits: Final = _random.getrandbits
_BITS: Final = 192
"""128 of the trace-id, 64 of the span-id."""

_current: Final[ContextVar[str | None]] = ContextVar("breezeway_request_id", default=None)


def current_request_id() -> str | None:
    """Return the id of the request that this thread answers; None if it answers none."""
    return _current.get()


class RequestIdFilter(logging.Filter):
    """Give each record the attribute `request_id`, a dash if there is no request.

    Put it on a handler; then `%(request_id)s` stands in its format.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record through, with its id."""
        record.request_id = _current.get() or "-"
        return True


class RequestId:
    """Give each request an id that its log lines, its response and what it calls have in common.

    The need: a user says "it failed", and one id finds all that belongs to that request, here and in
    the services behind. It is made here, unlike any other, and is at once the trace-id of W3C Trace
    Context; or the request came with a `traceparent`, whose trace is continued. The attack: an id that
    a client chooses goes into logs and into its response. So a `traceparent` is read strictly, and an
    `X-Request-ID` only if that is said, by a pattern and with a bound; else it is as if it were not
    there, and a malformed trace is taken away.

    The environ gets `breezeway.request_id`, `breezeway.trace_id`, `breezeway.traceparent`, which is to
    be sent with requests that the application makes in turn, and `breezeway.tracestate` to go with it
    (empty if there is none). The response gets the id in a field in place of the application's own.
    `current_request_id()` and `RequestIdFilter` tell it to the code that has no environ.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        field: str = "X-Request-ID",
        accept: bool = False,
        pattern: str = PATTERN,
        longest: int = LONGEST,
        continue_trace: bool = True,
    ) -> None:
        """Take where ids come from and go to.

        `field`: the name of the response field, and of the request field if that is accepted;
        `X-Request-ID` by default.
        `accept`: whether the id of a request is taken over; False by default. It is for services
        behind a proxy that makes the ids.
        `pattern`: the regular expression that such an id has to match as a whole; by default letters,
        digits and `._~:/+=@-`.
        `longest`: how many characters it has at most, 128 by default.
        `continue_trace`: whether the trace of a `traceparent` is continued; True by default. Without
        it each request begins a trace, for an edge where clients are not to say what is traced.

        Raises:
            ValueError: a value is not one of these.
        """
        self.application = application
        if not isinstance(field, str) or _TOKEN.fullmatch(field) is None:
            raise ValueError(f"field is the name of a field, not {field!r}")
        if not isinstance(pattern, str):
            raise ValueError(f"pattern is a regular expression, not {pattern!r}")
        try:
            self._matches: Final = re.compile(pattern).fullmatch
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"pattern is no regular expression: {error}") from None
        self._field: Final = field
        self._lower: Final = field.lower()
        self._key: Final = (
            f"HTTP_{field.upper().replace('-', '_')}" if flag("accept", accept) else ""
        )
        self._longest: Final = whole("longest", longest, 1, unit="characters")
        self._continues: Final = flag("continue_trace", continue_trace)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Give a request its id, and let the application answer."""
        digits = _random_bits(_BITS).to_bytes(_BITS // 8, "little").hex()
        request_id = trace_id = digits[:32]
        flags, environ[TRACESTATE_KEY] = "00", ""
        if "HTTP_TRACEPARENT" in environ or "HTTP_TRACESTATE" in environ:
            trace_id, flags = self._trace(environ) or (trace_id, flags)
        if self._key in environ and self._is_good(environ[self._key]):
            request_id = environ[self._key]
        environ[ID_KEY] = request_id
        environ[TRACE_ID_KEY] = trace_id
        environ[TRACEPARENT_KEY] = f"00-{trace_id}-{digits[32:]}-{flags}"

        def start(
            status: str, headers: Headers, exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            for name, _ in headers:
                if name.lower() == self._lower:
                    headers = without(headers, self._lower)
                    break
            return start_response(status, [*headers, (self._field, request_id)], exc_info)

        _current.set(request_id)
        try:
            blocks = self.application(environ, start)
        except BaseException:
            _current.set(None)
            raise
        if type(blocks) is list or type(blocks) is tuple or _is_file(blocks, environ):
            _current.set(None)
            return blocks
        # Of what comes block by block, code of the application is still to run.
        return ClosingIterator(blocks, _forget)

    def _is_good(self, text: str) -> bool:
        return (
            0 < len(text) <= self._longest
            and text.isascii()
            and text.isprintable()  # whatever the pattern takes
            and self._matches(text) is not None
        )

    def _trace(self, environ: WSGIEnvironment) -> tuple[str, str] | None:
        """Return trace-id and flags of a request; take away what is malformed or unwanted."""
        found = parse_traceparent(environ.get("HTTP_TRACEPARENT", ""))
        if found is None or not self._continues:
            environ.pop("HTTP_TRACEPARENT", None)
            environ.pop("HTTP_TRACESTATE", None)
            return None
        state = parse_tracestate(environ.get("HTTP_TRACESTATE", ""))
        if state is None:
            environ.pop("HTTP_TRACESTATE", None)
        environ[TRACESTATE_KEY] = state or ""
        return found.trace_id, f"{found.flags:02x}"


def _is_file(blocks: object, environ: WSGIEnvironment) -> bool:
    """Tell whether the server sends a file itself: it has to see that it is one."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(blocks, wrapper)


def _forget() -> None:
    _current.set(None)
