"""The blocks of a response that is made while it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Blocks:
    """Texts or bytes from an iterable, as bytes; `close` closes the iterable and its iterator."""

    __slots__ = ("_blocks", "_iterator")

    def __init__(self, blocks: Iterable[str | bytes]) -> None:
        self._blocks: Any = blocks
        self._iterator: Any = None

    def __iter__(self) -> Iterator[bytes]:
        self._iterator = iter(self._blocks)
        for block in self._iterator:
            yield block if type(block) is bytes else as_bytes(block)

    def close(self) -> None:
        """End it, wherever it stands."""
        blocks, iterator = self._blocks, self._iterator
        self._blocks = self._iterator = ()
        try:
            if iterator is not blocks:
                close(iterator)
        finally:
            close(blocks)


def as_bytes(block: Any) -> bytes:
    """Return a block as bytes, a text as UTF-8.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(block, str):
        return block.encode()
    if isinstance(block, bytes | bytearray | memoryview):
        return bytes(block)
    raise TypeError(f"a block of a response is a text or bytes, not {type(block).__name__}")


def close(blocks: Any) -> None:
    """Close what has something to close."""
    function = getattr(blocks, "close", None)
    if function is not None:
        function()


def checked(content: Any) -> Any:
    """Return the content of a response that is neither a text nor bytes.

    Raises:
        TypeError: it is none.
    """
    if isinstance(content, bytearray | memoryview):
        return bytes(content)
    if isinstance(content, Mapping):
        raise TypeError("a dictionary is no content of a response: use json_response")
    if hasattr(content, "__aiter__") or hasattr(content, "__await__"):
        raise TypeError("an async generator cannot be sent by WSGI: use one without async")
    if not hasattr(content, "__iter__"):
        raise TypeError(
            f"content is a text, bytes, or an iterable of them, not {type(content).__name__}"
        )
    return content
