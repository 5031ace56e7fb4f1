"""The application's metrics with a real server: its page never falls, whatever becomes of workers."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.process.server import Server, eventually, serving

APPLICATION = """
import breezeway

registry = breezeway.share_metrics()

import os
import prometheus_client

BOOTS = prometheus_client.Counter("boots", "Loads of the application.")
REQUESTS = prometheus_client.Counter("shop_requests", "Requests.", ["pid"])
TOTAL = prometheus_client.Counter("shop", "Requests of all.")
SECONDS = prometheus_client.Histogram("shop_seconds", "Time.")
ALIVE = prometheus_client.Gauge("alive", "Workers.", multiprocess_mode="livesum")
BOOTS.inc()
ALIVE.set(1)
page = prometheus_client.make_wsgi_app(registry)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/metrics":
        return page(environ, start_response)
    TOTAL.inc()
    REQUESTS.labels(os.getpid()).inc()
    with SECONDS.time():
        start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def samples(server: Server, url: str | None = None) -> dict[str, float]:
    """Read the page of the application, or that at `url`; samples by name, added up over labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(server.get("/metrics", url)):
        for each in family.samples:
            found[each.name] = found.get(each.name, 0.0) + each.value
    return found


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["each loads", "preload"])
def test_counters_never_fall(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Every worker tells of all; a killed one and recycled ones stay counted, and no gauge of theirs."""
    options = ("--admin-bind", "127.0.0.1:0", "--admin-hosts", "test", *options)
    with serving(tmp_path, *options, workers=2, application=APPLICATION) as server:
        sent = 0
        admin = server.log.wait_for(r"Dashboard on (\S+)")[1]

        def ask(until: int) -> None:
            nonlocal sent
            answered: set[str] = set()
            while len(answered) < until:
                answered.add(server.get())
                sent += 1
                assert sent < 10_000
            for url in (None, None, None, admin):
                found = samples(server, url)
                assert found["shop_total"] == found["shop_requests_total"] == sent
                assert found["shop_seconds_count"] == sent
                assert found["alive"] == 2.0
                assert found["breezeway_unshared_values_total"] == 0.0

        ask(2)
        before = server.wait_for_workers(2)
        assert samples(server)["boots_total"] == 2.0
        killed = min(before)
        server.signal(signal.SIGKILL, killed)
        after = server.wait_for_workers(2, but=[killed])
        assert samples(server)["boots_total"] == 3.0
        ask(2)
        server.ask("recycle")
        server.wait_for_workers(2, but=[*after])
        eventually(lambda: samples(server)["alive"] == 2.0, "the old workers gone")
        ask(2)
        assert samples(server)["boots_total"] == 5.0
