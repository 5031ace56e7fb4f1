"""A wire client that speaks TLS, and what it is to know."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from breezeway.testing import LiveServer

from .. import live
from ..certificates import Made
from ..live import Live, Stage
from ..wire.client import DEADLINE_SECONDS, Client


def trusting(made: Made | None = None, client: Made | None = None) -> ssl.SSLContext:
    """Return a client's context that trusts one certificate, or any; `client` is its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if made is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(made.certfile)
    if client is not None:
        context.load_cert_chain(client.certfile, client.keyfile)
    return context


class TlsClient(Client):
    """One connection over TLS."""

    socket: ssl.SSLSocket

    def __init__(
        self,
        address: tuple[str, int],
        *,
        context: ssl.SSLContext | None = None,
        name: str | None = "localhost",
        session: ssl.SSLSession | None = None,
        deadline: float = DEADLINE_SECONDS,
        window: int = 0,
    ) -> None:
        super().__init__(address, deadline=deadline, window=window)
        try:
            self.socket = (context or trusting()).wrap_socket(
                self.socket, server_hostname=name, session=session, suppress_ragged_eofs=False
            )
        except BaseException:
            self.close()
            raise


class TlsLive(Live):
    """A running server that speaks TLS."""

    server: LiveServer

    def connect(
        self, *, deadline: float = DEADLINE_SECONDS, window: int = 0, **more: Any
    ) -> Client:
        """Open a connection."""
        return TlsClient(self.address, deadline=deadline, window=window, **more)

    def plain(self) -> Client:
        """Open a connection without TLS."""
        return Client(self.address)


@contextmanager
def serving(made: Made, **settings: Any) -> Iterator[TlsLive]:
    """Run a server with this certificate."""
    stage = Stage()
    settings = {**made.settings, **settings}
    with LiveServer(stage, poller=live.make_poller(), **settings) as server:
        running = TlsLive(stage, server.address)
        running.server = server
        yield running
