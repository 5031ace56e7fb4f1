"""Every piece, around every kind of application, under three servers: what arrives is the same."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest

from ..servers import DEADLINE_SECONDS, running
from .matrix_app import FILE, KINDS
from .pieces import PIECES

pytestmark = pytest.mark.once

APPLICATION = "tests.middleware.matrix_app:application"

SERVERS = {"breezeway": (), "gunicorn": ("--threads=4",), "waitress": ()}
"""And their arguments."""

SERVERS_OWN = {"connection", "date", "server", "transfer-encoding"}

HAS_A_PAGE = {"Debugger", "Errors", "Proxy"}
"""Pieces that answer for an application that fails; around others that is the server's business."""

FORM = b"said=hello&said=you"
FORM_FIELDS = {"Content-Type": "application/x-www-form-urlencoded"}


class Seen(NamedTuple):
    """What has arrived of a response."""

    status: int
    content: bytes
    whole: bool
    fields: frozenset[tuple[str, str]] = frozenset()
    """Those of the head that are the application's: a piece may add others."""


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Run each of the servers."""
    with running(request.param, APPLICATION, *SERVERS[request.param]) as address:
        yield address


def ask(
    address: tuple[str, int], path: str, method: str = "GET", body: bytes | None = None
) -> Seen:
    """Send one request."""
    connection = http.client.HTTPConnection(*address, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, path, body, FORM_FIELDS if body else {})
        response = connection.getresponse()
        fields = frozenset(
            (name.lower(), value)
            for name, value in response.getheaders()
            if name.lower() not in SERVERS_OWN
        )
        try:
            return Seen(response.status, response.read(), True, fields)
        except http.client.IncompleteRead as error:
            return Seen(response.status, error.partial, False, fields)
    finally:
        connection.close()


REQUESTS = [
    *((kind, "GET", None) for kind in KINDS),
    *((kind, "HEAD", None) for kind in KINDS if not kind.startswith("failing")),
    ("block", "POST", FORM),
    ("flask", "POST", FORM),
]


@cache
def bare(address: tuple[str, int], kind: str, method: str, body: bytes | None) -> Seen:
    """Ask the application without anything around it."""
    return ask(address, f"/bare/{kind}/", method, body)


@pytest.mark.parametrize("piece", PIECES)
def test_same_bytes(server: tuple[str, int], piece: str) -> None:
    """Around each kind of application a piece leaves status, content and fields as they are."""
    for kind, method, body in REQUESTS:
        wanted = bare(server, kind, method, body)
        found = ask(server, f"/{piece}/{kind}/", method, body)
        if kind == "failing" and piece in HAS_A_PAGE:
            assert (found.status, found.whole) == (500, True), (kind, found)
        else:
            assert found[:3] == wanted[:3], (kind, method)
            assert wanted.fields <= found.fields, (kind, method)


def test_what_is_compared(server: tuple[str, int]) -> None:
    """The applications answer what they are meant to, under each server."""
    assert ask(server, "/bare/block/", "POST", FORM)[:3] == (200, FORM + b"<p>POST", True)
    assert ask(server, "/bare/file/")[:3] == (200, FILE, True)
    assert ask(server, "/bare/written/")[:3] == (200, b"first,second", True)
    assert ask(server, "/bare/generator/").content.endswith(b"second,third")
    assert b"<p>hello,you</p>" in ask(server, "/bare/flask/", "POST", FORM).content
    assert ask(server, "/bare/failing/").status == 500
    assert ask(server, "/bare/failing_late/")[1:3] == (b"first", False)
