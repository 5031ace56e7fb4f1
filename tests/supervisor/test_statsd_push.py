"""When metrics are pushed to statsd, and where, through reloads."""

from __future__ import annotations

import os
import socket
import time
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from breezeway import serving
from breezeway.config.settings import Settings
from breezeway.errors import UsageError
from breezeway.supervisor import name_lookup, statsd_push
from breezeway.supervisor.statsd_push import StatsdPush
from breezeway.supervisor.supervisor import Supervisor

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


class Stage:
    """A supervisor that has counted some reloads, and servers of statsd."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.reloads = 0
        self.settings = Settings()
        self.on_look: list[Any] = []
        self.close_in_child: list[Any] = []

    def after_fork(self) -> None:
        """Close nothing."""

    def push(self, **settings: Any) -> StatsdPush:
        """Begin to push."""
        self.settings = Settings(**settings)
        found = StatsdPush(cast(Supervisor, self), lambda: {"reloads": self.reloads})
        self._stack.callback(found.close)
        found.open()
        return found

    def server(self) -> tuple[socket.socket, str]:
        """Return a server, and its address."""
        found = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        found.bind(("127.0.0.1", 0))
        found.settimeout(20)
        return found, f"127.0.0.1:{found.getsockname()[1]}"


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Give a supervisor."""
    with ExitStack() as stack:
        yield Stage(stack)


def reloads(server: socket.socket) -> bytes:
    """Return what the next datagram says about reloads."""
    lines = server.recv(65536).splitlines()
    found = [line for line in lines if b".reloads.ok:" in line]
    return found[0] if found else b""


def test_pushes_when_it_is_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before the interval is over, and once more at the end."""
    server, address = stage.server()
    now = 1000.0
    clock = types.SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("breezeway.supervisor.statsd_push.time", clock)
    push = stage.push(statsd=address, statsd_interval=10)
    stage.reloads = 1
    for now in (1009.0, 1010.0, 1019.0):
        stage.on_look[-1]()
    stage.reloads = 3
    push.close()
    assert reloads(server) == b"breezeway.reloads.ok:1|c"
    assert reloads(server) == b"breezeway.reloads.ok:2|c"


def test_reload_that_changes_the_address(stage: Stage) -> None:
    """The old server gets what was counted until then, the new one what comes after."""
    (old, before), (new, after) = stage.server(), stage.server()
    push = stage.push(statsd=before)
    stage.reloads = 5
    push.apply(Settings(statsd=after, statsd_prefix="shop"))
    assert reloads(old) == b"breezeway.reloads.ok:5|c"
    stage.reloads = 7
    push.apply(Settings(statsd=after, statsd_prefix="shop", threads=3))
    push.close()
    assert reloads(new) == b"shop.reloads.ok:2|c"


Resolver = Callable[[str], str]
"""Returns the address of a host, or raises."""


@pytest.fixture
def resolve_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Resolver], None]:
    """Give a function that sets a resolver of names."""
    real = socket.getaddrinfo

    def use(resolver: Resolver) -> None:
        def fake(host: str, *args: Any, **options: Any) -> Any:
            return real(host if host[0].isdigit() else resolver(host), *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", fake)

    return use


@pytest.fixture
def gate(resolve_by: Callable[[Resolver], None]) -> Iterator[Callable[[], None]]:
    """Have a resolver that says nothing until what this gives is called; then it is loopback."""
    read, write = os.pipe()

    def resolver(_: str) -> str:
        os.read(read, 1)
        return "127.0.0.1"

    resolve_by(resolver)

    def let_go() -> None:
        os.write(write, b"x")

    yield let_go
    os.close(read)
    os.close(write)


def absent(host: str) -> str:
    """Know no host."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def look_until(stage: Stage, is_so: Callable[[], object]) -> None:
    """Look as the supervisor's loop does, until something is so."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        stage.on_look[-1]()
        time.sleep(0.005)


def test_host_by_name(stage: Stage, resolve_by: Callable[[Resolver], None]) -> None:
    """A name that is known is found before the server starts."""
    server, address = stage.server()
    resolve_by(lambda _: "127.0.0.1")
    push = stage.push(statsd=f"stats.example:{address.rpartition(':')[2]}")
    stage.reloads = 2
    push.close()
    assert reloads(server) == b"breezeway.reloads.ok:2|c"


def test_host_that_is_not_there(stage: Stage, resolve_by: Callable[[Resolver], None]) -> None:
    """At the start it is an error."""
    resolve_by(absent)
    with pytest.raises(UsageError, match=r"no\.invalid cannot be found: Name or service"):
        stage.push(statsd="no.invalid:8125")


def test_start_does_not_wait_for_a_resolver(
    stage: Stage,
    gate: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server starts without the address; when that is known, everything is pushed."""
    monkeypatch.setattr(statsd_push, "START_SECONDS", 0.0)
    server, address = stage.server()
    stage.reloads = 1
    push = stage.push(statsd=f"stats.example:{address.rpartition(':')[2]}")
    assert "is looked up still" in caplog.text
    stage.on_look[-1]()
    stage.reloads = 4
    gate()
    look_until(stage, lambda: push._statsd)
    push.close()
    assert reloads(server) == b"breezeway.reloads.ok:4|c"


def test_start_where_a_resolver_fails_late(
    stage: Stage,
    resolve_by: Callable[[Resolver], None],
    gate: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The name is looked up again and again until it is found."""
    monkeypatch.setattr(statsd_push, "START_SECONDS", 0.0)
    monkeypatch.setattr(statsd_push, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(name_lookup, "MOST_SECONDS", 0.0)
    server, address = stage.server()
    stage.reloads = 1
    with pytest.raises(UsageError, match="nobody answers in 0 s"):
        stage.push(statsd=f"stats.example:{address.rpartition(':')[2]}")
    monkeypatch.setattr(name_lookup, "MOST_SECONDS", 20.0)
    push = stage.push(statsd=f"stats.example:{address.rpartition(':')[2]}")
    monkeypatch.setattr(push._lookup, "_ends", 0.0)
    look_until(stage, lambda: "nobody answers in 20 s; again in 0 s" in caplog.text)
    resolve_by(lambda _: "127.0.0.1")
    look_until(stage, lambda: push._statsd)
    push.close()
    assert reloads(server) == b"breezeway.reloads.ok:1|c"


def test_reload_does_not_wait_for_a_resolver(stage: Stage, gate: Callable[[], None]) -> None:
    """Until the new address is known, the old server gets everything, and then the new one."""
    (old, before), (new, after) = stage.server(), stage.server()
    push = stage.push(statsd=before)
    push.apply(Settings(statsd=f"stats.example:{after.rpartition(':')[2]}"))
    first = push._statsd
    stage.on_look[-1]()
    stage.reloads = 5
    gate()
    look_until(stage, lambda: push._statsd is not first)
    assert reloads(old) == b"breezeway.reloads.ok:5|c"
    stage.reloads = 7
    push.close()
    assert reloads(new) == b"breezeway.reloads.ok:2|c"


def test_reload_in_the_middle_of_a_look_up(stage: Stage, gate: Callable[[], None]) -> None:
    """What is asked for later wins, and no process is left."""
    server, address = stage.server()
    push = stage.push(statsd=address)
    push.apply(Settings(statsd="stats.example:8125"))
    lookup = push._lookup
    assert lookup is not None
    push.apply(Settings(statsd="stats.example:8126"))
    with pytest.raises(ProcessLookupError):
        os.kill(lookup._pid, 0)
    push.apply(Settings(statsd=address, statsd_prefix="shop"))
    stage.reloads = 1
    push.close()
    reloads(server)
    assert reloads(server) == b"shop.reloads.ok:1|c"


def test_reload_to_a_host_that_is_not_there(
    stage: Stage, resolve_by: Callable[[Resolver], None], caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and all goes on where it went."""
    server, address = stage.server()
    push = stage.push(statsd=address)
    resolve_by(absent)
    push.apply(Settings(statsd="no.invalid:8125"))
    said = "the metrics go where they went: cannot push to --statsd no.invalid:8125"
    look_until(stage, lambda: said in caplog.text)
    stage.reloads = 1
    push.close()
    assert reloads(server) == b"breezeway.reloads.ok:1|c"


def test_without_a_supervisor() -> None:
    """A program that serves by itself, without workers, is told that it needs one."""
    with pytest.raises(UsageError, match="statsd: without workers nobody would push there"):
        serving.serve_settings(lambda *_: [], Settings(statsd="127.0.0.1:8125"))
