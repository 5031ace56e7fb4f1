"""`Upload`: a file of a form.

All files of a form lie one after the other in one `Spool`, in memory at first, and from a bound on in a
temporary file, which has no name: it is gone when it is closed, whatever becomes of the process. So a
request takes one file descriptor, however many files it has. The spool is closed when the response is
over, or when nobody knows it any more.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final

from breezeway.semantics.file_names import safe_file_name

if TYPE_CHECKING:
    from pathlib import Path

BLOCK_BYTES: Final = 256 * 1024
"""Of a file that is read or saved, at a time."""

LINES_BYTES: Final = 16 * 1024
"""Of a file that is read line by line, held beside it."""

UNKNOWN: Final = "application/octet-stream"


class Spool:
    """Bytes that are written once, one after the other, and then read from anywhere."""

    __slots__ = ("_bound", "_file", "_memory", "is_closed", "size")

    def __init__(self, bound: int) -> None:
        """Hold `bound` bytes in memory; when there are more, all of them in a file."""
        self._bound = bound
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0
        self.is_closed = False

    def write(self, block: bytes) -> None:
        """Add a block.

        Raises:
            OSError: the disk is full.
        """
        self.size += len(block)
        if self._file is None:
            if self.size <= self._bound:
                self._memory += block
                return
            import tempfile

            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - `close` closes it
            if self._memory:
                self._write(bytes(self._memory))
                self._memory = bytearray()
        self._write(block)

    def _write(self, block: bytes) -> None:
        assert self._file is not None
        written = self._file.write(block)
        while written < len(block):  # the disk has taken a part; the next call says why
            block = block[written:]
            written = self._file.write(block)

    def read(self, start: int, size: int) -> bytes:
        """Read from a place; safe for threads.

        Raises:
            ValueError: the spool was closed.
        """
        if self.is_closed:
            raise ValueError("the request is over, and its files with it: save them before")
        if self._file is None:
            return bytes(self._memory[start : start + size])
        data = os.pread(self._file.fileno(), size, start)
        while len(data) < size and (more := os.pread(self._file.fileno(), size, start + len(data))):
            data += more[: size - len(data)]  # the kernel reads 2 GiB at a time
        return data

    @property
    def is_in_memory(self) -> bool:
        """Whether there is no file."""
        return self._file is None

    def close(self) -> None:
        """Let go of everything."""
        self.is_closed = True
        self._memory = bytearray()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __del__(self) -> None:
        if not self.is_closed:
            self.close()


class Upload(io.BufferedIOBase):
    """A file that a client has sent: `read`, `seek`, `readline` and iterate as with any that is open.

    Nothing that the client says of it is checked: neither is it of the type that it is called, nor does
    the extension mean anything.
    """

    def __init__(
        self, spool: Spool, field: str, filename: str, content_type: str = UNKNOWN
    ) -> None:
        """Begin at the end of a spool; `filename` is as the client gives it."""
        self._spool = spool
        self._start = spool.size
        self._at = 0
        self._lines = b""
        self._lines_at = 0
        self.size = 0
        """In bytes."""
        self.field = field
        """The name in the form."""
        self.client_filename = filename
        """As the client gives it: of any length, with any character."""
        self.filename = safe_file_name(filename)
        """The same, made such that it can be the name of a file: without a directory, not reserved."""
        self.content_type = content_type
        """As the client calls it, in lower case and without parameters."""

    def _add(self, block: bytes) -> None:
        self._spool.write(block)
        self.size += len(block)

    # --- as a file ----------------------------------------------------------------------------------

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes, all that is left when it is negative or None.

        Raises:
            ValueError: the response is over.
        """
        left = max(0, self.size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        self._checked()
        data = self._spool.read(self._start + self._at, wanted) if wanted else b""
        self._at += len(data)
        return data

    def read1(self, size: int = -1, /) -> bytes:
        """Read as `read` does, 256 KiB if no size is said."""
        return self.read(BLOCK_BYTES if size < 0 else size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read one line, at most `size` bytes of it."""
        left = self.size if size is None or size < 0 else size
        pieces: list[bytes] = []
        while left > 0:
            block, at = self._block()
            end = block.find(b"\n", at, at + left) + 1
            piece = block[at : end or at + left]
            if not piece:
                break
            pieces.append(piece)
            self._at += len(piece)
            left -= len(piece)
            if end:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _block(self) -> tuple[bytes, int]:
        """Return a block for lines, and where in it is the place from which to read."""
        self._checked()
        at = self._at - self._lines_at
        if not 0 <= at < len(self._lines) or self._spool.is_closed:
            most = max(0, min(LINES_BYTES, self.size - self._at))
            self._lines = self._spool.read(self._start + self._at, most) if most else b""
            self._lines_at, at = self._at, 0
        return self._lines, at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place; return where that is.

        Raises:
            ValueError: it is before the beginning.
        """
        self._checked()
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if begin + offset < 0:
            raise ValueError(f"there is no place {begin + offset} in a file")
        self._at = begin + offset
        return self._at

    def tell(self) -> int:
        """Return the place from which `read` goes on."""
        return self._at

    def _checked(self) -> None:
        if self.closed:
            raise ValueError("the file was closed")

    # --- as a whole ---------------------------------------------------------------------------------

    def blocks(self, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Go over the whole file in blocks, wherever `read` is."""
        for at in range(0, self.size, size):
            yield self._spool.read(self._start + at, min(size, self.size - at))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the whole file to a path; return it.

        What is there already stays, unless `overwrite` is True; a file that could not be written whole
        is taken away again.

        Raises:
            FileExistsError: there is a file.
            OSError: it cannot be written.
            ValueError: the response is over.
        """
        from pathlib import Path

        target = Path(path)
        blocks = self.blocks()
        first = next(blocks, b"")  # before a file is there: the request may be over
        with open(target, "wb" if overwrite else "xb", buffering=0) as file:
            try:
                while first:
                    done = file.write(first)
                    first = first[done:] or next(blocks, b"")
            except BaseException:
                with contextlib.suppress(OSError):
                    target.unlink()
                raise
        return target

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.content_type} {self.size} bytes>"
