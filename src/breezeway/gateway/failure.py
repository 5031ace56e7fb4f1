"""What goes wrong between server and application, and how it is told."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Final

from breezeway.gateway.types import Environ

logger = logging.getLogger("breezeway.application")

FAILURE_STATUS: Final = "500 Internal Server Error"
FAILURE_HEADERS: Final = [("Content-Type", "text/plain; charset=utf-8")]
FAILURE_BODY: Final = b"500 Internal Server Error\nThe application failed to answer this request.\n"

CLOSE_RAISED: Final = "close() of the result raised"


class ApplicationFault(Exception):
    """The application broke PEP 3333 where none of its own code is on the stack."""


class ClientGone(OSError):
    """The client has left, or has taken nothing for too long, before the response was sent.

    An application sees it from `write()`. It is logged for debugging only.
    """


def log_failure(error: BaseException, environ: Environ, what: str) -> None:
    """Log an application's failure with the user's traceback: frames of this package come off."""
    request = f"{environ.get('REQUEST_METHOD')} {environ.get('RAW_URI')}"
    if isinstance(error, ClientGone):
        logger.debug("%s: the client has gone", request)
    elif isinstance(error, ApplicationFault):
        logger.error("%s: %s", request, error)
    else:
        traceback = _without_our_frames(error.__traceback__)
        logger.error("%s: %s", request, what, exc_info=(type(error), error, traceback))


def _without_our_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Drop the leading frames that are the server's."""
    while traceback is not None and traceback.tb_next is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        if not module.startswith(("breezeway.gateway", "breezeway.worker")):
            break
        traceback = traceback.tb_next
    return traceback
