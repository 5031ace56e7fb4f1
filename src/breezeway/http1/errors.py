"""What the protocol layer raises when a request cannot be served as it stands."""

from __future__ import annotations


class ProtocolError(Exception):
    """A request is refused: it is malformed, over a limit, or asks for what is not implemented.

    The connection is closed after the answer, because where the next request would begin is not
    known for certain any more.
    """

    def __init__(self, status: int, reason: str) -> None:
        """`status` is for the client, `reason` (one plain clause) for the client and the log."""
        super().__init__(reason)
        self.status = status
        self.reason = reason
