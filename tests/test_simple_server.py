"""`breezeway.make_server`: the interface of `wsgiref.simple_server`."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

import breezeway
from breezeway.errors import BindError
from breezeway.simple_server import SimpleServer


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the path."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


def other(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer otherwise."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"other"]


@pytest.fixture
def server() -> Iterator[SimpleServer]:
    """Make a server on a free port."""
    with breezeway.make_server("127.0.0.1", 0, echo) as made:
        yield made


def get(server: SimpleServer, path: str) -> bytes:
    """Request a path on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


@contextmanager
def running(server: SimpleServer, method: str) -> Iterator[None]:
    """Run a method of the server in a thread; it has to end."""
    thread = threading.Thread(target=getattr(server, method))
    thread.start()
    yield
    thread.join(10)
    assert not thread.is_alive()


def test_serve_forever_until_shutdown(server: SimpleServer) -> None:
    """It serves any number of requests, and `shutdown` ends it."""
    with running(server, "serve_forever"):
        assert [get(server, f"/{number}") for number in range(3)] == [b"/0", b"/1", b"/2"]
        server.shutdown()


def test_serve_forever_again(server: SimpleServer) -> None:
    """After a shutdown it may serve again, on the same port, and another application."""
    with running(server, "serve_forever"):
        assert get(server, "/") == b"/"
        server.shutdown()
    server.set_app(other)
    assert server.get_app() is other
    with running(server, "serve_forever"):
        assert get(server, "/") == b"other"
        server.shutdown()


def test_handle_request_serves_one(server: SimpleServer) -> None:
    """One connection and one request each; the next client waits in the backlog."""
    for path in ("/one", "/two"):
        with running(server, "handle_request"):
            assert get(server, path) == path.encode()


def test_handle_request_of_a_client_that_leaves(server: SimpleServer) -> None:
    """A client that says nothing does not hold it up once it has left."""
    with running(server, "handle_request"):
        socket.create_connection(server.server_address).close()


def test_handle_request_times_out(server: SimpleServer) -> None:
    """With a timeout and no client it calls `handle_timeout` and returns."""
    called = []
    server.timeout = 0.01
    server.handle_timeout = lambda: called.append(True)  # type: ignore[method-assign]
    server.handle_request()
    assert called == [True]


def test_attributes(server: SimpleServer) -> None:
    """The attributes that programs read are there."""
    assert server.server_address == ("127.0.0.1", server.server_port)
    assert server.fileno() == server.socket.fileno()
    assert isinstance(server.server_name, str)
    assert server.get_app() is echo


def test_close_frees_the_port(server: SimpleServer) -> None:
    """After `server_close` nobody listens there."""
    server.server_close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.server_address)


def test_port_taken(server: SimpleServer) -> None:
    """A port that is taken is an error that says so."""
    with pytest.raises(BindError, match="taken"):
        breezeway.make_server("127.0.0.1", server.server_port, echo)


def test_settings() -> None:
    """Every other setting can be given by its name; a bad one is a ValueError."""
    with breezeway.make_server("127.0.0.1", 0, echo, threads=1):
        pass
    with pytest.raises(ValueError, match="threads"):
        breezeway.make_server("127.0.0.1", 0, echo, threads=0)


def test_ipv6() -> None:
    """An IPv6 address is taken without its brackets, as wsgiref takes it."""
    with breezeway.make_server("::1", 0, echo) as made:
        assert made.server_address[0] == "::1"
