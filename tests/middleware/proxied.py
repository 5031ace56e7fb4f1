"""`Proxy` as the tests for all pieces want it: around an application, which a live server serves."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware import Proxy
from breezeway.testing import LiveServer

_running: dict[Proxied, LiveServer] = {}


class Proxied:
    """A proxy to a server that the first request of a process starts, until `stop_servers`."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._process = 0
        self._proxy: WSGIApplication

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            if self._process != os.getpid() or self not in _running:
                self._process = os.getpid()
                server = _running[self] = LiveServer(self._application).__enter__()
                self._proxy = Proxy(server.url)
        return self._proxy(environ, start_response)


def stop_servers() -> None:
    """Stop the servers of this process; a proxy that is asked again starts its own anew."""
    while _running:
        _, server = _running.popitem()
        server.__exit__(None, None, None)
