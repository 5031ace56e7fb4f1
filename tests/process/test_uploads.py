"""Large uploads: the memory of a worker does not grow with them, and a killed one leaves no file."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import pytest

from .server import DEADLINE_SECONDS, Server, descriptors_of, eventually, read_all, serving

MIB = 1024 * 1024
UPLOAD_BYTES = 512 * MIB
"""`bench/upload.py` sends 2 GiB, which takes longer and shows the same."""

MOST_BYTES = 40 * MIB
"""Of resident memory, the interpreter with the server included."""

BLOCK = bytes(256 * 1024)

APPLICATION = """
import os

def app(environ, start_response):
    read, total = environ["wsgi.input"].read, 0
    while environ["REQUEST_METHOD"] == "POST" and (block := read(65536)):
        total += len(block)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d %d" % (os.getpid(), total)]
"""


def begun(server: Server, path: str, size: int) -> socket.socket:
    """Send the head of an upload."""
    client = server.connect()
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {size}"
    client.sendall(f"{head}\r\n\r\n".encode())
    return client


@pytest.mark.parametrize("path", ["/spooled", "/streamed"])
def test_memory_is_bounded(tmp_path: Path, path: str) -> None:
    """A worker stays under 40 MB in an upload of 512 MiB, whichever way the body goes."""
    options = ("--stream-body", "/streamed", "--temp-dir", str(tmp_path))
    with serving(tmp_path, *options, workers=1, application=APPLICATION) as server:
        with begun(server, path, UPLOAD_BYTES) as client:
            for _ in range(UPLOAD_BYTES // len(BLOCK)):
                client.sendall(BLOCK)
            pid, total = read_all(client).rpartition(b"\r\n")[2].split()
        assert int(total) == UPLOAD_BYTES
        status = Path(f"/proc/{int(pid)}/status").read_text()
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
        assert int(peak) * 1024 < MOST_BYTES


def test_killed_worker_leaves_no_file(tmp_path: Path) -> None:
    """A body in a temporary file has no name: nothing of it stays when its worker is killed."""
    directory = tmp_path / "bodies"
    directory.mkdir()
    with serving(tmp_path, "--temp-dir", str(directory), workers=1) as server:
        (pid,) = server.workers()
        with begun(server, "/", 8 * MIB) as client:
            for _ in range(4):
                client.sendall(bytes(MIB))

            def kept() -> list[str]:
                return [name for name in descriptors_of(pid) if name.startswith(str(directory))]

            eventually(kept, "the file of the body")
            server.signal(signal.SIGKILL, pid)
            server.wait_for_workers(1, but=[pid], seconds=DEADLINE_SECONDS)
        assert list(directory.iterdir()) == []
