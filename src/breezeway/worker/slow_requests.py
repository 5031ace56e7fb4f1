"""The log of slow requests: what a request's thread does while it takes long, and how it ended.

At each tick the event loop looks at the stacks of the other threads; who is in a request has the frame
of `Exchange.run` on it (`gateway.current`). So requests pay nothing for it, and a look costs some ten
microseconds for each thread that is at work. A request that is in the holder's own hands is no
exception: the warden takes the baton from it long before.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from breezeway.observe.log_format import frames
from breezeway.observe.request_fields import request_fields, request_in_words
from breezeway.observe.throttle import Throttle
from breezeway.worker.stacks import lines, places, request_of

if TYPE_CHECKING:
    from types import FrameType

    from breezeway.gateway.exchange import Exchange
    from breezeway.gateway.types import Environ

logger = logging.getLogger("breezeway.slow_requests")

KIND: Final = "slow requests"


class _Slow(NamedTuple):
    """A request that was told of, or would have been; `fields` is empty then."""

    exchange: Exchange
    began: float
    fields: dict[str, str]


class SlowRequests:
    """Watches over the requests of one worker; for the holder of the baton."""

    def __init__(self, seconds: float) -> None:
        """Tell requests that take longer than this."""
        self._seconds = seconds
        self._slow: dict[int, _Slow] = {}
        self._throttle = Throttle(logger)

    def __bool__(self) -> bool:
        """Whether `look` has something to do though no thread is in a request."""
        return bool(self._slow or self._throttle)

    def look(self, now: float) -> None:
        """Look at all threads; `now` is in monotonic seconds."""
        own = threading.get_ident()
        running = set()
        for ident, frame in sys._current_frames().items():
            if ident == own:
                continue
            environ, exchange = request_of(frame)
            if environ is None or exchange is None:
                continue
            running.add(id(exchange))
            began = exchange.began
            if now - began >= self._seconds and id(exchange) not in self._slow:
                told = self._throttle.admit(now, KIND)
                fields = self._tell(ident, frame, environ, now - began) if told else {}
                self._slow[id(exchange)] = _Slow(exchange, began, fields)
        for key in self._slow.keys() - running:
            self._tell_end(self._slow.pop(key), now)
        self._throttle.advance(now)

    def close(self, now: float) -> None:
        """Tell what is left to be told, at the end of a worker."""
        self.look(now)
        self._throttle.close()

    def _tell(
        self, ident: int, frame: FrameType, environ: Environ, seconds: float
    ) -> dict[str, str]:
        """Tell a request while it runs; return what names it."""
        stack = places(frame)  # before anything else, for the thread runs on
        fields = request_fields(environ)
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        logger.warning(
            "%s: slow, %.3f s so far; its thread %s is here:\n%s",
            request_in_words(fields),
            seconds,
            names.get(ident, f"thread {ident}"),
            "\n".join(lines(stack)),
            extra={**fields, "duration": round(seconds, 6), "frames": frames(stack)},
        )
        return fields

    def _tell_end(self, slow: _Slow, now: float) -> None:
        exchange, fields = slow.exchange, slow.fields
        if not fields:
            return
        returned = getattr(exchange, "returned", 0.0) or now
        if exchange.ousted:
            returned, how = now, "its thread came back, too late for the client,"
        elif exchange.aborted:
            how = "broken off"
        else:
            how = f"answered with {exchange.status}"
        seconds = returned - slow.began
        logger.warning(
            "%s: %s after %.3f s",
            request_in_words(fields),
            how,
            seconds,
            extra={**fields, "duration": round(seconds, 6)},
        )
