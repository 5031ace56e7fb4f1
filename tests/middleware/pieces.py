"""Each piece as the matrix runs it: around any application, with nothing to object to.

A piece may change fields of the head here, but neither status nor content. A piece that compresses gets
no Accept-Encoding; one that asks for a password gets none, and is set up to let everybody through.
`make` imports what it needs itself.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from wsgiref.types import WSGIApplication

from breezeway import middleware

from .proxied import Proxied

Make = Callable[[WSGIApplication], WSGIApplication]


def scratch() -> str:
    """Make a directory that goes when the process ends."""
    directory = tempfile.mkdtemp(prefix="breezeway-test-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def _traced(application: WSGIApplication) -> WSGIApplication:
    """Trace each request as part of a caller's trace, for without an SDK there is nothing to do else."""
    piece = middleware.OpenTelemetry(application)
    caller = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    return lambda environ, start: piece({**environ, "HTTP_TRACEPARENT": caller}, start)


PIECES: dict[str, Make] = {
    "Proxy": lambda app: Proxied(app),
    "AccessLog": lambda app: middleware.AccessLog(app, file=os.devnull),
    "Timing": lambda app: middleware.Timing(app, networks=["*"]),
    "Metrics": lambda app: middleware.Metrics(app, directory=scratch()),
    "OpenTelemetry": _traced,
    "Profiler": lambda app: middleware.Profiler(app, every=1, directory=scratch(), files=5),
    "Dispatch": lambda app: middleware.Dispatch({"/never": app, "never.example": app}, app),
    "Maintenance": lambda app: middleware.Maintenance(app, file="/nonexistent", paths=["/health"]),
    "Debugger": lambda app: middleware.Debugger(app),
    "Errors": lambda app: middleware.Errors(app),
    "Lint": lambda app: middleware.Lint(app),
    "BodyLimit": lambda app: middleware.BodyLimit(app),
    "Decompress": lambda app: middleware.Decompress(app),
    "Compress": lambda app: middleware.Compress(app),
    "AllowedHosts": lambda app: middleware.AllowedHosts(
        app, hosts=["127.0.0.1", "[::1]", "localhost", "test"]
    ),
    "Cors": lambda app: middleware.Cors(app, origins=["https://shop.example"], credentials=True),
    "HttpsRedirect": lambda app: middleware.HttpsRedirect(app, hosts="localhost", exempt="/"),
    "ProxyHeaders": lambda app: middleware.ProxyHeaders(app, trusted_proxies=["127.0.0.1", "::1"]),
    "RequestId": lambda app: middleware.RequestId(app, accept=True),
    "Security": lambda app: middleware.Security(app, csp="script-src 'nonce-{nonce}'", hsts=60),
    "Cache": lambda app: middleware.Cache(app),
    "BasicAuth": lambda app: middleware.BasicAuth(app, users={"ann": "x"}, protect=["/admin"]),
    "BearerAuth": lambda app: middleware.BearerAuth(app, tokens=["x" * 16], protect=["/api"]),
    "Csrf": lambda app: middleware.Csrf(app, secret="x" * 32, unmarked="allow"),
    "Sessions": lambda app: middleware.Sessions(app, secret="x" * 32),
    "Conditional": lambda app: middleware.Conditional(app),
    "Static": lambda app: middleware.Static(
        app, directory=Path(__file__).parent, prefix="/never-is"
    ),
    "RateLimit": lambda app: middleware.RateLimit(app, limits="1000000/hour"),
    "Throttle": lambda app: middleware.Throttle(app, requests=100),
    "Bandwidth": lambda app: middleware.Bandwidth(app, rate=10**9),
}
"""By the name of the class."""
