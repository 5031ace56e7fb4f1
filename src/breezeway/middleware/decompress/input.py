"""The `wsgi.input` of a body that is decoded as it is read. It reads as `io.BytesIO` does."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from breezeway.middleware.request_body import Refusal


class LikeBytesIO(io.BufferedReader):
    """Makes a buffered reader of the standard library read as `io.BytesIO` does."""

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


class DecodedInput(LikeBytesIO):
    """A body in pieces that are still to be decoded."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        """`pieces` raises a BodyRefusedError with a Refusal when the body is refused."""
        self._pieces = _Pieces(pieces)
        super().__init__(self._pieces)

    @property
    def refusal(self) -> Refusal | None:
        """Why the body is refused; None until it is."""
        error = self._pieces.error
        return getattr(error, "refusal", None)


class _Pieces(io.RawIOBase):
    """The pieces of a body, one after the other."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self.error: Exception | None = None
        """Why it cannot be read on. It is raised each time, so that nobody takes it for the end."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def _look(self) -> memoryview:
        """Return what is there of the body; nothing at its end."""
        if self.error is not None:
            raise self.error
        try:
            while not self._piece:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._piece = memoryview(piece)
        except Exception as error:
            self.error = error
            raise
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
