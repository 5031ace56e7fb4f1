"""One request and its response under `Lint`: who calls what, and when."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.lint.faults import (
    APPLICATION_SIDE,
    BUFFERING,
    CONTENT_LENGTH,
    DETAILS,
    ERROR_HANDLING,
    START_RESPONSE,
    WRITE,
    Fault,
    Report,
    shown,
    typed,
)
from breezeway.middleware.lint.head import WITHOUT_CONTENT, check_arguments
from breezeway.semantics.fields import content_length

log = logging.getLogger("breezeway.middleware")


class Exchange:
    """The iterable that the server gets, and the start_response that the application gets."""

    def __init__(
        self, environ: WSGIEnvironment, start_response: StartResponse, report: Report
    ) -> None:
        self._environ = environ
        self._is_head = environ.get("REQUEST_METHOD") == "HEAD"
        self._start_response: Any = start_response
        self._report = report
        self._status: str | None = None
        self._length: int | None = None
        """Content-Length."""
        self._sent = 0
        """Bytes of content so far."""
        self._number = 0
        """Blocks so far, empty ones too."""
        self._blocks: Any = None
        self._iterator: Iterator[Any] = iter(())
        self._announced: int | None = None
        """What len() says of the iterable."""
        self._is_over = False
        """The content is complete, or an error ended it."""
        self._is_told = False
        """A fault about the content was told: one is enough."""
        self._is_closed = True

    def run(self, application: WSGIApplication) -> Iterable[bytes]:
        """Call the application."""
        blocks: Any = application(self._environ, self.start_response)
        self._blocks = blocks
        self._is_closed = False
        try:
            self._check_iterable(blocks)
            self._iterator = iter(blocks)
        except BaseException:
            self._is_over = True
            self.close()
            raise
        if hasattr(blocks, "__len__"):
            self._announced = len(blocks)
        return self

    def _check_iterable(self, blocks: object) -> None:
        if isinstance(blocks, str | bytes | bytearray | memoryview):
            self._tell(
                APPLICATION_SIDE,
                f"the application returned {typed(blocks)}, which is iterated over one by one",
                "Return a list of one block: [body]",
            )
        elif blocks is None or not hasattr(blocks, "__iter__"):
            self._tell(
                APPLICATION_SIDE,
                f"the application returned {typed(blocks)}",
                "Return an iterable of bytes, an empty list if there is no content",
            )

    def _tell(self, clause: str, fault: str, mend: str, **more: bool) -> None:
        self._report(Fault(clause, fault, mend, **more))

    # --- the head -----------------------------------------------------------------------------------

    def start_response(self, *args: Any, **keywords: Any) -> Any:
        """Check what the application says, and pass it on."""
        for fault in check_arguments(args, keywords):
            self._report(fault)
        exc_info = args[2] if len(args) > 2 else keywords.get("exc_info")
        if self._status is not None and exc_info is None:
            self._tell(
                START_RESPONSE,
                "start_response was called a second time without exc_info",
                "Once a response is begun, only an error may replace it: pass sys.exc_info()",
            )
        if exc_info is not None and self._sent:
            self._is_over = True  # the server raises it
        write = self._start_response(*args, **keywords)
        if exc_info is not None and self._sent:
            self._tell(
                ERROR_HANDLING,
                "start_response with exc_info returned, although content was sent",
                "Raise the exception in exc_info: nothing else can tell the client",
                server=True,
            )
        status, headers = (*args, None, None)[:2]
        self._status = status if type(status) is str else ""
        self._length = content_length(headers) if type(headers) is list else None
        if not callable(write):
            self._tell(
                START_RESPONSE,
                f"start_response returned {typed(write)}",
                "Return the write() callable",
                server=True,
            )

        def checked_write(data: Any) -> None:
            if type(data) is not bytes:
                self._tell(WRITE, f"write() was given {typed(data)}", "Write bytes")
            self._tell(
                WRITE,
                "write() is there for old code alone",
                "Return or yield the content: a server can pace that",
                advice=True,
            )
            if self._number:
                self._tell(
                    WRITE,
                    "write() was called when the iterable had begun",
                    "Yield what comes later: the order is not certain",
                )
            self._count(data)
            write(data)

        return checked_write

    # --- the content --------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> Any:
        if self._is_closed:
            self._tell(
                DETAILS,
                "the iterable was asked for a block after close()",
                "close() comes last",
                server=True,
            )
        try:
            block = next(self._iterator)
        except StopIteration:
            self._end()
            raise
        except BaseException:
            self._is_over = True
            raise
        self._number += 1
        if type(block) is not bytes:
            self._tell(
                APPLICATION_SIDE,
                f"the application yielded {typed(block)}",
                "Yield bytes: str has to be encoded, a bytearray or memoryview copied",
            )
        if self._status is None:
            self._tell(
                BUFFERING,
                "a block came before start_response was called"
                + ("" if block else ", though an empty one"),
                "Call start_response before the first block is yielded",
            )
        self._count(block)
        return block

    def _count(self, block: Any) -> None:
        if not isinstance(block, bytes) or not block:
            return
        self._sent += len(block)
        if self._is_told or self._is_head:
            return
        code = (self._status or "")[:3]
        if code in WITHOUT_CONTENT:
            self._is_told = True
            self._tell(DETAILS, f"a {code} has content", "Return an empty list")
        elif self._length is not None and self._sent > self._length:
            self._is_told = True
            self._tell(
                CONTENT_LENGTH,
                f"the content is longer than the {self._length} bytes of Content-Length",
                "Count bytes, not characters, after all encoding; or leave the field out",
            )

    def _end(self) -> None:
        """Check what can be checked when the iterable is at its end."""
        if self._is_over:
            return
        self._is_over = True
        if self._status is None:
            self._tell(
                START_RESPONSE,
                "start_response was not called",
                "Call it before the iterable ends, even if there is no content",
            )
        if self._announced not in (None, self._number):
            self._tell(
                DETAILS,
                f"the iterable has {self._announced} blocks by len(), and gave {self._number}",
                "len() of an iterable has to be true: servers make Content-Length of it",
            )
        expects = self._length is not None and not self._is_head and self._status is not None
        if expects and self._status[:3] not in WITHOUT_CONTENT and not self._is_told:  # type: ignore[index]
            assert self._length is not None
            if self._sent < self._length:
                self._tell(
                    CONTENT_LENGTH,
                    f"the content has {self._sent} bytes, Content-Length says {self._length}",
                    "Send them all, or let the server count: the client waits for the rest",
                )

    # --- the end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the application's iterable."""
        if self._is_closed:
            self._tell(DETAILS, "close() was called twice", "Call it once", server=True)
            return
        self._is_closed = True
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()

    def __del__(self) -> None:
        if not self._is_closed:
            fault = Fault(
                DETAILS,
                f"the iterable of {shown(self._environ.get('PATH_INFO'))} was never closed",
                "Call close() at the end of each request; middleware passes it on",
                server=True,
            )
            try:
                self._report(fault)
            except AssertionError:  # nobody would see it here
                log.error("%s", fault)
