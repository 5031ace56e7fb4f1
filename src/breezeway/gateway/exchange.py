"""One request's way through an application: call it, iterate over what it returns, frame the body.

Who owns what: an `Exchange` lives from the call of the application to the end of the response and
belongs to the thread that runs it. It never touches a socket; it hands bytes to its `Transport`,
which takes what the client does not read yet, and waits only above a high watermark.

The common case, a list of one bytes object, is decided in `run` and returned as one bytes object,
to go out in one send. Everything else takes the general road: `_respond`, `_begin`, `_emit`, `_end`.

A response is never sent as if whole when it is not: what is known to be wrong before the head
has gone becomes a 500; what turns out wrong later ends in an abort, which every client can tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from breezeway.gateway.failure import (
    CLOSE_RAISED,
    FAILURE_BODY,
    FAILURE_HEADERS,
    FAILURE_STATUS,
    ApplicationFault,
    ClientGone,
    log_failure,
)
from breezeway.gateway.file_wrapper import FileWrapper, size_of
from breezeway.gateway.transport import Transport
from breezeway.gateway.types import Application, Environ, ExcInfo, Headers, Write
from breezeway.http1.head import CLOSE, HTTP_1_0, METHOD_HEAD
from breezeway.http1.response import LAST_CHUNK, Encoder, ResponseHead, early_hints

COPY_BYTES: Final = 16 * 1024
"""Up to this size, head and body are joined for one send; above, copying costs more than a second
buffer in the same system call (measured with a body of 100 KB: 3 us)."""

# Beside the flags of `http1.head.Head`:
STARTED: Final = 1 << 8
"""The head has gone."""
ABORTED: Final = 1 << 9
"""The response was broken off."""
HINTED: Final = 1 << 10
"""Early hints have gone, or still wait: the response has to queue up behind them."""


class Exchange:
    """The state of one request, from the application's side."""

    __slots__ = (
        "_chunked",
        "_encoder",
        "_missing",
        "_size",
        "_transport",
        "called",
        "first",
        "flags",
        "head",
        "returned",
    )

    # Set by `_frame`, before which nobody asks: an exchange in the common case goes without.
    _chunked: bool
    _missing: int | None  # bytes of the body that are still to come, if known
    _size: int  # bytes of the body that were handed over
    first: float
    """When the head of a response in pieces has gone, in monotonic seconds; 0.0: with the body."""

    # Set by who runs it: monotonic seconds.
    called: float
    """When the application was called."""
    returned: float
    """When it was done with its response."""

    def __init__(self, transport: Transport, encoder: Encoder, flags: int) -> None:
        """Set up; `flags` are those of `http1.head.Head`, and `CLOSE` may be among them at the end."""
        self._transport = transport
        self._encoder = encoder
        self.flags = flags
        self.head: ResponseHead | None = None

    def renew(self, flags: int) -> None:
        """Serve for another request of the same client: cheaper than a new exchange."""
        self.flags = flags
        self.head = None
        self._size = 0
        self.first = self.returned = 0.0

    @property
    def began(self) -> float:
        """When the request was complete, in monotonic seconds."""
        return self._transport.began

    @property
    def ousted(self) -> bool:
        """Whether somebody else has answered in place of the application."""
        return False

    @property
    def started(self) -> bool:
        """Whether the head has gone."""
        return bool(self.flags & STARTED)

    @property
    def aborted(self) -> bool:
        """Whether the response was broken off: the client must be able to tell."""
        return bool(self.flags & ABORTED)

    @property
    def delimited(self) -> bool:
        """Whether a client can tell by the framing that a response was broken off."""
        return self.started and (self._chunked or self._missing is not None)

    @property
    def status(self) -> int:
        """The status code, 0 if the application gave none."""
        return self.head.status if self.head is not None else 0

    @property
    def size(self) -> int:
        """How many bytes of body there were."""
        return getattr(self, "_size", 0)

    def run(self, application: Application, environ: Environ) -> bytes:
        """Run the application to the end of its response.

        Returns:
            The whole response if it is still to be sent, else nothing. It raises nothing, whatever
            the application does.
        """
        try:
            result = application(environ, self.start_response)
            head = self.head
            if head is not None and head.plain and not self.flags:
                if type(result) is list or type(result) is tuple:
                    if len(result) == 1:
                        body = result[0]
                        size = len(body) if type(body) is bytes else -1
                        if size == head.length or (head.length is None and size >= 0):
                            if size > COPY_BYTES:
                                self._send_large(head, body)
                                return b""
                            self._size = size
                            ending = self._encoder.whole_ending
                            if head.length is not None:
                                return head.lines + ending + body
                            return b"%bContent-Length: %d\r\n%b%b" % (
                                head.lines,
                                size,
                                ending,
                                body,
                            )
                elif (
                    head.length  # an empty block must not send the head (PEP 3333)
                    and hasattr(result, "__iter__")
                    and not isinstance(result, FileWrapper)
                ):
                    self._pass_on(result, head, environ)
                    return b""
            self._respond(result, environ)
        except ClientGone:
            self.flags |= ABORTED
        except BaseException as error:
            self._fail(error, environ)
        return b""

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Write:
        """Begin a response (PEP 3333, 'The start_response Callable').

        Raises:
            TypeError, ValueError: status or headers cannot be sent.
            RuntimeError: called a second time without `exc_info`, late, or by another thread.
        """
        if self.head is not None or exc_info is not None:
            self._restart(exc_info)
        try:
            last_status, last_headers, head = self._encoder.last
            if headers == last_headers and status == last_status and type(headers) is list:
                self.head = head
                return self.write
            # The memo's young generation, first hand: a whole head validated and encoded before.
            head = self._encoder.memo.young[status, *headers]
            if type(headers) is list:
                self._encoder.last = status, headers.copy(), head
                self.head = head
                return self.write
        except (KeyError, TypeError):
            pass
        self.head = self._encoder.head(status, headers)
        return self.write

    def _restart(self, exc_info: ExcInfo | None) -> None:
        try:
            if exc_info is None:
                raise RuntimeError("start_response was called a second time, without exc_info")
            if self.head is not None and not self._transport.answers(self):
                raise RuntimeError("start_response was called too late, or by another thread")
            if self.started:
                raise exc_info[1].with_traceback(exc_info[2])
            self.head = None
        finally:
            exc_info = None  # a reference circle through the traceback (PEP 3333)

    def write(self, data: bytes) -> None:
        """Send a block at once (PEP 3333, 'The write Callable').

        Raises:
            TypeError: `data` is not bytes.
            ClientGone: nobody will read it.
            RuntimeError: the response has ended, or another thread makes it.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"write() takes bytes, not {type(data).__name__}")
        if not self._transport.answers(self):
            raise RuntimeError("write() was called after the response's end, or by another thread")
        if data:
            try:
                self._emit(b"".join((data,)), None)  # as `_checked` does
            except ClientGone:  # the application may go on all the same
                self.flags |= ABORTED
                raise

    def early_hints(self, headers: Headers) -> None:
        """Send a 103 (RFC 8297), unless the head has gone or the client speaks HTTP/1.0.

        Raises:
            TypeError, ValueError: a header cannot be sent.
        """
        hints = early_hints(headers)
        if not self.started and not self.flags & HTTP_1_0:
            self.flags |= HINTED
            self._transport.send(hints)

    def uncork(self) -> None:
        """Note that the event loop will not wait for the end of this call."""
        if self.started:
            self._transport.uncork()

    def _pass_on(self, result: Iterable[bytes], head: ResponseHead, environ: Environ) -> None:
        """Send a result whose length is told, in one block as a rule: the way of most frameworks.

        It does what `_respond` does. Behind a framework nothing of it is in the processor's caches,
        where each further function costs: 1.4 us less than on the general road for hello from Flask.
        """
        encoder = self._encoder
        try:
            for block in result:
                if (
                    not self.flags
                    and type(block) is bytes
                    and len(block) == head.length
                    and self.head is head
                    and len(block) <= COPY_BYTES
                    and not encoder.closing
                ):
                    self._missing = 0
                    self._chunked = False
                    self._size = len(block)
                    self.first = 0.0
                    self.flags = STARTED
                    self._transport.send_last(head.lines + encoder.whole_ending + block)
                    continue
                block = self._checked(block)
                if block:
                    self._emit(block, None)
            if not self.flags & STARTED:
                self._begin(0, b"")
            if self._missing or self._chunked:
                self._end()
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                try:
                    close()
                except BaseException as error:
                    log_failure(error, environ, CLOSE_RAISED)

    def _respond(self, result: Iterable[bytes], environ: Environ) -> None:
        """Send a result of any kind."""
        try:
            if isinstance(result, (list, tuple)):
                self._send_blocks(result)
            elif not (isinstance(result, FileWrapper) and self._send_file(result)):
                self._iterate(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                self._close(close, environ)

    def _close(self, close: Callable[[], object], environ: Environ) -> None:
        """Call `close()` of the result."""
        try:
            close()
        except BaseException as error:  # it spoils nothing, for the response has gone
            log_failure(error, environ, CLOSE_RAISED)

    def _iterator(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Return what steps through the result."""
        return iter(blocks)

    def _send_large(self, head: ResponseHead, body: bytes) -> None:
        """Send a body that is all there, too large to be copied behind its head."""
        lines = self._frame(head, len(body))
        self._missing = 0
        self._size = len(body)
        self.flags |= STARTED
        self._transport.send(lines, body)

    def _send_blocks(self, blocks: list[bytes] | tuple[bytes, ...]) -> None:
        """Send blocks that are all there, in one go."""
        body = b"".join([self._checked(block) for block in blocks])
        if self.started:  # through write()
            if body:
                self._emit(body, None)
        else:
            self._begin(len(body), body)
        self._end()

    def _iterate(self, blocks: Iterable[bytes]) -> None:
        """Send each block before the next is asked for (PEP 3333, 'Buffering and Streaming')."""
        head = self.head
        # PEP 3333, 'Handling the Content-Length Header': one block tells the length.
        single = (
            (head is None or head.length is None)
            and hasattr(blocks, "__len__")
            and len(blocks) == 1  # type: ignore[arg-type]
        )
        room = head.length if isinstance(blocks, FileWrapper) and head is not None else None
        try:
            iterator = self._iterator(blocks)
        except TypeError:
            if hasattr(blocks, "__iter__"):
                raise
            kind = type(blocks).__name__
            text = f"the application returned {kind}, which is no iterable of bytes"
            raise ApplicationFault(text) from None
        for block in iterator:
            if type(block) is not bytes:
                block = self._checked(block)
            if room is not None:  # a file may be longer than the part that is asked for
                block = block[:room]
                room -= len(block)
            if block:
                self._emit(block, len(block) if single else None)
            if room == 0 or (self.flags & METHOD_HEAD and self.started):
                break
        if not self.started:
            self._begin(0, b"")
        self._end()

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Send a file by sendfile(2), if it is one that can be."""
        pieces = wrapper.pieces()
        if pieces is None or self.started:
            return False
        head = self._head()
        total = size_of(pieces)
        if head.length is not None and head.length != total:
            first = pieces[0] if pieces else b""
            if head.length > total or isinstance(first, bytes):
                text = f"Content-Length is {head.length}, but the file ends after {total}"
                raise ApplicationFault(text)
            total = head.length
            pieces = [first._replace(length=total)]
        lines = self._frame(head, total)
        if not self._missing or self._bodiless(head):
            self._begin(total, b"")
            return True
        self.flags |= STARTED
        self._missing = 0
        self._size = total
        try:
            self._transport.send_file(lines, pieces)
        except ClientGone:
            raise
        except OSError:  # no descriptor is left to keep it open with: it goes out block by block
            self.flags &= ~STARTED
            return False
        return True

    @staticmethod
    def _checked(block: bytes) -> bytes:
        if not isinstance(block, bytes):
            kind = type(block).__name__
            raise ApplicationFault(f"the application gave a block of type {kind} instead of bytes")
        return b"".join((block,))  # itself, or of a subclass what it holds, whatever it says

    def _head(self) -> ResponseHead:
        if self.head is None:
            raise ApplicationFault("the application did not call start_response before its body")
        return self.head

    def _bodiless(self, head: ResponseHead) -> bool:
        return head.bodiless or bool(self.flags & METHOD_HEAD)

    def _frame(self, head: ResponseHead, total: int | None) -> bytes:
        """Decide the framing of the body (RFC 9112 section 6); return the complete head.

        `total` is the length of the body if it is known.
        """
        lines = head.lines
        self.first = time.monotonic()
        self._size = 0
        self._chunked = False
        self._missing = head.length
        if head.length is None and not head.bodiless:
            # An empty body to a HEAD says nothing about that of a GET (RFC 9110 section 8.6).
            if total or (total == 0 and not self.flags & METHOD_HEAD):
                self._missing = total
                lines += b"Content-Length: %d\r\n" % total
            elif self.flags & HTTP_1_0:
                self.flags |= CLOSE
            else:
                self._chunked = True
                lines += b"Transfer-Encoding: chunked\r\n"
        if self._encoder.closing:
            self.flags |= CLOSE
        if self.flags & CLOSE:
            self._transport.begins()  # another thread may just have got the body
        if self.flags & CLOSE:
            lines += b"Connection: close\r\n"
        elif self.flags & HTTP_1_0:
            lines += b"Connection: keep-alive\r\n"
        return lines + self._encoder.ending_for(head)

    def _begin(self, total: int | None, block: bytes) -> None:
        """Send the head, with the first block or all of the body."""
        head = self._head()
        if total != head.length and None not in (total, head.length) and not self._bodiless(head):
            text = f"Content-Length is {head.length}, but the body has {total} bytes"
            raise ApplicationFault(text)
        lines = self._frame(head, total)
        if self._bodiless(head):
            self._missing = 0
            self._chunked = False
            self.flags |= STARTED
            self._transport.send(lines)
            return
        pieces = self._framed(block)
        self.flags |= STARTED
        if len(block) > COPY_BYTES:
            self._transport.send(lines, *pieces)
        elif self._missing == 0:
            self._transport.send_last(b"".join((lines, *pieces)))
        else:
            send = self._transport.send_block if head.quick else self._transport.send
            send(b"".join((lines, *pieces)))

    def _framed(self, block: bytes) -> tuple[bytes, ...]:
        """Account for a block and put the coding around it."""
        if self._missing is not None:
            if len(block) > self._missing:
                over = len(block) - self._missing
                text = f"the body is longer than its Content-Length, by {over} bytes or more"
                raise ApplicationFault(text)
            self._missing -= len(block)
        self._size += len(block)
        if self._chunked:
            return (b"%x\r\n" % len(block), block, b"\r\n") if block else ()
        return (block,)

    def _emit(self, block: bytes, total: int | None) -> None:
        """Send a block that is not empty; `total` is the length of the body if it is known."""
        if not self.flags & STARTED:
            self._begin(total, block)
        elif self._chunked and len(block) <= COPY_BYTES:
            self._size += len(block)
            self._transport.send_block(b"%x\r\n%b\r\n" % (len(block), block))
        elif self.head is not None and not self._bodiless(self.head):
            pieces = self._framed(block)
            if self._missing == 0:
                self._transport.send_last(*pieces)
            else:
                self._transport.send_block(*pieces)

    def _end(self) -> None:
        """Finish the body."""
        if self._missing:
            text = f"the body is {self._missing} bytes shorter than its Content-Length"
            raise ApplicationFault(text)
        if self._chunked:
            self._head().quick = self._transport.watched
            self._chunked, self._missing = False, 0  # `close` of the result may still call write()
            self._transport.send_last(LAST_CHUNK)

    def _fail(self, error: BaseException, environ: Environ) -> None:
        """Answer 500, or break the response off where its head has gone."""
        log_failure(error, environ, "the application failed")
        if self.started:
            self.flags |= ABORTED
            return
        try:
            self.head = self._encoder.head(FAILURE_STATUS, FAILURE_HEADERS)
            self._begin(len(FAILURE_BODY), FAILURE_BODY)
        except ClientGone:
            self.flags |= ABORTED
