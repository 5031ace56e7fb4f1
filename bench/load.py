"""Load by wrk: the scenario's request, byte for byte, on every connection; what wrk says of it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
WRK_TIMEOUT = 10  # seconds after which wrk counts an answer as missing
WRK_LIMIT = 30  # seconds wrk may take beyond its duration

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_DONE = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b")
_SOCKET = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")


class Load(NamedTuple):
    """What wrk saw; times in milliseconds, `client_cpu` in seconds, wrk's and ours."""

    requests: int
    seconds: float
    p50: float
    p99: float
    socket_errors: int
    bad_status: int
    client_cpu: float


class LoadError(Exception):
    """The load generator failed."""


def run(port: int, request: bytes, connections: int, seconds: int, *, scheme: str = "http") -> Load:
    """Run wrk once; `LoadError` with its words when it fails."""
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "request.lua"
        # A script without a `request` function is asked for its bytes once, not for each request.
        script.write_text(f"wrk.format = function() return {_lua_string(request)} end\n")
        command = ["wrk", "--threads", "1", "--connections", str(connections)]
        command += ["--duration", f"{seconds}s", "--timeout", f"{WRK_TIMEOUT}s", "--latency"]
        command += ["--script", str(script), f"{scheme}://{HOST}:{port}/"]
        before = _own_time()
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=seconds + WRK_LIMIT
            )
        except subprocess.TimeoutExpired:
            raise LoadError(f"wrk did not end within {seconds + WRK_LIMIT} s") from None
    if done.returncode:
        raise LoadError(f"wrk failed: {(done.stderr or done.stdout).strip()}")
    return _parse(done.stdout, _own_time() - before)


def _own_time() -> float:
    """Return the CPU time of this process (clients beside the load) and of the wrks that ended."""
    return sum(os.times()[:4])


def _parse(text: str, client_cpu: float) -> Load:
    finished = _DONE.search(text)
    if not finished:
        raise LoadError(f"wrk said: {text.strip()}")
    errors = _SOCKET.search(text)
    bad = _STATUS.search(text)
    return Load(
        requests=int(finished[1]),
        seconds=_milliseconds(finished[2], finished[3]) / 1000,
        p50=_percentile(text, 50),
        p99=_percentile(text, 99),
        socket_errors=sum(map(int, errors.groups())) if errors else 0,
        bad_status=int(bad[1]) if bad else 0,
        client_cpu=client_cpu,
    )


def _percentile(text: str, percent: int) -> float:
    found = re.search(rf"^\s*{percent}%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    return _milliseconds(found[1], found[2]) if found else 0.0


def _milliseconds(number: str, unit: str) -> float:
    return float(number) * _UNITS[unit]


def _lua_string(data: bytes) -> str:
    """Write bytes as a Lua literal, everything but plain ASCII as a decimal escape."""
    plain = set(range(0x20, 0x7F)) - set(b'"\\')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03d}" for byte in data) + '"'
