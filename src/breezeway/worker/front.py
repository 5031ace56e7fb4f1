"""What happens to a request before the application has it, once for each head that is parsed.

A connection remembers the head with what was done to its environ, so that a request with the same
head costs nothing here. When just the request line is another one, `local` is asked again, and
`admit` is not: what it does must not depend on the path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from breezeway.config.settings import Settings
from breezeway.gateway.types import Application, Environ

Handler = Callable[[Environ], Application | None]
"""Returns what answers a request, if the request is for it.

It may refuse the request: then it raises ProtocolError. It runs once for each head, so it must not
keep anything of the environ.
"""


class Front:
    """The server's own part of answering requests."""

    def __init__(self, handlers: Sequence[Handler]) -> None:
        """`handlers` are asked in order; the first that returns something answers."""
        self._handlers = tuple(handlers)

    def admit(self, environ: Environ) -> None:
        """Let a request in; `environ` is that of its head, and is changed.

        Raises:
            ProtocolError: the request is refused.
        """

    def local(self, environ: Environ) -> Application | None:
        """Return what answers the request if it is for the server itself.

        The event loop runs it, so it must not wait: it returns a list of one block, or what
        `wsgi.file_wrapper` makes of a regular file.

        Raises:
            ProtocolError: the request is refused.
        """
        for handler in self._handlers:
            application = handler(environ)
            if application is not None:
                return application
        return None


def front_of(settings: Settings) -> Front | None:
    """Return the front for the settings in force; None if it would have nothing to do."""
    handlers = _handlers(settings)
    return Front(handlers) if handlers else None


def _handlers(settings: Settings) -> list[Handler]:
    """List who may answer in place of the application, the first to be asked first."""
    handlers: list[Handler] = []
    # Before the hosts: health, which a load balancer asks for by address.
    # After the hosts: redirect, static files.
    return handlers


def believed_fields(settings: Settings) -> tuple[str, ...]:
    """Name the fields of proxies that the parser has to keep, in lower case: the others nobody may set."""
    return settings.trusted_headers if settings.trusted_proxies else ()
