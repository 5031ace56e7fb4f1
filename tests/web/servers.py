"""Servers for one application, in threads of this process."""

from __future__ import annotations

import contextlib
import socket
import threading
import wsgiref.simple_server
from collections.abc import Iterator
from typing import Any
from wsgiref.types import WSGIApplication

import waitress.server

from breezeway.testing import LiveServer

Address = tuple[str, int]


@contextlib.contextmanager
def breezeway(application: WSGIApplication, **settings: Any) -> Iterator[Address]:
    """Run our own server, with these settings."""
    with LiveServer(application, **settings) as server:
        yield server.address


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def wsgiref_server(application: WSGIApplication) -> Iterator[Address]:
    """Run the server of the standard library."""
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[:2]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def waitress_server(application: WSGIApplication) -> Iterator[Address]:
    """Run waitress."""
    sockets = [socket.create_server(("127.0.0.1", 0))]
    # In memory: waitress leaves a temporary file to the garbage when a client has gone.
    options = {"threads": 2, "inbuf_overflow": 1 << 30}
    server = waitress.server.create_server(application, sockets=sockets, **options)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            server.asyncore.loop(timeout=0.05, map=server._map, count=1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield sockets[0].getsockname()
    finally:
        ended.set()
        thread.join()
        server.task_dispatcher.shutdown()
        for dispatcher in [*server._map.values()]:
            dispatcher.close()
