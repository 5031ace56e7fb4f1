"""A reverse proxy whose upstreams, clients and processes fail, at every stage."""

from __future__ import annotations

import gc
import http.client
import logging
import os
import socket
import threading
import time
from typing import Any

import pytest

from breezeway.middleware import Proxy
from breezeway.middleware.proxy.errors import UpstreamError
from breezeway.testing import LiveServer

from ..live import eventually
from .calling import call, make_environ, run
from .upstreams import OK, Peer, Upstream, answering, nowhere, upstream

FRONT = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
QUICK: dict[str, Any] = {"read_timeout": 0.2, "connect_timeout": 0.5}


def ask(proxy: Proxy, method: str = "GET", **more: Any) -> Any:
    """Ask without the validator; return the iterable, which is not closed."""
    environ = make_environ(method=method, **more)
    return proxy(environ, lambda *given: print)


def is_whole(proxy: Proxy) -> bool:
    """Tell whether all connections are given back, and nothing counts as under way."""
    each = proxy._upstreams.all[0]
    pool = each.pool.pool
    return pool is not None and pool.full() and not each.active


# --- bad answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n",
        FRONT,
        b"garbage\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 103 Early\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        FRONT + b" folded: x\r\n\r\n",
        FRONT + b"A: b\r\n\tc\r\n\r\n",
        FRONT + b"A : b\r\n\r\n",
        FRONT + b": b\r\n\r\n",
        FRONT + b"A\r\n\r\n",
        FRONT + b"A: b\rc\r\n\r\n",
        FRONT + b"A: b\nC: d\r\n\r\n",
        FRONT + b"A: \x00\r\n\r\n",
        FRONT + b"A\xe9: b\r\n\r\n",
        FRONT + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        FRONT + b"Content-Length: 2, 2\r\n\r\nok",
        FRONT + b"Content-Length: +2\r\n\r\nok",
        FRONT + b"Content-Length: -2\r\n\r\nok",
        FRONT + b"Content-Length: \r\n\r\nok",
        FRONT + b"Content-Length: 99999999999999999999\r\n\r\nok",
        FRONT + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        FRONT + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        FRONT + b"Transfer-Encoding: xchunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        FRONT + b"A: " + b"a" * 70_000 + b"\r\n\r\n",
        FRONT + b"A: b\r\n" * 20_000,
        b"a" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
    ],
    ids=lambda answer: repr(answer[:60]),
)
def test_bad_head(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A head that is malformed, endless or cut is 502, plainly and with a line in the log."""
    with upstream(answer, close=True) as running:
        proxy = Proxy(running.url)
        result = call(proxy)
        assert result.status == "502 Bad Gateway"
        assert is_whole(proxy)
        assert result["content-type"] == "text/plain; charset=utf-8"
        assert result["retry-after"] is None
        assert running.connections == 1
    assert running.url in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        FRONT + b"Content-Length: 5\r\n\r\nab",
        FRONT + b"Content-Length: 5\r\n\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"a" * 9000 + b"\r\nab\r\n0\r\n\r\n",
        FRONT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 100 + b"\r\n",
    ],
    ids=lambda answer: repr(answer[45:100]),
)
def test_cut_content_never_looks_whole(answer: bytes) -> None:
    """A response that breaks off, or whose chunks cannot be read, breaks off for the client, too."""
    with upstream(answer, close=True) as running:
        proxy = Proxy(running.url)
        with pytest.raises(UpstreamError, match="cut short"):
            run(proxy, make_environ())
        assert is_whole(proxy)
        assert proxy.status[0]["failures"] == 1
        with LiveServer(proxy) as front:
            connection = http.client.HTTPConnection(*front.address, timeout=10)
            connection.request("GET", "/")
            response = connection.getresponse()
            if response.status == 200:
                with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                    response.read()
            else:  # nothing of the content had been sent
                assert response.status == 500
                response.read()
            connection.close()


@pytest.mark.parametrize("stage", ["accept", "head", "status", "fields", "body", "chunk"])
def test_reset(stage: str) -> None:
    """A reset at whichever stage is 502 before the head has gone out, and breaks off after."""

    def play(peer: Peer) -> None:
        if stage != "accept":
            peer.head()
        if stage == "status":
            peer.send(b"HTTP/1.")
        if stage == "fields":
            peer.send(FRONT)
        if stage == "body":
            peer.send(FRONT + b"Content-Length: 5\r\n\r\nab")
        if stage == "chunk":
            peer.send(FRONT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab")
        if stage in ("body", "chunk"):
            assert begun.wait(10)
        peer.reset()

    begun = threading.Event()
    with Upstream(play) as running:
        proxy = Proxy(running.url)
        if stage in ("body", "chunk"):
            found = ask(proxy)
            begun.set()
            with pytest.raises(UpstreamError):
                list(found)
            found.close()
        else:
            assert call(proxy).code == 502
        assert is_whole(proxy)


# --- time ----------------------------------------------------------------------------------------


def test_no_answer_in_time() -> None:
    """An upstream that says nothing is 504."""
    with upstream() as running:
        assert call(Proxy(running.url, **QUICK)).status == "504 Gateway Timeout"


def drip(peer: Peer, data: bytes, stop: threading.Event) -> None:
    """Send a byte now and then."""
    for each in data:
        if stop.wait(0.01):
            return
        peer.send(bytes([each]))


def test_slow_head() -> None:
    """An upstream that sends a byte now and then does not hold a thread."""
    stop = threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        drip(peer, FRONT + b"A: b\r\n" * 1000, stop)

    with Upstream(play) as running:
        began = time.monotonic()
        assert call(Proxy(running.url, **QUICK)).code == 504
        assert time.monotonic() - began < 2
        stop.set()


def test_slow_content() -> None:
    """A pause within the content is bounded, and so is the response as a whole if that is wanted."""
    stop = threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(FRONT + b"Content-Length: 5000\r\n\r\n")
        drip(peer, b"a" * 5000, stop)

    pausing = Upstream(answering(FRONT + b"Content-Length: 5\r\n\r\nab"))
    with pausing, pytest.raises(UpstreamError):
        run(Proxy(pausing.url, **QUICK), make_environ())
    with Upstream(play) as running:
        began = time.monotonic()
        with pytest.raises(UpstreamError):
            run(Proxy(running.url, total_timeout=0.3), make_environ())
        assert time.monotonic() - began < 2
        stop.set()


def test_upstream_that_reads_nothing() -> None:
    """A body that nobody takes is given up, in time."""
    stop = threading.Event()
    with Upstream(lambda peer: stop.wait(10)) as running:
        result = call(Proxy(running.url, **QUICK), method="POST", body=bytes(20_000_000))
        assert result.code == 504
        stop.set()


def test_body_beyond_the_total_time() -> None:
    """A client that sends and sends does not hold the upstream for longer than the whole may take."""

    class Endless:
        def read1(self, size: int) -> bytes:
            return bytes(size)

        read = read1

    def play(peer: Peer) -> None:
        peer.head()
        peer.wait()

    with Upstream(play) as running:
        environ = make_environ(method="POST", CONTENT_LENGTH="1000000000000")
        environ["wsgi.input"] = Endless()
        started: list[Any] = []
        proxy = Proxy(running.url, total_timeout=0.2)
        list(proxy(environ, lambda *given: started.append(given) or print))
        assert started[0][0] == "504 Gateway Timeout"


def test_early_answer() -> None:
    """An upstream that answers before it has the body is heard; the rest of the body is not sent."""

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 413 No\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno")
        answered.set()
        assert peer.wait()

    class Slow:
        blocks = 0

        def read1(self, size: int) -> bytes:
            self.blocks += 1
            assert answered.wait(10)
            return bytes(size)

        read = read1

    answered = threading.Event()
    with Upstream(play) as running:
        proxy = Proxy(running.url)
        source = Slow()
        environ = make_environ(method="POST", CONTENT_LENGTH="1000000000")
        environ["wsgi.input"] = source
        assert list(proxy(environ, lambda *given: print)) == [b"no"]
        assert source.blocks < 100
        assert is_whole(proxy)
        assert proxy.status[0]["failures"] == 0


@pytest.mark.parametrize("interim", [b"100 Continue", b"103 Early Hints\r\nLink: x"])
def test_interim_answer_stops_nothing(interim: bytes) -> None:
    """An interim response while the body goes out is none that the rest could be spared for."""
    more = threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 " + interim + b"\r\n\r\n")
        more.set()
        assert peer.until(b"end")
        peer.send(OK)

    class Slow:
        blocks = iter([bytes(100), bytes(100), b"end"])

        def read1(self, size: int) -> bytes:
            assert more.wait(10)
            return next(self.blocks)

        read = read1

    with Upstream(play) as running:
        proxy = Proxy(running.url)
        environ = make_environ(method="POST", CONTENT_LENGTH="203")
        environ["wsgi.input"] = Slow()
        assert list(proxy(environ, lambda *given: print)) == [b"ok"]


def test_client_that_stops_sending() -> None:
    """A body that ends early is not passed off as whole."""
    bodies = []

    def play(peer: Peer) -> None:
        peer.head()
        bodies.append(peer.wait())

    with Upstream(play) as running:
        proxy = Proxy(running.url)
        environ = make_environ(method="POST", body=b"12345", CONTENT_LENGTH="10")
        started: list[Any] = []
        list(proxy(environ, lambda *given: started.append(given) or print))
        assert started[0][0] == "400 Bad Request"
        eventually(lambda: bodies == [True], "the connection is closed")
        assert proxy.status[0]["failures"] == 0
        assert is_whole(proxy)


def test_client_that_leaves() -> None:
    """close() in the middle of a response closes the connection, and its place is free again."""
    gone = threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(FRONT + b"Content-Length: 1000000000\r\n\r\n" + b"a" * 65536)
        if peer.wait():
            gone.set()

    with Upstream(play) as running:
        proxy = Proxy(running.url, connections=1)
        for _ in range(3):
            gone.clear()
            found = ask(proxy)
            assert next(iter(found))
            assert proxy.status[0]["active"] == 1
            found.close()
            found.close()
            assert gone.wait(10)
        assert is_whole(proxy)
        assert proxy.status[0] | {"url": ""} == {
            "url": "",
            "state": "closed",
            "up": True,
            "active": 0,
            "requests": 3,
            "failures": 0,
        }


def test_start_response_that_fails() -> None:
    """A server that does not take the head gets its connection back."""

    def refuse(*given: Any) -> Any:
        raise LookupError

    with upstream(FRONT + b"Content-Length: 100000\r\n\r\nab") as running:
        proxy = Proxy(running.url)
        with pytest.raises(LookupError):
            proxy(make_environ(), refuse)
        assert is_whole(proxy)


# --- connections ---------------------------------------------------------------------------------


def test_connections_are_kept_and_bounded() -> None:
    """A connection serves many requests; when all are taken, the answer is 503 for now."""
    with Upstream(answering(*[OK] * 10)) as running:
        proxy = Proxy(running.url)
        assert [call(proxy).body for _ in range(10)] == [b"ok"] * 10
        assert running.connections == 1
    with upstream(FRONT + b"Content-Length: 5\r\n\r\nab") as running:
        proxy = Proxy(running.url, connections=1, connect_timeout=0.05)
        held = ask(proxy)
        result = call(proxy)
        assert (result.code, result["retry-after"]) == (503, "5")
        assert proxy.status[0]["failures"] == 0
        held.close()


def test_what_follows_a_response_belongs_to_nobody() -> None:
    """Bytes past the end of a response do not become the answer to the next request."""
    evil = OK + OK.replace(b"ok", b"no")
    with upstream(evil, OK, OK) as running:
        proxy = Proxy(running.url)
        assert [call(proxy).body, call(proxy, method="HEAD").body] == [b"ok", b""]
        assert running.connections == 2


def stale(*answers: bytes) -> Any:
    """Play an upstream whose first connection ends at the second request, as at a restart."""

    def play(peer: Peer) -> None:
        if peer.number == 0:
            peer.head()
            peer.send(OK)
            peer.head()
            peer.reset()
        else:
            answering(*answers)(peer)

    return play


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_stale_connection(method: str) -> None:
    """A request that cannot have had an effect twice is sent again; nobody sees that."""
    with Upstream(stale(OK)) as running:
        proxy = Proxy(running.url)
        assert call(proxy).code == 200
        assert call(proxy, method=method).code == 200
        assert proxy.status[0]["failures"] == 0


@pytest.mark.parametrize(("method", "body"), [("POST", b""), ("PUT", b"x"), ("PATCH", b"")])
def test_stale_connection_not_twice(method: str, body: bytes) -> None:
    """What might have had an effect, or cannot be sent again, is not."""

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(OK)
        peer.head()
        if body:
            peer.until(body)
        peer.reset()

    with Upstream(play) as running:
        proxy = Proxy(running.url)
        assert call(proxy).code == 200
        assert call(proxy, method=method, body=body).code == 502
        assert running.connections == 1


def test_closed_connection_is_noticed() -> None:
    """A connection that the upstream has closed meanwhile is not used, not even for POST."""
    closed = threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(OK)
        peer.socket.close()
        closed.set()

    with Upstream(play) as running:
        proxy = Proxy(running.url)
        for _ in range(3):
            closed.clear()
            assert call(proxy, method="POST", body=b"x").code == 200
            assert closed.wait(10)


def test_what_must_not_be_sent_twice_goes_over_a_fresh_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that has been idle for long may be closed at any moment: POST takes a new one."""
    with upstream(*[OK] * 9) as running:
        proxy = Proxy(running.url)
        for method in ("POST", "POST", "GET", "POST"):
            assert call(proxy, method=method).code == 200
        assert running.connections == 1
        monkeypatch.setattr("breezeway.middleware.proxy.wire.FRESH_SECONDS", -1.0)
        assert call(proxy).code == 200
        assert running.connections == 1
        assert call(proxy, method="PUT", body=b"x").code == 200
        assert running.connections == 2


def test_new_connection_is_not_tried_again() -> None:
    """A new connection that is closed without an answer is the upstream's doing."""
    with Upstream(lambda peer: peer.head()) as running:
        assert call(Proxy(running.url)).code == 502
        assert running.connections == 1


# --- several upstreams ---------------------------------------------------------------------------


def test_round_robin() -> None:
    """Upstreams take turns."""
    with upstream(*[OK] * 9) as one, upstream(*[OK] * 9) as two, upstream(*[OK] * 9) as three:
        proxy = Proxy([one.url, two.url, three.url])
        for _ in range(9):
            assert call(proxy).code == 200
        assert [each["requests"] for each in proxy.status] == [3, 3, 3]


def test_least_connections() -> None:
    """The one with the fewest requests under way gets the next."""
    slow = FRONT + b"Content-Length: 5\r\n\r\nab"
    with upstream(*[slow] * 9) as one, upstream(*[OK] * 9) as two:
        proxy = Proxy([one.url, two.url], balance="least_connections")
        held = ask(proxy)
        for _ in range(5):
            assert call(proxy).code == 200
        assert [each["requests"] for each in proxy.status] == [1, 5]
        held.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_upstream(method: str) -> None:
    """A request that did not get there goes to another one, whatever its method and body."""
    with upstream(*[OK] * 9) as running:
        proxy = Proxy([nowhere(), running.url, nowhere()])
        for _ in range(4):
            assert call(proxy, method=method, body=b"x" if method == "POST" else b"").code == 200


def test_nobody_is_there() -> None:
    """When nobody listens it is 502, at once, and the client may come again."""
    result = call(Proxy(nowhere()))
    assert (result.status, result["retry-after"]) == ("502 Bad Gateway", "5")
    assert call(Proxy("http://nothing.invalid")).code == 502


def test_retries_are_bounded() -> None:
    """No more attempts than there should be."""
    proxy = Proxy([nowhere() for _ in range(5)], retries=1)
    assert call(proxy).code == 502
    assert sum(each["failures"] for each in proxy.status) == 2


def test_breaker(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """After failures in a row nothing is sent for a while; then one request decides."""
    now = [1000.0]
    monkeypatch.setattr("breezeway.middleware.proxy.upstreams.time.monotonic", lambda: now[0])
    good = [False]

    def play(peer: Peer) -> None:
        while peer.head():
            peer.send(OK if good[0] else b"garbage\r\n\r\n")

    with Upstream(play) as running:
        proxy = Proxy(running.url, failures=3, recovery=10)
        for _ in range(3):
            assert proxy.status[0]["state"] == "closed"
            assert call(proxy).code == 502
        assert proxy.status[0]["state"] == "open"
        assert "gets no requests for 10 s" in caplog.text
        now[0] += 6
        result = call(proxy)
        assert (result.status, result["retry-after"]) == ("503 Service Unavailable", "4")
        assert "no upstream is in service" in caplog.text
        assert running.connections == 3
        now[0] += 4
        assert proxy.status[0]["state"] == "half-open"
        assert call(proxy).code == 502
        assert proxy.status[0]["state"] == "open"
        good[0] = True
        now[0] += 10
        assert call(proxy).code == 200
        assert proxy.status[0]["state"] == "closed"
        assert "answers again" in caplog.text
        assert running.connections == 5


def test_breaker_opens_for_content_that_breaks_off() -> None:
    """An upstream whose answers all begin well and break off is out of service, too."""
    good = [True]

    def play(peer: Peer) -> None:
        while peer.head():
            peer.send(OK if good[0] else FRONT + b"Content-Length: 5\r\n\r\nab")
            if not good[0]:
                return

    with Upstream(play) as running:
        proxy = Proxy(running.url, failures=3)
        for whole in (False, False, True, False, False, False):
            assert proxy.status[0]["state"] == "closed"
            good[0] = whole
            if whole:
                assert call(proxy).code == 200
            else:
                with pytest.raises(UpstreamError, match="cut short"):
                    run(proxy, make_environ())
        assert proxy.status[0]["state"] == "open"
        assert call(proxy).code == 503


def test_half_open_lets_one_through() -> None:
    """While one request tries, the others wait their turn."""
    proxy = Proxy("http://127.0.0.1:9", failures=1, recovery=0.001)
    upstreams = proxy._upstreams
    (one,) = upstreams.all
    upstreams.failed(one, LookupError("on purpose"))
    upstreams._recovery = 60.0
    eventually(lambda: proxy.status[0]["state"] == "half-open", "half-open")
    assert upstreams.take() is one
    assert upstreams.take() is None
    upstreams.answered(one)
    assert upstreams.take() is one


def test_application_errors_open_nothing() -> None:
    """500 is an answer."""
    answer = OK.replace(b"200 OK", b"500 Oh")
    with Upstream(answering(*[answer] * 20)) as running:
        proxy = Proxy(running.url, failures=1)
        assert {call(proxy).code for _ in range(20)} == {500}


def test_health(caplog: pytest.LogCaptureFixture) -> None:
    """An upstream that says that it is not well gets nothing until it says that it is."""
    caplog.set_level(logging.WARNING)
    well = [False]
    seen: list[bytes] = []

    def play(peer: Peer) -> None:
        while head := peer.head():
            if b"/health" in head:
                seen.append(head)
                peer.send(OK if well[0] else OK.replace(b"200 OK", b"503 No"))
            else:
                peer.send(OK)

    with Upstream(play) as running:
        proxies = [Proxy(running.url, health_path="/health", health_interval=0.01)]
        assert not seen
        call(proxies[0])
        eventually(lambda: not proxies[0].status[0]["up"], "out of service")
        assert call(proxies[0]).code == 503
        assert b"Host: " + running.url[7:].encode() in seen[0]
        well[0] = True
        eventually(lambda: proxies[0].status[0]["up"], "in service")
        assert call(proxies[0]).code == 200
        assert "out of service: /health answers 503" in caplog.text
        (thread,) = proxies[0]._upstreams._watchers
        assert thread.daemon
        proxies.clear()
        eventually(lambda: gc.collect() >= 0 and not thread.is_alive(), "the thread ends")


def test_health_beside_one_that_hangs() -> None:
    """An upstream that does not answer a look holds up no look at the others."""
    done = threading.Event()
    proxies = [Proxy([nowhere(), nowhere()], health_path="/health", health_interval=0.01)]
    hanging = proxies[0]._upstreams.all[0]

    def look(upstream: Any) -> None:
        if upstream is not hanging:
            raise LookupError("on purpose")
        done.wait(60)

    proxies[0]._upstreams.watch = look
    call(proxies[0])
    eventually(lambda: not proxies[0].status[1]["up"], "out of service")
    assert proxies[0].status[0]["up"]
    done.set()
    threads = proxies[0]._upstreams._watchers
    proxies.clear()
    eventually(
        lambda: gc.collect() >= 0 and not any(map(threading.Thread.is_alive, threads)), "end"
    )


# --- threads and processes -----------------------------------------------------------------------


def test_threads() -> None:
    """Sixteen threads share a proxy; each gets its own answer."""

    def echo(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield environ["QUERY_STRING"].encode()
        yield environ["wsgi.input"].read()

    wrong: list[object] = []
    with LiveServer(echo, threads=16) as server:
        proxy = Proxy(server.url, connections=8, balance="least_connections")

        def run_many(name: str) -> None:
            for number in range(20):
                query = f"{name}-{number}"
                result = call(proxy, f"/?{query}", "POST", body=b"+body")
                if result.body != f"{query}+body".encode():
                    wrong.append(result)

        threads = [threading.Thread(target=run_many, args=(f"t{each}",)) for each in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert proxy.status[0]["requests"] == 320
        assert is_whole(proxy)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork() -> None:
    """A process that was forked has connections and counts of its own."""
    with Upstream(answering(*[OK] * 9)) as running:
        proxy = Proxy(running.url, health_path="/health", health_interval=60)
        assert call(proxy).code == 200
        eventually(lambda: running.connections >= 1, "connected")
        inherited = proxy._upstreams.all[0].pool
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                counts = proxy.status[0]["requests"], proxy._upstreams._watchers
                fresh = proxy._upstreams.all[0].pool is not inherited
                result = call(proxy)
                os.write(write, repr((counts, fresh, result.body)).encode())
            finally:
                os._exit(0)
        os.close(write)
        assert os.read(read, 1000) == b"((0, []), True, b'ok')"
        os.close(read)
        os.waitpid(child, 0)
        assert call(proxy).body == b"ok"


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("upstreams", "options", "said"),
    [
        ([], {}, "name one at least"),
        ("ftp://x", {}, "an upstream is a URL"),
        ("127.0.0.1:9000", {}, "an upstream is a URL"),
        ("http://", {}, "an upstream is a URL"),
        ("http://user:word@x", {}, "an upstream is a URL"),
        ("http://x/?a", {}, "an upstream is a URL"),
        ("http://x/#a", {}, "an upstream is a URL"),
        ("http://x/a b", {}, "an upstream is a URL"),
        ("http://x:99999", {}, "an upstream is a URL"),
        ("http://x\r\n", {}, "an upstream is a URL"),
        ("http://caf\xe9", {}, "an upstream is a URL"),
        ([5], {}, "an upstream is a URL"),
        (5, {}, "an upstream is a URL"),
        ("http://x", {"balance": "random"}, "balance"),
        ("http://x", {"connections": 0}, "connections"),
        ("http://x", {"connections": True}, "connections"),
        ("http://x", {"connections": 70_000}, "connections must be at most 65,535"),
        ("http://x", {"read_timeout": 1e20}, "read_timeout must be seconds above 0, a year"),
        ("http://x", {"total_timeout": 1e20}, "total_timeout must be seconds, a year"),
        ("http://x", {"connect_timeout": 0}, "connect_timeout"),
        ("http://x", {"read_timeout": "5"}, "read_timeout"),
        ("http://x", {"read_timeout": float("nan")}, "read_timeout"),
        ("http://x", {"total_timeout": -1}, "total_timeout"),
        ("http://x", {"retries": -1}, "retries"),
        ("http://x", {"failures": 0}, "failures"),
        ("http://x", {"recovery": 0}, "recovery"),
        ("http://x", {"health_path": "health"}, "health_path"),
        ("http://x", {"health_path": "/a b"}, "health_path"),
        ("http://x", {"health_interval": 0}, "health_interval"),
        ("http://x", {"host": "a b"}, "host"),
        ("http://x", {"via": "a b"}, "via"),
        ("http://x", {"rewrite_location": "yes"}, "rewrite_location"),
        ("http://x", {"longest_head": 5}, "longest_head"),
        ("http://x", {"verify": 0}, "verify"),
        ("https://x", {"ca_file": "/nonexistent"}, "ca_file"),
    ],
)
def test_options_are_checked(upstreams: Any, options: dict[str, Any], said: str) -> None:
    """What cannot be is told at construction."""
    with pytest.raises(ValueError, match=said):
        Proxy(upstreams, **options)


def test_without_urllib3(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is told."""
    import sys

    import breezeway.middleware.proxy

    monkeypatch.setitem(sys.modules, "urllib3", None)
    monkeypatch.delitem(sys.modules, "breezeway.middleware.proxy.wire", raising=False)
    monkeypatch.delattr(breezeway.middleware.proxy, "wire", raising=False)
    with pytest.raises(ValueError, match=r"pip install 'breezeway\[proxy\]'"):
        Proxy("http://x")


def test_port_that_is_in_use_for_something_else() -> None:
    """A port that accepts and says something of its own at once is no HTTP server."""
    with Upstream(lambda peer: peer.send(b"SSH-2.0-x\r\n")) as running:
        assert call(Proxy(running.url)).code == 502


def test_backlog_is_full() -> None:
    """A connection that nobody takes is given up, and was not sent anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        for _ in range(3):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(address)
            waiting.append(client)
        result = call(Proxy("http://{}:{}".format(*address), connect_timeout=0.1))
        for client in waiting:
            client.close()
        assert (result.code, result["retry-after"]) == (504, "5")
