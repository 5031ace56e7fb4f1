"""wsgi.input of a body that the application reads as it comes.

It reads as `io.BytesIO` does: what is not there yet is waited for. `read(n)` returns less than n bytes
at the end alone; `read1(n)` returns what there is, and waits only when that is nothing. There is no
way back, and no descriptor.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from breezeway.gateway.input import LikeBytesIO


class _Pieces(io.RawIOBase):
    """The pieces of a body, one after the other."""

    def __init__(self, fetch: Callable[[], bytes], ahead: bytes) -> None:
        self._fetch = fetch
        self._piece = memoryview(ahead)
        self._at_end = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def _look(self) -> memoryview:
        """Return what is there of the body; nothing at its end."""
        if not self._piece and not self._at_end:
            self._piece = memoryview(self._fetch())
            self._at_end = not self._piece
        return self._piece

    def readinto(self, buffer: Any, /) -> int:
        """Read what there is, as much as fits."""
        room = memoryview(buffer).cast("B")
        piece = self._look()[: len(room)]
        room[: len(piece)] = piece
        self._piece = self._piece[len(piece) :]
        return len(piece)

    def readall(self) -> bytes:
        """Read to the end."""
        pieces = []
        while piece := self._look():
            pieces.append(piece)
            self._piece = memoryview(b"")
        return b"".join(pieces)


class StreamedInput(LikeBytesIO, io.BufferedReader):
    """An input that is still coming."""

    def __init__(self, fetch: Callable[[], bytes], ahead: bytes = b"") -> None:
        """`fetch` waits for the next piece, which is empty at the end; it may raise OSError.

        `ahead` is the first piece.
        """
        super().__init__(_Pieces(fetch, ahead))
