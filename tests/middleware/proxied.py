"""`Proxy` as the tests for all pieces want it: around an application, which a live server serves."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware import Proxy
from breezeway.testing import LiveServer


class Proxied:
    """A proxy to a server that the first request of a process starts, and that lives as long."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._process = 0
        self._proxy: WSGIApplication

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            if self._process != os.getpid():
                self._process = os.getpid()
                self._server = LiveServer(self._application).__enter__()
                self._proxy = Proxy(self._server.url)
        return self._proxy(environ, start_response)
