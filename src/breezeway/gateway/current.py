"""Which request a thread answers, for what is written to the log meanwhile.

Requests pay nothing for it. A thread in a call of the application has the frame of `Exchange.run` on its
stack, with the environ among its locals; it is looked for when somebody asks.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any, Final

from breezeway.gateway.exchange import Exchange
from breezeway.gateway.types import Environ
from breezeway.observe.access_text import legible
from breezeway.observe.request_fields import FIELDS, NONE, request_fields

RUN: Final = Exchange.run.__code__


def current_environ() -> Environ | None:
    """Return the environ of the request that this thread answers; None if it answers none."""
    found = _locals_of_run()
    return found["environ"] if found is not None else None


def current_exchange() -> Exchange | None:
    """Return the exchange that this thread runs; None if it runs none, or in another greenlet."""
    found = _locals_of_run()
    return found["self"] if found is not None else None


def _locals_of_run() -> Mapping[str, Any] | None:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code is RUN:
            return frame.f_locals
        frame = frame.f_back
    return None


class RequestFilter(logging.Filter):
    """Give each record the request that its thread answers, as attributes.

    They are `method`, `target`, `client`, `request_id` and `traceparent`, a dash where there is none;
    control characters in them are escaped, for most formatters leave them as they are.
    Put it on a handler; then `%(method)s` stands in its format. Of the thread that logs it has to be
    asked, so that with a `QueueHandler` it belongs on that one.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record through, with its request; what it has already stays."""
        environ = current_environ()
        fields = request_fields(environ) if environ is not None else {}
        for name in FIELDS:
            if name not in record.__dict__:
                setattr(record, name, legible(fields.get(name, NONE)))
        return True
