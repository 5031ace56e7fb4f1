"""What the pure Python of one request costs, without the kernel: `python bench/micro.py`.

The sockets are replaced by functions that return at once, so that the figures are steady enough to
see a few per cent. Each is the minimum over several runs, in microseconds.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from breezeway.config.settings import Settings
from breezeway.gateway.environ import base_environ
from breezeway.http1.head import Parser
from breezeway.http1.limits import Limits
from breezeway.worker.connection import Connection
from breezeway.worker.poller import READABLE
from breezeway.worker.reactor import Reactor

RUNS = 15
CALLS = 10_000

FIELDS = b"".join(
    b"%b: %b\r\n" % field
    for field in [
        (b"Host", b"localhost:8000"),
        (b"Connection", b"keep-alive"),
        (b"sec-ch-ua", b'"Chromium";v="129", "Not=A?Brand";v="8"'),
        (b"sec-ch-ua-mobile", b"?0"),
        (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
        (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        (b"Sec-Fetch-Site", b"none"),
        (b"Sec-Fetch-Mode", b"navigate"),
        (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
        (b"Accept-Language", b"en-US,en;q=0.9"),
        (b"Cookie", b"session=abcdef0123456789abcdef0123456789; theme=dark"),
    ]
)
BROWSER = b"GET / HTTP/1.1\r\n" + FIELDS + b"\r\n"
OTHER_LINE = b"GET /other HTTP/1.1\r\n" + FIELDS + b"\r\n"
BARE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with twelve bytes."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return [b"Hello world\n"]


def microseconds(function: Callable[[], object]) -> float:
    """Return the least time that a call of `function` took."""
    best = float("inf")
    for _ in range(RUNS):
        started = time.perf_counter()
        for _ in range(CALLS):
            function()
        best = min(best, (time.perf_counter() - started) / CALLS)
    return best * 1e6


def request(data: bytes, **settings: Any) -> Callable[[], object]:
    """Return a function that takes one request from received bytes to sent bytes."""
    reactor = Reactor(hello, [], Settings(**settings))
    environ = base_environ(
        server_name="localhost",
        server_port="80",
        root_path="",
        multithread=True,
        multiprocess=False,
        stopping=bool,
    )
    connection = Connection(reactor, socket.socketpair()[0], "", environ)
    reactor.buffer[: len(data)] = data
    connection._receive_into = lambda _: len(data)
    connection._send = lambda data, *_: len(data)
    connection.on_event(READABLE)
    return lambda: connection.on_event(READABLE)


def main() -> None:
    """Print the table."""
    parser = Parser(Limits())
    last = parser.parse(BROWSER, {})
    rows = {
        "parse: all fields looked up": lambda: parser.parse(BROWSER, {}),
        "parse: another request line, the same fields": lambda: parser.parse_again(
            OTHER_LINE, last
        ),
        "parse: the same head again": lambda: BROWSER.startswith(last.raw) and last.environ.copy(),
        "request: bare": request(BARE),
        "request: a browser's 11 fields": request(BROWSER),
        "the application alone": lambda: hello({}, lambda status, headers: None),
    }
    for name, function in rows.items():
        print(f"{microseconds(function):6.2f} us  {name}")


if __name__ == "__main__":
    main()
