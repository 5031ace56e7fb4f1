"""What the attacked server serves: small, large, slow, and a place to send bodies to."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

HELLO = b"Hello, world!\n"
LARGE = b"0123456789abcdef" * 65536  # 1 MiB
NAP = 1.0  # seconds of `/slow`
PLAIN = ("Content-Type", "text/plain")


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer by the path."""
    path = environ["PATH_INFO"]
    body = HELLO
    if path == "/large":
        body = LARGE
    elif path == "/slow":
        time.sleep(NAP)
    elif path == "/echo":
        size = 0
        while block := environ["wsgi.input"].read(65536):
            size += len(block)
        body = b"%d\n" % size
    elif path == "/stream":
        start_response("200 OK", [PLAIN])
        return (LARGE[:65536] for _ in range(16))
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(body)))])
    return [body]
