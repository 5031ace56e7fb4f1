"""Is the answer right? A server is measured only after it has passed this, over a raw socket."""

from __future__ import annotations

import contextlib
import tempfile

import apps
from client import Connection, Response
from peers import Peer
from scenarios import Kind, Scenario

TIMEOUT = 5.0  # seconds for one answer
BODY_LIMIT = 60  # characters of a wrong value that are shown
CLOSE_TIMEOUT = 2.0  # seconds for the server to close after `Connection: close`
MOST_CONNECTIONS = 64  # that are opened by the check


class WrongError(Exception):
    """The server answers wrongly: what it did."""


def check(scenario: Scenario, peer: Peer, port: int) -> list[str]:
    """Raise `WrongError` unless the server does what the scenario needs; return remarks."""
    try:
        remarks = _check_answers(scenario, peer, port)
        if scenario.streams:
            _check_streaming(scenario, port)
        if "no keep-alive" not in remarks and not scenario.closes:
            _check_every_connection(scenario, port)
    except (OSError, ValueError) as error:
        raise WrongError(f"wrong: {error or type(error).__name__}") from None
    return remarks


def check_response(scenario: Scenario, response: Response) -> None:
    """Raise `WrongError` unless status, headers and body are as expected."""
    _expect("version", response.version, "HTTP/1.1")
    _expect("status", response.status, 200)
    content_type = response.headers.get("content-type", "")
    _expect("Content-Type", content_type.partition(";")[0], "text/plain")
    if response.body != scenario.answer:
        got, wanted = len(response.body), len(scenario.answer)
        raise WrongError(f"wrong: body of {got} bytes, expected {wanted} others")
    if not scenario.streams:
        _expect("framing", response.framing, "length")


def _check_answers(scenario: Scenario, peer: Peer, port: int) -> list[str]:
    """Ask twice on one connection, as the scenario's clients will, or see the server close it."""
    request = scenario.request(port)
    with Connection(port, TIMEOUT) as connection:
        response = connection.ask(request)
        check_response(scenario, response)
        closes = response.closes
        if response.framing == "close" and not closes:
            raise WrongError("wrong: ends the body with the connection and does not say so")
        if scenario.closes:
            connection.socket.settimeout(CLOSE_TIMEOUT)
            if not connection.closed_by_peer():
                raise WrongError("wrong: does not close after Connection: close")
        elif not closes:
            check_response(scenario, connection.ask(request))
        elif not scenario.streams and not peer.may_close:
            raise WrongError("wrong: says Connection: close")
    if scenario.kind is Kind.IDLE and closes:
        raise WrongError("no keep-alive")
    if scenario.beside:
        with Connection(port, TIMEOUT) as connection:
            check_response(scenario, connection.ask(scenario.request(port, scenario.beside)))
    return _remarks(scenario, response)


def _remarks(scenario: Scenario, response: Response) -> list[str]:
    """Say what a reader of the figures should know of a lawful answer."""
    remarks = []
    if response.closes and not scenario.closes:
        remarks.append("no keep-alive")
    if response.framing == "close":
        remarks.append("the body ends with the connection, which wrk counts as an error")
    if "date" not in response.headers:
        remarks.append("no Date")
    return remarks


def _check_every_connection(scenario: Scenario, port: int) -> None:
    """Ask on as many connections as the load will open, while all of them stay open."""
    request = scenario.request(port)
    count = min(scenario.connections, MOST_CONNECTIONS)
    with contextlib.ExitStack() as stack:
        for number in range(count):
            connection = stack.enter_context(Connection(port, TIMEOUT))
            try:
                check_response(scenario, connection.ask(request))
            except TimeoutError:
                raise WrongError(f"wrong: answers {number} of {count} open connections") from None


def _check_streaming(scenario: Scenario, port: int) -> None:
    """Confirm each block to the application, which waits for that before it makes the next.

    So nothing depends on how fast the machine is. A server that keeps a block back, be it only
    until the next one is there, makes the application give up and answer other blocks.
    """
    with tempfile.NamedTemporaryFile("wb", buffering=0) as confirmations:
        confirmed = 0

        def confirm(length: int) -> None:
            nonlocal confirmed
            while confirmed < length // len(apps.BLOCK):
                confirmations.write(b".")
                confirmed += 1

        request = scenario.request(port, f"/?{confirmations.name}")
        with Connection(port, TIMEOUT) as connection:
            body = connection.ask(request, watch=confirm).body
    if apps.LATE_BLOCK in body:
        raise WrongError("buffers the blocks")
    if body != scenario.answer:
        raise WrongError(f"wrong: body of {len(body)} bytes when streamed")


def _expect(what: str, value: object, wanted: object) -> None:
    if value != wanted:
        raise WrongError(f"wrong: {what} is {str(value)[:BODY_LIMIT]!r}, expected {wanted!r}")
