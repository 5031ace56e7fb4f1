"""A log of a shop that does not exist, written by the server's own formatter.

`python -m tests.report.sample 1000 FILE` writes 1000 MB of it, to measure with.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

from breezeway.observe import access_lines
from breezeway.observe.entry import ABORTED, COMPLETE, LEFT, TIMED_OUT

BEGIN: Final = 1_795_600_800.0
"""2026-11-25T10:00:00Z, in seconds since 1970."""

BAD_TIMES: Final = (0.62, 0.7)
"""When the database is slow: after which share of the requests, and until which."""

BATCH: Final = 1000
"""Lines that are made at a time."""

BROWSERS = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/{}.0.0.0 Safari/537.36 Edg/{}.0.0.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:{}.0) Gecko/20100101 Firefox/{}.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.{} Mobile/15E148 Safari/604.1",
    "curl/8.{}.0",
    "Mozilla/5.0 (compatible; Googlebot/2.{}; +http://www.google.com/bot.html)",
    "python-requests/2.{}.0",
]

# Weight, method, path with what varies, median of the duration in ms, bytes, share of failures.
ROUTES = [
    (30, "GET", "/", 2.0, 9_000, 0.000),
    (25, "GET", "/products/{n}", 6.0, 14_000, 0.001),
    (12, "GET", "/search?q={w}&page={d}", 40.0, 18_000, 0.004),
    (20, "GET", "/static/app.{h}.js", 0.15, 48_000, 0.000),
    (6, "GET", "/users/{u}", 4.0, 3_000, 0.002),
    (5, "POST", "/cart/{n}/items", 9.0, 400, 0.006),
    (2, "POST", "/orders", 120.0, 600, 0.030),
    (2, "GET", "/orders/{u}/invoice.pdf", 300.0, 90_000, 0.010),
    (3, "GET", "/api/v1/stock/{n}", 1.2, 220, 0.001),
    (1, "GET", "/wp-login.php?{w}", 0.3, 150, 1.000),
]


class _Requests:
    """Heads of requests, some of which come again, as on a connection."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._clients = [f"203.0.{i % 113}.{i % 251}" for i in range(5000)]
        self._agents = [a.format(v, v) for a in BROWSERS for v in range(110, 120)]

    def entry(self, began: float, share: float) -> tuple[Any, ...]:
        """Make one, which began at this time, after such a share of them; some come in bad times."""
        r = self._random
        _, method, path, median, size, failing = r.choices(ROUTES, [row[0] for row in ROUTES])[0]
        target = path.format(
            n=r.randrange(1, 99_999),
            d=r.randrange(1, 9),
            w=r.choice(("shoes", "hat", "red%20coat", "socks", "caf%C3%A9")),
            h=f"{r.getrandbits(32) | 1 << 31:08x}",
            u=f"{r.getrandbits(32):08x}-1b2c-4d3e-8f90-{r.getrandbits(48):012x}",
        )
        environ = {
            "REQUEST_METHOD": method,
            "RAW_URI": target,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self._clients[int(r.paretovariate(0.6)) % 5000],
            "HTTP_HOST": "shop.example",
            "HTTP_USER_AGENT": r.choice(self._agents),
        }
        if r.random() < 0.6:
            environ["HTTP_REFERER"] = f"https://shop.example/products/{r.randrange(9999)}"
        request = SimpleNamespace(environ=environ, size=420, length=0, whole=420, note=None)
        seconds = median / 1000 * r.lognormvariate(0, 0.7)
        if BAD_TIMES[0] < share < BAD_TIMES[1] and median > 30:
            seconds, failing = seconds * 8, failing * 15
        queued = 0.000_002 if r.random() < 0.8 else seconds * r.random() * 0.4
        status, outcome = r.choices((200, 304, 302), (90, 7, 3))[0], COMPLETE
        if r.random() < failing:
            status = 404 if failing == 1.0 else r.choice((500, 503, 400, 404))
        elif r.random() < 0.002:
            outcome = r.choice((LEFT, ABORTED, TIMED_OUT))
        returned = began + queued + seconds
        first = began + queued + seconds / 2 if r.random() < 0.1 else 0.0
        finished = returned + r.expovariate(20) if r.random() < 0.1 else 0.0
        if r.random() < 0.05:
            environ = environ | {"REMOTE_USER": "ann", "breezeway.request_id": f"{r.random()}"}
        body = 0 if status == 304 else int(size * r.uniform(0.5, 1.5))
        response = SimpleNamespace(status=status, lines=b"")
        return (
            request, environ, response, body, began, began + queued, first, returned, finished,
            outcome,
        )  # fmt: skip


def lines(
    count: int, *, form: str = "json", seconds: float = 3600.0, seed: int = 1
) -> Iterator[str]:
    """Write lines of requests that came within so many seconds from `BEGIN` on, ever more of them."""
    make = access_lines.lines_of(form, {"worker": 3, "pid": 4711}, standard_output=False)
    requests = _Requests(seed)
    for start in range(0, count, BATCH):
        batch: Any = [
            requests.entry(BEGIN + seconds * (number / count) ** 0.7, number / count)
            for number in range(start, min(start + BATCH, count))
        ]
        with mock.patch("time.time", float), mock.patch("time.monotonic", float):
            made = make(batch, "thread-1")  # for it, both clocks begin in 1970
        yield from made


def main(megabytes: int, file: str) -> None:
    """Write a file of that size."""
    written, limit = 0, megabytes * 1_000_000
    with open(file, "w") as log:
        for line in lines(megabytes * 2400, seconds=86_400.0):
            written += log.write(line)
            if written >= limit:
                return


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
