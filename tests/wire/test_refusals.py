"""What a refusal looks like: to the client, and in the log."""

from __future__ import annotations

import pytest

from ..applications import Recorder, plain
from ..live import Live, eventually, serving
from .client import Response, request

REFUSALS = {
    400: b"GET / HTTP/1.1\r\n\r\n",
    413: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
    414: b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    417: b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n",
    431: b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n",
    501: b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    505: b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
}

REASONS = {
    "Host": b"GET / HTTP/1.1\r\n\r\n",
    "Content-Length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\n",
    "transfer": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "version": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "Expect": b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n",
    "request line": b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
}
"""A word that the log line of each refusal has to have, so that it says why."""


def server_lines(log: pytest.LogCaptureFixture) -> list[str]:
    """Return what the server has logged."""
    return [record.getMessage() for record in log.records if record.name.startswith("breezeway")]


def refused(live: Live, data: bytes) -> Response:
    """Send bytes, check that the server closes after one answer, and return that."""
    with live.connect() as client:
        client.send(data)
        response = client.response()
        assert client.rest() == b""
    return response


@pytest.mark.parametrize("status", REFUSALS)
def test_refusal(live: Live, status: int) -> None:
    """RFC 9110 section 15: the right status, a plain body with a length, close, a date."""
    recorder = Recorder()
    live.play(recorder)
    response = refused(live, REFUSALS[status])
    assert response.status == status
    assert response.reason
    assert (response.value("Content-Type") or "").startswith("text/plain")
    assert response.options() == {"close"}
    assert response.value("Content-Length") == str(len(response.body))
    assert response.value("Date")
    assert response.body.decode("ascii").isprintable() or response.body.endswith(b"\n")
    assert recorder.seen == []


@pytest.mark.parametrize("word", REASONS)
def test_log_says_why(live: Live, log: pytest.LogCaptureFixture, word: str) -> None:
    """Each refusal has a log line with its reason."""
    live.play(plain())
    refused(live, REASONS[word])
    eventually(
        lambda: any(word.lower() in line.lower() for line in server_lines(log)),
        f"a log line with {word!r}",
    )


def test_log_line_is_one_line(live: Live, log: pytest.LogCaptureFixture) -> None:
    """A client cannot write lines or terminal codes into the log."""
    live.play(plain())
    evil = b"\x1b[2J\x85\nforged"
    for data in (
        b"GET /" + evil + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + evil + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + evil + b": x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x85\xa0x\r\n\r\n",
        b"GET / " + evil + b"\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + evil + b"\r\n",
    ):
        refused(live, data)
    eventually(lambda: len(server_lines(log)) >= 6, "six log lines")
    assert all(line.isprintable() for line in server_lines(log))


def test_client_finds_nothing_of_its_own(live: Live) -> None:
    """A refusal repeats nothing that was sent, so that it cannot carry an attack."""
    live.play(plain())
    response = refused(live, b"GET /<script>%zz HTTP/1.1\r\nHost: a\r\nX-A: <script>\r\n\r\n")
    assert b"script" not in response.body
    assert all("script" not in value for _, value in response.fields)


def test_refusal_of_head_has_no_body(live: Live) -> None:
    """RFC 9110 section 9.3.2: an answer to HEAD has no content, this one neither."""
    live.play(plain())
    with live.connect() as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a/b\r\n\r\n")
        assert client.response("HEAD").status == 400
        assert client.rest() == b""


def test_refusal_reaches_a_client_that_goes_on_sending(live: Live) -> None:
    """RFC 9112 section 9.6: the server closes in stages, so that no reset eats the answer."""
    live.play(plain())
    with live.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\n" + b"x" * 200_000)
        assert client.response().status == 400
        assert client.rest() == b""


def test_body_larger_than_the_limit() -> None:
    """RFC 9110 section 15.5.14: 413 for what exceeds the limit, known ahead or found on the way."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\n"
    chunks = b"400\r\n" + b"x" * 1024 + b"\r\n"
    with serving(limit_body=2048) as live:
        recorder = Recorder()
        live.play(recorder)
        assert refused(live, head + b"Content-Length: 2049\r\n\r\n").status == 413
        over = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks * 2 + b"1\r\nx\r\n0\r\n\r\n"
        assert refused(live, over).status == 413
        assert recorder.seen == []
        assert live.send(request("POST", "/", body=b"x" * 2048)).status == 200
        whole = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks * 2 + b"0\r\n\r\n"
        assert live.send(whole).status == 200
        assert [len(seen.body) for seen in recorder.seen] == [2048, 2048]


def test_limits_are_settings() -> None:
    """RFC 6585 section 5, RFC 9110 section 15.5.15: other limits refuse at other sizes."""
    with serving(limit_request_line=100, limit_head=1000, limit_fields=5) as live:
        live.play(plain(b"ok"))
        assert live.get("/" + "x" * 50).status == 200
        assert live.get("/" + "x" * 100).status == 414
        assert live.get("/", ("X-A", "x" * 1000)).status == 431
        assert live.get("/", *[("X-A", "b")] * 4).status == 200
        assert live.get("/", *[("X-A", "b")] * 5).status == 431
