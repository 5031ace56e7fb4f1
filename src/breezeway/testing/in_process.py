"""Calling an application as a server does, in the test's own process and thread."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Self
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit
from wsgiref.types import WSGIApplication, WSGIEnvironment
from wsgiref.util import FileWrapper

from breezeway import tracebacks
from breezeway.semantics.fields import HOP_BY_HOP
from breezeway.testing.request_body import RequestBody
from breezeway.testing.response import Headers, IncompleteResponseError, Sent

CLIENT_ADDRESS: Final = "127.0.0.1"
CLIENT_PORT: Final = "50000"

PORTS: Final = {"http": "80", "https": "443"}

WITHOUT_CONTENT: Final = ("204", "304")

# What a server sends (RFC 9110 sections 5.1 and 5.5, RFC 9112 section 4).
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_STATUS: Final = re.compile(r"[2-5][0-9]{2} [\t\x20-\x7e\x80-\xff]*")

FAILED: Final = "500 Internal Server Error"

Fields = list[tuple[str, str]]


class InProcess:
    """A way to an application that is called here."""

    def __init__(self, application: WSGIApplication, root: str, *, raise_errors: bool) -> None:
        """`root` is the path below which the application lies, percent-encoded; empty or `/path`."""
        self._application = application
        self._root = root
        self._raises = raise_errors

    def send(
        self, request: Sent, body: RequestBody, environ: Mapping[str, Any]
    ) -> tuple[int, str, Headers, Exchange]:
        """Send a request; return status, reason, headers and content."""
        full = make_environ(request, body, self._root)
        full.update(environ)
        exchange = Exchange(self._application, full, raises=self._raises)
        status, fields = exchange.start()
        return int(status[:3]), status[4:], Headers(fields), exchange

    def close(self) -> None:
        """Do nothing: nothing is open."""


def make_environ(request: Sent, body: RequestBody, root: str) -> WSGIEnvironment:
    """Make the environ of a request (PEP 3333), as Breezeway's server does.

    A body without a known length has no CONTENT_LENGTH; wsgi.input ends where the body does in any
    case, which `wsgi.input_terminated` says.

    Raises:
        ValueError: the URL does not lie below `root`.
    """
    parts = urlsplit(request.url)
    path = parts.path or "/"
    if path != root and not path.startswith(f"{root}/"):
        raise ValueError(f"{request.url} does not lie below {root}, where the application is")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": decoded(root),
        "PATH_INFO": decoded(path[len(root) :]),
        "QUERY_STRING": parts.query,
        "REQUEST_URI": f"{path}?{parts.query}" if parts.query else path,
        "SERVER_NAME": _server_name(parts),
        "SERVER_PORT": str(parts.port or PORTS[parts.scheme]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": CLIENT_ADDRESS,
        "REMOTE_PORT": CLIENT_PORT,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": _input(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    environ["RAW_URI"] = environ["REQUEST_URI"]
    for name in request.headers:
        key = name.upper().replace("-", "_")
        joint = "; " if key == "COOKIE" else ", "
        value = joint.join(request.headers.all(name))
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return environ


def decoded(path: str) -> str:
    """Undo percent-encoding; return a character for each byte, as an environ has it."""
    return unquote_to_bytes(path).decode("latin-1")


def _server_name(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _input(body: RequestBody) -> Any:
    """Return a wsgi.input that asks for the blocks of a body as it is read."""
    return io.BufferedReader(_Input(body.blocks()))


class _Input(io.RawIOBase):
    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._block:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._block = memoryview(block)
        room = memoryview(buffer).cast("B")
        part = self._block[: len(room)]
        room[: len(part)] = part
        self._block = self._block[len(part) :]
        return len(part)


class Exchange:
    """One call of an application, and the content of its response as it comes.

    The head is there when the first block that is not empty is, or the end: that is when a server sends
    it (PEP 3333, "The start_response() Callable"), and until then the application may replace it.
    """

    def __init__(
        self, application: WSGIApplication, environ: WSGIEnvironment, *, raises: bool
    ) -> None:
        self._application = application
        self._environ = environ
        self._raises = raises
        self._head: tuple[str, Fields] | None = None
        self._written: list[bytes] = []
        """What write() and the first step have brought, to be given out first."""
        self._is_sent = False
        self._returned: Any = None
        self._blocks: Iterator[bytes] = iter(())
        self._is_closed = False

    def start(self) -> tuple[str, Fields]:
        """Call the application; return the head of its response."""
        try:
            self._run()
        except BaseException as error:
            self._abandon()
            if self._raises or not isinstance(error, Exception):
                raise
            log_error(error, self._environ)
            if self._written:
                raise IncompleteResponseError("the application has failed") from error
            self._head = FAILED, [("Content-Type", "text/plain; charset=utf-8")]
            self._written = [FAILED[4:].encode()]
        assert self._head is not None
        status, fields = self._head
        if self._environ["REQUEST_METHOD"] == "HEAD" or status[:3] in WITHOUT_CONTENT:
            self._written.clear()  # no server sends it, nor asks for more
            self.close()
        return status, fields

    def _run(self) -> None:
        self._returned = self._application(self._environ, self._start_response)
        self._blocks = iter(self._returned)
        while not self._written and self._step():
            if self._head is None:
                raise AssertionError("a block came before start_response was called")
        if self._head is None:
            raise AssertionError("the application has not called start_response")
        self._is_sent = True

    def _step(self) -> bool:
        """Ask for a block; return whether there was one."""
        block = next(self._blocks, None)
        if block is None:
            return False
        if not isinstance(block, bytes):
            raise AssertionError(f"the application yielded {block!r}, and not bytes")
        self._write(block)
        return True

    def _start_response(
        self, status: str, headers: Fields, exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        if exc_info is not None:
            if self._is_sent or self._written:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self._head is not None:
            raise AssertionError("start_response was called a second time without exc_info")
        check_head(status, headers)
        self._head = status, list(headers)
        return self._write

    def _write(self, data: bytes) -> None:
        if data:
            self._written.append(data)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        """Return the next block; raise what the application raises."""
        try:
            while not self._written and not self._is_closed and self._step():
                pass
        except BaseException as error:
            self._abandon()
            if self._raises or not isinstance(error, Exception):
                raise
            log_error(error, self._environ)
            raise IncompleteResponseError("the application has failed in its content") from error
        if self._written:
            return self._written.pop(0)
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Close what the application has returned, once."""
        if self._is_closed:
            return
        self._is_closed = True
        close = getattr(self._returned, "close", None)
        if close is not None:
            try:
                close()
            except Exception as error:
                if self._raises:
                    raise
                log_error(error, self._environ)

    def _abandon(self) -> None:
        """Close what the application has returned, after an error, which counts more than a second one."""
        try:
            self.close()
        except Exception as error:
            log_error(error, self._environ)


def check_head(status: str, headers: Fields) -> None:
    """Refuse what a server does not send.

    Raises:
        AssertionError: it is no head of a response.
    """
    if not isinstance(status, str) or not _STATUS.fullmatch(status):
        raise AssertionError(f"a status is like '200 OK', not {status!r}")
    if not all(isinstance(part, str) for field in headers for part in field):
        raise AssertionError(f"headers are pairs of str, not {headers!r}")
    for name, value in headers:
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise AssertionError(f"no server sends the header {name!r} with the value {value!r}")
        if name.lower() in HOP_BY_HOP:
            raise AssertionError(f"the header {name} is the server's to set (PEP 3333)")


def log_error(error: BaseException, environ: WSGIEnvironment) -> None:
    """Write an error where a server writes those of its application."""
    environ["wsgi.errors"].write(tracebacks.whole(error, error.__traceback__))
