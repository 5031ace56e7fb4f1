"""What a statsd server gets: the sums are exact, and whoever does not listen costs nothing."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.errors import StatsdError
from breezeway.observe.statsd import DATAGRAM_BYTES, Statsd

from .statuses import metrics, status


class Server:
    """A server on the loopback that adds up counters."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(20)
        self.counters: Counter[str] = Counter()
        self.gauges: dict[str, float] = {}
        self.longest = 0

    def pusher(self, *, prefix: str = "web", tags: bool = False) -> Statsd:
        """Return what pushes here."""
        return Statsd("127.0.0.1", self.socket.getsockname()[1], prefix=prefix, tags=tags)

    def receive(self) -> None:
        """Take in all that has come; at least one datagram."""
        self.socket.settimeout(20)
        while True:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return
            self.longest = max(self.longest, len(data))
            for line in data.decode().splitlines():
                name, _, rest = line.partition(":")
                value, kind, *tags = rest.split("|")
                name = "|".join([name, *tags])
                if kind == "c":
                    self.counters[name] += int(value)
                else:
                    assert kind == "g"
                    self.gauges[name] = float(value)
            self.socket.settimeout(0)  # on the loopback what was sent is there


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server."""
    found = Server()
    with found.socket:
        yield found


def push(pusher: Statsd, *statuses: dict[str, Any]) -> list[bool]:
    """Push these, and close."""
    told = [pusher.push(each) for each in statuses]
    pusher.close()
    return told


def test_counters_add_up(server: Server) -> None:
    """Each push has what was added since the last; gauges are as they are."""
    answers = [status(metrics=metrics(*[0.001] * count)) for count in (3, 3, 10)]
    assert push(server.pusher(), *answers) == [True, True, True]
    server.receive()
    assert server.counters["web.requests.GET.2xx"] == 10
    assert server.counters["web.request_duration_seconds.count"] == 10
    assert server.counters["web.refused_requests.400.malformed_request_line"] == 4
    assert "web.requests.GET.5xx" not in server.counters, "nothing to tell"
    assert server.gauges["web.connections.idle"] == 1
    assert server.gauges["web.start_time_seconds"] == 1_700_000_000.25
    assert server.longest <= DATAGRAM_BYTES


def test_labels_can_be_tags(server: Server) -> None:
    """As DogStatsD has them; no value can end a tag, or a line."""
    refusals = [{"status": 400, "reason": "a|b,c#d\ne:f", "count": 2}]
    push(server.pusher(tags=True, prefix=""), status(refusals=refusals))
    server.receive()
    assert server.counters["requests|#method:GET,status:2xx"] == 3
    assert server.counters["refused_requests|#status:400,reason:a_b_c_d_e:f"] == 2


def test_quantiles_are_those_since_the_last_push(server: Server) -> None:
    """Within two per cent; what was before has no weight."""
    slow = [1.0] * 100
    quick = [each / 100_000 for each in range(100, 200)]
    push(server.pusher(), status(metrics=metrics(*slow)), status(metrics=metrics(*slow, *quick)))
    server.receive()
    name = "web.request_duration_seconds"
    assert server.gauges[f"{name}.p50"] == pytest.approx(0.00149, rel=0.02)
    assert server.gauges[f"{name}.p99"] == pytest.approx(0.00198, rel=0.02)
    assert server.gauges[f"{name}.mean"] == pytest.approx(sum(quick) / 100, rel=0.01)


def test_what_was_not_sent_goes_with_the_next_push(tmp_path: Path) -> None:
    """A unix socket tells that nobody is there; nothing is lost, nothing raised."""
    path = tmp_path / "statsd"
    pusher = Statsd(str(path), 0, prefix="web", tags=False)
    try:
        assert not pusher.push(status())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(str(path))
            assert pusher.push(status())
            server.setblocking(False)
            assert b"web.requests.GET.2xx:3|c" in server.recv(65536)
            while pusher.push(status()):
                pass  # nobody reads: the queue is full
    finally:
        pusher.close()


def test_what_was_counted_before_can_be_left_out(server: Server) -> None:
    """As after a reload that names another server."""
    pusher = server.pusher()
    pusher.begin(status())
    push(pusher, status(metrics=metrics(0.001, 0.003, 1.5, 0.1)))
    server.receive()
    assert server.counters["web.requests.GET.2xx"] == 1
    assert not [name for name in server.counters if "refused" in name]
    assert server.counters["web.request_duration_seconds.count"] == 1


def test_nobody_listens_on_udp() -> None:
    """Datagrams to a closed port are lost without an error."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    push(Statsd("127.0.0.1", port, prefix="", tags=False), *[status()] * 3)


def test_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told at once."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(StatsdError, match=r"no\.invalid cannot be found: Name or service"):
        Statsd("no.invalid", 8125, prefix="", tags=False)
