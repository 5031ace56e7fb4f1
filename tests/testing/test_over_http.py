"""`Client` over a server: connections, what goes wrong on the way, and https."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from breezeway.testing import Client, IncompleteResponseError, LiveServer, live_server

from ..certificates import local
from .applications import TEXT, site


def test_of_a_url() -> None:
    """A client of a server that runs already, below a path of it."""
    with LiveServer(site) as server, Client(f"{server.url}/base") as client:
        assert client.get("/x").json()["PATH_INFO"] == "/base/x"
        assert client.get(f"{server.url}/y").json()["PATH_INFO"] == "/y"
        assert client.get("/broken").json()["PATH_INFO"] == "/base/broken"


def test_keeps_connections() -> None:
    """Requests share a connection; a response that is still coming has its own."""
    with Client.live(site) as client:
        port = client.get("/").json()["REMOTE_PORT"]
        client.head("/")
        client.get("/status?304")
        with pytest.raises(LookupError):
            client.get("/broken")
        client.get("/slow")
        with client.get("/slow", stream=True) as response:
            assert response.status == 200
            assert client.get("/").status == 200
        assert client.get("/").status == 200
    with Client.live(site) as client:
        ports = {client.get(path).json()["REMOTE_PORT"] for path in ("/", "/a", "/b")}
        assert len(ports) == 1
        assert port


def test_connection_that_has_ended() -> None:
    """A connection that the server has closed meanwhile is not used again."""
    with Client.live(site) as client:
        for _ in range(3):
            client.get("/")
            ((connection,),) = client._transport._idle.values()  # type: ignore[attr-defined]
            connection.sock.shutdown(socket.SHUT_WR)
            connection.sock.settimeout(10)
            assert connection.sock.recv(1, socket.MSG_PEEK) == b""  # the server has closed it, too


def test_early_refusal() -> None:
    """A server that answers before it has all is heard."""
    with Client.live(site, settings={"limit_body": 1000}) as client:
        response = client.post("/", content=(b"x" * 65536 for _ in range(200)))
        assert response.status == 413
        assert client.get("/").status == 200


def test_length_that_is_said() -> None:
    """A length that the test knows takes the place of chunks."""
    with Client.live(site) as client:
        found = client.put("/", content=iter([b"ab", b"c"]), headers={"Content-Length": "3"}).json()
        assert (found["CONTENT_LENGTH"], found["body"]) == ("3", "abc")


def test_no_server() -> None:
    """Nobody there is the error of the operating system."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConnectionRefusedError):
            Client(url).get("/")


@contextmanager
def answering(answer: bytes, *, hangs_up: bool = True) -> Iterator[str]:
    """Serve one request with these bytes, and hang up, or wait until the client does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                while not hangs_up and connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
        b"no HTTP\r\n\r\n",
    ],
)
def test_broken_responses(answer: bytes) -> None:
    """A response that breaks off is told from one that is whole."""
    with answering(answer) as url, Client(url) as client, pytest.raises(IncompleteResponseError):
        client.get("/")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour"])
def test_timeout(answer: bytes) -> None:
    """A server that does not go on is not waited for forever."""
    with (
        answering(answer, hangs_up=False) as url,
        Client(url, timeout=0.05) as client,
        pytest.raises(TimeoutError),
    ):
        client.get("/")


def test_to_the_end_of_the_connection() -> None:
    """A response without a length ends with its connection."""
    with answering(b"HTTP/1.0 200 OK\r\nX: \xe4\r\n\r\nall of it") as url, Client(url) as client:
        response = client.get("/")
        assert response.text == "all of it"
        assert response.headers["x"] == "ä"


def test_https(tmp_path: Any) -> None:
    """Over TLS, with the context that trusts its certificate."""
    made = local(tmp_path)
    tls = ssl.create_default_context(cafile=made.certfile)
    with LiveServer(site, **made.settings) as server:
        port = server.address[1]
        with Client(f"https://localhost:{port}", tls=tls) as client:
            found = client.get("/").json()
            assert (found["scheme"], found["HTTP_HOST"]) == ("https", f"localhost:{port}")
            client.get("/cookie?c=a%3D1%3BSecure")
            assert client.cookies["a"] == "1"
        with Client.live(site, settings=made.settings, tls=tls) as client:
            assert client.get("/").json()["scheme"] == "https"
        with Client(f"https://localhost:{port}") as client, pytest.raises(ssl.SSLError):
            client.get("/")


def test_not_for_a_server() -> None:
    """What is for an application in the process is refused."""
    for options in ({"lint": True}, {"base_url": "http://a"}, {"environ": {"a.b": 1}}):
        with pytest.raises(TypeError, match="in the process"):
            Client("http://localhost", **options)
    with Client.live(site) as client, pytest.raises(TypeError, match="live server"):
        client.get("/", environ={"REMOTE_USER": "bob"})


def test_lists_stay_lists() -> None:
    """The server sees a list as one, and says how long it is."""
    with Client.live(site) as client:
        assert client.get("/charset").headers["content-length"] == "4"
        assert "content-length" not in client.get("/slow").headers


def test_error_of_a_close_that_takes_its_time() -> None:
    """The end of an application is waited for, which comes after that of its content."""
    goes_on = threading.Event()

    class Blocks:
        def __iter__(self) -> Iterator[bytes]:
            yield b"x"

        def close(self) -> None:
            assert goes_on.wait(10)
            raise LookupError("at the end")

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT, ("Content-Length", "1")])
        return Blocks()

    with Client.live(application) as client:
        response = client.get("/", stream=True)
        blocks = response.blocks()
        assert next(blocks) == b"x"
        goes_on.set()
        with pytest.raises(LookupError, match="at the end"):
            next(blocks)


def test_server_that_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, unless the test has failed: then that is told."""
    reactors: list[Any] = []
    finish = live_server.finish
    monkeypatch.setattr(live_server, "finish", lambda reactor, _: reactors.append(reactor))
    with pytest.raises(TimeoutError, match="still under way"), Client.live(site):
        pass
    with pytest.raises(KeyError, match="the test"), Client.live(site):
        raise KeyError("the test")
    for each in reactors:
        finish(each, live_server.STOP_SECONDS)
        each.close()


def test_request_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot stop says for which request, and where that is."""
    begun, ends = threading.Event(), threading.Event()

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT])
        yield b"x"
        begun.set()
        assert ends.wait(10)

    monkeypatch.setattr(live_server, "STOP_SECONDS", 0.01)
    server = live_server.LiveServer(application)
    with (
        pytest.raises(TimeoutError, match=r"(?s)GET /slow.*, in application"),
        server,
        Client(server.url) as client,
        client.get("/slow", stream=True),
    ):
        assert begun.wait(10)
    ends.set()
    live_server.finish(server.reactor, 10)
    server.reactor.close()
