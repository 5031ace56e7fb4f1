"""What is measured: each scenario as data. The check and the load send the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import apps

Headers = tuple[tuple[str, str], ...]

HOST = "127.0.0.1"
THREADS = 8
MANY_THREADS = 16
CONNECTIONS = 64
FEW_CONNECTIONS = 16
IDLE_CONNECTIONS = 2000
SOAK_CONNECTIONS = 256
IDEAL_SLEEP_RATE = MANY_THREADS / apps.SLEEP

# What Chrome sends when a page is opened on a plain-HTTP site that knows the user; with Host, 11.
BROWSER: Headers = (
    ("Connection", "keep-alive"),
    ("Upgrade-Insecure-Requests", "1"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/142.0.0.0 Safari/537.36",
    ),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-User", "?1"),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
        "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    ),
    ("Sec-Fetch-Site", "same-origin"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Accept-Language", "en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7"),
    ("Cookie", "session=1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed; theme=dark; csrftoken=zYx5wV3u"),
)


class Kind(Enum):
    """How a scenario is measured; see measure.py."""

    LOAD = "load"
    START = "start"
    IDLE = "idle"
    SOAK = "soak"
    BURN = "burn"


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    `name` is for the command line, `title` for the tables. `body` is the request's, `answer` the
    expected one's. With `variants`, ours takes part in several ways. `beside` is a path on which two
    further clients loop during the load. What does not vary from round to round, or takes long, has
    `most_rounds`.
    """

    name: str
    title: str
    app: str
    kind: Kind = Kind.LOAD
    method: str = "GET"
    path: str = "/"
    headers: Headers = ()
    body: bytes = b""
    answer: bytes = apps.HELLO
    connections: int = CONNECTIONS
    threads: int = THREADS
    fixed_threads: bool = False
    streams: bool = False
    closes: bool = False
    beside: str = ""
    access_log: bool = False
    cpu_per_request: bool = True
    only_ours: bool = False
    variants: bool = False
    most_rounds: int = 1000

    def request(self, port: int, path: str = "") -> bytes:
        """Return the request as it goes over the wire, to `path` or the scenario's own."""
        fields = [("Host", f"{HOST}:{port}"), *self.headers]
        if self.body:
            fields.append(("Content-Length", str(len(self.body))))
        lines = [f"{self.method} {path or self.path} HTTP/1.1", *(f"{n}: {v}" for n, v in fields)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("bare", "Hello, bare request", "apps:hello"),
    Scenario("browser", "Hello, a browser's 11 headers", "apps:hello", headers=BROWSER),
    Scenario(
        "post",
        "POST of 1 KB",
        "apps:echo",
        method="POST",
        headers=(("Content-Type", "application/octet-stream"),),
        body=bytes(range(256)) * 4,
        answer=bytes(range(256)) * 4,
    ),
    Scenario("large", "Body of 100 KB", "apps:large", answer=apps.LARGE),
    Scenario(
        "blocks",
        "Generator of ten blocks",
        "apps:blocks",
        answer=apps.BLOCK * apps.BLOCK_COUNT,
        streams=True,
    ),
    Scenario("flask", "Hello from Flask", "flask_app:app"),
    Scenario(
        "sleep",
        "5 ms sleep on 16 threads",
        "apps:sleep",
        threads=MANY_THREADS,
        fixed_threads=True,
    ),
    Scenario(
        "beside-cpu",
        "Hello beside two clients that burn 50 ms",
        "apps:mixed",
        connections=FEW_CONNECTIONS,
        threads=MANY_THREADS,
        beside="/burn",
        cpu_per_request=False,
    ),
    Scenario(
        "beside-sleep",
        "Hello beside two clients that sleep 50 ms",
        "apps:mixed",
        connections=FEW_CONNECTIONS,
        threads=MANY_THREADS,
        beside="/nap",
    ),
    Scenario(
        "connect",
        "New connection for each request",
        "apps:hello",
        headers=(("Connection", "close"),),
        closes=True,
    ),
    Scenario("start", "Start-up and idle memory", "apps:hello", Kind.START, connections=1),
    Scenario(
        "idle",
        f"Memory with {IDLE_CONNECTIONS:,} idle connections",
        "apps:hello",
        Kind.IDLE,
        connections=IDLE_CONNECTIONS,
        most_rounds=3,
    ),
    Scenario(
        "logged",
        "A browser's headers with the access log on",
        "apps:hello",
        headers=BROWSER,
        access_log=True,
        only_ours=True,
    ),
    Scenario(
        "observed",
        "Hello, bare request, without and with access log (JSON) and metrics",
        "apps:hello",
        only_ours=True,
        variants=True,
    ),
    Scenario(
        "soak",
        f"Soak: {SOAK_CONNECTIONS} connections for 30 s",
        "apps:hello",
        Kind.SOAK,
        connections=SOAK_CONNECTIONS,
        only_ours=True,
        most_rounds=1,
    ),
    Scenario(
        "burn",
        "Hello while one request burns 2 s",
        "apps:mixed",
        Kind.BURN,
        connections=1,
        only_ours=True,
        most_rounds=1,
    ),
)


def choose(names: Iterable[str]) -> list[Scenario]:
    """Return the scenarios of these names, or all; `SystemExit` for an unknown one."""
    wanted = set(names)
    known = [scenario.name for scenario in SCENARIOS]
    for name in wanted.difference(known):
        raise SystemExit(f"No scenario is called {name!r}. There are: {', '.join(known)}.")
    return [scenario for scenario in SCENARIOS if not wanted or scenario.name in wanted]
