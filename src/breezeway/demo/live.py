"""The responses that take time or room: streamed blocks, files, a slow answer beside a fast one."""

from __future__ import annotations

import re
import threading
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING
from urllib.parse import parse_qs

from breezeway.demo.render import Answer, RefusedError, packaged, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import WSGIEnvironment

# Enough to watch; a thread is busy for MAX_BLOCKS * BLOCK_PAUSE = 10 s at most.
DEFAULT_BLOCKS = 12
MAX_BLOCKS = 40
# Seconds between two blocks: slow enough to see them come, quick enough not to bore.
BLOCK_PAUSE = 0.25

DEFAULT_SLEEP = 3
# Seconds; a guest should not be able to keep a thread for long.
MAX_SLEEP = 5

# Bytes: enough to measure a rate on the loopback, little enough for a browser to take in.
ZEROS_SIZE = 64 * 1024 * 1024
# Bytes read at a time where the server has no wsgi.file_wrapper.
FILE_BLOCK_SIZE = 64 * 1024


def blocks(environ: WSGIEnvironment) -> Answer:
    """Stream a line at a time, with a pause between them: `?blocks=N`."""
    count = whole_number(environ, "blocks", DEFAULT_BLOCKS, MAX_BLOCKS)

    def lines() -> Iterator[bytes]:
        started = monotonic()
        for number in range(1, count + 1):
            if number > 1:
                sleep(BLOCK_PAUSE)
            line = f"block {number} of {count}, made at {monotonic() - started:.3f} s\n"
            yield line.encode()

    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
    return Answer("200 OK", headers, lines())


def slow(environ: WSGIEnvironment) -> Answer:
    """Sleep before the answer: `?seconds=N`."""
    seconds = whole_number(environ, "seconds", DEFAULT_SLEEP, MAX_SLEEP)
    sleep(seconds)
    return plain(f"Slept for {seconds} s in {threading.current_thread().name}.")


def ping(_environ: WSGIEnvironment) -> Answer:
    """Answer at once."""
    return plain("pong")


def hello(environ: WSGIEnvironment) -> Answer:
    """Send the packaged example application as a file."""
    file = packaged("hello.py").open("rb")
    return attachment(environ, file, "hello.py", "text/x-python; charset=utf-8")


def zeros(environ: WSGIEnvironment) -> Answer:
    """Send a large file: sparse and nameless, so that it costs no disk and no cleaning up."""
    # Here, because it would cost every start 5 ms and most visits never come this way.
    from tempfile import TemporaryFile

    file = TemporaryFile(buffering=0)  # noqa: SIM115 - the server closes it
    file.truncate(ZEROS_SIZE)
    return attachment(environ, file, "zeros.bin", "application/octet-stream")


def attachment(environ: WSGIEnvironment, file: IO[bytes], name: str, content_type: str) -> Answer:
    """Return `file` as a download, through wsgi.file_wrapper; the server closes it."""
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(file.seek(0, 2))),
        ("Content-Disposition", f'attachment; filename="{name}"'),
        ("Cache-Control", "no-store"),
    ]
    file.seek(0)
    wrapper = environ.get("wsgi.file_wrapper", FileBlocks)
    body: Iterable[bytes] = wrapper(file, FILE_BLOCK_SIZE)
    return Answer("200 OK", headers, body)


class FileBlocks:
    """The blocks of a file, for a server without wsgi.file_wrapper."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file = file
        self.size = size
        self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        """Yield the file to its end."""
        return iter(lambda: self.file.read(self.size), b"")


def whole_number(environ: WSGIEnvironment, name: str, default: int, maximum: int) -> int:
    """Return the field `name` of the query, from 1 to `maximum`."""
    values = parse_qs(environ.get("QUERY_STRING", "")).get(name)
    if values is None:
        return default
    if not re.fullmatch("[0-9]{1,3}", values[-1]) or not 1 <= int(values[-1]) <= maximum:
        raise RefusedError("400 Bad Request", f"“{name}” takes a whole number from 1 to {maximum}.")
    return int(values[-1])
