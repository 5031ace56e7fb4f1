"""The whole corpus against a live server: at once, byte by byte, and with more behind it."""

from __future__ import annotations

import logging

import pytest

from ..applications import Recorder, Seen
from ..corpus import cases
from ..live import Live, eventually
from .client import Client, Response, request

DRIP_BYTES = 400
"""Longer cases are not sent byte by byte: it takes time and shows nothing new."""

AFTER = request("GET", "/after")

# Each Python has the corpus in tests/http1, and a server with much else in the files beside this one.
pytestmark = pytest.mark.once

VALID = cases.valid()
INVALID = cases.invalid()


def _short(all_cases: list) -> list:
    return [case for case in all_cases if len(case.request) <= DRIP_BYTES]


def _name(case: cases.Valid | cases.Invalid) -> str:
    return case.name


@pytest.fixture(scope="module", autouse=True)
def poller() -> None:
    """Take one for all: what the bytes mean does not depend on it."""


@pytest.fixture
def recorder(live: Live) -> Recorder:
    """Return the application, with nothing seen yet."""
    application = Recorder()
    live.play(application)
    return application


@pytest.mark.parametrize("case", VALID, ids=_name)
def test_valid_whole(live: Live, recorder: Recorder, case: cases.Valid) -> None:
    """A good request sent at once is served as the case says."""
    with live.connect() as client:
        client.send(case.request)
        _served(client, recorder, case)


@pytest.mark.parametrize("case", _short(VALID), ids=_name)
def test_valid_byte_by_byte(live: Live, recorder: Recorder, case: cases.Valid) -> None:
    """A good request sent byte by byte is served as if sent at once."""
    with live.connect() as client:
        client.drip(case.request)
        _served(client, recorder, case)


@pytest.mark.parametrize("case", VALID, ids=_name)
def test_valid_with_trailing_data(live: Live, recorder: Recorder, case: cases.Valid) -> None:
    """What follows in the same bytes is the next request, or is ignored after the last."""
    with live.connect() as client:
        client.send(case.request + AFTER)
        last = _answers(client, recorder, case)
        if case.persists:
            assert client.response().status == 200
            assert recorder.seen[-1].environ["PATH_INFO"] == "/after"
        else:
            _closed(client, last)


@pytest.mark.parametrize("case", INVALID, ids=_name)
def test_invalid_whole(
    live: Live, recorder: Recorder, case: cases.Invalid, log: pytest.LogCaptureFixture
) -> None:
    """A bad request sent at once is refused, and the log says so."""
    with live.connect() as client:
        client.send(case.request)
        _refused(client, recorder, case)
    eventually(lambda: any(_ours(record) for record in log.records), "a log line")


@pytest.mark.parametrize("case", _short(INVALID), ids=_name)
def test_invalid_byte_by_byte(live: Live, recorder: Recorder, case: cases.Invalid) -> None:
    """A bad request sent byte by byte is refused as if sent at once."""
    with live.connect() as client:
        client.drip(case.request)
        _refused(client, recorder, case)


@pytest.mark.parametrize("case", [case for case in INVALID if not case.ends], ids=_name)
def test_invalid_with_trailing_data(live: Live, recorder: Recorder, case: cases.Invalid) -> None:
    """What follows a bad request is never served."""
    with live.connect() as client:
        client.send(case.request + AFTER)
        _refused(client, recorder, case)


def _served(client: Client, recorder: Recorder, case: cases.Valid) -> None:
    last = _answers(client, recorder, case)
    if case.persists:
        assert client.get("/after").status == 200
    else:
        _closed(client, last)


def _answers(client: Client, recorder: Recorder, case: cases.Valid) -> Response:
    response = None
    for number, expected in enumerate(case.requests, start=1):
        method = expected.environ.get("REQUEST_METHOD", "GET")
        response = client.response(method)
        assert response.status == 200
        assert response.body == (b"" if method == "HEAD" else str(number).encode())
        _as_expected(recorder.seen[number - 1], expected)
    assert response is not None
    return response


def _as_expected(seen: Seen, expected: cases.Expected) -> None:
    got = {key: seen.environ.get(key) for key in expected.environ}
    assert got == dict(expected.environ)
    assert not seen.environ.keys() & set(expected.absent)
    assert seen.body == expected.body
    if expected.trailers is None:
        assert "breezeway.trailers" not in seen.environ
    else:
        assert _folded(seen.environ["breezeway.trailers"]) == _folded(expected.trailers)


def _folded(trailers: object) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in trailers]  # type: ignore[attr-defined]


def _closed(client: Client, last: Response) -> None:
    assert "keep-alive" not in last.options()
    assert client.rest() == b""


def _refused(client: Client, recorder: Recorder, case: cases.Invalid) -> None:
    if case.ends:
        client.end()
    for number in range(1, case.answered + 1):
        assert client.response().body == str(number).encode()
    refusal = client.response()
    assert refusal.status in case.statuses
    assert refusal.options() == {"close"}
    assert (refusal.value("Content-Type") or "").startswith("text/plain")
    assert refusal.body
    assert client.rest() == b""
    assert len(recorder.seen) == case.answered


def _ours(record: logging.LogRecord) -> bool:
    return record.name.split(".")[0] == "breezeway" and bool(record.getMessage())
