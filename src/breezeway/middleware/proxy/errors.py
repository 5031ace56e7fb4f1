"""What can go wrong between a client, `Proxy` and an upstream."""

from __future__ import annotations

from typing import Final

BAD_REQUEST: Final = "400 Bad Request"


class RefusedError(Exception):
    """The request cannot go on; the text is for the client."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


class UpstreamError(Exception):
    """An upstream, or the way to it, has failed; the text is for the log."""

    def __init__(
        self,
        status: int,
        reason: str,
        *,
        is_sent: bool = True,
        is_stale: bool = False,
        is_fault: bool = True,
    ) -> None:
        """`status` is 502, 503 or 504, for the client."""
        super().__init__(reason)
        self.status = status
        self.is_sent = is_sent
        """Parts of the request may have reached the upstream."""
        self.is_stale = is_stale
        """A connection that had been idle was closed instead of an answer, as after a restart."""
        self.is_fault = is_fault
        """It counts against the upstream."""
