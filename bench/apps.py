"""The WSGI applications that every server runs; each scenario names one of them.

They are as small as they can be, so that what is measured is the server. `mixed` alone looks at
the path, because there two kinds of request must meet in one process. Responses that are whole
carry Content-Length, as a framework would send them; `blocks` does not, so that the server has to
find the framing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

Environ = dict[str, Any]

HELLO = b"Hello, world!\n"
LARGE = b"0123456789abcdef" * 6400  # 100 KiB
BLOCK = b"x" * 1023 + b"\n"
BLOCK_COUNT = 10
LATE_BLOCK = b"!" * 1023 + b"\n"
BLOCK_LIMIT = 1.0  # seconds in which the client must confirm a block, for the check
BLOCK_LOOK = 0.001  # seconds between two looks for that
SLEEP = 0.005  # seconds in `sleep`
BESIDE = 0.05  # seconds of `/burn` (thread CPU time) and of `/nap` (wall time)
LONG_BURN = 2.0  # seconds of `/burn-long`, thread CPU time
BURN_STEP = 5_000  # turns of the loop between two looks at the clock: some 100 us

PLAIN = ("Content-Type", "text/plain")


def _answer(start_response: Any, body: bytes) -> list[bytes]:
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(body)))])
    return [body]


def _burn(seconds: float) -> None:
    """Run pure Python until this thread alone has used `seconds` of CPU, however many compete."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(BURN_STEP):
            pass


def hello(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Answer 14 bytes."""
    return _answer(start_response, HELLO)


def echo(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Answer the request body."""
    return _answer(start_response, environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def large(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Answer 100 KiB from memory."""
    return _answer(start_response, LARGE)


def blocks(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Generate ten blocks of 1 KiB without a length.

    It starts the response before it returns the generator, as frameworks do. A query string is for
    the check: see `_confirmed_blocks`.
    """
    start_response("200 OK", [PLAIN])
    confirmations = environ.get("QUERY_STRING")
    return _confirmed_blocks(confirmations) if confirmations else _ten_blocks()


def _ten_blocks() -> Iterator[bytes]:
    for _ in range(BLOCK_COUNT):
        yield BLOCK


def _confirmed_blocks(path: str) -> Iterator[bytes]:
    """Yield a block only when the client has the one before, and other blocks if it does not come.

    The client puts a byte into the file at `path` for each block that it has received.
    """
    for number in range(BLOCK_COUNT):
        deadline = time.monotonic() + BLOCK_LIMIT
        while os.path.getsize(path) < number:
            if time.monotonic() > deadline:
                yield LATE_BLOCK * (BLOCK_COUNT - number)
                return
            time.sleep(BLOCK_LOOK)
        yield BLOCK


def sleep(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Wait 5 ms, as for a database, and answer 14 bytes."""
    time.sleep(SLEEP)
    return _answer(start_response, HELLO)


def mixed(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Answer 14 bytes: at once, or after work (`/burn`, `/burn-long`) or a wait (`/nap`)."""
    path = environ["PATH_INFO"]
    if path == "/burn":
        _burn(BESIDE)
    elif path == "/nap":
        time.sleep(BESIDE)
    elif path == "/burn-long":
        _burn(LONG_BURN)
    return _answer(start_response, HELLO)
