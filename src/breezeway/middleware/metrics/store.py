"""What the requests of a process add up to; with a directory, of all processes on this machine.

A series is a row of numbers for one key: method, status class and route.
"""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import Any, Final

from breezeway.middleware.metrics.files import (
    KEY_BYTES,
    OTHER,
    RESERVED,
    SERIES,
    Directory,
    File,
    Key,
    Totals,
    add,
)

_stores: Final[weakref.WeakSet[Store]] = weakref.WeakSet()


class Store:
    """The numbers of this process; `lock` is held while they are changed."""

    def __init__(self, width: int, most: int, directory: Path | None) -> None:
        """Have rows of `width` numbers, `most` of them at most.

        Raises:
            ValueError: the directory cannot be made or written to.
        """
        self.width = width
        self._most = most
        self._directory = None if directory is None else Directory(directory, width, most)
        self._begin()
        _stores.add(self)

    def _begin(self) -> None:
        """Have no numbers, as at first; also in a process that was just forked."""
        self.lock = threading.Lock()
        self.rows: dict[Key, int] = {}
        """Where the row of a key begins in `values`; only of keys as they are told."""
        self.known: dict[tuple[str, str, str | None], int] = {}
        """The same by what requests say, so that it is found in one look."""
        self.values: Any = [0.0] * RESERVED
        """A list, or doubles in the file."""
        self._file: File | None = None

    def row(self, key: Key) -> int:
        """Return where the row of a key begins, beginning it if need be; with the lock held."""
        at = self.rows.get(key)
        if at is not None:
            return at
        if (
            len(key[2].encode(errors="replace")) > KEY_BYTES - 64
            or len(self.rows) >= self._most - 10
        ):
            key = (OTHER, key[1], OTHER if key[2] else "")  # ten at most, for which there is room
            if key in self.rows:
                return self.rows[key]
        if self._directory is not None and not self.rows:
            self._file = self._directory.begin()
            if self._file is not None:
                for number, value in enumerate(self.values):
                    self._file.values[number] = value
                self.values = self._file.values
        at = RESERVED + len(self.rows) * self.width
        if self._file is None:
            self.values.extend([0.0] * self.width)
        else:
            self._file.name(len(self.rows), key)
        self.rows[key] = at
        self.values[SERIES] = float(len(self.rows))
        return at

    @property
    def is_shared(self) -> bool:
        """The numbers of other processes are read along with ours."""
        return self._directory is not None

    def read(self) -> Totals:
        """Return what all processes have counted; without a directory, what this one has.

        Raises:
            TimeoutError: another process has held the lock of the directory all the time.
            OSError: the directory cannot be read.
        """
        totals: Totals = ([0.0] * RESERVED, {})
        if self._directory is not None:
            totals = self._directory.read(self._file.path if self._file is not None else None)
        width = self.width
        with self.lock:
            rows = {key: list(self.values[at : at + width]) for key, at in self.rows.items()}
            add(totals, (list(self.values[:RESERVED]), rows))
        return totals

    def forget(self) -> None:
        """Leave to the parent what is the parent's, in a process that was just forked."""
        if self._file is not None:
            self._file.close()
        self._begin()


def _forget_all() -> None:
    for store in list(_stores):
        store.forget()


os.register_at_fork(after_in_child=_forget_all)
