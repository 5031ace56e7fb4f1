"""Asking a live server, over connections that are kept."""

from __future__ import annotations

import http.client
import select
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, Self
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.testing.request_body import RequestBody
from breezeway.testing.response import Headers, IncompleteResponseError, Sent

BLOCK_BYTES: Final = 64 * 1024
"""The most of a response that is taken at a time."""

CLOSING_SECONDS: Final = 5.0
"""How long an application may take from the end of its content to the end of its `close()`."""

Connection = http.client.HTTPConnection


class OverHttp:
    """A way to a server: HTTP/1.1, with as many connections as there are responses at a time."""

    def __init__(
        self, *, timeout: float, tls: ssl.SSLContext | None, watched: Watched | None = None
    ) -> None:
        """`timeout` is in seconds, for each wait; `watched` is the application, if it runs here."""
        self._timeout = timeout
        self._tls = tls
        self._watched = watched
        self._idle: dict[str, list[Connection]] = {}
        """By origin; `pop` and `append` of a list are safe for threads."""

    def send(
        self, request: Sent, body: RequestBody, environ: Mapping[str, Any]
    ) -> tuple[int, str, Headers, HttpBlocks]:
        """Send a request; return status, reason, headers and content.

        Raises:
            OSError: there is no server, or it does not answer.
            TypeError: there is an environ, which a live server makes itself.
        """
        if environ:
            raise TypeError("environ is for an application in the process: a live server makes it")
        parts = urlsplit(request.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        connection = self._connection(origin)
        if connection.sock is None:
            connection.connect()
        port = str(connection.sock.getsockname()[1])
        try:
            _send(connection, request, body)
            response = connection.getresponse()
        except (http.client.HTTPException, ConnectionError) as error:
            connection.close()
            self._raise_error(port, waits=False)
            raise IncompleteResponseError(f"no response: {error!r}") from error
        except BaseException:
            connection.close()
            raise
        headers = Headers(response.getheaders())

        def ended(*, is_whole: bool, is_reusable: bool) -> None:
            if is_reusable:
                self._idle.setdefault(origin, []).append(connection)
            else:
                connection.close()
            self._raise_error(port, waits=is_whole)

        return response.status, response.reason, headers, HttpBlocks(response, ended)

    def _connection(self, origin: str) -> Connection:
        idle = self._idle.setdefault(origin, [])
        with suppress(IndexError):
            while connection := idle.pop():
                # What can be read from a connection without a request is its end.
                if not select.select([connection.sock], [], [], 0)[0]:
                    return connection
                connection.close()
        parts = urlsplit(origin)
        host = parts.hostname or ""
        if parts.scheme == "https":
            context = self._tls or ssl.create_default_context()
            return http.client.HTTPSConnection(
                host, parts.port, timeout=self._timeout, context=context
            )
        return Connection(host, parts.port, timeout=self._timeout)

    def _raise_error(self, port: str, *, waits: bool) -> None:
        if self._watched is not None:
            self._watched.raise_error(port, waits=waits)

    def close(self) -> None:
        """Close all idle connections."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()


def _send(connection: Connection, request: Sent, body: RequestBody) -> None:
    parts = urlsplit(request.url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.fields:
        connection.putheader(name, value.encode("latin-1"))
    is_chunked = body.length is None and "content-length" not in request.headers
    if is_chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    # A server that refuses a body answers before it has read it, and closes: the answer counts.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.endheaders(
            (block for block in body.blocks() if block), encode_chunked=is_chunked
        )


class HttpBlocks:
    """The content of a response as it comes: in chunks, each is a block, at most `BLOCK_BYTES` long."""

    def __init__(self, response: http.client.HTTPResponse, ended: Callable[..., None]) -> None:
        self._response = response
        self._ended: Callable[..., None] | None = ended
        self._left = None if response.chunked else response.length
        """Bytes still to come; None if only the end tells."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        """Return what there is, at least a byte; raise what the application in this process raised."""
        if self._ended is None:
            raise StopIteration
        left = self._left
        try:
            block = (
                b"" if left == 0 else self._response.read1(min(left or BLOCK_BYTES, BLOCK_BYTES))
            )
            if left and not block:
                raise http.client.IncompleteRead(b"", left)
        except (http.client.HTTPException, ConnectionError) as error:
            self._end(is_whole=False, is_reusable=False)
            raise IncompleteResponseError(f"the response broke off: {error!r}") from error
        except BaseException:
            self.close()
            raise
        if block:
            self._left = None if left is None else left - len(block)
            return block
        self._end(is_whole=True, is_reusable=not self._response.will_close)
        raise StopIteration

    def close(self) -> None:
        """Break the connection if there is more to come."""
        if self._ended is not None:
            self._end(is_whole=False, is_reusable=False)

    def _end(self, *, is_whole: bool, is_reusable: bool) -> None:
        ended, self._ended = self._ended, None
        self._response.close()
        assert ended is not None
        ended(is_whole=is_whole, is_reusable=is_reusable)


class Watched:
    """An application on a live server of this process, whose errors are to be raised in the test.

    A connection has one request at a time, so the port of its client tells whose error it is.
    """

    def __init__(self, application: WSGIApplication, *, raises: bool) -> None:
        """With `raises` errors are raised; without it just the end of each request is waited for."""
        self.application = application
        self._raises = raises
        self._errors: dict[str, Exception] = {}
        self._running: set[str] = set()
        self._changed = threading.Condition()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application, and keep what it raises."""
        port = environ.get("REMOTE_PORT", "")
        with self._changed:
            self._errors.pop(port, None)
            self._running.add(port)
        try:
            blocks = self.application(environ, start_response)
        except Exception as error:
            self._over(port, error)
            raise
        # These cannot fail, and a server that sees them as what they are sends them in another way.
        if isinstance(blocks, list | tuple | environ["wsgi.file_wrapper"]):
            self._over(port)
            return blocks
        return _WatchedBlocks(blocks, self, port)

    def failed(self, port: str, error: Exception) -> None:
        """Note an error; the first of a request counts."""
        with self._changed:
            self._errors.setdefault(port, error)

    def _over(self, port: str, error: Exception | None = None) -> None:
        with self._changed:
            if error is not None:
                self._errors.setdefault(port, error)
            self._running.discard(port)
            self._changed.notify_all()

    def closed(self, port: str) -> None:
        """Note that a request is over."""
        self._over(port)

    def raise_error(self, port: str, *, waits: bool) -> None:
        """Raise the error of the last request from a port, if there was one.

        `waits`: for the end of the request, which comes after that of its content.
        """
        with self._changed:
            if waits:
                self._changed.wait_for(lambda: port not in self._running, CLOSING_SECONDS)
            error = self._errors.pop(port, None)
        if error is not None and self._raises:
            raise error


class _WatchedBlocks:
    def __init__(self, blocks: Any, watched: Watched, port: str) -> None:
        self._blocks = blocks
        self._watched = watched
        self._port = port

    def __iter__(self) -> Iterator[bytes]:
        try:
            # `yield from` would close it when this generator is dropped, and close() a second time.
            for block in self._blocks:  # noqa: UP028
                yield block
        except Exception as error:
            self._watched.failed(self._port, error)
            raise

    def close(self) -> None:
        try:
            close = getattr(self._blocks, "close", None)
            if close is not None:
                close()
        except Exception as error:
            self._watched.failed(self._port, error)
            raise
        finally:
            self._watched.closed(self._port)
