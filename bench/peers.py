"""The servers, and how each is started: one worker process, access log off, nothing else tuned.

Threads are what the scenario asks for. Where a default would stop a server from taking part (ten
keep-alive connections in cheroot, 100 in waitress, keep-alive of 2 s in gunicorn), it is raised.
"""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
OURS = "breezeway"
OBSERVED = "breezeway-observed"
ACCESS_LOG = Path(tempfile.gettempdir()) / "breezeway-bench-access.json"
HOST = "127.0.0.1"
KEEP_ALIVE = 75  # seconds, longer than any measurement
SPARE = 100  # connections beyond those of the scenario
UWSGI_MAX_THREADS = 256  # with more connections than this, uWSGI runs behind its own HTTP router


@dataclass(frozen=True)
class Launch:
    """What a scenario wants of a server.

    `bin` is the directory of the environment's executables, `app` is `MODULE:NAME`.
    `fixed_threads`: the number of threads is the scenario's point and must not be exceeded.
    `closes`: the clients ask for a new connection for each request.
    """

    bin: Path
    app: str
    port: int
    threads: int
    connections: int
    fixed_threads: bool = False
    streams: bool = False
    closes: bool = False
    access_log: bool = False


@dataclass(frozen=True)
class Peer:
    """One server: its name in the tables, the project that it comes from, its command.

    `requires`: projects that it needs and does not ask for. `may_close`: it has no keep-alive, or
    none in some of the ways it is started here, and so may close where others do not. `variant`: it
    is ours, started in another way, for the scenarios that ask for variants.
    """

    name: str
    project: str
    command: Callable[[Launch], list[str]]
    requires: tuple[str, ...] = ()
    may_close: bool = False
    variant: bool = False


def _breezeway(launch: Launch) -> list[str]:
    return [
        str(launch.bin / "breezeway"),
        launch.app,
        *("--bind", f"{HOST}:{launch.port}"),
        *("--threads", str(launch.threads)),
        *("--limit-connections-per-client", "0"),  # one client opens all
        "--access-log" if launch.access_log else "--no-access-log",
    ]


def _observed(launch: Launch) -> list[str]:
    """Start ours with all that observes it: the access log as JSON in a file, and metrics."""
    ACCESS_LOG.unlink(missing_ok=True)
    atexit.register(ACCESS_LOG.unlink, missing_ok=True)
    log = ("--access-log-file", str(ACCESS_LOG), "--access-log-format", "json")
    return [*_breezeway(launch), *log, "--metrics"]


def _launched(name: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        numbers = (launch.port, launch.threads, launch.connections)
        script = str(HERE / "launch.py")
        return [str(launch.bin / "python"), script, name, launch.app, *map(str, numbers)]

    return command


def _granian(launch: Launch) -> list[str]:
    return [
        str(launch.bin / "granian"),
        *("--interface", "wsgi", "--host", HOST, "--port", str(launch.port)),
        *("--workers", "1", "--runtime-threads", "1"),
        *("--blocking-threads", str(launch.threads)),
        *("--http", "1", "--no-ws", "--log-level", "error"),
        *("--backlog", "2048", "--backpressure", str(launch.connections + SPARE)),
        launch.app,
    ]


def _uwsgi(launch: Launch) -> list[str]:
    """Choose among uWSGI's HTTP sockets the fastest one that serves every client.

    `--http11-socket` has keep-alive, and holds a thread for each connection: hence the threads. It
    closes no connection and frames no body of unknown length: then it is `--http-socket`, without
    keep-alive, as also where the threads are given. For thousands of connections there is its
    router process alone.
    """
    address = f"{HOST}:{launch.port}"
    threads = launch.threads
    if launch.connections > UWSGI_MAX_THREADS:
        sockets = ["--http", address, f"--http-keepalive={KEEP_ALIVE}", "--http-events", "4096"]
    elif launch.streams or launch.closes or launch.fixed_threads:
        sockets = ["--http-socket", address, "--add-header", "Connection: close"]
    else:
        sockets = ["--http11-socket", address]
        threads = max(threads, launch.connections)
    return [
        *(str(launch.bin / "uwsgi"), *sockets, "--module", launch.app, "--need-app"),
        *("--master", "--single-interpreter", "--workers", "1", "--threads", str(threads)),
        *("--listen", "1024", "--max-fd", "8192", "--disable-logging", "--die-on-term"),
    ]


def _gunicorn(worker_class: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        threads = launch.threads if worker_class == "gthread" else 1
        return [
            str(launch.bin / "gunicorn"),
            *("--bind", f"{HOST}:{launch.port}", "--workers", "1"),
            *("--worker-class", worker_class, "--threads", str(threads)),
            *("--worker-connections", str(launch.connections + SPARE)),
            *("--keep-alive", str(KEEP_ALIVE), "--log-level", "error", "--no-control-socket"),
            launch.app,
        ]

    return command


PEERS: tuple[Peer, ...] = (
    Peer(OURS, OURS, _breezeway),
    Peer(OBSERVED, OURS, _observed, variant=True),
    Peer("fastwsgi", "fastwsgi", _launched("fastwsgi"), requires=("setuptools<81",)),
    Peer("bjoern", "bjoern", _launched("bjoern")),
    Peer("granian", "granian", _granian),
    Peer("uwsgi", "uWSGI", _uwsgi, may_close=True),
    Peer("waitress", "waitress", _launched("waitress")),
    Peer("cheroot", "cheroot", _launched("cheroot")),
    Peer("gunicorn-gthread", "gunicorn", _gunicorn("gthread")),
    Peer("gunicorn-sync", "gunicorn", _gunicorn("sync"), may_close=True),
)


def choose(names: Iterable[str]) -> list[Peer]:
    """Return the peers of these names (a prefix will do), or all; `SystemExit` for an unknown."""
    wanted = list(names)
    for name in wanted:
        if not any(peer.name.startswith(name) for peer in PEERS):
            known = ", ".join(peer.name for peer in PEERS)
            raise SystemExit(f"No server is called {name!r}. There are: {known}.")
    return [
        peer for peer in PEERS if not wanted or any(peer.name.startswith(name) for name in wanted)
    ]
