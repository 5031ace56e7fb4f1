"""TLS over a socket that takes and gives little at a time."""

from __future__ import annotations

import os
import random
import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.config.settings import Settings
from breezeway.worker.layer import LayerError
from breezeway.worker.tls import Tls
from breezeway.worker.tls_layer import RECORD_BYTES, TlsLayer

from ..certificates import local
from .tls_client import trusting


class Thrifty:
    """The server's socket: takes at most `takes` bytes, now and then none; gives at most `gives`."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.takes = self.gives = 1 << 20
        self.refuses = 0
        self.flags: list[int] = []
        self.fileno = sock.fileno
        self.shutdown = sock.shutdown
        self.close = sock.close
        self.setsockopt = sock.setsockopt

    def environ(self) -> dict[str, Any]:
        return {"below": "yes"}

    def recv(self, size: int, flags: int = 0) -> bytes:
        return self.socket.recv(min(size, self.gives), flags)

    def recv_into(self, buffer: bytearray) -> int:
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: Any, flags: int = 0) -> int:
        self.flags.append(flags)
        if self.refuses:
            self.refuses -= 1
            raise BlockingIOError
        return self.socket.send(memoryview(data)[: self.takes], flags)

    def sendmsg(self, pieces: Any, ancillary: Any = (), flags: int = 0) -> int:
        return self.send(b"".join(pieces), flags)


class Pair:
    """A layer, and a client at the other end that only the test moves."""

    def __init__(self, tls: Tls, way: str = "recv") -> None:
        """`way` is the method with which the layer receives."""
        self.way = way
        self.raw, server = socket.socketpair()
        for each in (self.raw, server):
            each.setblocking(False)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.lower = Thrifty(server)
        self.layer = TlsLayer(self.lower, tls)  # type: ignore[arg-type]
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = trusting().wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def pump(self) -> None:
        """Move what waits for the client, and what it says."""
        if self.outgoing.pending:
            self.raw.sendall(self.outgoing.read())
        try:
            while data := self.raw.recv(1 << 20):
                self.incoming.write(data)
        except BlockingIOError:
            pass

    def attempt(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Do something, None if it has to wait."""
        try:
            return act(*arguments)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def shake_hands(self) -> None:
        """Do the handshake."""
        for _ in range(3):
            self.attempt(self.client.do_handshake)
            self.pump()
            self.attempt(self.receive)
            self.pump()
        assert self.layer.ready

    def say(self, data: bytes) -> None:
        """Have the client send."""
        self.client.write(data)
        self.raw.sendall(self.outgoing.read())

    def receive(self) -> bytes:
        """Have the layer receive as a connection does that waits for a request."""
        if self.way == "recv":
            return self.layer.recv(8192)
        buffer = bytearray(os.urandom(8192))  # what lies there means nothing
        size = self.layer.recv_into(buffer)
        assert len(buffer) == 8192
        return bytes(buffer[:size])

    def heard(self) -> bytes:
        """Return all that the client can read."""
        self.pump()
        found = b""
        while data := self.attempt(self.client.read, 1 << 20):
            found += data
        return found

    def close(self) -> None:
        """Close both ends."""
        self.raw.close()
        self.layer.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Make a certificate for the module."""
    return Tls(Settings(**local(tmp_path_factory.mktemp("tls")).settings))


@pytest.fixture(params=["recv", "recv_into"])
def pair(tls: Tls, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Connect a client, with the handshake done."""
    found = Pair(tls, request.param)
    found.shake_hands()
    yield found
    found.close()


def test_receive_that_ends_with_a_record(pair: Pair) -> None:
    """When the system has given all that it was asked for, it may have more, also between two records."""
    record = b"ten bytes."  # 32 on the way, which divide what is asked for
    for _ in range(300):
        pair.say(record)
    assert pair.receive() == record * 300


class TestReceiving:
    @pytest.mark.parametrize("gives", [1, 7, 100, 1 << 20])
    def test_a_recv_that_is_not_filled_leaves_nothing_behind(self, pair: Pair, gives: int) -> None:
        """However records are cut and packed, what has come is there after one `recv` that is short."""
        pair.lower.gives = gives
        for sizes in ((1,), (100, 200, 300), (8192,), (8191, 1), (5000, 5000), (16384, 1)):
            sent = b""
            for size in sizes:
                piece = os.urandom(size)
                pair.say(piece)
                sent += piece
            got = b""
            while True:
                data = pair.attempt(pair.receive)
                got += data or b""
                if gives > 100 and (data is None or len(data) < 8192):
                    break
                if len(got) == len(sent):
                    break
            assert got == sent
            assert pair.attempt(pair.receive) is None

    def test_half_a_record(self, pair: Pair) -> None:
        """A record that has not come whole is nothing yet."""
        pair.client.write(b"whole")
        pair.client.write(b"half")
        data = pair.outgoing.read()
        pair.raw.sendall(data[:-1])
        assert pair.receive() == b"whole"
        assert pair.attempt(pair.receive) is None
        pair.raw.sendall(data[-1:])
        assert pair.receive() == b"half"

    @pytest.mark.parametrize("way", ["recv", "recv_into"])
    def test_end_with_and_without_goodbye(self, tls: Tls, way: str) -> None:
        """A client that closes is at its end, whether it says so or not."""
        for goodbye in (True, False):
            found = Pair(tls, way)
            found.shake_hands()
            if goodbye:
                found.attempt(found.client.unwrap)
                found.raw.sendall(b"" + found.outgoing.read())
            found.raw.close()
            assert found.receive() == b""
            found.layer.close()

    def test_end_behind_half_a_record(self, tls: Tls, pair: Pair) -> None:
        """The end is seen at once, also if it comes with something that is not complete."""
        pair.client.write(b"half")
        pair.raw.sendall(pair.outgoing.read()[:-1])
        pair.raw.close()
        assert pair.receive() == b""
        found = Pair(tls, pair.way)
        found.raw.sendall(b"\x16\x03")
        found.raw.close()
        assert found.receive() == b""
        found.layer.close()

    def test_goodbye_right_behind_a_request(self, pair: Pair) -> None:
        """What came before the end is delivered before the end."""
        pair.client.write(b"last words")
        pair.attempt(pair.client.unwrap)
        pair.raw.sendall(pair.outgoing.read())
        assert pair.receive() == b"last words"
        assert select.select([pair.layer], [], [], 0)[0], "there is more to receive"
        assert pair.receive() == b""

    def test_a_changed_byte(self, pair: Pair) -> None:
        """A record that was tampered with is refused, and the client told."""
        pair.client.write(b"hello")
        data = bytearray(pair.outgoing.read())
        data[-1] ^= 1
        pair.raw.sendall(data)
        with pytest.raises(LayerError, match="record") as caught:
            pair.receive()
        assert caught.value.kind == "tls.broken"
        pair.pump()
        with pytest.raises(ssl.SSLError, match="ALERT"):
            pair.client.read(1)
        with pytest.raises(BrokenPipeError):
            pair.layer.send(b"more")

    def test_look_at_the_socket(self, pair: Pair) -> None:
        """With flags, the socket itself is looked at."""
        pair.say(b"x")
        assert len(pair.layer.recv(1, socket.MSG_PEEK)) == 1
        assert pair.receive() == b"x"


class TestSending:
    @pytest.mark.parametrize("size", [1, 100, RECORD_BYTES, RECORD_BYTES + 1, 300_000])
    @pytest.mark.parametrize("way", ["send", "sendmsg", "file"])
    def test_a_socket_that_takes_little(
        self, pair: Pair, tmp_path: Path, size: int, way: str
    ) -> None:
        """What was not taken comes again as the outbox does it, and arrives once and in order."""
        chance = random.Random(size)
        data = chance.randbytes(size)
        path = tmp_path / "file"
        path.write_bytes(data)
        received = b""
        at = 0
        with path.open("rb") as file:
            while at < size:
                pair.lower.takes = chance.choice([1, 1000, 50_000, 1 << 20])
                pair.lower.refuses = chance.choice([0, 1])
                if way == "send":
                    taken = pair.attempt(pair.layer.send, data[at:])
                elif way == "sendmsg" and not at:
                    taken = pair.attempt(pair.layer.sendmsg, (data[: size // 3], data[size // 3 :]))
                elif way == "sendmsg":
                    # The outbox comes back with the pieces one by one.
                    end = size // 3 if at < size // 3 else size
                    taken = pair.attempt(pair.layer.send, memoryview(data)[at:end])
                else:
                    taken = pair.attempt(pair.layer.send_file, file.fileno(), at, size - at)
                at += taken or 0
                received += pair.heard()
            if way == "file":
                assert pair.layer.send_file(file.fileno(), size, 1) == 0
        received += pair.heard()
        assert received == data

    def test_part_of_a_file(self, pair: Pair, tmp_path: Path) -> None:
        """So much of the file goes as is asked for, from there on, and no more."""
        content = bytes(range(256)) * 4
        path = tmp_path / "file"
        path.write_bytes(content)
        with path.open("rb") as file:
            assert pair.layer.send_file(file.fileno(), 100, 10) == 10
            assert pair.layer.send_file(file.fileno(), 1000, 100) == 24
        assert pair.heard() == content[100:110] + content[1000:]

    def test_a_slow_reader_is_seen_to_read(self, pair: Pair) -> None:
        """Each bit that the client takes counts, so that no time limit strikes while it reads."""
        data = bytes(100_000)
        pair.lower.takes = 5000
        at = pair.layer.send(data)
        while at < len(data):
            before = at
            at += pair.layer.send(memoryview(data)[at:])
            assert at > before
            pair.heard()
        assert pair.layer._tail is None

    def test_one_system_call(self, pair: Pair) -> None:
        """A response of up to eight records is one system call, with the flags that it was given."""
        for size in (10, 8 * RECORD_BYTES):
            pair.lower.flags.clear()
            assert pair.layer.send(bytes(size), socket.MSG_MORE) == size
            assert pair.lower.flags == [socket.MSG_MORE]
            assert pair.heard() == bytes(size)

    def test_not_before_the_handshake(self, tls: Tls) -> None:
        """Nothing goes out in the clear."""
        found = Pair(tls)
        for act in (found.layer.send, lambda data: found.layer.sendmsg([data])):
            with pytest.raises(BrokenPipeError):
                act(b"secret")
        found.close()

    def test_buffers_stay_small(self, pair: Pair) -> None:
        """A large response and a large body do not stay in memory, nor in the buffers."""
        pair.layer.send(bytes(60_000))
        pair.heard()
        before = pair.layer._outgoing.pending, pair.layer._tail
        assert before == (0, None)


class TestItsOwnWords:
    """What TLS says by itself, such as that it does not renegotiate: 31 bytes for each time."""

    def test_they_do_not_wait_for_a_response(self, pair: Pair) -> None:
        """They leave when there is nothing to answer."""
        pair.layer._outgoing.write(b"alert")
        pair.raw.sendall(b"\x17")  # of a record
        assert pair.attempt(pair.receive) is None
        assert pair.raw.recv(99) == b"alert"

    def test_a_socket_that_takes_none_loses_none(self, pair: Pair) -> None:
        """They stay in order with what is sent later."""
        pair.layer._outgoing.write(b"alert")
        pair.lower.refuses = 1
        for byte in b"\x17", b"\x03":
            pair.raw.sendall(byte)
            assert pair.attempt(pair.receive) is None
        assert pair.raw.recv(99) == b"alert"

    @pytest.mark.parametrize("kind", ["nothing", "bytes"])
    def test_they_are_bounded(self, pair: Pair, kind: str) -> None:
        """A client that takes none of it cannot fill the memory, also with a body in between."""
        pair.lower.refuses = 1
        pair.layer._outgoing.write(bytes(RECORD_BYTES + 1))
        if kind == "bytes":
            pair.say(b"body")
        else:
            pair.raw.sendall(b"\x17")
        with pytest.raises(LayerError):
            pair.receive()


class TestEnd:
    def test_goodbye(self, pair: Pair) -> None:
        """RFC 8446 section 6.1: who closes says so."""
        pair.layer.shutdown(socket.SHUT_WR)
        assert pair.heard() == b""
        assert pair.attempt(pair.client.read, 1) == b""

    def test_close_says_goodbye(self, pair: Pair) -> None:
        """So does who closes a connection at rest."""
        pair.layer.close()
        assert pair.attempt(pair.client.read, 1) is None
        pair.pump()
        assert pair.client.read(1) == b""

    def test_no_goodbye_with_a_reset(self, pair: Pair) -> None:
        """A response that is broken off must not look whole."""
        linger = struct.pack("ii", 1, 0)
        pair.layer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        pair.layer.close()
        pair.pump()
        assert pair.attempt(pair.client.read, 1) is None

    def test_what_comes_after_it_is_not_decrypted(self, pair: Pair) -> None:
        """Input that is thrown away costs as little as without TLS."""
        pair.layer.shutdown(socket.SHUT_WR)
        pair.say(b"late")
        assert b"late" not in pair.receive()


def test_end_of_sending(pair: Pair) -> None:
    """It is said in TLS and by the socket, and what the client says then is still received."""
    pair.layer.shutdown(socket.SHUT_WR)
    while data := pair.raw.recv(1 << 20):  # it would have to wait if there were no end
        pair.incoming.write(data)
    assert pair.client.read() == b""
    pair.raw.sendall(b"more")
    assert pair.receive() == b"more"


def test_environ_of_the_layer_below(pair: Pair) -> None:
    """What a layer below knows is in the environ, too."""
    environ = pair.layer.environ()
    assert environ["below"] == "yes"
    assert environ["wsgi.url_scheme"] == "https"
