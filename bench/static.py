"""Static files side by side: `python3 bench/static.py`.

A file of 10 KB and one of 1 MB, served by Breezeway (`--static`), uWSGI (`--static-map`), granian
(`--static-path-mount`) and nginx (`sendfile`, no open_file_cache), one worker process each, with
keep-alive. In each round every server runs once, in turn the first one another. Figures are medians of
the rounds, ratios are the medians of the rounds' own ratios: ours over theirs. The targets: ahead of uWSGI
and granian, at least half of nginx. uWSGI's --http11-socket keeps a thread for each connection, and gets
as many; without --tcp-nodelay it waits for the client's delayed acknowledgements. Its threads sleep in
sendfile(2) where the others wait for events, and the kernel's work that goes on meanwhile is counted for
nobody: with large files the rate tells more than the CPU time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import environment
import load
import peers
from client import Connection
from server import Server, ServerError, free_port

ROUNDS = 5
SECONDS = 3
WARM_UP_REQUESTS = 200
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"

NGINX_CONF = """
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; etag on; keepalive_requests 100000000;
  client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
  uwsgi_temp_path {directory}; scgi_temp_path {directory};
  server {{ listen 127.0.0.1:{port}; location /static/ {{ alias {directory}/files/; }} }}
}}
"""


class Case(NamedTuple):
    """One file and how many clients ask for it."""

    title: str
    size: int
    connections: int

    @property
    def name(self) -> str:
        """Of the file."""
        return f"{self.size}.bin"


CASES = (Case("10 KB", 10 * 1024, 64), Case("1 MB", 1024 * 1024, 16))
LEAST = {"uwsgi": 1.0, "granian": 1.0, "nginx": 0.5}


class Start(NamedTuple):
    """What a server is started with."""

    bin: Path
    directory: Path
    port: int
    connections: int


def _breezeway(start: Start) -> list[str]:
    return [
        *(str(start.bin / "breezeway"), "apps:hello", "--bind", f"127.0.0.1:{start.port}"),
        *("--static", f"/static={start.directory}/files"),
    ]


def _uwsgi(start: Start) -> list[str]:
    return [
        *(str(start.bin / "uwsgi"), "--http11-socket", f"127.0.0.1:{start.port}"),
        *("--module", "apps:hello", "--master", "--single-interpreter", "--workers", "1"),
        *("--threads", str(start.connections), "--listen", "1024", "--disable-logging"),
        *("--die-on-term", "--tcp-nodelay", "--static-map", f"/static={start.directory}/files"),
    ]


def _granian(start: Start) -> list[str]:
    return [
        *(str(start.bin / "granian"), "--interface", "wsgi", "--host", "127.0.0.1"),
        *("--port", str(start.port), "--workers", "1", "--runtime-threads", "1"),
        *("--blocking-threads", "8", "--http", "1", "--no-ws", "--log-level", "error"),
        *("--static-path-route", "/static", "--static-path-mount", f"{start.directory}/files"),
        "apps:hello",
    ]


def _nginx(start: Start) -> list[str]:
    conf = start.directory / "nginx.conf"
    conf.write_text(NGINX_CONF.format(directory=start.directory, port=start.port))
    return [NGINX, "-p", str(start.directory), "-c", str(conf)]


SERVERS: dict[str, Callable[[Start], list[str]]] = {
    peers.OURS: _breezeway,
    "uwsgi": _uwsgi,
    "granian": _granian,
    "nginx": _nginx,
}


class Result(NamedTuple):
    """Of one server in one round."""

    rate: float
    """Requests per second."""

    cpu: float
    """Microseconds of CPU for each request, of all the server's processes."""


def measure(name: str, case: Case, start: Start, seconds: int) -> Result:
    """Start a server, check its answer, and load it."""
    request = f"GET /static/{case.name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with Server(SERVERS[name](start), start.port) as server:
        answer, _ = server.first_answer(request)
        expected = (start.directory / "files" / case.name).read_bytes()
        if answer.status != 200 or answer.body != expected:
            raise ServerError(f"{name} answers {answer.status}, {len(answer.body)} bytes")
        with Connection(start.port, 10.0) as connection:
            for _ in range(WARM_UP_REQUESTS):
                connection.ask(request)
        load.run(start.port, request, case.connections, 1)
        before = server.cpu()
        done = load.run(start.port, request, case.connections, seconds)
        used = server.cpu().since(before)
    if done.socket_errors or done.bad_status:
        raise ServerError(f"{name}: {done.socket_errors} errors, {done.bad_status} bad answers")
    return Result(done.requests / done.seconds, used.exact / done.requests * 1e6)


def compare(case: Case, names: list[str], options: argparse.Namespace, bin_: Path) -> bool:
    """Measure all servers with one file; print; return whether the targets are met."""
    found: dict[str, list[Result]] = {name: [] for name in names}
    for number in range(options.rounds):
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            with tempfile.TemporaryDirectory() as place:
                directory = Path(place)
                directory.chmod(0o755)  # for nginx, whose worker is somebody else
                (directory / "files").mkdir()
                path = directory / "files" / case.name
                path.write_bytes(os.urandom(case.size))
                start = Start(bin_, directory, free_port(), case.connections)
                found[name].append(measure(name, case, start, options.seconds))
    print(f"{case.title}, {case.connections} connections")
    met = True
    ours = found[peers.OURS]
    for name, results in found.items():
        rate = statistics.median(result.rate for result in results)
        cpu = statistics.median(result.cpu for result in results)
        line = f"  {name:10} {rate:9,.0f}/s {cpu:8.2f} us"
        if name != peers.OURS:
            pairs = list(zip(ours, results, strict=True))
            rates = statistics.median(one.rate / other.rate for one, other in pairs)
            costs = statistics.median(other.cpu / one.cpu for one, other in pairs)
            line += f"   ours: {rates:5.2f} by rate, {costs:5.2f} by CPU (at least {LEAST[name]})"
            met = met and rates >= LEAST[name]
        print(line, flush=True)
    return met


def main() -> int:
    """Measure; return 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="Compare servers of static files.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--peer", action="append", choices=list(SERVERS)[1:])
    options = parser.parse_args()
    installed = environment.prepare(peers.PEERS)
    names = [peers.OURS, *(options.peer or list(SERVERS)[1:])]
    met = [compare(case, names, options, installed.bin) for case in CASES]
    return int(not all(met))


if __name__ == "__main__":
    raise SystemExit(main())
