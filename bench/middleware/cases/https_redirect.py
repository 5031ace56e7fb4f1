"""HttpsRedirect beside Starlette's HTTPSRedirectMiddleware, which checks no host."""

from __future__ import annotations

from asgi import as_wsgi
from asgi import hello as asgi_hello
from case import Case
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware

from breezeway.middleware import HttpsRedirect


def cases() -> list[Case]:
    """Return the cases of this piece."""
    return [
        Case(
            "https_redirect",
            what,
            lambda app: HttpsRedirect(app, hosts="shop.example"),
            "Starlette HTTPSRedirectMiddleware",
            lambda app: as_wsgi(HTTPSRedirectMiddleware(asgi_hello)),
            peer_application=as_wsgi(asgi_hello),
            environ={"wsgi.url_scheme": scheme},
            expect="30" if scheme == "http" else "200",
        )
        for what, scheme in (("idle", "https"), ("a redirect", "http"))
    ]
