"""What all the frameworks' tests share: a live server for each application, and a client."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from breezeway.testing import LiveServer
from tests.frameworks.streamed import DEADLINE

Serve = Callable[[Any], str]


@contextlib.contextmanager
def served(application: Any) -> Iterator[str]:
    """Serve an application; afterwards see that its server has gone, threads and port."""
    before = set(threading.enumerate())
    with LiveServer(application) as server:
        yield server.url
    for thread in set(threading.enumerate()) - before:
        thread.join(DEADLINE)
        assert not thread.is_alive(), thread.name
    where = urlsplit(server.url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((where.hostname, where.port), timeout=DEADLINE).close()


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Return a function that serves an application while a file's tests run; it gives the URL."""
    with contextlib.ExitStack() as stack:
        yield lambda application: stack.enter_context(served(application))


@pytest.fixture
def client() -> Iterator[requests.Session]:
    """Return a client with its own cookies and connections, that knows nothing of proxies."""
    with requests.Session() as session:
        session.trust_env = False
        yield session
