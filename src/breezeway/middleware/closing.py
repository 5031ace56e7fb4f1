"""Doing something when a response is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator


class ClosingIterator:
    """The blocks of an application; at the end its `close()` is called, then ours, each once.

    The end is the server's call of `close()`, which comes after every response, also one that failed
    or whose client has left (PEP 3333, "Specification Details").
    """

    __slots__ = ("_blocks", "_finally")

    def __init__(self, blocks: Iterable[bytes], finally_: Callable[[], object]) -> None:
        self._blocks: Iterable[bytes] | None = blocks
        self._finally = finally_

    def __iter__(self) -> Iterator[bytes]:
        assert self._blocks is not None
        return iter(self._blocks)

    def close(self) -> None:
        """End the response."""
        blocks, self._blocks = self._blocks, None
        if blocks is None:
            return
        try:
            close = getattr(blocks, "close", None)
            if close is not None:
                close()
        finally:
            self._finally()
