"""The interface of `wsgiref.simple_server`, on Breezeway's server.

A program that uses `wsgiref.simple_server.make_server` changes its import and has a server that
works on several requests at a time, keeps connections and withstands clients.
"""

from __future__ import annotations

import select
import socket
import threading
from types import TracebackType
from typing import Any, Self

from breezeway.config.settings import Settings
from breezeway.gateway.types import Application, Environ, StartResponse
from breezeway.worker.connection import Connection
from breezeway.worker.listener import Listener, bind
from breezeway.worker.process import finish
from breezeway.worker.reactor import Reactor

LOOK_SECONDS = 0.05
"""How often `handle_request` looks whether its client has left without a request."""


class SimpleServer:
    """One listener and one application, with the methods of `wsgiref.simple_server.WSGIServer`."""

    timeout: float | None = None
    """How long `handle_request` waits for a connection, in seconds; None: for ever."""

    def __init__(self, host: str, port: int, application: Application, **settings: Any) -> None:
        """Bind; nothing is served yet.

        Raises:
            ValueError, BindError: a setting or address that cannot be.
        """
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        self._settings = Settings.given(bind=f"{shown}:{port}", **settings)
        self._listener = bind(
            self._settings.bind[0],
            backlog=self._settings.backlog,
            unix_mode=self._settings.unix_mode,
        )
        self._application = application
        self._shutdown = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self.socket = self._listener.socket
        self.server_address: tuple[str, int] = self.socket.getsockname()[:2]
        self.server_port = self.server_address[1]
        self.server_name = socket.getfqdn(host)

    def get_app(self) -> Application:
        """Return the application."""
        return self._application

    def set_app(self, application: Application) -> None:
        """Serve another application from the next `serve_forever` or `handle_request` on."""
        self._application = application

    def fileno(self) -> int:
        """Return the descriptor of the listening socket."""
        return self.socket.fileno()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown` is called in another thread, or Ctrl-C interrupts this one.

        The requests in flight are finished.
        """
        self._idle.clear()
        # The event loop closes its listener at the end; this object keeps its own.
        listener = Listener(self.socket.dup(), self._listener.spec)
        reactor = Reactor(self._application, [listener], self._settings)
        reactor.start()
        try:
            self._shutdown.wait()
        finally:
            self._end(reactor)
            self._shutdown.clear()
            self._idle.set()

    def shutdown(self) -> None:
        """Stop `serve_forever`, and wait until it has stopped."""
        self._shutdown.set()
        self._idle.wait()

    def handle_request(self) -> None:
        """Accept one connection and serve one request on it."""
        if not select.select([self.socket], [], [], self.timeout)[0]:
            self.handle_timeout()
            return
        try:
            client, address = self.socket.accept()
        except OSError:  # it has left already
            return
        served = threading.Event()
        application = self._application

        def once(environ: Environ, start_response: StartResponse) -> Any:
            served.set()
            return application(environ, start_response)

        reactor = Reactor(once, [], self._settings)
        Connection(reactor, client, address, reactor.base_environ(self._listener))
        reactor.start()
        while not served.wait(LOOK_SECONDS) and reactor.connections():
            pass
        self._end(reactor)

    def handle_timeout(self) -> None:
        """Do nothing: for subclasses, as in `socketserver`."""

    def _end(self, reactor: Reactor) -> None:
        finish(reactor, self._settings.graceful_timeout)
        if reactor.stopped.is_set():
            reactor.close()

    def server_close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self.server_close()
