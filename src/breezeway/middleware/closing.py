"""Doing something when a response is over, and seeing what became of it.

`closing` is for what only has to know the end. `Observed` is for what has to know how a
response went as well: its status, its bytes, and whether it failed or its client has left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.semantics.fields import Headers, content_length

_WITHOUT_CONTENT: Final = ("204", "304")

log = logging.getLogger("breezeway.middleware")


def closing(
    blocks: Iterable[bytes], environ: WSGIEnvironment, finally_: Callable[[], object]
) -> Iterable[bytes]:
    """Return blocks at whose end a function is called, for the server.

    An object of the server's own `wsgi.file_wrapper` goes on as it is, for within another iterable the
    server would not find the file, and could not send it with sendfile(2): its own `close` calls the
    function then, once, and after it has closed the file.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    if not (
        isinstance(wrapper, type) and isinstance(blocks, wrapper) and hasattr(blocks, "__dict__")
    ):
        return ClosingIterator(blocks, finally_)
    own = vars(blocks).pop("close", None)  # that of gunicorn and wsgiref is on the object

    def close() -> None:
        del vars(blocks)["close"]  # no circle through it, and no second call
        if own is not None:
            vars(blocks)["close"] = own
        try:
            close_file = getattr(blocks, "close", None)
            if close_file is not None:
                close_file()
        finally:
            finally_()

    vars(blocks)["close"] = close
    return blocks


class ClosingIterator:
    """The blocks of an application; at the end its `close()` is called, then ours, each once.

    The end is the server's call of `close()`, which comes after every response, also one that failed
    or whose client has left (PEP 3333, "Specification Details").
    """

    __slots__ = ("_blocks", "_finally")

    def __init__(self, blocks: Iterable[bytes], finally_: Callable[[], object]) -> None:
        self._blocks = blocks  # None from an application that returned nothing: that is an end, too
        self._finally: Callable[[], object] | None = finally_

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def close(self) -> None:
        """End the response."""
        finally_, self._finally = self._finally, None
        if finally_ is None:
            return
        try:
            close = getattr(self._blocks, "close", None)
            self._blocks = ()
            if close is not None:
                close()
        finally:
            finally_()


class Observed:
    """One request on its way, which changes nothing and reports once when it is over.

    A list or tuple goes on as it is, and is over when the application returns. So does an object of
    `wsgi.file_wrapper`, so that the server can still send it with sendfile(2); its size is what
    Content-Length says. Everything else goes on block by block, and is over when the server closes it.

    The attributes have their defaults on the class, for most requests need few of them.
    """

    status = ""
    """As given to start_response, which was not called if it is empty."""
    headers: Headers = []  # noqa: RUF012 - nobody changes it
    size = 0
    """Bytes of content that were handed on; 0 for HEAD."""
    error: BaseException | None = None
    """What the application has raised."""
    left = False
    """The response was given up before its end: its client has left."""

    _blocks: Iterable[bytes] | None = None
    _is_whole = False
    _write: Callable[[bytes], object]
    _write_error: BaseException | None = None

    def __init__(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        report: Callable[[Any], object],
    ) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self._start_response = start_response
        self._report = report
        self.began = time.perf_counter()

    @property
    def code(self) -> str:
        """The status code; a server answers 500 when an application fails before its first block."""
        if not self.status or (self.error is not None and not self.size):
            return "500"
        return self.status[:3]

    def call(self, application: WSGIApplication) -> Iterable[bytes]:
        """Call the application; return what the server gets."""
        try:
            blocks = application(self.environ, self.start_response)
        except BaseException as error:
            self._fail(error)
            self._end()
            raise
        kind = type(blocks)
        if kind is not list and kind is not tuple and blocks is not None:
            wrapper = self.environ.get("wsgi.file_wrapper")
            if not (isinstance(wrapper, type) and isinstance(blocks, wrapper)):
                self._blocks = blocks
                return self
            if self.method != "HEAD":
                self.size = content_length(self.headers) or 0
        try:
            if self.method != "HEAD" and (kind is list or kind is tuple):
                self.size += len(blocks[0]) if len(blocks) == 1 else sum(map(len, blocks))  # type: ignore[index,arg-type]
            self._report(self)
        except Exception:  # it is the server's to complain about what was returned
            log.exception("a response could not be observed")
        return blocks

    def start_response(
        self, status: str, headers: Headers, exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """Note the head."""
        if exc_info is None:
            self._write = self._start_response(status, headers)
        else:
            try:
                self._write = self._start_response(status, headers, exc_info)
            finally:
                exc_info = None  # no circle through the traceback
        self.status = status
        self.headers = headers
        return self.write

    def write(self, data: bytes) -> None:
        """Count and send a block."""
        try:
            self._write(data)
        except BaseException as error:
            self._write_error = error
            raise
        if self.method != "HEAD":
            self.size += len(data)

    def __iter__(self) -> Iterator[bytes]:
        assert self._blocks is not None
        counts = self.method != "HEAD"
        try:
            for block in self._blocks:
                if counts:
                    self.size += len(block)
                yield block
        except GeneratorExit:  # we are given up, not the application
            raise
        except BaseException as error:
            self._fail(error)
            raise
        self._is_whole = True

    def close(self) -> None:
        """End the response, and report."""
        blocks, self._blocks = self._blocks, None
        if blocks is None:
            return
        try:
            close = getattr(blocks, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            if self.error is None and not self._is_whole:
                self.left = not self._is_enough()
            self._end()

    def _end(self) -> None:
        try:
            self._report(self)
        except Exception:  # who only looks on must not cost a response
            log.exception("a response could not be observed")
        finally:
            self.error = self._write_error = None  # no circle through their tracebacks

    def _fail(self, error: BaseException) -> None:
        if error is self._write_error:  # the server's: there is nobody to write to
            self.left = True
        elif self.error is None:
            self.error = error

    def _is_enough(self) -> bool:
        """Tell whether a server has no reason to ask for more blocks."""
        if self.method == "HEAD" or self.status[:3] in _WITHOUT_CONTENT:
            return bool(self.status)
        length = content_length(self.headers)
        return length is not None and self.size >= length
