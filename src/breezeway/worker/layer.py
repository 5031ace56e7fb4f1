"""What may lie between a socket and its connection: a PROXY header, TLS.

A layer has those methods of a non-blocking socket that a connection uses, and the same manners: it
raises BlockingIOError while it waits for the client, and an event of the poller is the time to ask it
again. A `recv` that was not filled has left nothing behind, neither in the layer nor in the system.
A layer lies over a socket or over another layer.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from breezeway.config.settings import Settings
from breezeway.gateway.types import Environ
from breezeway.http1.errors import ProtocolError
from breezeway.worker.listener import HTTPS, Listener


class LayerError(OSError):
    """What the client has sent is refused by a layer."""

    def __init__(self, kind: str, reason: str, answer: ProtocolError | None = None) -> None:
        """`kind` names the counter; `answer` is for a client that can read it in plain HTTP."""
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.answer = answer


class Layer(Protocol):
    """A layer; the methods do what those of a socket do."""

    @property
    def ready(self) -> bool:
        """Whether requests can come: the header is complete, the handshake done."""

    @property
    def client(self) -> str | None:
        """The client's address if a PROXY header has told it, empty for a unix socket."""

    def environ(self) -> Environ:
        """Return what the layers know and each request's environ has to say; once `ready`."""

    def fileno(self) -> int:
        """Return the descriptor of the socket."""

    def setblocking(self, flag: bool, /) -> None:
        """Pass it on."""

    def setsockopt(self, level: int, option: int, value: Any, /) -> None:
        """Pass it on."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive at most `size` bytes; with MSG_PEEK, look at the socket itself.

        Raises:
            BlockingIOError: there is nothing yet.
            LayerError: the client is refused.
            OSError: as for a socket.
        """

    def recv_into(self, buffer: bytearray, /) -> int:
        """Receive as `recv` does, at the front of `buffer`; return how many bytes."""

    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:
        """Send; return how many bytes were taken."""

    def sendmsg(self, pieces: Iterable[bytes], ancillary: tuple[()] = (), flags: int = 0, /) -> int:
        """Send pieces in one go; return how many bytes were taken."""

    def send_file(self, descriptor: int, offset: int, count: int, /) -> int:
        """Send a part of a file, as `os.sendfile` does."""

    def shutdown(self, how: int, /) -> None:
        """End the sending side."""

    def close(self) -> None:
        """Close the socket."""


Channel = socket.socket | Layer
"""What a connection talks through."""

Over = Callable[[socket.socket, Any], Channel]
"""Puts layers over an accepted socket; the second argument is the client's address."""


def layer_over(listener: Listener, settings: Settings) -> Over | None:
    """Return what puts the layers over an accepted socket and its address; None if there are none.

    A PROXY header comes before everything else, so that TLS lies over it.

    Raises:
        UsageError: a certificate or a key cannot be used.
    """
    return _tls_over(_proxied(settings), listener, settings)


def _proxied(settings: Settings) -> Over | None:
    """Have the connections of some peers begin with a PROXY header."""
    if not settings.proxy_protocol:
        return None
    from breezeway.semantics.networks import Networks
    from breezeway.worker.proxied_layer import ProxiedLayer  # it needs this module
    from breezeway.worker.sender import remote_address

    proxies = Networks(settings.proxy_protocol)

    def over(client: socket.socket, address: Any) -> Channel:
        listed = remote_address(address)[0] in proxies
        return ProxiedLayer(client, address) if listed else client

    return over


def _tls_over(below: Over | None, listener: Listener, settings: Settings) -> Over | None:
    """Put TLS over what lies below, on a listener that speaks it."""
    if listener.role_in(settings) != HTTPS:
        return below
    from breezeway.worker import tls  # it takes a megabyte, and many servers have a proxy for that
    from breezeway.worker.tls_layer import TlsLayer

    found = tls.of(settings)

    def over(client: socket.socket, address: Any) -> Channel:
        found.look()
        return TlsLayer(client if below is None else below(client, address), found)

    return over
