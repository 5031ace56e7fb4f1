"""AllowedHosts beside Starlette's TrustedHostMiddleware."""

from __future__ import annotations

from asgi import as_wsgi
from asgi import hello as asgi_hello
from case import Case
from starlette.middleware.trustedhost import TrustedHostMiddleware

from breezeway.middleware import AllowedHosts

HOSTS = ["shop.example", "*.shop.example"]


def cases() -> list[Case]:
    """Return the cases of this piece."""
    return [
        Case(
            "allowed_hosts",
            "idle",
            lambda app: AllowedHosts(app, hosts=HOSTS),
            "Starlette TrustedHostMiddleware",
            lambda app: as_wsgi(TrustedHostMiddleware(asgi_hello, HOSTS, www_redirect=False)),
            peer_application=as_wsgi(asgi_hello),
        )
    ]
