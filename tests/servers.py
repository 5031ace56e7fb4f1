"""Servers in processes of their own, for tests of what is the same under each."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEADLINE_SECONDS = 20.0
POLL_SECONDS = 0.02

Address = tuple[str, int]

_BY_WSGIREF = (
    "import importlib, sys; from wsgiref.simple_server import make_server;"
    " host, port, module, name = sys.argv[1:];"
    " application = getattr(importlib.import_module(module), name);"
    " make_server(host, int(port), application).serve_forever()"
)

COMMANDS = {
    "breezeway": ("-m", "breezeway", "{module}:{name}", "--bind={host}:{port}"),
    "gunicorn": (
        *("-m", "gunicorn", "{module}:{name}", "--bind={host}:{port}"),
        "--no-control-socket",
    ),
    "waitress": ("-m", "waitress", "--listen={host}:{port}", "{module}:{name}"),
    "wsgiref": ("-c", _BY_WSGIREF, "{host}", "{port}", "{module}", "{name}"),
}
"""Arguments of Python, by the name of the server."""


@contextmanager
def running(server: str, target: str, *arguments: str, **environ: str) -> Iterator[Address]:
    """Run a server for an application, MODULE:NAME; go on when it takes connections."""
    module, _, name = target.partition(":")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    given = [
        each.format(host=host, port=port, module=module, name=name) for each in COMMANDS[server]
    ]
    process = subprocess.Popen(
        [sys.executable, *given, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(process, (host, port))
        yield host, port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_SECONDS)
        finally:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], address: Address) -> None:
    ends = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            socket.create_connection(address, 1.0).close()
        except OSError:
            assert process.poll() is None, f"{process.args!r} does not start"
            assert time.monotonic() < ends, f"{process.args!r} does not answer"
            time.sleep(POLL_SECONDS)
        else:
            return
