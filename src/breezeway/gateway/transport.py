"""What the gateway knows of the way to the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from breezeway.gateway.file_wrapper import FileRange


class Transport(Protocol):
    """The way to the client."""

    @property
    def began(self) -> float:
        """When the request was complete, in monotonic seconds."""

    def begins(self) -> None:
        """Have no other thread ask for the request's body any more: the response begins."""

    def send(self, *pieces: bytes) -> None:
        """Send the pieces in one go; keep what the client does not take yet.

        Raises:
            ClientGone: nobody will read it.
        """

    def answers(self, exchange: object) -> bool:
        """Whether this exchange's response is under way, and it is this thread that makes it."""

    def send_block(self, *pieces: bytes) -> None:
        """Send a block of a response that goes on, within milliseconds.

        It waits first while more is kept for the client than the high watermark allows.

        Raises:
            ClientGone: nobody will read it.
        """

    def send_last(self, data: bytes) -> None:
        """Send the end of a response, within milliseconds.

        Raises:
            ClientGone: nobody will read it.
        """

    @property
    def watched(self) -> bool:
        """Whether the call that makes the response has taken no more than some milliseconds."""

    def uncork(self) -> None:
        """Send what waits for the next block, at once."""

    def send_file(self, head: bytes, pieces: Sequence[bytes | FileRange]) -> None:
        """Send a head, then blocks and parts of one file, which may be closed afterwards.

        Raises:
            ClientGone: nobody will read it.
            OSError: there is no descriptor left; nothing was sent.
        """
