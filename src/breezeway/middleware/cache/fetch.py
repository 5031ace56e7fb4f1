"""One request to the application whose response goes on block by block, and is collected meanwhile.

What is decided is decided when the application calls `start_response`: a response that is not for the
store goes on as it came, one that is goes through `Fetch`, and one that says that the stored response
still holds, or that is an error for which it may stand in, does not go on at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.middleware.cache.entry import Entry, make_entry, renewed
from breezeway.middleware.cache.shelf import Shelf, is_authorized
from breezeway.semantics.caching import ERRORS
from breezeway.semantics.fields import Headers, content_length


class Fetch:
    """One request to the application."""

    def __init__(
        self,
        shelf: Shelf,
        key: str,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        added: Headers,
        done: Callable[[], object] = bool,
        entry: Entry | None = None,
        covers_error: bool = False,
    ) -> None:
        """`environ` is that of the client, unchanged; `added` are fields for a response that goes on.

        `done` is called once, when it is known what becomes of the store. With an `entry`, which the
        application is asked about, `outcome` may tell that this is the answer.
        """
        self._shelf = shelf
        self._key = key
        self._environ = environ
        self._start_response = start_response
        self._added = added
        self._done = done
        self._entry = entry
        self._covers_error = covers_error
        self._asked = shelf.clock()
        self._began = time.monotonic()
        self._status = ""
        self._blocks: list[bytes] | None = None
        """What was sent; None: it is not collected."""
        self._size = 0
        self._first: list[bytes] = []
        self._close: Callable[[], object] | None = None
        self.is_new = False
        """Nothing is stored for the URL."""
        self.outcome = ""
        """The status of a response that did not go on."""

    @property
    def goes_on(self) -> bool:
        """Whether a response has begun that the client gets."""
        return bool(self._status) and not self.outcome

    def start(
        self, status: str, headers: Headers, exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """Decide what becomes of a response: the application's `start_response`."""
        self.outcome, self._status, self._blocks, self._size = "", status, None, 0
        code = int(status[:3])
        if self._entry is not None and (code == 304 or (self._covers_error and code in ERRORS)):
            self.outcome, self._headers = status, headers[:]
            return _nowhere
        rules = self._shelf.rules(status, headers, self._environ)
        if rules is not None:
            self._rules, self._headers, self._blocks = rules, headers[:], []
        else:
            if (
                self.is_new and code != 304 and code not in ERRORS
            ):  # which tell of no other response
                self._shelf.note(self._key)
            if (
                self._entry is not None
                and status[:3] == self._entry.status[:3]
                and not is_authorized(self._environ)  # of one user's response nothing follows
            ):
                self._shelf.store.delete(self._key)  # it is not for the store any longer
            self.end()
        sent = [*headers, *self._added]
        if exc_info is None:
            write = self._start_response(status, sent)
        else:
            write = self._start_response(status, sent, exc_info)
        if self._blocks is None:
            return write

        def collecting(data: bytes) -> None:
            write(data)
            self._collect(data)

        return collecting

    def returned(self, blocks: Iterable[bytes]) -> Iterable[bytes]:
        """Take what the application has returned; return what the server gets.

        If `outcome` is set, that is nothing, and the entry is to be served.
        """
        try:
            if self._status and self._blocks is None and not self.outcome:
                return blocks
            if self._blocks is not None and type(blocks) in (list, tuple):
                for block in blocks:
                    self._collect(block)
                self._complete()
                return blocks
            self._iterator: Iterator[bytes] = iter(blocks)
            if self._entry is not None and not self._status:  # it starts with the first block
                self._first = [block for block in [next(self._iterator, None)] if block is not None]
        except BaseException:
            _close(blocks)
            raise
        if self.outcome:
            _close(blocks)
            return []
        self._close = getattr(blocks, "close", None)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first:
            block = self._first.pop()
        else:
            try:
                block = next(self._iterator)
            except StopIteration:
                self._complete()
                raise
            except BaseException:
                self._blocks = None
                raise
        self._collect(block)
        return block

    def close(self) -> None:
        """Close the application's iterable, once; what is not complete by now is not stored."""
        close, self._close = self._close, None
        self._blocks = None
        try:
            if close is not None:
                close()
        finally:
            self.end()

    def end(self) -> None:
        """Let those go on who wait for this."""
        done, self._done = self._done, bool
        done()

    def renewed(self) -> Entry:
        """Return the entry as a 304 has made it, and store it so."""
        assert self._entry is not None
        now = self._shelf.clock()
        entry, kept = renewed(
            self._entry,
            self._headers,
            self._shelf.settings,
            self._asked,
            now,
            authorized=is_authorized(self._environ),
        )
        if kept:
            self._shelf.keep(self._key, self._environ, entry, self._began)
        elif not is_authorized(self._environ):
            self._shelf.forget(self._key)
        return entry

    def _collect(self, block: bytes) -> None:
        if self._blocks is None or not block:
            return
        self._size += len(block)
        if self._size > self._shelf.largest:
            self._blocks = None
            if self.is_new:
                self._shelf.note(self._key)
            self.end()
        else:
            self._blocks.append(block)

    def _complete(self) -> None:
        """Store what was collected, if that is all there was to be."""
        blocks, self._blocks = self._blocks, None
        if blocks is not None and content_length(self._headers) in (None, self._size):
            now = self._shelf.clock()
            entry = make_entry(
                self._status, self._headers, b"".join(blocks), self._rules, self._asked, now
            )
            self._shelf.keep(self._key, self._environ, entry, self._began)
        self.end()


def _nowhere(data: bytes) -> None:
    """Take what `write()` is given for a response that does not go on."""


def _close(blocks: object) -> None:
    close = getattr(blocks, "close", None)
    if close is not None:
        close()
