"""What happens to a request before the application has it, once for each head that is parsed.

A connection remembers the head with what was done to its environ, so that a request with the same
head costs nothing here.
"""

from __future__ import annotations

from breezeway.config.settings import Settings
from breezeway.gateway.types import Application, Environ


class Front:
    """The server's own part of answering requests."""

    def __init__(self, settings: Settings) -> None:
        """Set up for the settings in force."""

    def admit(self, environ: Environ) -> None:
        """Let a request in; `environ` is that of its head, and is changed.

        Raises:
            ProtocolError: the request is refused.
        """

    def local(self, environ: Environ) -> Application | None:
        """Return what answers the request if it is for the server itself.

        The event loop runs it, so it must not wait: it returns a list of one block, or what
        `wsgi.file_wrapper` makes of a regular file.
        """
        return None


def front_of(settings: Settings) -> Front | None:
    """Return the front for the settings in force; None if it would have nothing to do."""
    return None
