"""The files in which the processes of a machine share what they count.

Each process has one of its own, mapped into memory, so that counting is writing to memory, and what was
counted outlives a process that is killed. A process holds a lock on its file (flock) as long as it lives,
which no reused process id and no other container can pretend to.

To read, one takes the lock of the directory, adds up all files, and folds those of the dead into one:
that is written anew, with the names of what it has taken in, and takes the place of the old one in one
step; then the files go. If that is cut short anywhere, nothing is counted twice or lost. A process takes
the lock of the directory to begin its file, so that nobody takes it for dead before it is locked.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import math
import mmap
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

Key = tuple[str, str, str]
"""Method, status class, route; the last is empty where there is none."""

Totals = tuple[list[float], dict[Key, list[float]]]
"""The numbers that belong to no series, and the rows."""

OTHER: Final = "OTHER"
"""Takes the place of methods and routes that are too many."""

RESERVE: Final = 10
"""Rows that are kept for OTHER: five classes of status, with and without a route."""

SERIES, IN_PROGRESS, FAILED, LEFT, RESERVED = range(5)
"""The numbers that belong to no series; SERIES is how many rows there are."""

NUMBER_BYTES: Final = 8
KEY_BYTES: Final = 256
"""For a key in a file; one that is longer is counted as OTHER."""

LOCK_SECONDS: Final = 1.0
"""How long to wait for the lock of the directory, which is held for some milliseconds."""

PAUSE_SECONDS: Final = 0.005

log = logging.getLogger("breezeway.middleware")


class File:
    """The file of this process, which stays locked until it is closed."""

    def __init__(self, path: Path, width: int, most: int) -> None:
        self.path = path
        self._names = (RESERVED + width * most) * NUMBER_BYTES
        size = self._names + most * KEY_BYTES
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # All of it: a page that the disk has no room for would kill the process when written to.
            os.posix_fallocate(fd, 0, size)
            self._view = memoryview(mmap.mmap(fd, size))
        except BaseException:
            path.unlink()
            raise
        finally:
            os.close(fd)
        # Opened once more, for the mapping keeps a copy of its descriptor, which a child process would
        # hold the lock with.
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.values: Any = self._view[: self._names].cast("d")

    def name(self, number: int, key: Key) -> None:
        """Write the key of a row, which is there only when SERIES says so."""
        data = " ".join(key).encode(errors="replace").ljust(KEY_BYTES, b"\0")
        at = self._names + number * KEY_BYTES
        self._view[at : at + KEY_BYTES] = data

    def close(self) -> None:
        """Close it; requests that are still on their way count for nobody."""
        os.close(self._fd)


class Directory:
    """The files of all processes."""

    def __init__(self, path: Path, width: int, most: int) -> None:
        """Make the directory if it is not there.

        Raises:
            ValueError: it cannot be made or written to.
        """
        self._path = path
        self._width = width
        self._most = most
        self._suffix = f".{width}-{most}.numbers"
        self._folded = path / "folded.json"
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"directory {path} cannot be made: {error.strerror}") from None
        if not os.access(path, os.W_OK | os.X_OK):
            raise ValueError(f"directory {path} cannot be written to")

    def begin(self) -> File | None:
        """Begin the file of this process; None if that is impossible, which the log tells."""
        path = self._path / f"{os.getpid()}-{secrets.token_hex(8)}{self._suffix}"
        try:
            with self._locked():
                return File(path, self._width, self._most)
        except OSError as error:
            log.error("metrics of this process cannot be shared with others: %s", error)
            return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self._path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            ends = time.monotonic() + LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > ends:
                        raise TimeoutError(
                            f"{self._path}/lock is held by another process"
                        ) from None
                time.sleep(PAUSE_SECONDS)
            yield
        finally:
            os.close(fd)

    def read(self, own: Path | None) -> Totals:
        """Add up all files but our own; fold those of the dead."""
        with self._locked():
            totals, taken = self._read_folded()
            living: list[Totals] = []
            dead: list[Path] = []
            for path in sorted(self._path.glob("*.numbers")):
                if path == own:
                    continue
                if path.name in taken:  # the end of the last folding is still to be done
                    path.unlink(missing_ok=True)
                    continue
                try:
                    numbers, lives = self._read_file(path)
                except OSError:  # none of ours: a link, or one that belongs to somebody else
                    continue
                if lives:
                    living.append(numbers)
                else:
                    numbers[0][IN_PROGRESS] = 0.0
                    add(totals, numbers, self._most)
                    dead.append(path)
            if dead:
                self._fold(totals, dead)
            for numbers in living:
                add(totals, numbers)
            return totals

    def _read_file(self, path: Path) -> tuple[Totals, bool]:
        """Return what a process has counted, nothing if its rows are others, and whether it lives."""
        # Without O_NONBLOCK a pipe of that name would be waited for.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "no regular file", str(path))
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                lives = False
            except BlockingIOError:
                lives = True
            return self._parse(fd if path.name.endswith(self._suffix) else -1), lives
        except ValueError:
            log.error("%s is damaged: what its process has counted is lost", path)
            return ([0.0] * RESERVED, {}), lives
        finally:
            os.close(fd)

    def _parse(self, fd: int) -> Totals:
        rows: dict[Key, list[float]] = {}
        size = (RESERVED + self._width * self._most) * NUMBER_BYTES
        whole = os.pread(fd, size, 0) if fd >= 0 else b""
        if len(whole) < size:  # of other rows, or cut short at its beginning
            return [0.0] * RESERVED, rows
        values: list[float] = memoryview(whole).cast("d").tolist()  # type: ignore[assignment]
        if not all(map(math.isfinite, values)):
            raise ValueError
        count = min(int(values[SERIES]), self._most)
        names = os.pread(fd, count * KEY_BYTES, size)
        for number in range(count):
            name = names[number * KEY_BYTES : (number + 1) * KEY_BYTES].rstrip(b"\0")
            method, status, route = name.decode(errors="replace").split(" ", 2)
            at = RESERVED + number * self._width
            rows[method, status, route] = values[at : at + self._width]
        return values[:RESERVED], rows

    def _read_folded(self) -> tuple[Totals, set[str]]:
        totals: Totals = ([0.0] * RESERVED, {})
        try:
            found = json.loads(self._folded.read_bytes())
            taken = set(found["taken"])
            if found["width"] == self._width:  # else the buckets were others
                rows = {
                    (str(a), str(b), str(c)): [*map(float, row)] for a, b, c, row in found["rows"]
                }
                add(totals, ([*map(float, found["values"])], rows), self._most)
            return totals, taken
        except FileNotFoundError:
            pass
        except (ValueError, TypeError, LookupError):
            log.error("%s is damaged: what processes that have ended counted is lost", self._folded)
        return ([0.0] * RESERVED, {}), set()

    def _fold(self, totals: Totals, dead: list[Path]) -> None:
        found = {
            "width": self._width,
            "values": totals[0],
            "rows": [[*key, row] for key, row in totals[1].items()],
            "taken": [path.name for path in dead],
        }
        new = self._folded.with_suffix(".new")
        new.write_text(json.dumps(found))
        new.replace(self._folded)
        for path in dead:
            path.unlink(missing_ok=True)


def add(totals: Totals, more: Totals, most: int | None = None) -> None:
    """Add numbers to totals; past `most` rows they are counted as OTHER."""
    values, rows = totals
    values[:] = [one + other for one, other in zip(values, more[0], strict=True)]
    for key, row in more[1].items():
        if most is not None and key not in rows and len(rows) >= most - RESERVE:
            key = (OTHER, key[1], OTHER if key[2] else "")
        there = rows.get(key)
        rows[key] = row if there is None else [a + b for a, b in zip(there, row, strict=True)]
