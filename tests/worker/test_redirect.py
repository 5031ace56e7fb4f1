"""Plain listeners that only redirect to https."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeway.worker.listener import Listener

from ..applications import Recorder
from ..certificates import Made, local
from ..wire.client import Client, Response, request
from .tls_client import TlsLive, serving


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a certificate for the module."""
    return local(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def live(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsLive]:
    """Run a server that redirects, with the directory of an ACME client."""
    place = tmp_path_factory.mktemp("acme")
    (place / "token").write_text("the answer")
    static = (f"/.well-known/acme-challenge={place}", f"/files={place}")
    with serving(made, redirect_bind=("localhost:0",), static=static) as running:
        running.play(Recorder())
        yield running


def listener(live: TlsLive) -> Listener:
    """Return the listener that redirects."""
    return live.server._listeners[1]


def ask(live: TlsLive, data: bytes, method: str = "GET") -> Response:
    """Send a request to the plain listener."""
    with Client(("127.0.0.1", int(listener(live).server_port))) as client:
        client.send(data)
        return client.response(method)


def head(method: str, target: str, host: str) -> bytes:
    """Return a request for a host."""
    return request(method, target).replace(b"Host: test", f"Host: {host}".encode())


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_status(live: TlsLive, method: str) -> None:
    """GET and HEAD are told 301, which everything follows; 308 keeps the method of the others."""
    response = ask(live, request(method, "/"), method)
    assert response.status == (301 if method in ("GET", "HEAD") else 308)
    assert response.value("Strict-Transport-Security") is None


@pytest.mark.parametrize(
    "target", ["/", "/a/b?c=d%20e&f", "//evil.example/x", "/%0d%0aX:%20y", "/a;b", "/?", "/\u00fc"]
)
def test_same_target(live: TlsLive, target: str) -> None:
    """The URL is that of the request, as it came."""
    response = ask(live, request("GET", target))
    if target.isascii():
        assert response.value("Location") == f"https://test{target}"
    else:
        assert response.status == 400


def test_absolute_form(live: TlsLive) -> None:
    """The host of an absolute-form target is the one that counts."""
    response = ask(live, request("GET", "http://other.example/x?y"))
    assert response.value("Location") == "https://other.example/x?y"


def test_port(live: TlsLive) -> None:
    """The port of https is named if the client has come without a detour; else it is the usual one."""
    own, tls = listener(live).server_port, live.address[1]
    for host, authority in (
        (f"localhost:{own}", f"localhost:{tls}"),
        (f"[::1]:{own}", f"[::1]:{tls}"),
        ("[::1]", "[::1]"),
        ("localhost", "localhost"),
        ("localhost:8080", "localhost"),
        ("localhost:80", "localhost"),
    ):
        assert ask(live, head("GET", "/", host)).value("Location") == f"https://{authority}/"


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "a\\b", "", "a:b", "a,b", "[::1"])
def test_bad_host(live: TlsLive, host: str) -> None:
    """A Host that is none is refused: nothing of it gets into a URL."""
    assert ask(live, head("GET", "/", host)).status == 400


def test_no_host(live: TlsLive) -> None:
    """HTTP/1.0 without Host: there is nowhere to redirect to."""
    assert ask(live, b"GET / HTTP/1.0\r\n\r\n").status == 400


def test_acme_challenge(live: TlsLive) -> None:
    """RFC 8555 section 8.3: the answer to a challenge is served here, and nothing else."""
    assert ask(live, request("GET", "/.well-known/acme-challenge/token")).body == b"the answer"
    assert ask(live, request("GET", "/.well-known/acme-challenge/other")).status == 404
    assert ask(live, request("GET", "/files/token")).status == 301
    assert ask(live, request("GET", "/.well-known/acme-challenge/../x")).status in (301, 400, 404)


def test_keep_alive_and_bodies(live: TlsLive) -> None:
    """The connection goes on, also after a body, and the application sees none of it."""
    recorder = Recorder()
    live.play(recorder)
    with Client(("127.0.0.1", int(listener(live).server_port))) as client:
        for target in ("/a", "/b", "/b"):
            client.send(request("POST", target, body=bytes(1000)))
            assert client.response("POST").value("Location") == f"https://test{target}"
    assert not recorder.seen
    assert live.get("/").status == 200
    assert len(recorder.seen) == 1


def test_allowed_hosts(made: Made) -> None:
    """With --allowed-hosts no other host is redirected to."""
    settings = {"redirect_bind": ("localhost:0",), "allowed_hosts": ("test",)}
    with serving(made, **settings) as live:
        assert ask(live, request("GET", "/")).status == 301
        assert ask(live, head("GET", "/", "evil.example")).status == 421


def test_urls(live: TlsLive) -> None:
    """The listeners say what they speak."""
    assert live.server.url.startswith("https://127.0.0.1:")
    assert listener(live).url.startswith("http://")
    assert Path(live.server.settings.certfile[0]).exists()
