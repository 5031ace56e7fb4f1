"""A Redis server of a test's own, which can be killed and started anew."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import debian

PROGRAM = "redis-server"
READY_SECONDS = 10.0
POLL_SECONDS = 0.01


class RedisServer:
    """A Redis server on a port of this machine, with nothing in it, that writes nothing to disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            *(debian.program(PROGRAM), "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(self._directory)),
        ]
        with open(self._directory / "redis.log", "ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log)
        ends = time.monotonic() + READY_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "Redis does not start"
            assert time.monotonic() < ends, "Redis does not answer"
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Kill it; all that was in it is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as client:
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a Redis server; skip the test where there is none. In CI it is installed."""
    if os.environ.get("CI"):
        assert not debian.install([PROGRAM])
    elif debian.missing([PROGRAM]):
        pytest.skip(f"Redis is not installed. {debian.advice([PROGRAM])}")
    with tempfile.TemporaryDirectory(prefix="breezeway-redis-") as directory:
        server = RedisServer(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()
