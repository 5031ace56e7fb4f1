"""TLS between a socket and its connection: an `SSLObject` over two buffers in memory.

The socket itself is received from and sent to as without TLS: one system call for each, flags
included, and the poller's edges stay true. What the object makes of it waits in the buffers:

    recv: socket -> incoming -> object -> the connection
    send: the connection -> object -> outgoing -> socket

What is encrypted cannot be taken back. When the socket does not take all of it, `_tail` keeps the
rest, and the connection is told of as many bytes as have gone, and of one less than all in any case.
So it comes back with the others (`outbox`), which are `_owed` to it and not encrypted again; as the
tail goes, it is told of them. A client that reads slowly is thus seen to read.

A buffer never gets smaller, so that it is fed a record at a time.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from breezeway.gateway.types import Environ
from breezeway.http1.errors import ProtocolError
from breezeway.worker import tls_environ
from breezeway.worker.layer import Channel, LayerError
from breezeway.worker.tls import Session, Tls, in_words

RECORD_BYTES: Final = 16 * 1024
"""The most that one record holds (RFC 8446 section 5.1)."""

RECORD_OVERHEAD: Final = 64
"""More than what encryption adds to a small record."""

BATCH_RECORDS: Final = 8
"""Records of one send. What a client does not take of them is kept, beside the response itself."""

FILE_RECORDS: Final = 2
"""The same for files: of those, nothing else is in memory, whose limits go by the response."""

HANDSHAKE: Final = 22
"""The first byte of whoever speaks TLS (RFC 8446 section 5.1)."""

PLAIN_HTTP: Final = ProtocolError(400, "this port speaks https, and the request came as plain http")

MSG_MORE: Final = getattr(socket, "MSG_MORE", 0)  # Linux

_WAITING, _SHAKING, _OPEN, _PLAIN, _OVER = range(5)


class TlsLayer:
    """TLS on one connection, on the server's side.

    The lock is for the application's threads: an SSLObject may be used by one at a time.
    """

    __slots__ = (
        "_at_end",
        "_broken",
        "_decrypt",
        "_encrypt",
        "_environ",
        "_incoming",
        "_left",
        "_lock",
        "_lower",
        "_lower_recv",
        "_lower_recv_into",
        "_lower_send",
        "_object",
        "_outgoing",
        "_owed",
        "_phase",
        "_tail",
        "_take",
        "_tls",
        "ready",
    )

    def __init__(self, lower: Channel, tls: Tls) -> None:
        """`lower` is the socket, or a layer over it."""
        self._lower = lower
        self._lower_recv = lower.recv
        self._lower_recv_into = lower.recv_into
        self._lower_send = lower.send
        self._tls = tls
        self._lock = threading.Lock()
        self._phase = _WAITING
        self._object: Session
        self._decrypt: Callable[..., Any]
        self._encrypt: Callable[..., Any]
        self._take: Callable[[], bytes]
        self._incoming: ssl.MemoryBIO
        self._outgoing: ssl.MemoryBIO
        self._left = True
        """There may be something to read without the socket, or this is not the phase for it."""
        self._at_end = False
        self._broken = False
        self._tail: memoryview | None = None
        self._owed = 0
        self._environ: Environ | None = None
        self.ready = False

    @property
    def client(self) -> str | None:
        """The client's address if a layer below this has told it, before the handshake, too."""
        return None if isinstance(self._lower, socket.socket) else self._lower.client

    def environ(self) -> Environ:
        """Return what each request's environ has to say; once `ready`."""
        if self._environ is None:
            found = tls_environ.of(self._object, asks_clients=self._tls.asks_clients)
            if not isinstance(self._lower, socket.socket):
                found = {**self._lower.environ(), **found}
            self._environ = found
        return self._environ

    # --- what is passed on ---------------------------------------------------------------------

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._lower.fileno()

    def setblocking(self, flag: bool, /) -> None:
        """Pass it on."""
        self._lower.setblocking(flag)

    def setsockopt(self, level: int, option: int, value: Any, /) -> None:
        """Pass it on."""
        if option == socket.SO_LINGER and level == socket.SOL_SOCKET:
            self._broken = True  # whoever closes with a reset does not say that all is well
        self._lower.setsockopt(level, option, value)

    # --- receiving -----------------------------------------------------------------------------

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive at most `size` bytes; with flags, look at the socket itself.

        Raises:
            BlockingIOError: there is nothing yet.
            LayerError: this is no TLS, or the handshake has failed.
            OSError: as for a socket.
        """
        if flags:
            return self._lower_recv(size, flags)
        with self._lock:
            if self._left:
                return self._recv_otherwise(size)
            asked = size + RECORD_OVERHEAD if size < RECORD_BYTES else RECORD_BYTES
            raw = self._lower_recv(asked)
            if not raw:
                self._at_end = True
                return raw
            self._incoming.write(raw)
            return self._gather(size, b"", len(raw) < asked)

    def recv_into(self, buffer: bytearray, /) -> int:
        """Receive as `recv` does, at the front of `buffer`; return how many bytes."""
        size = len(buffer)
        with self._lock:
            if self._left:
                data = self._recv_otherwise(size)
            else:
                received = self._lower_recv_into(buffer)
                if not received:
                    self._at_end = True
                    return 0
                self._incoming.write(buffer[:received])
                drained = received < size
                data = b""
                try:
                    count: int = self._decrypt(size, buffer)
                except ssl.SSLError as error:
                    self._see(error)
                else:
                    if drained and not (self._incoming.pending or self._outgoing.pending):
                        return count
                    data = bytes(buffer[:count])
                data = self._gather(size, data, drained)
            buffer[: len(data)] = data
            return len(data)

    def _recv_otherwise(self, size: int) -> bytes:
        if self._phase == _OPEN:
            return self._gather(size, b"", False)
        if self._phase in (_PLAIN, _OVER):
            return self._lower_recv(size)
        return self._shake_hands(size)

    def _gather(self, size: int, first: bytes, drained: bool) -> bytes:
        """Read until there are `size` bytes or nobody has more; `drained`: the socket has not."""
        pieces = [first] if first else []
        missing = size - len(first)
        ended = False
        while missing:
            try:
                data = self._decrypt(missing)
            except ssl.SSLError as error:
                self._see(error)
                # With nothing to return, only the socket itself can say that this is not the end.
                raw = b"" if drained and pieces else self._receive_raw()
                if not raw:
                    break
                self._incoming.write(raw)
                drained = len(raw) < RECORD_BYTES
                continue
            if not data:  # close_notify, which comes again at each try
                ended = True
                break
            pieces.append(data)
            missing -= len(data)
            if drained and missing and not self._incoming.pending:
                break
        self._left = ended or not missing
        if self._outgoing.pending and not self._at_end:
            self._speak(soon=not pieces)
        if pieces and ended:
            self._have_it_read_again()
        if not (pieces or ended or self._at_end):
            raise BlockingIOError(errno.EAGAIN, "no whole record yet")
        return b"".join(pieces)

    def _have_it_read_again(self) -> None:
        """Make the end an event, as that of a socket is: with these bytes nobody hears of it."""
        try:
            self._lower.shutdown(socket.SHUT_RD)
        except OSError:  # the client has gone, which is an event, too
            pass

    def _speak(self, *, soon: bool) -> None:
        """Send what TLS itself has to say: tickets, or that it does not renegotiate.

        Unless it has to be `soon`, that leaves with the response, but there is an end to what is kept.
        """
        if self._tail is None and (soon or self._outgoing.pending > RECORD_BYTES):
            self._send_handshake()
        if self._outgoing.pending > RECORD_BYTES:
            raise LayerError("tls.broken", "TLS was broken: renegotiation again and again")

    def _receive_raw(self) -> bytes:
        """Receive, or return nothing if there is nothing; note the end."""
        try:
            raw = self._lower_recv(RECORD_BYTES)
        except BlockingIOError:
            return b""
        self._at_end = self._at_end or not raw
        return raw

    def _see(self, error: ssl.SSLError) -> None:
        """Let an object wait for more; raise `LayerError` if it is something else."""
        if isinstance(error, ssl.SSLWantReadError):
            return
        self._say_last()
        raise LayerError("tls.broken", f"TLS was broken: {in_words(error)}")

    # --- the handshake -------------------------------------------------------------------------

    def _shake_hands(self, size: int) -> bytes:
        """Go on with the handshake; after it, receive."""
        while True:
            raw = self._lower_recv(RECORD_BYTES)
            if not raw:
                self._at_end = True
                return raw
            if self._phase == _WAITING:
                self._begin(raw)
            self._incoming.write(raw)
            try:
                self._object.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._send_handshake()
            except ssl.SSLError as error:
                self._say_last()
                text = f"the TLS handshake failed: {in_words(error)}"
                raise LayerError("tls.handshake", text) from None
        if self._tls.asks_clients:
            self._know_client()
        self._phase = _OPEN
        self.ready = True
        return self._gather(size, b"", len(raw) < RECORD_BYTES)

    def _know_client(self) -> None:
        """Read what the client has shown, for `environ`; while it is refused, it gets no tickets."""
        reason = "the client's certificate cannot be read"
        try:
            if not tls_environ.is_over(self._object, self.environ()):
                return
            reason = "the client's certificate has expired since"
        except (ssl.SSLError, TypeError, ValueError):
            pass
        self._phase = _OVER
        raise LayerError("tls.handshake", f"the TLS handshake failed: {reason}")

    def _begin(self, raw: bytes) -> None:
        """Set up TLS for a client that begins to speak it."""
        if raw[0] != HANDSHAKE:
            if raw[:1].isalpha() or raw[0] in b"\r\n":
                self._phase = _PLAIN
                raise LayerError("tls.plain_http", "plain http on a port for https", PLAIN_HTTP)
            self._phase = _OVER
            raise LayerError("tls.handshake", "what came is neither TLS nor HTTP")
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = self._tls.wrap(self._incoming, self._outgoing, server_side=True)
        assert isinstance(session, Session)
        self._object = session
        self._decrypt, self._encrypt = session.decrypt, session.encrypt
        self._take = self._outgoing.read
        self._phase = _SHAKING

    def _send_handshake(self) -> None:
        """Send what the handshake has to say: less than any socket takes at its beginning."""
        data = self._outgoing.read()
        try:
            sent = self._lower_send(data) if data else 0
        except BlockingIOError:
            self._outgoing.write(data)
            return
        if sent < len(data):
            raise LayerError("tls.handshake", "the client takes no handshake")

    def _say_last(self, flags: int = 0) -> None:
        """Send an alert, if there is room for it."""
        self._phase, self._left = _OVER, True
        if self._tail is None and self._outgoing.pending:
            try:
                self._lower_send(self._outgoing.read(), flags)
            except OSError:
                pass

    # --- sending -------------------------------------------------------------------------------

    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:
        """Send; return how many bytes were taken.

        Raises:
            BlockingIOError: none, and the next call must begin with the same bytes.
            OSError: as for a socket.
        """
        with self._lock:
            if self._phase != _OPEN:
                return self._send_plain(data, flags)
            size = len(data)
            if self._owed:
                return self._send_tail(size, flags)
            if size > RECORD_BYTES:
                return _or_wait(self._send_records((data,), flags))
            encrypt, take, send = self._encrypt, self._take, self._lower_send
            encrypt(data)
            cipher = take()
            try:
                sent = send(cipher, flags)
            except BlockingIOError:
                sent = 0
            return size if sent == len(cipher) else _or_wait(self._keep(cipher, sent, size))

    def sendmsg(self, pieces: Iterable[bytes], ancillary: tuple[()] = (), flags: int = 0, /) -> int:
        """Send pieces in one go; return how many bytes were taken, as `send` does."""
        pieces = tuple(pieces)
        if sum(map(len, pieces)) <= RECORD_BYTES or self._phase != _OPEN:
            return self.send(b"".join(pieces), flags)
        with self._lock:
            if self._owed:
                return self._send_tail(sum(map(len, pieces)), flags)
            return _or_wait(self._send_records(pieces, flags))

    def send_file(self, descriptor: int, offset: int, count: int, /) -> int:
        """Send a part of a file, as `os.sendfile` does; 0 if the file ends there."""
        with self._lock:
            if self._phase != _OPEN:  # a client of plain HTTP gets no files
                raise BrokenPipeError(errno.EPIPE, "there is no TLS to send through")
            if self._owed:
                return self._send_tail(count, 0)
            data = os.pread(descriptor, min(count, FILE_RECORDS * RECORD_BYTES), offset)
            return _or_wait(self._send_records((data,), 0)) if data else 0

    def _send_plain(self, data: bytes | memoryview, flags: int) -> int:
        if self._phase != _PLAIN:
            raise BrokenPipeError(errno.EPIPE, "there is no TLS to send through")
        return self._lower_send(data, flags)

    def _send_records(self, pieces: Iterable[bytes | memoryview], flags: int) -> int:
        """Send more than a record, a batch of them at a time; return how much was taken."""
        taken = size = 0
        batch: list[bytes] = []
        for piece in pieces:
            view = memoryview(piece)
            for at in range(0, len(view), RECORD_BYTES):
                if len(batch) == BATCH_RECORDS:
                    sent = self._send_batch(batch, size, flags | MSG_MORE)
                    taken += sent
                    if sent < size:
                        return taken
                    batch, size = [], 0
                record = view[at : at + RECORD_BYTES]
                self._encrypt(record)
                batch.append(self._take())
                size += len(record)
        return taken + self._send_batch(batch, size, flags)

    def _send_batch(self, batch: list[bytes], size: int, flags: int) -> int:
        """Send records in one go; return how much of their `size` was taken."""
        try:
            sent = self._lower.sendmsg(batch, (), flags)
        except BlockingIOError:
            sent = 0
        if sent == sum(map(len, batch)):
            return size
        return self._keep(b"".join(batch), sent, size)

    def _keep(self, cipher: bytes, sent: int, size: int) -> int:
        """Keep what the socket has not taken; return how much of the `size` bytes in it was."""
        taken = min(sent, size - 1)
        self._tail = memoryview(cipher)[sent:]
        self._owed = size - taken
        return taken

    def _send_tail(self, size: int, flags: int) -> int:
        """Send what is left of the last time; return how much of the next `size` bytes that was."""
        due = self._owed
        if self._tail is not None:
            sent = self._lower_send(self._tail, flags)
            if sent < len(self._tail):
                self._tail = self._tail[sent:]
                due = min(sent, self._owed - 1)
            else:
                self._tail = None
        taken = min(due, size)
        self._owed -= taken
        return _or_wait(taken)

    # --- the end -------------------------------------------------------------------------------

    def shutdown(self, how: int, /) -> None:
        """End the sending side: say so to the client, and have the socket say so."""
        with self._lock:
            self._say_goodbye()
        self._lower.shutdown(how)

    def close(self) -> None:
        """Close the socket; a client that is still there is told so."""
        with self._lock:
            if not (self._at_end or self._broken):
                self._say_goodbye()
            self._phase, self._left = _OVER, True
        self._lower.close()

    def _say_goodbye(self) -> None:
        """Send close_notify (RFC 8446 section 6.1); what comes after it is not decrypted."""
        if self._phase == _OPEN:
            try:
                self._object.unwrap()
            except ssl.SSLError:  # the client has not said it yet
                pass
            self._say_last(MSG_MORE)  # what follows is the end


def _or_wait(taken: int) -> int:
    """Return how much was taken; raise BlockingIOError if that is nothing."""
    if not taken:
        raise BlockingIOError(errno.EAGAIN, "the socket takes no more")
    return taken
