"""How answers are framed: RFC 9112 section 6, RFC 9110 sections 6.6.1, 8.6, 9.3.2, 15."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from ..applications import PLAIN, plain, streamed
from ..live import Live
from .client import request

IMF_FIXDATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT"
)
"""RFC 9110 section 5.6.7."""


def bare(status: str, *blocks: bytes, fields: tuple[tuple[str, str], ...] = ()) -> Any:
    """Return an application that sends no fields but the given ones."""

    def application(environ: object, start_response: Any) -> list[bytes]:
        start_response(status, list(fields))
        return list(blocks)

    return application


def test_status_line(live: Live) -> None:
    """RFC 9112 section 4: the status and the reason are the application's."""
    live.play(plain(b"", status="418 I'm a teapot, short and stout"))
    response = live.get()
    assert response.version == "HTTP/1.1"
    assert response.status == 418
    assert response.reason == "I'm a teapot, short and stout"


def test_fields_as_given(live: Live) -> None:
    """RFC 9110 section 5.3: fields go out in order, with repetitions, as the application spelt."""
    fields = [("X-b", "1"), ("Set-Cookie", "a=1"), ("x-A", "2; \t3"), ("Set-Cookie", "b=2")]
    live.play(plain(b"", fields=fields))
    response = live.get()
    assert [field for field in response.fields if field in fields] == fields


def test_latin_1_value(live: Live) -> None:
    """PEP 3333: strings are latin-1 on the wire."""
    live.play(plain(b"", fields=[("X-A", "caf\xe9")]))
    assert live.get().value("X-A") == "caf\xe9"


def test_empty_value(live: Live) -> None:
    """RFC 9110 section 5.5: a value may be empty."""
    live.play(plain(b"", fields=[("X-A", "")]))
    assert live.get().value("X-A") == ""


def test_date(live: Live) -> None:
    """RFC 9110 section 6.6.1: a server with a clock dates each answer."""
    live.play(plain(b""))
    date = live.get().value("Date")
    assert date is not None
    assert IMF_FIXDATE.fullmatch(date)
    assert abs(datetime.now(UTC) - parsedate_to_datetime(date)) < timedelta(seconds=5)


def test_date_of_the_application(live: Live) -> None:
    """RFC 9110 section 6.6.1: an application's own date is not doubled."""
    mine = "Sun, 06 Nov 1994 08:49:37 GMT"
    live.play(plain(b"", fields=[("date", mine)]))
    assert live.get().values("Date") == [mine]


def test_server_of_the_application(live: Live) -> None:
    """RFC 9110 section 10.2.4: an application's own Server field is not doubled."""
    live.play(plain(b"", fields=[("server", "mine")]))
    assert live.get().values("Server") == ["mine"]


def test_head_has_the_fields_of_get(live: Live) -> None:
    """RFC 9110 section 9.3.2: HEAD gets the fields that GET would, and no content."""
    live.play(plain(b"hello", fields=[("X-A", "b")]))
    with live.connect() as client:
        get = client.get("/")
        client.send(request("HEAD", "/"))
        head = client.response("HEAD")
        assert {name for name, _ in head.fields} == {name for name, _ in get.fields}
        assert head.value("Content-Length") == "5"
        assert client.get("/").body == b"hello"


def test_head_of_a_stream(live: Live) -> None:
    """RFC 9110 section 9.3.2: no content, not even the chunk that would end it."""
    live.play(streamed(b"hello", b"world"))
    with live.connect() as client:
        client.send(request("HEAD", "/"))
        assert client.response("HEAD").status == 200
        assert client.get("/").body == b"helloworld"


def test_head_with_a_length_and_no_content(live: Live) -> None:
    """RFC 9110 section 9.3.2: an application may answer HEAD with a length and nothing else."""
    live.play(plain(fields=[("Content-Length", "1000")]))
    with live.connect() as client:
        client.send(request("HEAD", "/"))
        assert client.response("HEAD").value("Content-Length") == "1000"
        client.send(request("HEAD", "/"))
        assert client.response("HEAD").status == 200


def test_head_that_says_nothing_of_its_length(live: Live) -> None:
    """RFC 9110 section 8.6: an empty body to HEAD does not mean that GET has none."""
    live.play(plain())
    with live.connect() as client:
        client.send(request("HEAD", "/"))
        assert client.response("HEAD").value("Content-Length") is None
        assert client.get("/").value("Content-Length") == "0"


def test_head_1_0(live: Live) -> None:
    """RFC 9110 section 9.3.2: the same for 1.0, up to the end of the connection."""
    live.play(plain(b"hello"))
    with live.connect() as client:
        client.send(request("HEAD", "/", version="1.0"))
        assert client.response("HEAD").status == 200
        assert client.rest() == b""


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_content(live: Live, status: str, method: str) -> None:
    """RFC 9112 section 6.3: 204 and 304 end with their head, and the connection goes on."""
    live.play(bare(status))
    with live.connect() as client:
        for _ in range(2):
            client.send(request(method, "/"))
            assert client.response(method).status == int(status[:3])
        assert client.silent(0.02)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_no_content_although_the_application_has_some(live: Live, status: str) -> None:
    """RFC 9112 section 6.3: content that must not be there never reaches the wire."""
    live.play(bare(status, b"HTTP/1.1 200 OK\r\n\r\n"))
    with live.connect() as client:
        client.send(request("GET", "/"))
        assert client.response().status in (int(status[:3]), 500)
        live.play(plain(b"after"))
        client.send(request("GET", "/"))
        assert client.response().body == b"after"


def test_204_has_no_length(live: Live) -> None:
    """RFC 9110 section 8.6: no Content-Length in a 204, although many applications set one."""
    live.play(bare("204 No Content", fields=(("Content-Length", "0"),)))
    with live.connect() as client:
        response = client.get("/")
        assert response.status == 204
        assert response.value("Content-Length") is None
        assert client.get("/").status == 204


def test_304_may_have_a_length(live: Live) -> None:
    """RFC 9110 section 8.6: the length of a 304 is that of the 200 which it stands for."""
    live.play(bare("304 Not Modified", fields=(("Content-Length", "1234"),)))
    with live.connect() as client:
        assert client.get("/").value("Content-Length") == "1234"
        assert client.get("/").status == 304


@pytest.mark.parametrize("status", ["100 Continue", "101 Switching Protocols", "103 Early Hints"])
def test_interim_status_is_no_answer(live: Live, status: str) -> None:
    """RFC 9110 section 15.2: an interim status cannot be the final answer."""
    live.play(bare(status))
    assert live.get().status == 500


def test_stream_to_1_1_is_chunked(live: Live) -> None:
    """RFC 9112 section 7.1: content of unknown length goes in chunks, one for each block."""
    live.play(streamed(b"hello", b" ", b"world"))
    with live.connect() as client:
        response = client.get("/")
        assert response.value("Transfer-Encoding") == "chunked"
        assert response.value("Content-Length") is None
        assert response.chunks == (b"hello", b" ", b"world")
        assert client.get("/").body == b"hello world"


def test_stream_to_1_0_ends_with_the_connection(live: Live) -> None:
    """RFC 9112 section 6.1: no Transfer-Encoding to a 1.0 client."""
    live.play(streamed(b"hello", b" ", b"world"))
    with live.connect() as client:
        client.send(request("GET", "/", version="1.0"))
        response = client.response()
        assert response.value("Transfer-Encoding") is None
        assert response.body == b"hello world"


def test_stream_with_a_length(live: Live) -> None:
    """PEP 3333: with the application's own Content-Length nothing needs chunks."""
    live.play(streamed(b"hello", b" ", b"world", fields=[("Content-Length", "11")]))
    with live.connect() as client:
        for _ in range(2):
            response = client.get("/")
            assert response.value("Transfer-Encoding") is None
            assert response.body == b"hello world"


def test_stream_with_a_length_keeps_a_1_0_connection(live: Live) -> None:
    """RFC 9112 section 9.3: a known length lets a 1.0 connection persist."""
    live.play(streamed(b"hello", fields=[("Content-Length", "5")]))
    with live.connect() as client:
        for _ in range(2):
            client.send(request("GET", "/", ("Connection", "keep-alive"), version="1.0"))
            assert client.response().options() == {"keep-alive"}


def test_empty_stream(live: Live) -> None:
    """RFC 9112 section 6.3: a generator that gives nothing is an empty, complete answer."""
    live.play(streamed())
    with live.connect() as client:
        assert client.get("/").body == b""
        assert client.get("/").status == 200


def test_list_has_a_length(live: Live) -> None:
    """RFC 9112 section 6.2: a length that is known is sent."""
    live.play(plain(b"hello", b" world"))
    response = live.get()
    assert response.value("Content-Length") == "11"
    assert response.value("Transfer-Encoding") is None


def test_empty_list_has_length_zero(live: Live) -> None:
    """RFC 9110 section 8.6: also when it is zero."""
    live.play(plain())
    assert live.get().value("Content-Length") == "0"


def test_large_body(live: Live) -> None:
    """RFC 9112 section 6.3: a body that no socket takes at once arrives whole."""
    body = bytes(range(256)) * 20_000
    live.play(plain(body))
    with live.connect() as client:
        assert client.get("/").body == body
        assert client.get("/").body == body


def test_large_stream(live: Live) -> None:
    """RFC 9112 section 7.1: as does one in many blocks."""
    blocks = [bytes([number % 256]) * 10_000 for number in range(500)]
    live.play(streamed(*blocks))
    with live.connect() as client:
        assert client.get("/").body == b"".join(blocks)
        assert PLAIN in client.get("/").fields
