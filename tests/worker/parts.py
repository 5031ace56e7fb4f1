"""A server with requests that are fast, slow or stuck, and how to ask for them."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.testing import LiveServer

from ..applications import PLAIN
from ..live import eventually
from ..wire.client import Client, Response, request

BURN_SECONDS = 2.0


class Parts:
    """/burn computes, /wait stays until `go` is set, /slow sleeps, everything else says hello."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.entered = threading.Semaphore(0)
        self.inside = 0
        self.most_inside = 0
        self.threads: set[int] = set()
        self._mutex = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._mutex:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            self.threads.add(threading.get_ident())
        self.entered.release()
        path = environ["PATH_INFO"]
        if path == "/burn":
            ends = time.perf_counter() + BURN_SECONDS
            while time.perf_counter() < ends:
                pass
        elif path == "/wait":
            assert self.go.wait(5)
        elif path == "/slow":
            time.sleep(0.005)
        elif path == "/read":
            environ["wsgi.input"].read()
        with self._mutex:
            self.inside -= 1
        start_response("200 OK", [PLAIN])
        return [path.encode()]


Served = tuple[LiveServer, Parts]


@contextlib.contextmanager
def serving(threads: int, **settings: object) -> Iterator[Served]:
    """Serve `Parts`; every thread of the server ends with it."""
    parts = Parts()
    with LiveServer(parts, threads=threads, **settings) as server:
        try:
            yield server, parts
        finally:
            parts.go.set()
    eventually(lambda: not workers(), "all threads end")


def is_worker(thread: threading.Thread) -> bool:
    """Whether it is one that runs the event loop and applications: not the warden, nor middleware's."""
    return re.fullmatch(r"breezeway-\d+", thread.name) is not None


def workers() -> list[threading.Thread]:
    """Return the threads of servers that run applications."""
    return [thread for thread in threading.enumerate() if is_worker(thread)]


@contextlib.contextmanager
def asked(server: LiveServer, path: str, count: int = 1) -> Iterator[list[Client]]:
    """Send a request on as many connections."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(count)]
        for client in clients:
            client.send(request("GET", path))
        yield clients


def hello(client: Client) -> float:
    """Ask for something fast; return how long it took."""
    began = time.perf_counter()
    assert client.get("/hello").body == b"/hello"
    return time.perf_counter() - began


def answers(clients: list[Client]) -> list[Response]:
    """Read one answer of each."""
    return [client.response() for client in clients]
