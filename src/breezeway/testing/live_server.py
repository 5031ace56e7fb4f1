"""A real server in the test's own process."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from breezeway.config.settings import Settings
from breezeway.gateway.types import Application
from breezeway.worker.listener import bind_all
from breezeway.worker.poller import Poller
from breezeway.worker.process import finish
from breezeway.worker.reactor import Reactor
from breezeway.worker.stacks import stacks

STOP_SECONDS = 5.0
"""How long leaving the context waits for requests in flight."""


class LiveServer:
    """Serves an application on a free port of the loopback interface, within a `with` block.

        with LiveServer(app) as server:
            requests.get(server.url)

    Any setting of `breezeway.config.settings.Settings` can be given by its name; `poller` is for
    tests of the server itself.
    """

    def __init__(
        self, application: Application, *, poller: Poller | None = None, **settings: Any
    ) -> None:
        """Bind; serving begins with the `with` block.

        Raises:
            ValueError, BindError: a setting or address that cannot be.
            TypeError: the application cannot be called.
        """
        if not callable(application):
            raise TypeError(f"{application!r} is not a WSGI application")
        self.settings = Settings.given(**{"bind": "127.0.0.1:0", **settings})
        self._listeners = bind_all(self.settings)
        self.reactor = Reactor(application, self._listeners, self.settings, poller=poller)

    @property
    def url(self) -> str:
        """The URL of the first listener, without a slash at its end."""
        return self._listeners[0].url

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first listener."""
        host, port = self._listeners[0].socket.getsockname()[:2]
        return host, port

    def __enter__(self) -> Self:
        """Begin to serve."""
        self.reactor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, after the requests in flight.

        Raises:
            TimeoutError: a request is still under way after `STOP_SECONDS`.
        """
        finish(self.reactor, STOP_SECONDS)
        if self.reactor.stopped.is_set():
            self.reactor.close()
        elif error is None:
            what = [str(each) for each in stacks() if each.request is not None]
            text = f"requests were still under way after {STOP_SECONDS:g} s"
            raise TimeoutError("\n".join([text, *what]))
