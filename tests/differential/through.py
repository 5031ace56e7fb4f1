"""Sends bytes through a proxy to a live Breezeway, and compares what the two have seen.

Each input has a client address of its own (127.0.0.0/8 is all ours), by which the proxy's log, the
requests that reach the application and the answers that reach the client are put together.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from breezeway.testing import LiveServer

from .inputs import Input
from .proxies import Forwarded, Proxy

CLIENTS = 16
"""At the same time: they share the proxy's connections to the server."""

ANSWER_SECONDS = 15.0
PAUSE_SECONDS = 0.005
"""Between two pieces: long enough for a proxy to forward the first; if it has not, nothing is lost."""

_ANSWER_TO = re.compile(rb"(?i)\r\nX-Answer-To: ([^\r\n]*)\r\n")


class Seen(NamedTuple):
    """One request as the application saw it, and as the proxy says it has seen it."""

    number: str
    ours: dict[str, str]
    theirs: dict[str, str]
    body: bytes


class Passage(NamedTuple):
    """What became of one input on its way through one proxy."""

    input: Input
    accepted: int
    """Requests that reached the application."""
    refused: int
    """Requests that the proxy forwarded and Breezeway refused."""
    bodies: tuple[bytes, ...]
    """Of the requests that reached the application."""
    complaints: tuple[str, ...]
    """In what the two do not agree."""


class Application:
    """Keeps the requests that it sees, by the address of the client."""

    def __init__(self) -> None:
        self.seen: defaultdict[str, list[Seen]] = defaultdict(list)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read()
        theirs = {
            key.removeprefix("HTTP_X_SEEN_").lower(): value
            for key, value in environ.items()
            if key.startswith("HTTP_X_SEEN_")
        }
        ours = {
            "method": environ["REQUEST_METHOD"],
            "uri": environ["RAW_URI"],
            "host": environ.get("HTTP_HOST", ""),
            "size": str(len(body)),
            "digest": hashlib.sha1(body).hexdigest().upper(),
        }
        length = theirs.pop("length", "")
        if length:  # else the body comes in chunks, or there is none
            ours["length"] = str(len(body))
            theirs["length"] = length.lstrip("0") or "0"
        number = theirs.pop("id", "none")
        client = theirs.pop("from", "nobody")
        self.seen[client].append(Seen(number, ours, theirs, body))
        start_response("200 OK", [("Content-Length", "2"), ("X-Answer-To", number)])
        return [b"ok"]


def send_through(kind: type[Proxy], inputs: list[Input]) -> list[Passage]:
    """Send each input on a connection of its own through a proxy."""
    application = Application()
    with (
        tempfile.TemporaryDirectory() as directory,
        LiveServer(application, keep_alive_timeout=60) as server,
    ):
        proxy = kind(Path(directory), server.address[1])
        with proxy.running(), ThreadPoolExecutor(CLIENTS) as clients:
            addresses = [_address(number) for number in range(len(inputs))]
            pieces = [_pieces(each.data) if kind.streaming else [each.data] for each in inputs]
            ask = partial(_answers, proxy.port, half_close=kind.half_closes)
            answers = list(clients.map(ask, addresses, pieces))
        logged: defaultdict[str, list[Forwarded]] = defaultdict(list)
        for entry in proxy.log():
            logged[entry.client].append(entry)
    passages = [
        _passage(each, application.seen.pop(address, []), logged[address], answered)
        for each, address, answered in zip(inputs, addresses, answers, strict=True)
    ]
    for client, seen in application.seen.items():
        complaint = f"requests that the proxy has not forwarded, of {client}: {seen}"
        passages.append(Passage(Input("nobody's", b""), len(seen), 0, (), (complaint,)))
    return passages


def _address(number: int) -> str:
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


def _pieces(data: bytes) -> list[bytes]:
    """Cut in the middle of what comes after the first head, for the proxy to send on what it has."""
    place = (max(0, data.find(b"\r\n\r\n")) + len(data)) // 2
    return [data[:place], data[place:]]


def _answers(port: int, address: str, pieces: list[bytes], *, half_close: bool) -> list[str]:
    """Send bytes from an address; return the numbers of the requests that are answered to it."""
    received = b""
    with socket.socket() as client:
        client.settimeout(ANSWER_SECONDS)
        client.bind((address, 0))
        client.connect(("127.0.0.1", port))
        with contextlib.suppress(OSError):  # the proxy has refused it and gone
            for piece in pieces[:-1]:
                client.sendall(piece)
                time.sleep(PAUSE_SECONDS)
            client.sendall(pieces[-1])
            if half_close:
                client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while piece := client.recv(1 << 16):
                received += piece
    return [number.decode() for number in _ANSWER_TO.findall(received)]


def _passage(
    each: Input, seen: list[Seen], logged: list[Forwarded], answered: list[str]
) -> Passage:
    complaints = [*_differences(seen)]
    forwarded = {entry.number: entry for entry in logged if entry.status}
    numbers = [request.number for request in seen]
    if len({*numbers}) < len(numbers):
        complaints.append(f"one request of the proxy is several: {numbers}")
    if strangers := {*numbers} - {entry.number for entry in logged}:
        complaints.append(f"requests that the proxy has not seen: {strangers}")
    for request in seen:
        entry = forwarded.get(request.number)
        if entry is not None and entry.body is not None and entry.body != request.body:
            complaints.append(f"body {request.body!r}, but {entry.body!r} to the proxy")
    if strangers := {*answered} - {*numbers}:
        complaints.append(f"answers to the requests of others: {strangers}")
    refused = [entry for number, entry in forwarded.items() if number not in numbers]
    if wrong := [entry.status for entry in refused if not 400 <= entry.status < 600]:
        complaints.append(f"answered with {wrong}, but not by the application")
    bodies = tuple(request.body for request in seen)
    return Passage(each, len(seen), len(refused), bodies, tuple(complaints))


def compare_bodies(whole: Iterable[Passage], streamed: Iterable[Passage]) -> Iterator[Passage]:
    """Compare bodies that went through a proxy piece by piece with the same ones read whole.

    Of those, the proxy has told what they are. Returns the passages that differ.
    """
    for one, other in zip(whole, streamed, strict=False):
        if one.accepted == other.accepted and one.bodies != other.bodies:
            complaint = f"bodies {other.bodies!r}, but {one.bodies!r} when they are read whole"
            yield other._replace(complaints=(complaint,))


def _differences(seen: Iterable[Seen]) -> Iterable[str]:
    for request in seen:
        for what, theirs in request.theirs.items():
            if request.ours[what] != theirs:
                yield f"{what} {request.ours[what]!r}, but {theirs!r} to the proxy"
