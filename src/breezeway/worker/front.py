"""What happens to a request before the application has it, once for each head that is parsed.

A connection remembers the head with what was done to its environ, so that a request with the same
head costs nothing here. When just the request line is another one, `local` is asked again, and
`admit` is not: what it does must not depend on the path.

The fields in which proxies tell about the client are dropped by the parser where nobody is trusted
(`believed_fields`), and here where the peer is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from breezeway.config.settings import Settings
from breezeway.gateway.types import Application, Environ
from breezeway.http1.errors import ProtocolError
from breezeway.worker import redirect
from breezeway.worker.health import Health

PEER_KEY = "breezeway.peer"
"""Where the environ has the address of the other end of the connection, `unix` for a unix socket."""

Handler = Callable[[Environ], Application | None]
"""Returns what answers a request, if the request is for it.

It may refuse the request: then it raises ProtocolError. It runs once for each head, so it must not
keep anything of the environ.
"""

Admission = Callable[[Environ], None]
"""Changes the environ of a head, or raises ProtocolError; what it does must not depend on the path."""


class Front:
    """The server's own part of answering requests."""

    def __init__(self, handlers: Sequence[Handler], admission: Admission | None = None) -> None:
        """`handlers` are asked in order; the first that returns something answers."""
        self._handlers = tuple(handlers)
        self._admission = admission

    def admit(self, environ: Environ) -> None:
        """Let a request in; `environ` is that of its head, and is changed.

        Raises:
            ProtocolError: the request is refused.
        """
        if self._admission is not None:
            self._admission(environ)

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


def front_of(
    settings: Settings, note: Callable[..., None], is_serving: Callable[[], bool]
) -> Front | None:
    """Return the front for the settings in force; None if it would have nothing to do.

    `note` is `Reactor.note`; `is_serving` tells whether the worker is not on its way out.
    """
    handlers, admission = _handlers(settings, note), _admission(settings)
    if settings.health_path is not None:  # before the hosts: it is asked for by address
        handlers.insert(0, Health(settings.health_path, is_serving).local)
    return Front(handlers, admission) if handlers or admission else None


def _handlers(settings: Settings, note: Callable[..., None]) -> list[Handler]:
    """List who may answer in place of the application, the first to be asked first."""
    handlers: list[Handler] = []
    if settings.allowed_hosts:
        handlers.append(_hosts(settings))
    redirects = redirect.handlers(settings) if settings.redirect_bind else ()
    handlers += redirects[:1]
    if settings.static:
        from breezeway.worker.static_files import StaticFiles  # as above

        handlers.append(StaticFiles(settings, note).local)
    handlers += redirects[1:]
    return handlers


def _hosts(settings: Settings) -> Handler:
    """Return what refuses requests for other hosts; it has no answer to any of them."""
    from breezeway.semantics.hosts import Hosts  # here alone, since few have one

    hosts = Hosts(settings.allowed_hosts)

    def check(environ: Environ) -> None:
        if environ.get("HTTP_HOST", "") not in hosts:
            raise ProtocolError(421, "the request is for a host that is not served here")

    return check


def _admission(settings: Settings) -> Admission | None:
    """Return what tells who the client is behind proxies."""
    if not settings.trusted_proxies:
        return None
    from breezeway.semantics.forwarded import ForwardedError, Trust, settle  # as above

    trust = Trust(settings.trusted_proxies, settings.proxy_hops)

    def admit(environ: Environ) -> None:
        environ.setdefault(PEER_KEY, environ["REMOTE_ADDR"] or "unix")
        try:
            settle(environ, trust)
        except ForwardedError as error:
            raise ProtocolError(400, str(error)) from None

    return admit


def believed_fields(settings: Settings) -> tuple[str, ...]:
    """Name the fields of proxies that the parser has to keep, in lower case: nobody may set others."""
    return settings.trusted_headers if settings.trusted_proxies else ()
