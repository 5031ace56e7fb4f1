"""ProxyHeaders beside werkzeug's ProxyFix, which trusts every peer."""

from __future__ import annotations

from case import Case
from werkzeug.middleware.proxy_fix import ProxyFix

from breezeway.middleware import ProxyHeaders

PROXIED = {
    "HTTP_X_FORWARDED_FOR": "203.0.113.9",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "shop.example",
}


def cases() -> list[Case]:
    """Return the cases of this piece."""
    return [
        Case(
            "proxy_headers",
            what,
            lambda app: ProxyHeaders(app, trusted_proxies="192.0.2.0/24"),
            "werkzeug ProxyFix",
            lambda app: ProxyFix(app, x_for=1, x_proto=1, x_host=1),  # type: ignore[arg-type]
            environ=environ,
        )
        for what, environ in (("idle", {}), ("a request through a proxy", PROXIED))
    ]
