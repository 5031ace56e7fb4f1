"""Middleware: plain PEP 3333, for any server and around any application.

A piece is called with the application and its options, `Compress(app, minimum=1000)`, or is made without
an application for `stack`, which reads top down:

    application = stack(application, RequestId(), Compress(minimum=1000), Cors(origins=["..."]))

Each is imported when it is first asked for. One that needs more than its class is a package, with the
class in its `__init__.py`. The other files here are what several pieces share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from breezeway.middleware.stack import stack as stack

if TYPE_CHECKING:
    from breezeway.middleware.access_log import AccessLog as AccessLog
    from breezeway.middleware.allowed_hosts import AllowedHosts as AllowedHosts
    from breezeway.middleware.bandwidth import Bandwidth as Bandwidth
    from breezeway.middleware.basic_auth import BasicAuth as BasicAuth
    from breezeway.middleware.bearer_auth import BearerAuth as BearerAuth
    from breezeway.middleware.body_limit import BodyLimit as BodyLimit
    from breezeway.middleware.cache import Cache as Cache
    from breezeway.middleware.compress import Compress as Compress
    from breezeway.middleware.conditional import Conditional as Conditional
    from breezeway.middleware.cors import Cors as Cors
    from breezeway.middleware.csrf import Csrf as Csrf
    from breezeway.middleware.debugger import Debugger as Debugger
    from breezeway.middleware.decompress import Decompress as Decompress
    from breezeway.middleware.dispatch import Dispatch as Dispatch
    from breezeway.middleware.errors import Errors as Errors
    from breezeway.middleware.https_redirect import HttpsRedirect as HttpsRedirect
    from breezeway.middleware.lint import Lint as Lint
    from breezeway.middleware.maintenance import Maintenance as Maintenance
    from breezeway.middleware.metrics import Metrics as Metrics
    from breezeway.middleware.opentelemetry import OpenTelemetry as OpenTelemetry
    from breezeway.middleware.profiler import Profiler as Profiler
    from breezeway.middleware.proxy import Proxy as Proxy
    from breezeway.middleware.proxy_headers import ProxyHeaders as ProxyHeaders
    from breezeway.middleware.rate_limit import RateLimit as RateLimit
    from breezeway.middleware.request_id import RequestId as RequestId
    from breezeway.middleware.security import Security as Security
    from breezeway.middleware.sessions import Sessions as Sessions
    from breezeway.middleware.static import Static as Static
    from breezeway.middleware.throttle import Throttle as Throttle
    from breezeway.middleware.timing import Timing as Timing

PIECES: Final = {
    "AccessLog": "access_log",
    "AllowedHosts": "allowed_hosts",
    "Bandwidth": "bandwidth",
    "BasicAuth": "basic_auth",
    "BearerAuth": "bearer_auth",
    "BodyLimit": "body_limit",
    "Cache": "cache",
    "Compress": "compress",
    "Conditional": "conditional",
    "Cors": "cors",
    "Csrf": "csrf",
    "Debugger": "debugger",
    "Decompress": "decompress",
    "Dispatch": "dispatch",
    "Errors": "errors",
    "HttpsRedirect": "https_redirect",
    "Lint": "lint",
    "Maintenance": "maintenance",
    "Metrics": "metrics",
    "OpenTelemetry": "opentelemetry",
    "Profiler": "profiler",
    "Proxy": "proxy",
    "ProxyHeaders": "proxy_headers",
    "RateLimit": "rate_limit",
    "RequestId": "request_id",
    "Security": "security",
    "Sessions": "sessions",
    "Static": "static",
    "Throttle": "throttle",
    "Timing": "timing",
}
"""Every piece, and its module below this package."""


def __getattr__(name: str) -> Any:
    module = PIECES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    piece = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = piece
    return piece


def __dir__() -> list[str]:
    return [*globals(), *PIECES]
