"""An application cannot write what is the server's to write: RFC 9112 section 11.1, PEP 3333."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, plain
from ..live import Live, eventually

BAD_VALUES = {
    "CR LF": "a\r\nX-Evil: 1",
    "LF": "a\nX-Evil: 1",
    "CR": "a\rX-Evil: 1",
    "CR LF at the end": "a\r\n",
    "LF at the end": "a\n",
    "LF at the beginning": "\nX-Evil: 1",
    "fold": "a\r\n b",
    "a whole response": "a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "NUL": "a\0b",
    "control byte": "a\x01b",
    "escape": "\x1b[2J",
    "DEL": "a\x7fb",
    "vertical tab": "a\x0bb",
    "not latin-1": "\u20ac",
    "LF in disguise": "a\u010aX-Evil: 1",
    "surrogate": "a\udc0a",
}

BAD_NAMES = {
    "empty": "",
    "CR LF": "X\r\nX-Evil",
    "LF": "X-A\n",
    "CR": "X-A\r",
    "NUL": "X\0A",
    "space": "X A",
    "space at the end": "X-A ",
    "space at the beginning": " X-A",
    "tab": "X\tA",
    "colon": "X-A:",
    "a field": "X-Evil: 1\r\nX-A",
    "delimiter": "X(A)",
    "latin-1": "caf\xe9",
    "not latin-1": "\u20ac",
    "control byte": "X\x01",
}

BAD_STATUSES = {
    "CR LF": "200 OK\r\nX-Evil: 1",
    "LF": "200 OK\nX-Evil: 1",
    "CR": "200 OK\r",
    "NUL": "200 O\0K",
    "control byte": "200 \x01",
    "not latin-1": "200 \u20ac",
    "empty": "",
    "no digits": "OK",
    "two digits": "20 OK",
    "four digits": "2000 OK",
    "negative": "-20 OK",
    "no space": "200OK",
    "other digits": "\xb200 OK",
    "leading space": " 200 OK",
    "below 100": "099 Low",
    "above 599": "999 High",
}

HOP_BY_HOP = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Trailers",
    "Transfer-Encoding",
    "Upgrade",
]
"""RFC 2616 section 13.5.1, which PEP 3333 refers to; `Trailers` is how it spelt `Trailer`."""

BAD_LENGTHS = ["", "x", "-1", "+5", "5.0", "0x5", "5, 5", "5 5", "5_0", "\xb2", "1" * 30]


def refused(live: Live, log: pytest.LogCaptureFixture, application: Any) -> None:
    """Check that the client gets a plain 500 with nothing of it, and the operator a log line."""
    live.play(application)
    with live.connect() as client:
        response = client.get("/")
        assert response.status == 500
        assert response.reason == "Internal Server Error"
        assert response.value("X-Evil") is None
        assert response.value("Content-Type") is not None
        live.play(plain(b"after"))
        if "close" in response.options():
            assert client.rest() == b""
        else:
            assert client.get("/").body == b"after"
    eventually(
        lambda: any(
            record.name.startswith("breezeway") and record.levelname == "ERROR"
            for record in log.records
        ),
        "an error in the log",
    )


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES)
def test_values(live: Live, log: pytest.LogCaptureFixture, value: str) -> None:
    """PEP 3333: a value has no control characters; and what is no latin-1 cannot be sent."""
    refused(live, log, plain(b"hello", fields=[("X-A", value)]))


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_names(live: Live, log: pytest.LogCaptureFixture, name: str) -> None:
    """PEP 3333: a name is a valid field name: RFC 9110 section 5.1, a token."""
    refused(live, log, plain(b"hello", fields=[(name, "value")]))


@pytest.mark.parametrize("status", BAD_STATUSES.values(), ids=BAD_STATUSES)
def test_statuses(live: Live, log: pytest.LogCaptureFixture, status: str) -> None:
    """PEP 3333: a status is three digits, a space and a reason without control characters."""
    refused(live, log, plain(b"hello", status=status))


@pytest.mark.parametrize("name", HOP_BY_HOP)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper], ids=["title", "lower", "upper"])
def test_hop_by_hop(live: Live, log: pytest.LogCaptureFixture, name: str, spell: Any) -> None:
    """PEP 3333: hop-by-hop features are the server's; setting such a field is a fatal error."""
    refused(live, log, plain(b"hello", fields=[(spell(name), "close")]))


@pytest.mark.parametrize("length", BAD_LENGTHS)
def test_lengths(live: Live, log: pytest.LogCaptureFixture, length: str) -> None:
    """RFC 9110 section 8.6: Content-Length is digits."""
    refused(live, log, plain(b"hello", fields=[("Content-Length", length)]))


def test_two_lengths(live: Live, log: pytest.LogCaptureFixture) -> None:
    """RFC 9112 section 6.3: Content-Length comes once, equal or not."""
    lengths = [("Content-Length", "5"), ("content-length", "5")]
    refused(live, log, plain(b"hello", fields=lengths))


@pytest.mark.parametrize(
    "field",
    [("X-A", b"b"), (b"X-A", "b"), ("X-A", 1), ("X-A", None), ("X-A",), "X-A: b", None],
    ids=repr,
)
def test_fields_that_are_no_pairs_of_strings(
    live: Live, log: pytest.LogCaptureFixture, field: Any
) -> None:
    """PEP 3333: response_headers is a list of pairs of native strings."""
    refused(live, log, plain(b"hello", fields=[field]))


@pytest.mark.parametrize("status", [200, None, b"200 OK", ("200", "OK")], ids=repr)
def test_status_that_is_no_string(live: Live, log: pytest.LogCaptureFixture, status: Any) -> None:
    """PEP 3333: the status is a native string."""
    refused(live, log, plain(b"hello", status=status))


def test_bad_field_before_a_stream(live: Live, log: pytest.LogCaptureFixture) -> None:
    """PEP 3333: the fields are checked before anything is sent, also of a generator."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN, ("X-A", "b\r\nX-Evil: 1")])
        yield b"hello"

    refused(live, log, application)


def test_repeated_bad_field(live: Live, log: pytest.LogCaptureFixture) -> None:
    """RFC 9112 section 11.1: a bad field is refused the second time as well."""
    for _ in range(3):
        refused(live, log, plain(b"hello", fields=[("X-A", "b\r\nX-Evil: 1")]))


def test_application_can_catch_it(live: Live) -> None:
    """PEP 3333: start_response raises, so that the application learns of its error."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            start_response("200 OK", [("X-A", "b\r\n")])
        except Exception as error:
            caught = type(error).__name__
        start_response("200 OK", [PLAIN])
        return [caught.encode()]

    live.play(application)
    response = live.get()
    assert response.status == 200
    assert response.body in (b"ValueError", b"TypeError", b"AssertionError")
