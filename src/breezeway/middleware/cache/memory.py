"""Stored responses in the memory of one process, the least recently used given up first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.cache.entry import Entry
from breezeway.semantics.caching import variant

OVERHEAD_BYTES: Final = 1024
"""What an entry takes beside its content and its fields: objects of Python, places in tables."""

FIELD_OVERHEAD_BYTES: Final = 160
"""The same for each field: a tuple and two texts."""


class _Url:
    """The variants of one URL."""

    __slots__ = ("entries", "size", "vary")

    def __init__(self, vary: tuple[str, ...]) -> None:
        self.vary = vary
        self.entries: OrderedDict[str, tuple[Entry, int]] = OrderedDict()
        self.size = 0


class MemoryStore:
    """A store of at most so many bytes."""

    def __init__(self, size: int, variants: int) -> None:
        self._size = size
        self._variants = variants
        self._urls: OrderedDict[str, _Url] = OrderedDict()
        self._lock = threading.Lock()
        self.used = 0
        """Bytes that are taken."""

    def get(
        self, key: str, environ: WSGIEnvironment
    ) -> tuple[tuple[str, ...] | None, Entry | None]:
        """See `Store`."""
        url = self._urls.get(key)
        if url is None:
            return None, None
        which = variant(environ, url.vary) if url.vary else ""
        found = url.entries.get(which)
        if found is None:
            return url.vary, None
        with self._lock:
            if key in self._urls:
                self._urls.move_to_end(key)
            if which in url.entries:  # the last one that goes when there are too many
                url.entries.move_to_end(which)
        return url.vary, found[0]

    def put(self, key: str, environ: WSGIEnvironment, entry: Entry, keep: float) -> None:
        """See `Store`; what is kept too long goes when room is needed."""
        vary = entry.rules.vary
        which = variant(environ, vary) if vary else ""
        size = _size_of(entry) + len(key) + len(which)
        with self._lock:
            url = self._urls.get(key)
            if url is None or url.vary != vary:
                self._forget(key)
                url = self._urls[key] = _Url(vary)
            self._drop(url, which)
            while len(url.entries) >= self._variants:
                self._drop(url, next(iter(url.entries)))
            url.entries[which] = entry, size
            url.size += size
            self.used += size
            self._urls.move_to_end(key)
            while self.used > self._size:
                self._forget(next(iter(self._urls)))

    def delete(self, key: str) -> bool:
        """See `Store`."""
        if key not in self._urls:
            return False
        with self._lock:
            return self._forget(key)

    def clear(self) -> None:
        """See `Store`."""
        with self._lock:
            self._urls.clear()
            self.used = 0

    def forked(self) -> None:
        """See `Store`."""
        self._lock = threading.Lock()

    def _drop(self, url: _Url, which: str) -> None:
        found = url.entries.pop(which, None)
        if found is not None:
            url.size -= found[1]
            self.used -= found[1]

    def _forget(self, key: str) -> bool:
        url = self._urls.pop(key, None)
        if url is None:
            return False
        self.used -= url.size
        return True


def _size_of(entry: Entry) -> int:
    fields = sum(len(name) + len(value) + FIELD_OVERHEAD_BYTES for name, value in entry.headers)
    return len(entry.body) + fields + OVERHEAD_BYTES
