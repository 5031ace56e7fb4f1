"""The innocent: wrk on keep-alive connections, and one client that opens a new one each time."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass, field

import load

HOST = "127.0.0.1"
KEEP_ALIVE_CONNECTIONS = 16
PAUSE = 0.01  # seconds between two one-shot requests
TIMEOUT = 10.0
RECEIVE = 65536


@dataclass
class Felt:
    """What the innocent felt for some seconds; times in milliseconds."""

    rate: float = 0.0
    p99: float = 0.0
    errors: int = 0
    one_shots: int = 0
    one_shot_p99: float = 0.0
    one_shot_worst: float = 0.0
    failures: list[str] = field(default_factory=list)


def request(path: str, *, close: bool = False) -> bytes:
    """Return a small request."""
    ending = b"Connection: close\r\n" if close else b""
    return b"GET %s HTTP/1.1\r\nHost: innocent.example\r\n%s\r\n" % (path.encode(), ending)


def keep_alive(port: int, path: str, seconds: int, felt: Felt, scheme: str) -> None:
    """Run wrk."""
    try:
        done = load.run(port, request(path), KEEP_ALIVE_CONNECTIONS, seconds, scheme=scheme)
    except load.LoadError as error:
        felt.failures.append(str(error))
        return
    felt.rate = done.requests / done.seconds
    felt.p99 = done.p99
    felt.errors = done.socket_errors + done.bad_status


def one_shots(port: int, path: str, seconds: float, scheme: str) -> tuple[list[float], list[str]]:
    """Ask on a new connection each time; return the milliseconds of each, and what went wrong."""
    times: list[float] = []
    failures: list[str] = []
    asked = request(path, close=True)
    context = anybody() if scheme == "https" else None
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.perf_counter()
        try:
            client = socket.create_connection((HOST, port), TIMEOUT)
            with context.wrap_socket(client) if context else client as client:
                client.sendall(asked)
                received = b""
                while data := client.recv(RECEIVE):
                    received += data
            if not received.startswith(b"HTTP/1.1 200 "):
                failures.append(repr(received[:40]))
        except OSError as error:
            failures.append(type(error).__name__)
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(PAUSE)
    return times, failures


def anybody() -> ssl.SSLContext:
    """Return a client's context that trusts anybody."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def percentile(values: list[float], percent: float) -> float:
    """Return a percentile, 0 for no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0
