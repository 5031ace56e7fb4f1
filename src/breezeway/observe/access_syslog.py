"""Lines of the access log to a syslog server: RFC 5424, by UDP (RFC 5426) or TCP (RFC 6587).

To the socket of the machine's own syslog daemon they go in the form that syslog(3) has there, which
rsyslog, syslog-ng and journald read; not all of them read RFC 5424 on it.

Only the thread of the log waits for the server, and no longer than `WAIT_SECONDS` at a time. A server that
takes nothing over TCP keeps its connection: with a new one, what the system has kept of the old one
would be lost each time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from breezeway.observe.access_options import Syslog
from breezeway.observe.access_target import Unmarked, first_lines

PRIORITY: Final = 23 * 8 + 6
"""Facility local7, severity informational: what nginx takes, too."""

NAME: Final = "breezeway"

WAIT_SECONDS: Final = 0.5
"""For a connection, and for a server that takes nothing."""

AGAIN_SECONDS: Final = 1.0
"""Between two attempts to reach a server."""

STUCK_SECONDS: Final = 60.0
"""After so long a connection that takes nothing is given up for another one."""

DATAGRAM_BYTES: Final = 60_000
"""A longer line is cut: the most that UDP carries over IPv4 is 65,507."""

BATCH_BYTES: Final = 64 * 1024
"""Of lines that are sent at a time."""

MOST_READS: Final = 16
"""Of what a server says, which nobody wants to know, before the next lines are sent."""


class SyslogServer(Unmarked):
    """One server; connects when there is something to send."""

    def __init__(self, server: Syslog) -> None:
        self._server = server
        self._socket: socket.socket | None = None
        self._again = 0.0
        self._message = self._rest = b""
        """The message that was sent in part, and what is left of it; its line counts as written."""
        self._moved_at = 0.0
        """When the server last took something; monotonic seconds."""
        self._host = socket.gethostname() or "-"

    def write(self, lines: memoryview) -> int:
        """Send some of them.

        Raises:
            OSError: the server is not there, or takes nothing.
        """
        batch = first_lines(lines, BATCH_BYTES)
        messages = self._messages(bytes(batch))
        if self._has_gone():
            self._hang_up()
        connection = self._socket or self._connect()
        try:
            if self._server.transport != "tcp":
                return send_each(connection, batch, messages)
            self._send_rest(connection)
            return self._send_framed(connection, batch, messages)
        except TimeoutError:
            if time.monotonic() - self._moved_at >= STUCK_SECONDS:
                self._hang_up()
            raise
        except OSError:
            self._hang_up()
            raise

    def _has_gone(self) -> bool:
        """Whether the other end of TCP was closed: the system would take lines for nobody."""
        if self._socket is None or self._server.transport != "tcp":
            return False
        self._socket.settimeout(0.0)
        try:
            return any(not self._socket.recv(BATCH_BYTES) for _ in range(MOST_READS))
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _send_rest(self, connection: socket.socket) -> None:
        """Send what is left of a message; without its end there can be no other."""
        if self._rest:
            self._rest = self._rest[self._send(connection, self._rest) :]
            if self._rest:
                raise TimeoutError("the syslog server takes nothing")

    def _send_framed(
        self, connection: socket.socket, lines: memoryview, messages: Iterable[bytes]
    ) -> int:
        """Send a message for each line (RFC 6587 section 3.4.1); return how many bytes of them went."""
        framed = [b"%d %b" % (len(each), each) for each in messages]
        sent = self._send(connection, b"".join(framed))
        if not sent:
            raise TimeoutError("the syslog server takes nothing")
        written = 0
        for line, message in zip(bytes(lines).splitlines(keepends=True), framed, strict=True):
            if sent <= 0:
                break
            written += len(line)
            if sent < len(message):
                self._message, self._rest = message, message[sent:]
            sent -= len(message)
        return written

    def _send(self, connection: socket.socket, data: bytes) -> int:
        """Send what a server takes within `WAIT_SECONDS`; return how much."""
        ends = time.monotonic() + WAIT_SECONDS
        sent, view = 0, memoryview(data)
        while sent < len(data) and (left := ends - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                sent += connection.send(view[sent:])
            except TimeoutError:
                break
            self._moved_at = time.monotonic()
        return sent

    def _messages(self, lines: bytes) -> Iterator[bytes]:
        now, pid = datetime.now(UTC), os.getpid()
        if self._server.transport == "unix":
            head = f"<{PRIORITY}>{time.strftime('%b %e %H:%M:%S')} {NAME}[{pid}]: "
        else:
            head = f"<{PRIORITY}>1 {now:%Y-%m-%dT%H:%M:%S.%fZ} {self._host} {NAME} {pid} access - "
        start = head.encode()
        for line in lines.splitlines():
            yield start + line

    def _connect(self) -> socket.socket:
        now = time.monotonic()
        if now < self._again:
            raise ConnectionError("the syslog server cannot be reached")
        self._again = now + AGAIN_SECONDS
        transport, host, port = self._server
        if transport == "tcp":
            connection = socket.create_connection((host, port), WAIT_SECONDS)
        elif transport == "udp":
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM
            )[0]
            connection = _connected(socket.socket(family, kind, protocol), address)
        else:
            connection = _connected(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), host)
        self._socket, self._moved_at = connection, now
        return connection

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._rest:  # the next connection gets the whole message
            self._rest = self._message

    def close(self) -> None:
        """Close the connection, after the end of the last message if the server takes it."""
        if self._socket is not None and self._rest:
            with contextlib.suppress(OSError):
                self._send_rest(self._socket)
        self._hang_up()


def _connected(made: socket.socket, address: object) -> socket.socket:
    try:
        made.settimeout(WAIT_SECONDS)
        made.connect(address)  # type: ignore[arg-type]  # what getaddrinfo says, or a path
    except OSError:
        made.close()
        raise
    return made


def send_each(connection: socket.socket, lines: memoryview, messages: Iterable[bytes]) -> int:
    """Send a message for each line; return how many bytes of the lines went.

    Raises:
        OSError: not even the first was taken.
    """
    sent = 0
    for line, message in zip(bytes(lines).splitlines(keepends=True), messages, strict=True):
        try:
            connection.send(message[:DATAGRAM_BYTES])
        except OSError:
            if not sent:
                raise
            break
        sent += len(line)
    return sent
