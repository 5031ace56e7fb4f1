"""The content of an open file, whole or in parts, for any server.

What reaches from somewhere to the end of the file goes out as an object of the server's own
`wsgi.file_wrapper`, so that it can use sendfile(2). A part that ends earlier is read here: not every
server keeps to the Content-Length when it sends a file (PEP 3333 asks for it). For uWSGI a part that begins
later is read, too: its own always sends from the beginning of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from breezeway.semantics.ranges import Range

FROM_THE_BEGINNING: Final = "uwsgi_sendfile"
"""The name of the `wsgi.file_wrapper` that does not heed where the file is."""

BLOCK_BYTES: Final = 64 * 1024
"""What one read takes; a default socket buffer holds about that."""


class FileParts:
    """Blocks, and parts of one seekable file, one after the other."""

    __slots__ = ("_file", "_pieces", "_start")

    def __init__(self, file: Any, pieces: Sequence[bytes | Range], start: int = 0) -> None:
        """Take over `file`, which has `seek` and `read`; ranges count from its byte `start`."""
        self._file = file
        self._pieces = pieces
        self._start = start

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the content in blocks; it ends early when the file has become shorter."""
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            self._file.seek(self._start + piece.start)
            left = piece.stop - piece.start
            while left:
                block = self._file.read(min(BLOCK_BYTES, left))
                if not block:
                    return
                left -= len(block)
                yield block

    def close(self) -> None:
        """Close the file."""
        close = getattr(self._file, "close", None)
        if close is not None:
            close()


def sent(
    wrapper: Any, file: Any, pieces: Sequence[bytes | Range], size: int, start: int = 0
) -> Iterable[bytes]:
    """Return what to give the server for pieces of a file, which it will close.

    `wrapper` is the server's `wsgi.file_wrapper`, None if it has none. The content is the last `size`
    bytes of the file, from its byte `start` on.
    """
    only = pieces[0] if len(pieces) == 1 else None
    if wrapper is None or not isinstance(only, Range) or only.stop != size:
        return FileParts(file, pieces, start)
    begins = start + only.start
    if begins and getattr(wrapper, "__name__", "") == FROM_THE_BEGINNING:
        return FileParts(file, pieces, start)
    if only.start:
        file.seek(begins)
    found: Iterable[bytes] = wrapper(file, BLOCK_BYTES)
    return found
