"""What goes wrong between server and application, and how it is told.

A client that can make an application fail must not be able to fill the disk: of each kind of failure,
which is an exception raised in the same place and come to by the same way, the first in ten seconds is
logged with its traceback, some more in a line each, and of the rest how many there were.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import time
from types import TracebackType
from typing import Final, NamedTuple

from breezeway import tracebacks
from breezeway.gateway.types import Environ
from breezeway.observe.request_fields import request_fields, request_in_words
from breezeway.observe.throttle import Throttle

logger = logging.getLogger("breezeway.application")

FAILURE_STATUS: Final = "500 Internal Server Error"
FAILURE_HEADERS: Final = [("Content-Type", "text/plain; charset=utf-8")]
FAILURE_BODY: Final = b"500 Internal Server Error\nThe application failed to answer this request.\n"

CLOSE_RAISED: Final = "close() of the result raised"

MOST_CHARACTERS: Final = 1000
"""Of an exception that is told in a line; it may have repeated what the client has sent."""

_NUMBER: Final = re.compile(r"\d+")

throttle: Final = Throttle(logger)
"""That of the failures of all applications of this process; the event loop advances it."""


class ApplicationFault(Exception):
    """The application broke PEP 3333 where none of its own code is on the stack."""


class ClientGone(OSError):
    """The client has left, or has taken nothing for too long, before the response was sent.

    An application sees it from `write()`. It is logged for debugging only.
    """


class _Kind(NamedTuple):
    """What failures of one kind have in common; of a fault `error` is its text without numbers."""

    error: str
    what: str
    places: tuple[tuple[str, int], ...] = ()
    function: str = ""

    def __str__(self) -> str:
        place = ""
        if self.places:
            file, line = self.places[-1]
            place = f" in {self.function} ({file}, line {line})"
        return f"{self.what}, {self.error}{place}"


def log_failure(error: BaseException, environ: Environ, what: str) -> None:
    """Log an application's failure with the user's traceback: frames of this package come off.

    It raises nothing, also when a filter or handler of the user's does: the response must go out.
    """
    try:
        _log_failure(error, environ, what)
    except BaseException as failed:  # as `logging.Handler.handleError` has it
        if logging.raiseExceptions and sys.stderr is not None:
            with contextlib.suppress(Exception):
                sys.stderr.write(tracebacks.whole(failed, failed.__traceback__))


def _log_failure(error: BaseException, environ: Environ, what: str) -> None:
    fields = request_fields(environ)
    request = request_in_words(fields)
    if isinstance(error, ClientGone):
        logger.debug("%s: the client has gone", request, extra=fields)
        return
    traceback = error.__traceback__
    fault = isinstance(error, ApplicationFault)
    if not fault:
        traceback = _without_our_frames(traceback)
    number = throttle.admit(time.monotonic(), _kind(error, traceback, what))
    if not number:
        return
    if fault:
        logger.error("%s: %s", request, error, extra=fields)
    elif number == 1:
        exc_info = (type(error), error, traceback)
        logger.error("%s: %s", request, what, exc_info=exc_info, extra=fields)
    else:
        said = _in_a_line(error)
        text = "%s: %s with the same traceback as before: %s"
        logger.error(text, request, what, said, extra=fields)


def _kind(error: BaseException, traceback: TracebackType | None, what: str) -> _Kind:
    if isinstance(error, ApplicationFault):
        return _Kind(_NUMBER.sub("N", str(error)), "a fault of the application")
    places, function = [], ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append((code.co_filename, traceback.tb_lineno or 0))
        function = code.co_name
        traceback = traceback.tb_next
    return _Kind(type(error).__name__, what, tuple(places), function)


def _in_a_line(error: BaseException) -> str:
    text = " ".join("".join(tracebacks.last_lines(error)).split())
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} ..."


def _without_our_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Drop the leading frames that are the server's."""
    while traceback is not None and traceback.tb_next is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        if not module.startswith(("breezeway.gateway", "breezeway.worker")):
            break
        traceback = traceback.tb_next
    return traceback
