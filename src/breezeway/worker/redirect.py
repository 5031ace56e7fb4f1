"""What a `--redirect-bind` answers: the same request, please, over https.

GET and HEAD are told so with 301, which everything that speaks HTTP follows; other methods with 308 (RFC
9110 section 15.4.9), since after a 301 many clients go on with a GET and lose the body. HSTS is not
told here: clients must ignore it where there is no TLS (RFC 6797 section 8.1).

The answer to an ACME challenge (RFC 8555 section 8.3) has to come from here: below its path, a
`--static` that covers it goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from breezeway.config.checks import statics
from breezeway.config.settings import Settings
from breezeway.gateway.types import Application, Environ
from breezeway.http1.errors import ProtocolError
from breezeway.worker.listener import HTTPS, REDIRECT, Listener

KEY: Final = "breezeway.redirect_port"
"""Where the environ of a connection to such a listener has the port of https."""

ACME_PATH: Final = "/.well-known/acme-challenge/"

HTTP_PORT, HTTPS_PORT = "80", "443"
"""Those that no URL has to name."""


def mark(
    environ: Environ, listener: Listener, listeners: Sequence[Listener], settings: Settings
) -> Environ:
    """Return the environ of a listener, in which it is said if it redirects, and to which port."""
    if listener.role_in(settings) == REDIRECT:
        ports = [each.server_port for each in listeners if each.role_in(settings) == HTTPS]
        environ[KEY] = ports[0] if ports else HTTPS_PORT
    return environ


def handlers(settings: Settings) -> tuple[Callable[[Environ], Application | None], ...]:
    """Return two handlers, for before and after the one for static files."""
    covers = tuple(prefix.rstrip("/") + "/" for prefix, _ in statics(settings.static))

    def before(environ: Environ) -> Application | None:
        if KEY not in environ:
            return None
        path = environ["PATH_INFO"]
        if path.startswith(ACME_PATH) and path.startswith(covers):
            return None
        return to_https(environ)

    def after(environ: Environ) -> Application | None:
        return to_https(environ) if KEY in environ else None

    return before, after


def to_https(environ: Environ) -> Application:
    """Return what answers a request.

    Raises:
        ProtocolError: it does not say for which host it is.
    """
    host = environ.get("HTTP_HOST", "")
    if not host:
        raise ProtocolError(400, "no Host: there is no URL to redirect to")
    target = environ["REQUEST_URI"]
    path = target if target.startswith("/") else "/"
    location = f"https://{_authority(host, environ['SERVER_PORT'], environ[KEY])}{path}"
    safe = environ["REQUEST_METHOD"] in ("GET", "HEAD")
    status = "301 Moved Permanently" if safe else "308 Permanent Redirect"

    def application(_: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        fields = [("Content-Type", "text/plain; charset=utf-8"), ("Location", location)]
        start_response(status, fields)
        return [f"It is at {location}\n".encode("latin-1")]

    return application


def _authority(host: str, own_port: str, tls_port: str) -> str:
    """Return the host, with the port of https if it has to be named.

    Who has come to another port than ours has come through something that maps ports, such as a
    container's: what port https has out there is then not known, but most likely its usual one.
    """
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, HTTP_PORT
    is_mapped = (port or HTTP_PORT) != own_port
    return name if is_mapped or tls_port == HTTPS_PORT else f"{name}:{tls_port}"
