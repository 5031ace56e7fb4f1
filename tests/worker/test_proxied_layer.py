"""A PROXY header below TLS: it comes first, in the clear, and the handshake after it."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Iterator

import pytest

from breezeway.worker.proxied_layer import ProxiedLayer

from ..applications import Recorder
from ..certificates import Made, local
from ..live import eventually
from ..wire.client import Client, Truncated, request
from .tls_client import TlsLive, serving, trusting

LINE = b"PROXY TCP6 2001:db8::1 ::1 5555 443\r\n"
BINARY = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 1, 10, 0, 0, 1, 0, 80, 1, 187])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a certificate for the module."""
    return local(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def live(made: Made) -> Iterator[TlsLive]:
    """Run a server that speaks TLS to proxies on the loopback interface, which pass bytes on."""
    with serving(made, proxy_protocol=("127.0.0.1",)) as running:
        yield running


def shaken(live: TlsLive, header: bytes, *, pieces: int = 1) -> Client:
    """Connect, send a header in pieces, and shake hands."""
    client = live.plain()
    size = max(1, -(-len(header) // pieces))
    for at in range(0, len(header), size):
        client.send(header[at : at + size])
    client.socket = trusting().wrap_socket(client.socket, server_hostname="localhost")
    return client


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize(("header", "address"), [(LINE, "2001:db8::1"), (BINARY, "192.0.2.1")])
def test_client(live: TlsLive, header: bytes, address: str, pieces: int) -> None:
    """The application sees the client of the header and what the handshake has found."""
    recorder = Recorder()
    live.play(recorder)
    with shaken(live, header, pieces=pieces) as client:
        assert client.get().status == 200
        client.send(request("POST", "/", body=b"x" * 100_000))
        assert client.response().status == 200
    for each in recorder.seen:
        assert each.environ["REMOTE_ADDR"] == address
        assert each.environ["breezeway.peer"] == "127.0.0.1"
        assert each.environ["wsgi.url_scheme"] == "https"
        assert each.environ["SSL_PROTOCOL"] == "TLSv1.3"
    assert len(recorder.seen[1].body) == 100_000


@pytest.mark.parametrize("begun", [b"\x16\x03\x01\x02\x00\x01", b"PROXY nonsense\r\n"])
def test_no_header(live: TlsLive, begun: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Without a good header there is no handshake and no answer in the clear; the log says why."""
    with live.plain() as client:
        client.send(begun)
        with contextlib.suppress(Truncated):
            assert client.rest() == b""
    eventually(lambda: any("PROXY" in line for line in caplog.messages), "a log line")


def test_plain_http(live: TlsLive) -> None:
    """Plain HTTP behind the header is told that this is the wrong port."""
    with live.plain() as client:
        client.send(LINE + request("GET", "/"))
        assert client.response().status == 400


def test_client_of_a_bad_handshake(live: TlsLive, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the client of the header, and not the proxy."""
    with live.plain() as client:
        client.send(LINE + b"\x16\x03\x01\x00\x05" + bytes(5))
        eventually(lambda: bool(caplog.messages), "a log line")
    assert caplog.messages[0].startswith("2001:db8::1: the TLS handshake failed: ")


def test_handshakes_of_one_client(made: Made) -> None:
    """A handshake that has not been done counts for the client of the header: the oldest one goes."""
    both = {"proxy_protocol": ("127.0.0.1",), "limit_connections_per_client": 1}
    with serving(made, **both) as live, live.plain() as stalled, live.plain() as other:
        other.send(BINARY + b"\x16\x03\x01")
        stalled.send(LINE + b"\x16\x03\x01")
        live.play(Recorder())
        with shaken(live, LINE) as client:
            assert client.get().status == 200
            assert stalled.rest() == b""
        with shaken(live, BINARY) as client:
            assert client.get().status == 200
            assert other.rest() == b""


def test_socket_is_looked_at() -> None:
    """A look takes nothing, before the header is complete and after it; options are the socket's."""
    client, server = socket.socketpair()
    with client, server:
        layer = ProxiedLayer(server, ("192.0.2.7", 1))
        client.sendall(LINE + b"GET")
        assert layer.recv(1, socket.MSG_PEEK) == b"P"
        assert not layer.ready
        assert layer.recv(1) == b"G"
        assert layer.ready
        assert layer.recv(1, socket.MSG_PEEK) == b"E"
        assert layer.recv(2) == b"ET"
        layer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert server.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_header_that_tells_of_no_client() -> None:
    """A proxy that asks for itself is the client, and what it gets goes through the layer as well."""
    client, server = socket.socketpair()
    with client, server, tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        layer = ProxiedLayer(server, ("192.0.2.7", 81))
        assert layer.client is None
        client.sendall(b"PROXY UNKNOWN\r\nGET")
        assert layer.recv(8) == b"GET"
        assert layer.client == "192.0.2.7"
        assert layer.environ() == {
            "breezeway.peer": "192.0.2.7",
            "REMOTE_ADDR": "192.0.2.7",
            "REMOTE_PORT": "81",
        }
        assert layer.send_file(file.fileno(), 2, 5) == 5
        layer.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b"23456"
        assert client.recv(10) == b""
