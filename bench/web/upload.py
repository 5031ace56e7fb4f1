"""How fast a form with a large file is read, and how much memory that takes.

    .venv/bin/python bench/web/upload.py [--size MIB]      (after `make test`)

A process of its own reads a form whose body is made on the way (1 GiB by default), three times, and prints
the best rate, its resident memory before (VmHWM of proc(5)) and what the reading has added. One content is
plain; the other is nearly the boundary all over, which is the most work. Beside it stand Werkzeug and
Django, where they are installed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

MIB = 1024 * 1024
ROUNDS = 3
BOUNDARY = b"----WebKitFormBoundaryABCDEFGHIJKLMNOP"
HEAD = (
    b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="title"\r\n\r\nA film\r\n'
    b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="film"; filename="film.mp4"\r\n'
    b"Content-Type: video/mp4\r\n\r\n"
)
END = b"\r\n--" + BOUNDARY + b"--\r\n"

CONTENTS = {
    "film": bytes(range(256)) * 4096,
    "nearly boundaries": ((b"\r\n--" + BOUNDARY[:-1] + b"\r") * 25_000)[:MIB],
}


class Body:
    """A body that is made while it is read."""

    def __init__(self, content: bytes, size: int) -> None:
        self.length = len(HEAD) + size + len(END)
        self._blocks = self._made(content, size)
        self._rest = b""

    def _made(self, content: bytes, size: int) -> Iterator[bytes]:
        yield HEAD
        for _ in range(size // len(content)):
            yield content
        if size % len(content):
            yield content[: size % len(content)]
        yield END

    def read(self, size: int) -> bytes:
        """Read at most so many bytes."""
        if not self._rest:
            self._rest = next(self._blocks, b"")
        block, self._rest = self._rest[:size], self._rest[size:]
        return block

    readline = read


def environ_of(body: Body) -> dict[str, Any]:
    """Return the environ of the upload."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "bench",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": body,
        "CONTENT_LENGTH": str(body.length),
        "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY.decode()}",
    }


def breezeway(environ: dict[str, Any]) -> int:
    """Read the form; return the size of its file."""
    from breezeway.web import Limits, Request

    request = Request(environ)
    request.limits = Limits(file_bytes=1 << 50, files_bytes=1 << 50)
    size = request.form().files["film"].size
    request.close()
    return size


def werkzeug(environ: dict[str, Any]) -> int:
    """Do the same with Werkzeug."""
    from werkzeug import Request

    return Request(environ).files["film"].seek(0, 2)


def django(environ: dict[str, Any]) -> int:
    """Do the same with Django."""
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIRequest

    if not settings.configured:
        settings.configure()
    return WSGIRequest(environ).FILES["film"].size  # type: ignore[no-any-return]


READERS: dict[str, Callable[[dict[str, Any]], int]] = {
    "breezeway": breezeway,
    "werkzeug": werkzeug,
    "django": django,
}


def measure(reader: str, content: str, size: int) -> None:
    """Read a form in this process, and say what it took."""
    read = READERS[reader]
    read(environ_of(Body(CONTENTS[content], MIB)))  # import what it needs
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")  # the peak begins anew
    before = peak()
    best = float("inf")
    for _ in range(ROUNDS):
        environ = environ_of(Body(CONTENTS[content], size))
        began = time.perf_counter()
        assert read(environ) == size
        best = min(best, time.perf_counter() - began)
    print(
        f"{reader:10} {content:18} {size / MIB / best:6.0f} MiB/s"
        f"  memory {before:5.1f} + {peak() - before:4.1f} MiB",
        flush=True,
    )


def peak() -> float:
    """Return the most memory that this process has had, in MiB."""
    with open("/proc/self/status") as file:
        found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
    assert found is not None
    return int(found[1]) / 1024


def main() -> None:
    """Run each of them in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=1024, help="of the file, in MiB (1024)")
    parser.add_argument("--one", nargs=2, metavar=("READER", "CONTENT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure(*options.one, options.size * MIB)
        return
    for reader in READERS:
        for content in CONTENTS:
            command = [sys.executable, __file__, "--size", str(options.size), "--one"]
            subprocess.run([*command, reader, content], check=reader == "breezeway")


if __name__ == "__main__":
    main()
