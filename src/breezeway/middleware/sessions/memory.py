"""Sessions in the memory of one process, bounded: for development, and for one process alone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from breezeway.middleware.sessions.store import Record

RECORD_BYTES: Final = 400
"""What a record takes beside its text: two entries of a table, a key, two numbers."""


class MemoryStore:
    """Sessions in memory. When there is no room the one that was used longest ago goes."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` bounds all sessions together."""
        self._most = most_bytes
        self._bytes = 0
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, key: str, now: float) -> Record | None:
        """Return a record whose end is after `now`."""
        with self._lock:
            record = self._records.get(key)
            if record is not None and record.expires <= now:
                self._take(key)
                return None
            if record is not None:
                self._records.move_to_end(key)
            return record

    def create(self, key: str, record: Record, now: float) -> None:
        """Keep a new record."""
        with self._lock:
            self._put(key, record)

    def replace(self, key: str, record: Record, now: float) -> bool:
        """Change a record if it is there."""
        with self._lock:
            return self._take(key) and self._put(key, record)

    def move(self, old: str, new: str, record: Record, now: float) -> bool:
        """Take a record away, and if it was there keep the new one."""
        with self._lock:
            return self._take(old) and self._put(new, record)

    def touch(self, key: str, expires: int, now: float) -> bool:
        """Change the end of a record if it is there."""
        with self._lock:
            record = self._records.get(key)
            if record is not None:
                self._records[key] = record._replace(expires=expires)
            return record is not None

    def delete(self, key: str) -> None:
        """Take a record away if it is there."""
        with self._lock:
            self._take(key)

    def close(self) -> None:
        """Forget all."""
        with self._lock:
            self._records.clear()
            self._bytes = 0

    def _put(self, key: str, record: Record) -> bool:
        self._records[key] = record
        self._bytes += len(record.text) + RECORD_BYTES
        while self._bytes > self._most and len(self._records) > 1:
            self._take(next(iter(self._records)))
        return True

    def _take(self, key: str) -> bool:
        record = self._records.pop(key, None)
        if record is None:
            return False
        self._bytes -= len(record.text) + RECORD_BYTES
        return True
