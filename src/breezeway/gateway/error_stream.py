"""`wsgi.errors`: what is written to it goes to the log, with its request.

There is one stream for all requests, so that they pay nothing for it: whose text it is, is found out when
it is written (`current`). Each line is a message; lines that are written at one go, such as a record of
`logging` with its traceback, are one. A line may come in pieces, as from `print`; those of each thread are
put together until the newline comes, the stream is flushed, the thread has come to another request,
or a second has passed.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from typing import Final, NamedTuple

from breezeway.gateway.current import current_environ
from breezeway.gateway.types import Environ
from breezeway.observe.request_fields import request_fields, request_line

logger = logging.getLogger("breezeway.application")

LONGEST: Final = 16 * 1024
"""Characters of a line that is kept until its end; a longer one is told in parts."""

REST_SECONDS: Final = 1.0
"""After so long the beginning of a line is told without its end."""


class _Rest(NamedTuple):
    """The beginning of a line."""

    text: str
    environ: Environ | None
    since: float
    thread: str


class ErrorStream(io.TextIOBase):
    """A text stream (PEP 3333, 'Input and Error Streams'), for any number of threads."""

    name = "<wsgi.errors>"
    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self) -> None:
        self._rests: dict[int, _Rest] = {}
        self._busy: set[int] = set()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write text.

        Raises:
            TypeError: it is none.
        """
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        ident = threading.get_ident()
        if ident in self._busy:  # the log itself is led here
            _put_aside(text)
            return len(text)
        environ = current_environ()
        thread = threading.current_thread().name
        rest = self._rests.pop(ident, None)
        begun, since = "", time.monotonic()
        if rest is not None:
            if rest.environ is environ:
                begun, since = rest.text, rest.since
            else:
                self._tell(rest)
        lines, _, last = f"{begun}{text}".rpartition("\n")
        if len(last) > LONGEST:
            lines, last = f"{lines}\n{last}".lstrip("\n"), ""
        if lines:
            self._tell(_Rest(lines, environ, since, thread))
        if last:
            self._rests[ident] = _Rest(last, environ, since, thread)
        return len(text)

    def flush(self) -> None:
        """Tell what this thread has written of a line."""
        rest = self._rests.pop(threading.get_ident(), None)
        if rest is not None:
            self._tell(rest)

    def close(self) -> None:
        """Do nothing: the stream belongs to all requests."""

    # --- for the event loop ------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether `advance` may have something to do."""
        return bool(self._rests)

    def advance(self, now: float) -> None:
        """Tell what was begun long ago; `now` is in monotonic seconds."""
        for ident, rest in [*self._rests.items()]:
            # Its thread may be faster, and go on with the line.
            if now - rest.since >= REST_SECONDS and self._rests.pop(ident, None) is not None:
                self._tell(rest)

    # -----------------------------------------------------------------------------------------------

    def _tell(self, rest: _Rest) -> None:
        text = rest.text.rstrip().replace("\r\n", "\n")
        if not text or not logger.isEnabledFor(logging.ERROR):
            return
        fields = request_fields(rest.environ) if rest.environ is not None else {}
        tag = fields.get("request_id") or (request_line(fields) if fields else rest.thread)
        extra = {**fields, "tag": tag}
        record = logger.makeRecord(
            logger.name, logging.ERROR, self.name, 0, "%s", (text,), None, extra=extra
        )
        record.threadName = rest.thread
        ident = threading.get_ident()
        self._busy.add(ident)
        try:
            logger.handle(record)
        finally:
            self._busy.discard(ident)


ERRORS: Final = ErrorStream()
"""The one of this process."""


def _put_aside(text: str) -> None:
    """Write to standard error, past the log."""
    if sys.__stderr__ is not None:
        sys.__stderr__.write(text)
