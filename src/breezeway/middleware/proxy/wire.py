"""The way from `Proxy` to an upstream, over urllib3: pool, connections and TLS are its.

The head of a request goes out as `Proxy` has made it, the target byte by byte;
`proxy.upstream_answer` reads the response. A `Request` carries what urllib3 has no words for.
"""

from __future__ import annotations

import socket
import threading
import time
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import EmptyPoolError, HTTPError, NewConnectionError
from urllib3.util import SKIP_HEADER
from urllib3.util.wait import wait_for_read

from breezeway.middleware.proxy.errors import UpstreamError
from breezeway.middleware.proxy.options import IDEMPOTENT
from breezeway.middleware.proxy.upstream_answer import Answer
from breezeway.semantics.fields import Headers

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from breezeway.middleware.proxy.request import Body

PEEK_BYTES: Final = 4096
"""Looked at of what comes while a body goes out; interim responses are shorter."""

_INTERIM: Final = b"HTTP/1.1 1"

FRESH_SECONDS: Final = 1.0
"""A request that must not be sent twice goes over a connection no older than this since its last one:
servers close idle connections, some after 2 s, and may do so while a request is on its way."""

FAILURES: Final = (HTTPError, HTTPException, OSError)
"""What urllib3, and what lies below it, raise."""


_under_way = threading.local()
"""`request`: what `ask` was called with in this thread, for the connection that urllib3 takes."""


class Request:
    """A request to an upstream."""

    def __init__(
        self,
        method: str,
        target: str,
        fields: Headers,
        body: Body | None = None,
        *,
        wait: float,
        deadline: float | None = None,
        longest_head: int,
    ) -> None:
        """`fields` are known to be well-formed; those that frame the body are not among them.

        `wait` is in seconds: for the whole head of the response, then for each block. By
        `deadline`, on the monotonic clock, the response must have come in whole.
        """
        text = "".join([f"{name}: {value}\r\n" for name, value in fields])
        self.lines = text.encode("latin-1")
        self.method, self.target, self.body = method, target, body
        self.wait, self.deadline, self.longest_head = wait, deadline, longest_head
        self.may_repeat = body is None and method in IDEMPOTENT
        self.connection: Any = None
        """Set when there is a connection: from then on, parts of the request may have arrived."""
        self.is_reused = False
        self.is_cut = False
        """The upstream has answered before it had the whole body."""
        self.answer: Answer

    def is_answered(self) -> bool:
        """Tell whether the upstream has begun to answer; in TLS there may be bytes of its own."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise UpstreamError(504, "the time for it is over before it had the whole request")
        connection = self.connection
        if isinstance(connection, HTTPSConnection) or not wait_for_read(connection.sock, 0.0):
            return False
        try:
            seen = connection.sock.recv(PEEK_BYTES, socket.MSG_PEEK)
        except OSError:
            seen = b""
        while seen.startswith(_INTERIM):  # it goes on: 100 Continue, unasked, or early hints
            seen = seen.partition(b"\r\n\r\n")[2]
            if not seen:
                return False
        self.is_cut = True
        return True


class _Connection(HTTPConnection):
    """A connection that sends a `Request` and reads an `Answer`."""

    exchanges = 0
    used_at = 0.0
    """When the last request went out, by the monotonic clock."""

    def connect(self) -> None:
        """Connect."""
        super().connect()
        self.exchanges = 0

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **more: Any
    ) -> None:
        """Send the request that `ask` was called with."""
        request: Request = _under_way.request
        now = time.monotonic()
        if self.sock is not None and not request.may_repeat and now > self.used_at + FRESH_SECONDS:
            self.close()
        if self.sock is None:
            self.connect()
        self.used_at = now
        request.connection = self
        request.is_reused = self.exchanges > 0
        self.exchanges += 1
        self._target, self._lines = request.target, request.lines
        self.response_class = partial(Answer, request=request)  # type: ignore[assignment]
        self.timeout = request.wait
        super().request(method, url, body, headers, **more)

    def putrequest(self, method: str, url: str, *_: Any, **__: Any) -> None:
        """Send the request line with the target as it is; Host is among the fields."""
        super().putrequest(method, self._target, skip_host=True, skip_accept_encoding=True)

    def send(self, data: Any) -> None:
        """Send; after the request line, the fields: urllib3 would check each of them once more."""
        lines, self._lines = self._lines, b""
        if lines:
            line, _, rest = data.partition(b"\r\n")
            data = b"%s\r\n%s%s" % (line, lines, rest)
        super().send(data)


class _SecureConnection(_Connection, HTTPSConnection):
    """The same, in TLS."""


class _UncheckedConnection(_SecureConnection):
    """The same; the operator has said that the certificate does not matter."""

    def connect(self) -> None:
        """Connect."""
        super().connect()
        self.is_verified = True  # or urllib3 would warn at each request


class _UnixConnection(_Connection):
    """The same, over a unix socket."""

    path: str

    def _new_conn(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.path)
        except OSError as error:
            connection.close()
            raise NewConnectionError(self, str(error)) from error
        return connection


def make_pool(
    scheme: str, host: str, port: int | None, *, connections: int, verify: bool, ca_file: str
) -> HTTPConnectionPool:
    """Make a pool of at most so many connections; for `unix`, `host` is the path of the socket."""
    if scheme == "https":
        secure = HTTPSConnectionPool(
            host,
            port,
            maxsize=connections,
            block=True,
            cert_reqs="CERT_REQUIRED" if verify else "CERT_NONE",
            ca_certs=ca_file or None,
        )
        secure.ConnectionCls = _SecureConnection if verify else _UncheckedConnection
        return secure
    if scheme == "unix":
        pool = HTTPConnectionPool("localhost", maxsize=connections, block=True)
        pool.ConnectionCls = type("_UnixConnection", (_UnixConnection,), {"path": host})
        return pool
    pool = HTTPConnectionPool(host, port, maxsize=connections, block=True)
    pool.ConnectionCls = _Connection
    return pool


def ask(pool: HTTPConnectionPool, request: Request, connect_seconds: float) -> BaseHTTPResponse:
    """Send a request, and return the response when its head is there.

    Raises:
        UpstreamError: there is none.
    """
    if request.deadline is not None:
        connect_seconds = min(connect_seconds, max(0.001, request.deadline - time.monotonic()))
    _under_way.request = request
    try:
        return pool.urlopen(
            request.method,
            "/",  # `Request.target` counts
            body=request.body,
            headers={"User-Agent": SKIP_HEADER, **(request.body.framing if request.body else {})},
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
            pool_timeout=connect_seconds,  # type: ignore[arg-type]
            timeout=Timeout(connect=connect_seconds, read=request.wait),
        )
    except EmptyPoolError:
        raise UpstreamError(
            503, "all connections to it are taken", is_sent=False, is_fault=False
        ) from None
    except FAILURES as error:
        raise _failure(error, request) from error
    finally:
        del _under_way.request


def _failure(error: Exception, request: Request) -> UpstreamError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, TimeoutError):
        cause = cause.__cause__ or (cause.__context__ if isinstance(cause, HTTPError) else None)
    is_sent = request.connection is not None
    what = "it does not take the request" if is_sent else "it takes no connection"
    if cause is not None:
        return UpstreamError(504, f"{what} in time", is_sent=is_sent)
    return UpstreamError(502, f"{what}: {error.__cause__ or error}", is_sent=is_sent)
