"""A streamed response that proves that its blocks are sent one by one.

The application's generator does not go on before the client has read the first block. A server
that holds a block back gets both of them stuck, and after `DEADLINE` the test fails.
"""

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

DEADLINE = 5.0
"""Seconds until a block that does not come has failed; nothing waits that long otherwise."""

FIRST = "first: grüß\n".encode()
SECOND = b"second\n"


class Streamed:
    """One such response: `blocks` is for the application, `check` for the client."""

    def __init__(self) -> None:
        self.first_was_read = threading.Event()
        self.closed = threading.Event()

    def blocks(self) -> Iterator[bytes]:
        """Yield the first block, and the second one when the first has been read."""
        try:
            yield FIRST
            assert self.first_was_read.wait(DEADLINE), "the first block did not arrive"
            yield SECOND
        finally:
            self.closed.set()

    def check(self, url: str) -> None:
        """Read the response, and see each block arrive on its own and the generator closed."""
        where = urlsplit(url)
        connection = HTTPConnection(where.netloc, timeout=2 * DEADLINE)
        connection.request("GET", where.path)
        response = connection.getresponse()
        assert response.status == 200
        assert response.getheader("Content-Length") is None
        assert response.readline() == FIRST
        self.first_was_read.set()
        assert response.read() == SECOND
        assert self.closed.wait(DEADLINE)
        connection.close()

    def abandon(self, url: str) -> None:
        """Leave after the first block, and see the generator closed all the same."""
        where = urlsplit(url)
        connection = HTTPConnection(where.netloc, timeout=2 * DEADLINE)
        connection.request("GET", where.path)
        response = connection.getresponse()
        assert response.readline() == FIRST
        response.close()
        connection.close()
        self.first_was_read.set()
        assert self.closed.wait(DEADLINE)
