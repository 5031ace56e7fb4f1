"""Many clients with many requests at once, some of them slow: what only shows under load."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN
from ..live import Live, serving
from .client import Client, request

CLIENTS = 16
ROUNDS = 40
PIPELINED = 20
SLOW_SHARE = 0.05
SLOW_SECONDS = 0.002
"""Longer than a thread keeps the event loop to itself, so that it changes hands in between."""

CROWD_SECONDS = 20.0


def as_list(path: str) -> Iterable[bytes]:
    """Answer with the path, as a list."""
    return [path.encode()]


def as_blocks(path: str) -> Iterator[bytes]:
    """Answer with the path, byte by byte."""
    for character in path:
        yield character.encode()


@pytest.fixture(params=[1, 2, 8])
def threaded(request: pytest.FixtureRequest) -> Iterator[Live]:
    """Run servers with few and with more threads."""
    with serving(threads=request.param) as running:
        yield running


@pytest.mark.parametrize("answer", [as_list, as_blocks])
def test_pipelines_with_slow_requests_here_and_there(threaded: Live, answer: object) -> None:
    """RFC 9112 section 9.3.2: every request is answered, in order, whichever thread answers."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/slow"):
            time.sleep(SLOW_SECONDS)
        start_response("200 OK", [PLAIN])
        return answer(path)  # type: ignore[operator]

    threaded.play(application)
    chance = random.Random(ROUNDS)
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(threaded.connect(deadline=CROWD_SECONDS)) for _ in range(CLIENTS)
        ]
        for _ in range(ROUNDS if answer is as_list else ROUNDS // 4):
            asked = [pipeline(chance) for _ in crowd]
            for client, paths in zip(crowd, asked, strict=True):
                client.send(b"".join(request("GET", path) for path in paths))
            for client, paths in zip(crowd, asked, strict=True):
                for path in paths:
                    assert client.response().body == path.encode()


def pipeline(chance: random.Random) -> list[str]:
    """Return paths, of which a few are slow."""
    return [
        f"/{'slow' if chance.random() < SLOW_SHARE else 'fast'}/{number}"
        for number in range(PIPELINED)
    ]


def test_bodies_of_all_sizes_at_once(threaded: Live) -> None:
    """RFC 9112 section 6.3: bodies that arrive in pieces, side by side, stay apart."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [PLAIN])
        return [environ["PATH_INFO"].encode(), b" ", body]

    threaded.play(application)
    failures: list[str] = []

    def run(name: int) -> None:
        chance = random.Random(name)
        with threaded.connect(deadline=CROWD_SECONDS) as client:
            for number in range(20):
                exchange(client, f"/{name}/{number}", chance, failures)

    crowd = [threading.Thread(target=run, args=(name,)) for name in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert failures == []


def exchange(client: Client, path: str, chance: random.Random, failures: list[str]) -> None:
    """Send a body of some size in some pieces, and note when another comes back."""
    body = path.encode() * chance.choice([1, 10, 1000, 10_000, 50_000])
    data = request("POST", path, body=body)
    cut = chance.randrange(len(data))
    try:
        client.send(data[:cut])
        client.send(data[cut:])
        if client.response().body != path.encode() + b" " + body:
            failures.append(path)
    except (AssertionError, OSError) as error:
        failures.append(f"{path}: {error!r}")
