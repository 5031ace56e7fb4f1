"""Server-sent events: one thread asks each second, and each page that looks on gets the same text.

The events: `hello` first, with the samples of the last minutes, then each second `tick`. A stream takes a
thread of the reactor as long as it lasts, which is why there are so many at most.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from breezeway.admin.history import SHAPE, History
from breezeway.admin.link import LinkError
from breezeway.admin.source import Source

logger = logging.getLogger("breezeway.admin")

STREAMS: Final = 16
"""At a time. Each is a thread that sleeps."""

TICK_SECONDS: Final = 1.0

RETRY_MILLISECONDS: Final = 1000
"""How soon a page tries again after the end of its stream."""

LEFT_OUT: Final = ("metrics",)
"""Fields of a status that a page does not get each second: samples say the same in less."""

MEDIA_TYPE: Final = "text/event-stream"


class Streams:
    """All that look on."""

    def __init__(self, source: Source, *, tick_seconds: float = TICK_SECONDS) -> None:
        """Ask `source`, once `start` was called, as long as it answers."""
        self._source = source
        self._tick_seconds = tick_seconds
        self._history = History()
        self._news = threading.Condition()
        self._number = 0
        """Of the last tick."""
        self._text = b""
        self._open = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="admin-ticks", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Let all streams end."""
        self._ended.set()
        with self._news:
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join(self._tick_seconds)

    def open(self, hello: dict[str, Any]) -> Iterator[bytes] | None:
        """Return a new stream, which begins with `hello` and the samples so far; None if it is too many."""
        with self._news:
            if self._open >= STREAMS or self._ended.is_set():
                return None
            self._open += 1
        return Stream(self, hello)

    def _run(self) -> None:
        after = 0
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._tick_seconds, time.monotonic())
            try:
                after = self._tick(after)
            except LinkError as error:
                if self._source.broken:
                    return
                logger.warning("no numbers: %s", error)
            except Exception:
                logger.exception("internal error; the numbers of this second are left out")

    def _tick(self, after: int) -> int:
        status = self._source.status()
        events = self._source.events(after)
        sample = self._history.add(status)
        shown = {name: value for name, value in status.items() if name not in LEFT_OUT}
        totals = {name: status["metrics"][name] for name in ("requests", "bytes_in", "bytes_out")}
        tick = {
            "status": shown,
            "totals": totals,
            "sample": sample,
            "recent": self._history.recent(),
            "events": events,
        }
        with self._news:
            self._number += 1
            self._text = _event("tick", tick)
            self._news.notify_all()
        return int(events[-1]["number"]) if events else after

    # --- for one stream --------------------------------------------------------------------------

    def begin(self, hello: dict[str, Any]) -> tuple[int, bytes]:
        """Return the number of the last tick, and the first event of a stream."""
        with self._news:
            number, samples = self._number, self._history.samples()
        return number, b"retry: %d\n" % RETRY_MILLISECONDS + _event(
            "hello", {**hello, "shape": SHAPE, "samples": samples}
        )

    def wait(self, number: int) -> tuple[int, bytes]:
        """Wait for a tick after the one with this number; return its number and its event.

        Without one the text is a comment, which shows whether the client is still there; at the
        end of all streams it is nothing.
        """
        with self._news:
            changed = self._news.wait_for(
                lambda: self._number > number or self._ended.is_set(), 5 * self._tick_seconds
            )
            if self._ended.is_set():
                return number, b""
            return (self._number, self._text) if changed else (number, b": \n\n")

    def leave(self) -> None:
        """Note the end of a stream."""
        with self._news:
            self._open -= 1


class Stream:
    """What one client gets: an iterable for WSGI, whose `close` is called in any case."""

    def __init__(self, streams: Streams, hello: dict[str, Any]) -> None:
        self._streams = streams
        self._hello: dict[str, Any] | None = hello
        self._number = 0
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Wait for the next event."""
        if self._hello is not None:
            self._number, text = self._streams.begin(self._hello)
            self._hello = None
        else:
            self._number, text = self._streams.wait(self._number)
        if not text:
            raise StopIteration
        return text

    def close(self) -> None:
        """Make room for another one."""
        if not self._closed:
            self._closed = True
            self._streams.leave()


def _event(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
