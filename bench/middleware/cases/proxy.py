"""Proxy beside werkzeug's ProxyMiddleware: requests to a server in a process of its own.

The figures have the time of that server in them, on both sides; there is no idle case, for a proxy that has
nothing to do is not asked.
"""

from __future__ import annotations

import atexit
import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from case import Case
from werkzeug.middleware.http_proxy import ProxyMiddleware

from breezeway.middleware import Proxy

WERKZEUG = "werkzeug ProxyMiddleware"

SERVER = """
import sys
from breezeway.testing import LiveServer

def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        while environ["wsgi.input"].read(65536):
            pass
    size = int(environ["QUERY_STRING"] or 12)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(size))])
    return [bytes(size)]

with LiveServer(application) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""

BODY = bytes(100_000)


def upstream() -> str:
    """Start a server; return its URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate, "")
    assert process.stdout
    return process.stdout.readline().strip()


def rewound(application: Any) -> Callable[..., Any]:
    """Put the body back to its beginning before each request."""

    def wrapped(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].seek(0)
        return application(environ, start_response)

    return wrapped


def cases() -> list[Case]:
    """Cover a small answer, a large one, and a request with a body."""
    url = upstream()

    def case(what: str, **environ: Any) -> Case:
        return Case(
            "proxy",
            what,
            lambda app: rewound(Proxy(url)),
            WERKZEUG,
            lambda app: rewound(ProxyMiddleware(app, {"/old/": {"target": url}})),
            environ={"PATH_INFO": "/old/x", **environ},
        )

    body = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(BODY))}
    return [
        case("GET, 12 bytes"),
        case("GET, 1 MB", QUERY_STRING="1000000"),
        case("POST, 100 kB", **body, **{"wsgi.input": io.BytesIO(BODY)}),
    ]
