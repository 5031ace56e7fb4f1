"""When metrics are pushed to statsd, and where, through reloads."""

from __future__ import annotations

import socket
import types
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from breezeway import serving
from breezeway.config.settings import Settings
from breezeway.errors import UsageError
from breezeway.supervisor.statsd_push import StatsdPush
from breezeway.supervisor.supervisor import Supervisor


class Stage:
    """A supervisor that has counted some reloads, and servers of statsd."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.reloads = 0
        self.settings = Settings()
        self.on_look: list[Any] = []
        self.close_in_child: list[Any] = []

    def push(self, **settings: Any) -> StatsdPush:
        """Begin to push."""
        self.settings = Settings(**settings)
        found = StatsdPush(cast(Supervisor, self), lambda: {"reloads": self.reloads})
        found.open()
        self._stack.callback(self.close_in_child[0])
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
        stage.on_look[0]()
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


def test_reload_to_a_host_that_is_not_there(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and all goes on where it went; at the start it is an error."""
    server, address = stage.server()
    push = stage.push(statsd=address)

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    push.apply(Settings(statsd="no.invalid:8125"))
    assert "the metrics go where they went: cannot push to --statsd no.invalid:8125" in caplog.text
    stage.reloads = 1
    push.close()
    assert reloads(server) == b"breezeway.reloads.ok:1|c"
    with pytest.raises(UsageError, match=r"no\.invalid cannot be found"):
        stage.push(statsd="no.invalid:8125")


def test_without_a_supervisor() -> None:
    """A program that serves by itself, without workers, is told that it needs one."""
    with pytest.raises(UsageError, match="statsd: without workers nobody would push there"):
        serving.serve_settings(lambda *_: [], Settings(statsd="127.0.0.1:8125"))
