"""Sessions in a file of SQLite: for all threads and processes of one machine.

The journal is a write-ahead log: readers do not wait for a writer. A connection serves one call at a
time; idle ones are kept, and a process that was forked opens its own.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from breezeway.middleware.sessions.store import Record, StoreAwayError

BUSY_SECONDS: Final = 5.0
"""How long a writer waits for the others; each of them takes less than a millisecond."""

RETRY_SECONDS: Final = 0.01
"""Between two attempts to prepare a file that others prepare as well."""

_LOCKED: Final = frozenset([sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED])

PURGE_SECONDS: Final = 60.0
"""Between two purges of one process."""

PURGE_ROWS: Final = 1000
"""Rows that a purge takes away at most, so that nobody waits for it long; after as many it goes on
with the next session that begins."""

FILE_MODE: Final = 0o600
"""Of a file that is made here: what visitors have in their sessions is nobody else's business."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS breezeway_sessions (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS breezeway_sessions_expires ON breezeway_sessions (expires);
"""
_LOAD: Final = "SELECT text, created, expires FROM breezeway_sessions WHERE key = ? AND expires > ?"
_CREATE: Final = "INSERT INTO breezeway_sessions VALUES (?, ?, ?, ?)"
_REPLACE: Final = "UPDATE breezeway_sessions SET text = ?, created = ?, expires = ? WHERE key = ?"
_MOVE: Final = (
    "UPDATE breezeway_sessions SET key = ?, text = ?, created = ?, expires = ? WHERE key = ?"
)
_TOUCH: Final = "UPDATE breezeway_sessions SET expires = ? WHERE key = ?"
_DELETE: Final = "DELETE FROM breezeway_sessions WHERE key = ?"
_PURGE: Final = (
    "DELETE FROM breezeway_sessions WHERE key IN"
    " (SELECT key FROM breezeway_sessions WHERE expires <= ? LIMIT ?)"
)

log = logging.getLogger("breezeway.middleware")


class SQLiteStore:
    """Sessions in a file."""

    def __init__(self, path: str) -> None:
        """Open the file, and make it and its table if they are not there.

        Raises:
            ValueError: it cannot be opened or written.
        """
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._inherited: list[list[sqlite3.Connection]] = []
        self._pid = os.getpid()
        self._purge_at = 0.0
        ends = time.monotonic() + BUSY_SECONDS
        while not self._is_prepared(may_wait=time.monotonic() < ends):
            time.sleep(RETRY_SECONDS)

    def load(self, key: str, now: float) -> Record | None:
        """Return a record whose end is after `now`."""
        with self._connection() as connection:
            row = connection.execute(_LOAD, (key, now)).fetchone()
        return None if row is None else Record(*row)

    def create(self, key: str, record: Record, now: float) -> None:
        """Keep a new record, and now and then take away those that have ended."""
        with self._connection() as connection:
            connection.execute(_CREATE, (key, *record))
            if time.monotonic() >= self._purge_at:
                self._purge_at = time.monotonic() + PURGE_SECONDS
                purged = connection.execute(_PURGE, (now, PURGE_ROWS)).rowcount
                if purged == PURGE_ROWS:
                    self._purge_at = 0.0

    def replace(self, key: str, record: Record, now: float) -> bool:
        """Change a record if it is there."""
        return self._change(_REPLACE, (*record, key))

    def move(self, old: str, new: str, record: Record, now: float) -> bool:
        """Give a record another key and another content, if it is there."""
        return self._change(_MOVE, (new, *record, old))

    def touch(self, key: str, expires: int, now: float) -> bool:
        """Change the end of a record if it is there."""
        return self._change(_TOUCH, (expires, key))

    def delete(self, key: str) -> None:
        """Take a record away if it is there."""
        self._change(_DELETE, (key,))

    def close(self) -> None:
        """Close the idle connections of this process."""
        while self._idle and self._pid == os.getpid():
            self._idle.pop().close()

    def __del__(self) -> None:
        """Close what is idle when nobody has the store any more; Python warns otherwise, from 3.13 on."""
        if hasattr(self, "_idle"):  # the store was made
            self.close()

    def _change(self, statement: str, values: tuple[object, ...]) -> bool:
        with self._connection() as connection:
            return connection.execute(statement, values).rowcount > 0

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; a failing one is closed."""
        if self._pid != os.getpid():
            # Closing them here would drop the locks of the parent (POSIX), so they stay open.
            self._inherited.append(self._idle)
            self._idle, self._pid = [], os.getpid()
        connection = None
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._opened()
            yield connection
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            log.error("sessions in %s: %s", self._path, error)
            raise StoreAwayError(f"sessions in {self._path}: {error}") from error
        self._idle.append(connection)

    def _opened(self) -> sqlite3.Connection:
        """Open the file, which is made anew if somebody has taken it away."""
        if not os.path.exists(self._path):
            log.warning("sessions in %s: the file is gone, and is made anew", self._path)
            try:
                self._is_prepared(may_wait=True)
            except ValueError as error:
                raise sqlite3.OperationalError(str(error)) from error
        return self._connect()

    def _is_prepared(self, *, may_wait: bool) -> bool:
        """Make the file what it has to be; return False if others are at it and one may wait."""
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
            connection = self._connect()
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_TABLE)
            finally:
                connection.close()
        except (sqlite3.Error, OSError, ValueError) as error:
            # The change of the journal does not wait for others that open the file at the same time.
            if may_wait and getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOCKED:
                return False
            raise ValueError(f"store: {self._path} cannot be used as a database: {error}") from None
        return True

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            # SQLite would make a file that everybody may read.
            f"file:{quote(self._path)}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        # With a write-ahead log a crash of the machine may lose the last sessions, and no more.
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection
