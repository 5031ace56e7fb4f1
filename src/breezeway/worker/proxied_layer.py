"""A connection that begins with a PROXY header: the proxy tells whom it has accepted it from.

No byte beyond the header is taken from the socket before the header is complete, so that what comes
after it is as without it: the socket is looked at first, and then exactly that is received which
belongs to the header.
"""

from __future__ import annotations

import os
import socket
from typing import Any, Final

from breezeway.gateway.types import Environ
from breezeway.http1.errors import ProtocolError
from breezeway.http1.proxy_protocol import FIXED_BYTES, VARIABLE_BYTES, HeaderError, parse
from breezeway.worker.front import PEER_KEY
from breezeway.worker.layer import LayerError
from breezeway.worker.sender import remote_address

LOOK_BYTES: Final = FIXED_BYTES + VARIABLE_BYTES
"""Of one look at the socket: the longest header."""


class ProxiedLayer:
    """A PROXY header on one connection, from a peer that has to send it."""

    __slots__ = (
        "_begun",
        "_environ",
        "_recv",
        "_recv_into",
        "_socket",
        "ready",
        "send",
        "sendmsg",
    )

    def __init__(self, client: socket.socket, address: Any) -> None:
        """`address` is that of the peer, as `accept` returns it."""
        self._socket = client
        self._recv = client.recv
        self._recv_into = client.recv_into
        self.send = client.send
        self.sendmsg = client.sendmsg
        self._begun = b""
        """What has come of the header."""
        peer, port = remote_address(address)
        self._environ = {PEER_KEY: peer or "unix", "REMOTE_ADDR": peer, "REMOTE_PORT": port}
        self.ready = False

    @property
    def client(self) -> str | None:
        """The client's address once the header is complete, empty for a unix socket."""
        return self._environ["REMOTE_ADDR"] if self.ready else None

    def environ(self) -> Environ:
        """Return the client's address, and that of the peer."""
        return self._environ

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive at most `size` bytes of what follows the header; with flags, look at the socket.

        Raises:
            BlockingIOError: there is nothing yet.
            LayerError: there is no PROXY header, or a bad one. What follows is then received as it is.
            OSError: as for a socket.
        """
        if flags or self.ready:
            return self._recv(size, flags)
        while not self.ready:
            self._take_header()
        return self._recv(size)

    def recv_into(self, buffer: bytearray, /) -> int:
        """Receive as `recv` does, at the front of `buffer`; return how many bytes."""
        while not self.ready:
            self._take_header()
        return self._recv_into(buffer)

    def _take_header(self) -> None:
        """Take what is there of the header."""
        seen = self._recv(LOOK_BYTES, socket.MSG_PEEK)
        begun = self._begun + seen
        try:
            if not seen and begun:
                raise HeaderError("the PROXY header was cut short")
            header = parse(begun) if seen else None
        except HeaderError as error:
            self.ready = True
            reason = str(error)
            raise LayerError("proxy_protocol", reason, ProtocolError(400, reason)) from None
        if header is not None or not seen:
            self.ready = True
        if header is None:
            self._begun += self._recv(len(seen))
            return
        self._recv(header.size - len(self._begun))
        self._begun = b""
        if header.source is not None:
            self._environ["REMOTE_ADDR"], self._environ["REMOTE_PORT"] = header.source

    # --- what is passed on ---------------------------------------------------------------------

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._socket.fileno()

    def setblocking(self, flag: bool, /) -> None:
        """Pass it on."""
        self._socket.setblocking(flag)

    def setsockopt(self, level: int, option: int, value: Any, /) -> None:
        """Pass it on."""
        self._socket.setsockopt(level, option, value)

    def send_file(self, descriptor: int, offset: int, count: int, /) -> int:
        """Send a part of a file, as `os.sendfile` does."""
        return os.sendfile(self._socket.fileno(), descriptor, offset, count)

    def shutdown(self, how: int, /) -> None:
        """End the sending side."""
        self._socket.shutdown(how)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
