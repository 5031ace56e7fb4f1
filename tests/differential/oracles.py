"""The parsers that ours is compared with, both made to go on to the next request like a server."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import h11

from .reading import End, Reading, Request, request_of

with warnings.catch_warnings():
    # On a free-threaded Python it says that it switches the lock on.
    warnings.simplefilter("ignore", RuntimeWarning)
    import httptools

LONGEST_HEAD = 1 << 20
"""For h11: as good as no limit, for limits are a matter of their own."""


def by_h11(data: bytes) -> Reading:
    """Read with h11."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
    connection.receive_data(data)
    requests: list[Request] = []
    head: h11.Request | None = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                requests.append(request_of(head.method, head.target, head.headers, body))
                if head.method == b"CONNECT" or not _answer(connection):
                    return Reading(tuple(requests), End.CLOSED)
                head = None
            else:  # it needs more
                unread = head is not None or connection.trailing_data[0] != b""
                return Reading(tuple(requests), End.INCOMPLETE if unread else End.OPEN)
    except h11.RemoteProtocolError as error:
        return Reading(tuple(requests), End.REFUSED, str(error))


def _answer(connection: h11.Connection) -> bool:
    """Answer a request; return whether the connection goes on."""
    connection.send(h11.Response(status_code=204, headers=[]))
    connection.send(h11.EndOfMessage())
    if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
        return False
    connection.start_next_cycle()
    return True


class _Collector:
    """The callbacks of httptools."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.requests: list[Request] = []
        self.begun = False
        self.closed = False
        self._in_body = False
        self._target = self._body = b""
        self._fields: list[tuple[bytes, bytes]] = []

    def on_message_begin(self) -> None:
        self.begun = True
        self._in_body = False
        self._target = self._body = b""
        self._fields = []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # what comes later are trailers
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.begun = False
        if self.closed:
            return
        method = self.parser.get_method()
        self.requests.append(request_of(method, self._target, self._fields, self._body))
        self.closed = not self.parser.should_keep_alive()


def by_httptools(data: bytes) -> Reading:
    """Read with httptools, which is llhttp, the parser of Node.js."""
    requests: list[Request] = []
    while True:
        collector = _Collector()
        rest = b""
        why = ""
        try:
            collector.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]  # a server that ignores the Upgrade reads on
        except httptools.HttpParserError as error:
            why = str(error)
        requests += collector.requests
        if collector.closed:
            return Reading(tuple(requests), End.CLOSED)
        if why:
            return Reading(tuple(requests), End.REFUSED, why)
        if not rest:
            return Reading(tuple(requests), End.INCOMPLETE if collector.begun else End.OPEN)
        data = rest


ORACLES: dict[str, Callable[[bytes], Reading]] = {"h11": by_h11, "httptools": by_httptools}
