"""wsgi.input: what an application reads a request body from.

A body is complete before the application is called, so that a slow client never holds a thread:
small ones in memory, larger ones in a temporary file. Both are real files to the application, with
every method that a file has. The exceptions are a client that waits for `100 Continue`, whose body
is fetched at the first read (`AwaitedInput`), so that an application can refuse it unsent, and
paths where the application wants to read a body as it comes (`gateway.streamed_input`).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

from breezeway.gateway.memory_budget import MemoryBudget

BODIES_MEMORY_BYTES: Final = 64 * 1024 * 1024
"""What all bodies of a worker take of its memory while they come. Past it a body goes to the disk before
it has reached `--body-memory`, so that ten thousand slow clients do not take 2.5 GiB."""


class EmptyInput(io.BytesIO):
    """The input of every request without a body: one object, which nobody can change or close."""

    def close(self) -> None:
        """Do nothing: other requests read here too."""

    def writable(self) -> bool:
        """Return False."""
        return False

    def write(self, _: object) -> int:
        """Refuse.

        Raises:
            io.UnsupportedOperation: always.
        """
        raise io.UnsupportedOperation("wsgi.input cannot be written to")

    def writelines(self, lines: object, /) -> None:
        """Refuse, as `write` does."""
        self.write(lines)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go nowhere; return what `io.BytesIO` does."""
        return io.BytesIO().seek(offset, whence)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"wsgi.input without a body belongs to all requests: no {name} here")


class LikeBytesIO(io.BufferedIOBase):
    """Makes a buffered file of the standard library read as `io.BytesIO` does."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes, all that is left when it is negative or None."""
        return super().read(-1 if size is None or size < 0 else size)

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Read lines until their sum reaches `hint`, where `io.IOBase` wants it exceeded."""
        if hint is None or hint <= 0:
            return super().readlines()
        lines: list[bytes] = []
        total = 0
        while total < hint and (line := self.readline()):
            lines.append(line)
            total += len(line)
        return lines


class BodyFile(LikeBytesIO, io.BufferedRandom):
    """A body in a temporary file, which reads as one in memory does."""

    def close(self) -> None:
        """Close; what a full disk has not taken is not asked for any more."""
        with contextlib.suppress(OSError):
            super().close()


class BodyStore:
    """Where all bodies of a worker are while they come: so much in memory, the rest on the disk."""

    __slots__ = ("directory", "each", "memory")

    def __init__(
        self, each: int, directory: str | None = None, total: int = BODIES_MEMORY_BYTES
    ) -> None:
        """`each` body and all of them in `total` take at most so many bytes of memory.

        Without a `directory`, the rest is in the system's one for such files.
        """
        self.each = each
        self.directory = directory
        self.memory = MemoryBudget(max(total, each))


class Spool:
    """Collects a body: in memory up to a bound, then in a temporary file.

    The file has no name (O_TMPFILE, or it is removed as soon as it is open), so that the system frees
    its room when it is closed, also if the process is killed.
    """

    __slots__ = ("_file", "_held", "_in_memory", "_store", "size")

    def __init__(self, store: BodyStore) -> None:
        """`store` is shared with all others."""
        self._file: IO[bytes] = io.BytesIO()
        self._store = store
        self._in_memory = True
        self._held = 0
        self.size = 0

    def write(self, content: bytes) -> None:
        """Add content.

        Raises:
            OSError: the temporary file could not be made or written to (ENOSPC: disk full, EMFILE:
                no descriptor left).
        """
        size = len(content)
        if self._in_memory:
            if self.size + size <= self._store.each and self._store.memory.take(size):
                self._held += size
            else:
                self._move_to_disk()
        self.size += size
        self._file.write(content)

    def _move_to_disk(self) -> None:
        from tempfile import TemporaryFile

        memory = self._file
        memory.seek(0)
        directory = self._store.directory
        # The file is closed by whoever closes what `finish` has returned.
        raw = TemporaryFile(buffering=0, prefix="breezeway-body-", dir=directory)  # noqa: SIM115
        self._file = BodyFile(raw)
        self._in_memory = False
        while block := memory.read(io.DEFAULT_BUFFER_SIZE):
            self._file.write(block)
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, 0
        self._store.memory.give_back(held)

    def finish(self) -> IO[bytes]:
        """Return the complete body as a file, at its beginning.

        It is no concern of the store any more: how many requests may be complete has a bound.

        Raises:
            OSError: as for `write`.
        """
        self._file.seek(0)
        self._release()
        return self._file

    def close(self) -> None:
        """Throw the body away."""
        self._release()
        self._file.close()


class AwaitedInput:
    """An input whose body is fetched at the first use."""

    def __init__(self, fetch: Callable[[], IO[bytes]]) -> None:
        """`fetch` waits for the body and returns it; it may raise OSError."""
        self._fetch = fetch
        self._file: IO[bytes] | None = None

    def _body(self) -> IO[bytes]:
        if self._file is None:
            self._file = self._fetch()
        return self._file

    def __getattr__(self, name: str) -> Any:
        """Give every other method that a file has."""
        return getattr(self._body(), name)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes, all that is left when it is negative or None."""
        return self._body().read(-1 if size is None else size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read one line, at most `size` bytes of it."""
        return self._body().readline(-1 if size is None else size)

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Read lines until their sum reaches `hint`."""
        return self._body().readlines(-1 if hint is None else hint)

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the lines."""
        return iter(self._body())

    def __next__(self) -> bytes:
        """Read the next line."""
        return next(self._body())

    def close(self) -> None:
        """Close; a body that nobody has read is not asked for."""
        if self._file is None:
            self._file = io.BytesIO()
        self._file.close()


EMPTY_INPUT = EmptyInput()
