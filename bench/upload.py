"""How much memory a worker takes for a large upload, spooled and streamed.

    python3 bench/upload.py [--size MIB] [--temp-dir DIRECTORY]

Starts a worker for each way, sends one body (2 GiB by default) over the loopback and prints the rate,
the worker's peak of resident memory (VmHWM of proc(5)), what the upload has added to it, and the CPU
time of the worker for each GiB.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

MIB = 1024 * 1024
BLOCK = bytes(256 * 1024)
START_SECONDS = 20.0

APPLICATION = """
import os

def application(environ, start_response):
    read, total = environ["wsgi.input"].read, 0
    if environ["REQUEST_METHOD"] == "POST":
        while block := read(65536):
            total += len(block)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d %d" % (os.getpid(), total)]
"""


class Upload(NamedTuple):
    """What one upload has cost the worker."""

    seconds: float
    before: int
    """Resident memory before, in KiB."""
    peak: int
    """The most of it, in KiB."""
    cpu: float
    """Seconds."""


@contextmanager
def serving(temp_dir: str) -> Iterator[tuple[str, int]]:
    """Run a server with one worker; give its address."""
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "uploads.py"), "w") as file:
            file.write(APPLICATION)
        options = [
            "--workers",
            "1",
            "--bind",
            "127.0.0.1:0",
            "--stream-body",
            "/stream",
            "--limit-body",
            "8GiB",
        ]
        command = [sys.executable, "-m", "breezeway", "uploads:application", *options]
        process = subprocess.Popen(
            [
                *command,
                "--control-socket",
                "off",
                "--stream-body",
                "/stream",
                "--temp-dir",
                temp_dir,
            ],
            cwd=directory,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            for line in process.stderr:
                found = re.search(r"http://([\d.]+):(\d+)", line)
                if found is not None:
                    break
            else:
                raise SystemExit("the server did not start")
            yield found[1], int(found[2])
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=START_SECONDS)


def ask(client: socket.socket) -> tuple[int, int]:
    """Read one answer: the worker's process, and how many bytes it has read."""
    received = b""
    while not re.search(rb"\r\n\r\n\d+ \d+$", received):
        data = client.recv(65536)
        if not data:
            raise SystemExit(f"no answer: {received!r}")
        received += data
    pid, total = received.partition(b"\r\n\r\n")[2].split()
    return int(pid), int(total)


def memory(pid: int, field: str) -> int:
    """Return a field of /proc/PID/status, in KiB."""
    with open(f"/proc/{pid}/status") as file:
        found = re.search(rf"{field}:\s+(\d+) kB", file.read())
    assert found is not None
    return int(found[1])


def cpu_seconds(pid: int) -> float:
    """Return how much CPU time a process has taken."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def upload(address: tuple[str, int], path: str, size: int, *, chunked: bool) -> Upload:
    """Send a body of that size, and measure."""
    with socket.create_connection(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
        pid, _ = ask(client)
        before, cpu = memory(pid, "VmRSS"), cpu_seconds(pid)
        began = time.perf_counter()
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: bench\r\n{framing}\r\n\r\n".encode())
        block = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK
        for _ in range(size // len(BLOCK)):
            client.sendall(block)
        if chunked:
            client.sendall(b"0\r\n\r\n")
        _, total = ask(client)
        seconds = time.perf_counter() - began
        if total != size:
            raise SystemExit(f"the application has read {total} bytes of {size}")
        return Upload(seconds, before, memory(pid, "VmHWM"), cpu_seconds(pid) - cpu)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=2048, help="of the body, in MiB")
    parser.add_argument("--temp-dir", default=tempfile.gettempdir(), help="for spooled bodies")
    options = parser.parse_args()
    size = options.size * MIB
    print(f"One upload of {options.size} MiB:")
    print("| body | framing | seconds | MiB/s | CPU s for a GiB | before, MiB | peak, MiB |")
    print("|---|---|---|---|---|---|---|")
    for path in ("/spool", "/stream"):
        for chunked in (False, True):
            with serving(options.temp_dir) as address:
                done = upload(address, path, size, chunked=chunked)
            kind = "streamed" if path == "/stream" else "spooled"
            print(
                f"| {kind} | {'chunked' if chunked else 'length'} | {done.seconds:.1f} "
                f"| {options.size / done.seconds:.0f} | {done.cpu / options.size * 1024:.2f} "
                f"| {done.before / 1024:.1f} | {done.peak / 1024:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
