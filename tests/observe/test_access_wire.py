"""The access log of a live server: each way in which a request ends has its line, and a true one."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway.testing import LiveServer

from .. import certificates
from ..live import Live, eventually, serving
from ..wire.client import Client, ProtocolError

PLAIN = ("Content-Type", "text/plain")
WAIT = 20.0


class Log:
    """The lines of a server's access log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def wait(self, count: int = 1) -> list[dict[str, Any]]:
        """Return the lines once there are so many."""
        eventually(lambda: self._path.read_text().count("\n") >= count, f"{count} lines")
        found = [json.loads(line) for line in self._path.read_text().splitlines()]
        assert len(found) == count, found
        return found

    def one(self) -> dict[str, Any]:
        """Return the only line."""
        return self.wait()[0]


@contextmanager
def logged(directory: Path, **settings: Any) -> Iterator[tuple[Live, Log]]:
    """Run a server that logs JSON to a file."""
    path = directory / "access.json"
    with serving(access_log_file=str(path), access_log_format="json", **settings) as live:
        live.play(echo)
        yield live, Log(path)


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the body."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(body)))])
    return [body]


def reset(client: Client) -> None:
    """Close so that the server gets a reset."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def test_fields(tmp_path: Path) -> None:
    """A line has what the request, the application and the server say."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["REMOTE_USER"] = "ann"
        environ["breezeway.request_id"] = "id-1"
        return echo(environ, start_response)

    request = (
        b"POST /a?b=c HTTP/1.1\r\nHost: test\r\nUser-Agent: agent\r\nReferer: http://here/\r\n"
        b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    with logged(tmp_path) as (live, log):
        live.play(application)
        assert live.send(request, "POST").body == b"hello"
        line = log.one()
    times = [line.pop(name) for name in ("duration_us", "queue_us", "application_us")]
    assert times[0] == times[1] + times[2]
    assert 0 < line.pop("first_byte_us") <= times[0]
    assert line.pop("time")[-8] == "."
    assert line.pop("thread").startswith("breezeway")
    assert line == {
        "client": "127.0.0.1",
        "method": "POST",
        "target": "/a?b=c",
        "version": "HTTP/1.1",
        "host": "test",
        "referer": "http://here/",
        "user_agent": "agent",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "bytes_in": len(request),
        "status": 200,
        "bytes_out": 5,
        "sending_us": 0,
        "outcome": "complete",
        "user": "ann",
        "request_id": "id-1",
        "worker": 0,
        "pid": os.getpid(),
    }


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("stream_body", [(), ("/",)], ids=["collected", "streamed"])
def test_bytes_of_chunked_bodies(tmp_path: Path, stream_body: tuple[str, ...]) -> None:
    """Of a body in chunks all bytes count that came, also in pieces and with what is sent ahead."""
    first = CHUNKED + b"5\r\nhello\r\n3;a=b\r\nyou\r\n0\r\nX: y\r\n\r\n"
    second = CHUNKED + b"0\r\n\r\n"
    with logged(tmp_path, stream_body=stream_body) as (live, log):
        with live.connect() as client:
            client.send(first[:70])
            client.send(first[70:] + second)
            assert client.response("POST").body == b"hello" + b"you"
            assert client.response("POST").body == b""
        lines = log.wait(2)
    assert [line["bytes_in"] for line in lines] == [len(first), len(second)]


REFUSED = {
    "malformed": (b"GET / HTTP/1.1\r\nHost a\r\n\r\n", 400, "GET", "/"),
    "no request line": (b"\x16\x03\x01\r\n\r\n", 400, "-", None),
    "no host": (b"GET /x HTTP/1.1\r\n\r\n", 400, "GET", "/x"),
    "body too large": (
        b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n",
        413,
        "PUT",
        "/x",
    ),
    "chunks too large": (CHUNKED + b"64\r\n" + b"a" * 100 + b"\r\n", 413, "POST", "/"),
    "line too long": (b"GET /" + b"a" * 8187, 414, "-", None),
    "expectation": (b"GET /x HTTP/1.1\r\nHost: a\r\nExpect: it\r\n\r\n", 417, "GET", "/x"),
    "head too large": (
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: ".ljust(32 * 1024, b"a"),
        431,
        "GET",
        "/x",
    ),
    "coding": (
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        501,
        "POST",
        "/x",
    ),
    "version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "-", None),
}


def test_refused_requests(tmp_path: Path) -> None:
    """Who is refused has a line that says what was asked for, as far as it was understood."""
    limits = {"limit_body": 99, "limit_request_line": 8190, "limit_head": 32 * 1024}
    with logged(tmp_path, **limits) as (live, log):
        for data, status, _, _ in REFUSED.values():
            assert live.send(data).status == status
        lines = log.wait(len(REFUSED))
    for line, (data, status, method, target) in zip(lines, REFUSED.values(), strict=True):
        assert (line["status"], line["method"], line.get("target")) == (status, method, target)
        assert line["client"] == "127.0.0.1"
        assert line["bytes_in"] == len(data)
        assert line["bytes_out"] > 10
        assert line["outcome"] == "complete"


def test_second_request_is_refused(tmp_path: Path) -> None:
    """The line of a refusal is not about the request before it on the connection."""
    with logged(tmp_path) as (live, log):
        with live.connect() as client:
            client.send(b"GET /good HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\nHost a\r\n\r\n")
            assert client.response("GET").status == 200
            assert client.response("GET").status == 400
        lines = log.wait(2)
    assert [(line["target"], line["status"]) for line in lines] == [("/good", 200), ("/bad", 400)]


def test_timeouts(tmp_path: Path) -> None:
    """Who does not send a head or a body in time has a line with 408."""
    with logged(tmp_path, head_timeout=0.01, body_timeout=0.01) as (live, log):
        assert live.send(b"GET /head HTTP/1.1\r\nHost:").status == 408
        log.wait(1)
        body = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour"
        assert live.send(body).status == 408
        head, body_line = log.wait(2)
    assert (head["status"], head["target"], head["bytes_in"]) == (408, "/head", 25)
    assert (body_line["status"], body_line["target"]) == (408, "/body")
    assert body_line["bytes_in"] == len(body)


def test_busy(tmp_path: Path) -> None:
    """A request for which there is no thread has a line with 503, and where it waited."""
    begun, go = threading.Event(), threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        begun.set()
        assert go.wait(WAIT)
        return echo(environ, start_response)

    with logged(tmp_path, threads=1, queue_limit=0) as (live, log):
        live.play(application)
        with live.connect() as busy:
            busy.send(b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
            assert begun.wait(WAIT)
            assert live.get("/late").status == 503
            go.set()
            assert busy.response("GET").status == 200
        first, late = sorted(log.wait(2), key=lambda each: int(each["status"]))
    assert (late["target"], late["status"]) == ("/late", 503)
    assert (first["target"], first["status"]) == ("/busy", 200)


def test_half_a_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request whose connection goes for another one has a line with 503."""
    monkeypatch.setattr("breezeway.worker.admission.SLOW_HEAD_SECONDS", 0.0)
    with logged(tmp_path, limit_connections=1) as (live, log), live.connect() as half:
        half.send(b"GET /half HTTP/1.1\r\n")
        eventually(lambda: live.get("/other").status == 200, "it has gone")
        assert half.response().status == 503
        first = min(log.wait(2), key=lambda each: each["target"])
    assert (first["target"], first["status"], first["method"]) == ("/half", 503, "GET")


def test_request_timeout(tmp_path: Path) -> None:
    """A 504 has a line with the time until the server gave up."""
    go = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        go.wait(WAIT)
        return echo(environ, start_response)

    with logged(tmp_path, request_timeout=("0.05",)) as (live, log):
        live.play(application)
        assert live.get("/slow").status == 504
        line = log.one()
        go.set()
    assert (line["status"], line["target"], line["outcome"]) == (504, "/slow", "complete")
    assert line["duration_us"] >= 50_000


def test_request_timeout_in_a_response(tmp_path: Path) -> None:
    """A response that is broken off at its deadline is not complete, and its client has not left."""
    go = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/endless":
            yield from endless(environ, start_response)
        start_response("200 OK", [PLAIN, ("Content-Length", "10")])
        yield b"some"
        go.wait(WAIT)

    with logged(tmp_path, request_timeout=("0.05",)) as (live, log):
        live.play(application)
        with live.connect(window=4096) as slow_reader:
            slow_reader.send(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            with pytest.raises(ProtocolError):
                live.get("/slow")
            found = {line["target"]: line for line in log.wait(2)}
        go.set()
    assert {(line["status"], line["outcome"]) for line in found.values()} == {(200, "aborted")}
    assert found["/slow"]["bytes_out"] == 4


def test_bytes_for_a_client_that_has_left(tmp_path: Path) -> None:
    """What did not go does not count, wherever it was when the client left."""
    left = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assert left.wait(WAIT)
        eventually(environ["breezeway.client_disconnected"], "the client's end")
        start_response("200 OK", [PLAIN])
        return [BLOCK]

    with logged(tmp_path) as (live, log):
        live.play(application)
        with live.connect() as client:
            client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            reset(client)
            left.set()
            line = log.one()
    assert (line["status"], line["outcome"], line["bytes_out"]) == (200, "left", 0)


def test_client_leaves_in_its_body(tmp_path: Path) -> None:
    """Who breaks its request off has a line without a status, and the bytes that came."""
    data = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome"
    with logged(tmp_path) as (live, log):
        with live.connect() as client:
            client.send(data)
            reset(client)
        line = log.one()
    assert (line["status"], line["method"], line["target"]) == (0, "POST", "/x")
    assert (line["outcome"], line["bytes_in"], line["bytes_out"]) == ("left", len(data), 0)


def test_client_ends_in_its_body(tmp_path: Path) -> None:
    """Who ends its side in the middle of a body is told 400."""
    data = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome"
    with logged(tmp_path) as (live, log):
        with live.connect() as client:
            client.send(data)
            client.socket.shutdown(socket.SHUT_WR)
            assert client.response("POST").status == 400
        line = log.one()
    assert (line["status"], line["target"], line["bytes_in"]) == (400, "/x", len(data))


BLOCK = b"x" * 65536


def endless(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with more than any client reads."""
    start_response("200 OK", [PLAIN])
    while True:
        yield BLOCK


def test_client_leaves_in_a_response(tmp_path: Path) -> None:
    """Who leaves in the middle of a response has a line that says so."""
    with logged(tmp_path) as (live, log):
        live.play(endless)
        with live.connect(window=4096) as client:
            client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.socket.recv(1000).startswith(b"HTTP/1.1 200 ")
            reset(client)
        line = log.one()
    assert (line["status"], line["outcome"]) == (200, "left")
    assert line["bytes_out"] > 0
    assert line["first_byte_us"] <= line["application_us"] + line["queue_us"]


def test_slow_reader(tmp_path: Path) -> None:
    """Who does not read in time has a line that says so, and how long the server waited to send."""

    def large(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        return [BLOCK * 200]

    with logged(tmp_path, send_timeout=0.05) as (live, log):
        live.play(large)
        with live.connect(window=4096) as client:
            client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            line = log.one()
    assert (line["status"], line["outcome"]) == (200, "timeout")
    assert line["sending_us"] >= 50_000
    assert 0 < line["bytes_out"] < len(BLOCK) * 200


def test_slow_reader_who_makes_room(tmp_path: Path) -> None:
    """Who is dropped because too much waits for slow clients has not left by itself."""

    def large(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        return [BLOCK * 200]

    with logged(tmp_path, limit_unsent=len(BLOCK)) as (live, log):
        live.play(large)
        with live.connect(window=4096) as first, live.connect(window=4096) as second:
            for client in (first, second):  # one that is larger than the bound is let through
                client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
                assert client.socket.recv(1)
            line = log.one()
    assert (line["status"], line["outcome"]) == (200, "timeout")


def test_patient_reader(tmp_path: Path) -> None:
    """The time until a slow client has read is told apart from that of the application."""

    def large(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN, ("Content-Length", str(len(BLOCK) * 200))])
        return [BLOCK * 200]

    with logged(tmp_path) as (live, log):
        live.play(large)
        with live.connect(window=4096) as client:
            client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            assert len(client.response("GET").body) == len(BLOCK) * 200
        line = log.one()
    assert line["outcome"] == "complete"
    assert line["sending_us"] > 0
    parts = [line[name] for name in ("queue_us", "application_us", "sending_us")]
    assert line["duration_us"] == sum(parts)


def test_aborted_stream(tmp_path: Path) -> None:
    """A response that an error of the application has broken off is told as such."""

    def failing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        yield b"some"
        raise RuntimeError("in the middle")

    with logged(tmp_path) as (live, log):
        live.play(failing)
        with pytest.raises(ProtocolError):
            live.get("/x")
        line = log.one()
    assert (line["status"], line["outcome"], line["bytes_out"]) == (200, "aborted", 4)


def test_failure(tmp_path: Path) -> None:
    """An application that fails before its response has a line with 500."""

    def failing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise RuntimeError("at once")

    with logged(tmp_path) as (live, log):
        live.play(failing)
        assert live.get("/x").status == 500
        line = log.one()
    assert (line["status"], line["outcome"]) == (500, "complete")


def test_tls(tmp_path: Path) -> None:
    """Version and cipher suite of TLS are told, also of a refused request."""
    made = certificates.local(tmp_path)
    path = tmp_path / "access.json"
    settings: dict[str, Any] = {"access_log_file": str(path), "access_log_format": "json"}
    context = ssl.create_default_context(cafile=made.certfile)
    with LiveServer(echo, **settings, **made.settings) as server:
        for data in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /bad HTTP/1.1\r\n\r\n"):
            with (
                socket.create_connection(server.address, WAIT) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as client,
            ):
                client.sendall(data)
                client.recv(4096)
        lines = Log(path).wait(2)
    for line in lines:
        assert line["tls"] == "TLSv1.3"
        assert line["cipher"].startswith("TLS_")
    assert [line["status"] for line in lines] == [200, 400]


def test_proxied(tmp_path: Path) -> None:
    """Behind a proxy that speaks the PROXY protocol the client is the one that it names."""
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n"
    with logged(tmp_path, proxy_protocol=("127.0.0.1",)) as (live, log):
        assert live.send(header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        assert live.send(header + b"GET / HTTP/1.1\r\nHost a\r\n\r\n").status == 400
        lines = log.wait(2)
    assert [(line["client"], line["status"]) for line in lines] == [
        ("192.0.2.7", 200),
        ("192.0.2.7", 400),
    ]


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"access_log_skip": ("/skip",)}, ["/ok", "/missing", "/broken", "/slow"]),
    ({"access_log_sample": ("2xx=0",)}, ["/missing", "/broken"]),
    ({"access_log_sample": ("2xx=0", "404=0")}, ["/broken"]),
    ({"access_log_slow": 0.03}, ["/broken", "/slow"]),
    ({"access_log_slow": 0.03, "access_log_sample": ("4xx=1",)}, ["/missing", "/broken", "/slow"]),
]


@pytest.mark.parametrize(("settings", "kept"), FILTERS)
def test_filters(tmp_path: Path, settings: dict[str, Any], kept: list[str]) -> None:
    """Paths, shares of statuses and what was quick can be left out."""
    statuses = {"/missing": "404 Not Found", "/broken": "500 Internal Server Error"}
    wait = threading.Event().wait

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/slow":
            wait(0.03)
        start_response(statuses.get(path, "200 OK"), [PLAIN])
        return [b""]

    with logged(tmp_path, **settings) as (live, log):
        live.play(application)
        with live.connect() as client:
            for path in ("/ok", "/skip", "/missing", "/broken", "/slow"):
                client.get(path)
        lines = log.wait(len(kept))
    assert [line["target"] for line in lines] == kept
