"""Requests on one connection, each sent when the one before has been answered.

A server may remember what it has checked. Nothing of a request may be believed of the next one.
"""

from __future__ import annotations

import pytest

from ..applications import Recorder
from ..corpus import cases
from ..live import Live
from .client import Client

pytestmark = pytest.mark.once

FIELDS = b"Host: a\r\nX-A: b\r\n\r\n"
GOOD = b"GET /good HTTP/1.1\r\n" + FIELDS
OLD = b"Connection: keep-alive\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"Host: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

PERSISTENT = [case for case in cases.valid() if case.persists and len(case.requests) == 1]
"""Cases of one request after which the connection goes on."""

FIRST_BAD = [case for case in cases.invalid() if not case.answered]
"""Cases that are bad from their first request on."""

BAD: dict[str, tuple[bytes, bytes, int]] = {
    "bad percent": (GOOD, b"GET /%zz HTTP/1.1\r\n" + FIELDS, 400),
    "fragment": (GOOD, b"GET /#f HTTP/1.1\r\n" + FIELDS, 400),
    "raw byte": (GOOD, b"GET /\xe9 HTTP/1.1\r\n" + FIELDS, 400),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n" + FIELDS, b"GET * HTTP/1.1\r\n" + FIELDS, 400),
    "authority": (GOOD, b"GET a:80 HTTP/1.1\r\n" + FIELDS, 400),
    "userinfo": (GOOD, b"GET http://u@a/ HTTP/1.1\r\n" + FIELDS, 400),
    "method": (GOOD, b"G(T / HTTP/1.1\r\n" + FIELDS, 400),
    "connect": (GOOD, b"CONNECT a:80 HTTP/1.1\r\n" + FIELDS, 501),
    "version": (GOOD, b"GET / HTTP/2.0\r\n" + FIELDS, 505),
    "leading space": (GOOD, b" GET / HTTP/1.1\r\n" + FIELDS, 400),
    "trailing space": (GOOD, b"GET / HTTP/1.1 \r\n" + FIELDS, 400),
    "bare LF": (GOOD, b"GET / HTTP/1.1\nX-B: c\r\n" + FIELDS, 400),
    "bare CR": (GOOD, b"GET / HTTP/1.1\rX-B: c\r\n" + FIELDS, 400),
    "line alone": (GOOD, b"\r\n\r\n" + GOOD, 400),
    "too long": (GOOD, b"GET /" + b"x" * 8200 + b" HTTP/1.1\r\n" + FIELDS, 414),
    "no Host in 1.1": (b"GET / HTTP/1.0\r\n" + OLD, b"GET / HTTP/1.1\r\n" + OLD, 400),
    "chunked in 1.0": (b"POST / HTTP/1.1\r\n" + CHUNKED, b"POST / HTTP/1.0\r\n" + CHUNKED, 400),
    "space before the fields": (GOOD, b"GET / HTTP/1.1\r\n " + FIELDS, 400),
    "another Host before": (GOOD, b"GET / HTTP/1.1\r\nHost: b\r\n" + FIELDS, 400),
    "another Host after": (GOOD, GOOD[:-2] + b"Host: b\r\n\r\n", 400),
    "length beside": (POST + b"hello", POST[:-2] + b"Content-Length: 6\r\n\r\nhello!", 400),
    "chunked beside": (POST + b"hello", POST[:-2] + b"Transfer-Encoding: chunked\r\n\r\n", 400),
    "NUL in a field": (GOOD, GOOD.replace(b": b", b": \0"), 400),
    "space before a colon": (GOOD, GOOD.replace(b"X-A:", b"X-A :"), 400),
    "obs-fold": (GOOD, GOOD.replace(b"X-A", b" X-A"), 400),
}


@pytest.fixture(scope="module", autouse=True)
def poller() -> None:
    """Take one for all: what the bytes mean does not depend on it."""


@pytest.fixture
def recorder(live: Live) -> Recorder:
    """Return the application, with nothing seen yet."""
    application = Recorder()
    live.play(application)
    return application


def served(client: Client, recorder: Recorder, case: cases.Valid) -> None:
    """Send a case and check what the application has seen of it."""
    (expected,) = case.requests
    client.send(case.request)
    response = client.response(expected.environ.get("REQUEST_METHOD", "GET"))
    assert response.status == 200, case.name
    seen = recorder.seen[-1]
    got = {key: seen.environ.get(key) for key in expected.environ}
    assert got == dict(expected.environ), case.name
    assert not seen.environ.keys() & set(expected.absent), case.name
    assert seen.body == expected.body, case.name
    assert ("breezeway.trailers" in seen.environ) == (expected.trailers is not None), case.name


@pytest.mark.parametrize("times", [1, 2, 3])
def test_all_valid_cases_on_one_connection(live: Live, recorder: Recorder, times: int) -> None:
    """RFC 9112 section 9.3: whatever came before, each request is served as if it were alone."""
    with live.connect(deadline=20) as client:
        for case in PERSISTENT:
            for _ in range(times):
                served(client, recorder, case)
    assert len(recorder.seen) == times * len(PERSISTENT)


@pytest.mark.parametrize("order", [1, -1], ids=["forth", "back"])
def test_every_case_beside_a_plain_one(live: Live, recorder: Recorder, order: int) -> None:
    """PEP 3333: nothing of a request shows in the environ of the plain one after it."""
    with live.connect(deadline=20) as client:
        client.send(GOOD)
        assert client.response().status == 200
        plain_keys = recorder.seen[-1].environ.keys()
        for case in PERSISTENT[::order]:
            served(client, recorder, case)
            client.send(GOOD)
            assert client.response().status == 200
            assert recorder.seen[-1].environ.keys() == plain_keys, case.name


@pytest.mark.parametrize("warm", [1, 3])
@pytest.mark.parametrize("name", BAD)
def test_bad_after_good(live: Live, recorder: Recorder, name: str, warm: int) -> None:
    """RFC 9112 section 11.2: a bad request is refused, however alike the good ones before were."""
    good, bad, status = BAD[name]
    with live.connect() as client:
        for _ in range(warm):
            client.send(good)
            assert client.response().status == 200
        client.send(bad)
        assert client.response().status == status
        assert client.rest() == b""
    assert len(recorder.seen) == warm


@pytest.mark.parametrize("case", FIRST_BAD, ids=lambda case: case.name)
def test_every_invalid_case_after_good(live: Live, recorder: Recorder, case: cases.Invalid) -> None:
    """RFC 9112 section 11.2: the same for the whole corpus, after a plain request."""
    with live.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status == 200
        client.send(case.request)
        if case.ends:
            client.end()
        assert client.response().status in case.statuses
        assert client.rest() == b""
    assert len(recorder.seen) == 1


def test_version_and_method_are_looked_at_anew(live: Live, recorder: Recorder) -> None:
    """RFC 9112 section 9.3, RFC 9110 section 9.3.2: with equal fields, HEAD and 1.0 still count."""
    with live.connect() as client:
        for method in ("GET", "HEAD", "GET", "HEAD", "POST"):
            client.send(method.encode() + b" / HTTP/1.1\r\n" + FIELDS)
            assert client.response(method).status == 200
            assert recorder.seen[-1].environ["REQUEST_METHOD"] == method
        client.send(b"GET / HTTP/1.0\r\n" + FIELDS)
        assert client.response().status == 200
        assert recorder.seen[-1].environ["SERVER_PROTOCOL"] == "HTTP/1.0"
        assert client.rest() == b""


def test_host_follows_the_target(live: Live, recorder: Recorder) -> None:
    """RFC 9112 section 3.2.2: with equal fields, each target decides about HTTP_HOST."""
    hosts = [b"", b"http://b", b"", b"http://c:80", b"http://b", b""]
    with live.connect() as client:
        for host in hosts:
            client.send(b"GET " + host + b"/ HTTP/1.1\r\n" + FIELDS)
            assert client.response().status == 200
    seen = [seen.environ["HTTP_HOST"] for seen in recorder.seen]
    assert seen == ["a", "b", "a", "c:80", "b", "a"]


def test_same_head_with_other_bodies(live: Live, recorder: Recorder) -> None:
    """RFC 9112 section 6.3: with equal heads, each body is its own, however it arrives."""
    with live.connect() as client:
        for pieces in (
            [POST + b"aaaaa"],
            [POST + b"bbbbb"],
            [POST, b"ccccc"],
            [POST + b"dd", b"ddd"],
            [POST[:30], POST[30:] + b"eeeee"],
        ):
            for piece in pieces[:-1]:
                client.send(piece)
                assert client.silent(0.01)
            client.send(pieces[-1])
            assert client.response().status == 200
    assert [seen.body[:1] for seen in recorder.seen] == [b"a", b"b", b"c", b"d", b"e"]
