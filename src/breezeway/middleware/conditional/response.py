"""One response on its way through `Conditional`.

The head is kept until it is known what the body is:

- A list, a tuple or a file is whole: `conditional.plan` and `conditional.file` say what goes out. So is a
  first block that is as long as Content-Length says.
- All else goes on untouched if the head is known when the application returns, else block by block. Only
  validators of the application's own can end it early.

The application finds `Offered` as `wsgi.file_wrapper`, by which its files are recognised in any server. The
server gets an object of its own wrapper for them, so that sendfile(2) is not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.middleware.conditional.file import Offered, of_file
from breezeway.middleware.conditional.plan import Answer, Options, of_list
from breezeway.semantics.dates import parse_http_date
from breezeway.semantics.fields import Headers, content_length
from breezeway.semantics.file_plan import plan_by
from breezeway.semantics.validators import Validators, precondition


class Response:
    """One response; the iterable that the server gets if it comes in blocks."""

    __slots__ = (
        "_blocks",
        "_close",
        "_environ",
        "_exc_info",
        "_headers",
        "_instead",
        "_options",
        "_pending",
        "_start_response",
        "_status",
        "_wrapper",
        "_write",
    )

    def __init__(
        self, environ: WSGIEnvironment, start_response: StartResponse, options: Options
    ) -> None:
        self._environ = environ
        self._start_response = start_response
        self._options = options
        self._wrapper = environ.get("wsgi.file_wrapper")
        self._status = ""
        self._pending = False
        """The application has called start_response, and the server's was not yet for that."""
        self._exc_info: Any = None
        self._write: Callable[[bytes], object] | None = None
        self._instead: list[bytes] | None = None
        """What is sent in place of the application's content."""

    # --- what the application calls -----------------------------------------------------------------

    def start(
        self, status: str, headers: Headers, exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """Keep the head until it is needed."""
        if exc_info is None and self._status:
            raise AssertionError("start_response was called a second time without exc_info")
        self._status, self._headers, self._exc_info = status, headers, exc_info
        self._pending = True
        if self._write is not None:  # the server's was called: it knows what was sent by now
            self._begin()
        return self.write

    def write(self, data: bytes) -> None:
        """Send a block at once."""
        if self._pending:
            self._begin()
        assert self._write is not None
        if self._instead is None:
            self._write(data)

    # --- the head -----------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Send the head of content that comes in blocks; see whether anybody wants it."""
        self._instead = None
        if self._status[:3] == "200":
            named = {name.lower(): value for name, value in self._headers}
            etag, date = named.get("etag"), named.get("last-modified")
            if etag is not None or date is not None:
                modified = None if date is None else parse_http_date(date)
                validators = Validators(etag, modified)
                if precondition(self._environ, validators) is not None:
                    planned = plan_by(self._environ, 0, validators, self._headers, 0, str)
                    self._instead = [piece for piece in planned.pieces if isinstance(piece, bytes)]
                    if self._environ["REQUEST_METHOD"] == "HEAD":
                        self._instead = []
                    self._send_head(planned.status, planned.headers)
                    return
        self._send_head(self._status, self._headers)

    def _send_head(self, status: str, headers: Headers) -> None:
        self._pending = False
        exc_info, self._exc_info = self._exc_info, None  # no circle through the traceback
        if exc_info is None:
            self._write = self._start_response(status, headers)
        else:
            self._write = self._start_response(status, headers, exc_info)

    # --- the body -----------------------------------------------------------------------------------

    def returned(self, blocks: Iterable[bytes]) -> Iterable[bytes]:
        """Take what the application has returned; return what the server gets."""
        try:
            if self._pending:
                if self._status[:3] == "200":
                    kind = type(blocks)
                    if kind is list or kind is tuple:
                        found = of_list(blocks, self._headers, self._environ, self._options)  # type: ignore[arg-type]
                        return self._sent(found)
                    if isinstance(blocks, Offered):
                        args = self._headers, self._environ, self._options, self._wrapper
                        answer = of_file(blocks, *args)
                        if answer is not None:
                            self._sent(answer)
                            if type(answer.blocks) is list:
                                _close(blocks)
                            return answer.blocks
                if not self._may_be_whole(blocks):
                    self._begin()
            if self._instead is not None:
                _close(blocks)
                return self._instead
            if isinstance(blocks, Offered):
                return blocks.passed_on(self._wrapper)
            if self._status and not self._pending:
                return blocks
            self._blocks = iter(blocks)
        except BaseException:
            _close(blocks)
            raise
        self._close = getattr(blocks, "close", None)
        return self

    def _may_be_whole(self, blocks: Iterable[bytes]) -> bool:
        """Whether the first block may be all there is: most frameworks return their pages so."""
        if self._status[:3] != "200" or self._environ["REQUEST_METHOD"] == "HEAD":
            return False
        if isinstance(blocks, Offered):
            return False
        if isinstance(self._wrapper, type) and isinstance(blocks, self._wrapper):
            return False
        length = content_length(self._headers)
        return length is not None and 0 < length <= self._options.maximum

    def _sent(self, answer: Answer) -> Iterable[bytes]:
        self._send_head(answer.status or self._status, answer.headers)
        return answer.blocks

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        instead = self._instead
        block = next(self._blocks, None)
        if self._pending:
            if block and len(block) == content_length(self._headers) and self._status[:3] == "200":
                answer = of_list([block], self._headers, self._environ, self._options)
                self._sent(answer)
                if answer.status:
                    self._instead = [*answer.blocks]
            else:
                self._begin()
        if self._instead is not instead:  # it has just turned out that the content is not wanted
            self._blocks = iter(self._instead or ())
            block = next(self._blocks, None)
        if block is None:
            raise StopIteration
        return block

    def close(self) -> None:
        """Close the application's iterable, once."""
        close, self._close = self._close, None
        if close is not None:
            close()


def _close(blocks: object) -> None:
    close = getattr(blocks, "close", None)
    if close is not None:
        close()
