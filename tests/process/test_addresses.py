"""Addresses that a reload changes are opened and closed without a gap."""

from __future__ import annotations

import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Failure, Load
from .server import APPLICATION, Server, command_line, eventually, is_alive, serving
from .test_upgrade import upgrade

MOST_RESET = 2
"""Clients that come in the microsecond in which a socket is closed."""

REFUSED = ("ConnectionRefusedError", "FileNotFoundError")
"""What a client gets at an address that nobody listens on any more."""

SECOND_FAILS = """
import os
try:
    os.open("first", os.O_CREAT | os.O_EXCL)
except FileExistsError:
    raise RuntimeError("only one of us can be")
"""


def assert_refused(failures: list[Failure]) -> None:
    """Check that clients were refused, or came in the microsecond in which the socket was closed."""
    assert len(not_refused(failures)) <= MOST_RESET, failures


def not_refused(failures: list[Failure]) -> list[Failure]:
    """Return the failures of those who were not simply refused; none of them had a response."""
    found = [each for each in failures if not each.why.startswith(REFUSED)]
    assert all(each.last_body == "" for each in found), found
    return found


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on."""
    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])


def bind(directory: Path, *addresses: str) -> None:
    """Write a settings file with these addresses."""
    listed = ", ".join(f'"{each}"' for each in addresses)
    (directory / "breezeway.toml").write_text(f"bind = [{listed}]\nworkers = 2\n")


def command(directory: Path, *options: str) -> list[str]:
    """Return the command line of a server whose addresses are in its settings file."""
    found = command_line(directory, *options)
    at = found.index("--bind")
    return found[:at] + found[at + 2 :]


def answers(server: Server, port: int) -> bool:
    """Whether somebody answers on this port; a listener that is just being closed resets who waits."""
    try:
        return server.get(url=f"http://127.0.0.1:{port}").startswith("1 ")
    except (ConnectionRefusedError, ConnectionResetError):
        return False


@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_opened_and_closed(tmp_path: Path, options: tuple[str, ...]) -> None:
    """One address is opened, another is closed, a third stays: nobody on any of them loses a request.

    Who connects between a worker's last look and the close is reset. A worker that loses the processor
    just there resets more, so that a machine with other work has three chances.
    """
    for _ in range(3):
        reset = open_and_close(tmp_path, options)
        if len(reset) <= MOST_RESET:
            return
    raise AssertionError(reset)


def open_and_close(tmp_path: Path, options: tuple[str, ...]) -> list[Failure]:
    """Change one of two addresses by a reload under load; return what was reset at the closed one."""
    stays, goes, comes = (free_port() for _ in range(3))
    bind(tmp_path, f"127.0.0.1:{stays}", f"127.0.0.1:{goes}")
    with serving(tmp_path, command=command(tmp_path, *options)) as server:
        server.wait_for_workers(2)
        assert not answers(server, comes)
        bind(tmp_path, f"127.0.0.1:{stays}", f"127.0.0.1:{comes}")
        with (
            Load(("127.0.0.1", stays), keep_alive=16, one_shot=8) as kept,
            Load(("127.0.0.1", goes), keep_alive=16, one_shot=8) as ended,
        ):
            kept.wait_for(200)
            ended.wait_for(200)
            server.ask("reload")
            assert answers(server, comes)
            kept.wait_for(200)
            eventually(lambda: not answers(server, goes), "the old address closed")
        assert not kept.failures
        assert server.status()["listeners"] == [
            f"http://127.0.0.1:{stays}",
            f"http://127.0.0.1:{comes}",
        ]
        server.log.wait_for(f"no longer listening on http://127.0.0.1:{goes}")
        server.log.wait_for(f"listening on http://127.0.0.1:{comes}$")
    return not_refused(ended.failures)


def test_unix_sockets(tmp_path: Path) -> None:
    """The same with files: the new one has its mode, the old one is removed; a lost one comes back."""
    bind(tmp_path, "unix:old", "127.0.0.1:0")
    with serving(
        tmp_path, command=command(tmp_path, "--unix-mode", "660", "--pid-file", "pid")
    ) as server:
        server.wait_for_workers(2)
        bind(tmp_path, "unix:new", "127.0.0.1:0")
        with Load(str(tmp_path / "old"), keep_alive=8, one_shot=8) as load:
            load.wait_for(200)
            server.ask("reload")
            eventually(lambda: not (tmp_path / "old").exists(), "the old file gone")
        assert_refused(load.failures)
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o660
        (tmp_path / "new").unlink()
        (tmp_path / "control").unlink()
        (tmp_path / "control").write_text("precious")
        server.signal(signal.SIGHUP)
        server.log.wait_for("reloaded", count=2)  # all the same
        server.log.wait_for("control-socket.*: this file is there already")
        (tmp_path / "control").unlink()
        (tmp_path / "pid").unlink()
        server.signal(signal.SIGHUP)
        server.log.wait_for("reloaded", count=3)
        assert server.status()["generation"] == 4
        assert int((tmp_path / "pid").read_text()) == server.process.pid
        with Load(str(tmp_path / "new"), keep_alive=4, one_shot=4) as load:
            load.wait_for(100)
        assert not load.failures


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the port is not free in time")
def test_wider_address_with_the_same_port(tmp_path: Path) -> None:
    """From 127.0.0.1 to all addresses: who connects to 127.0.0.1 meanwhile is served.

    An upgrade takes it back.
    """
    port = free_port("0.0.0.0")
    bind(tmp_path, f"127.0.0.1:{port}")
    with serving(tmp_path, command=command(tmp_path)) as server:
        bind(tmp_path, f"0.0.0.0:{port}")
        with Load(("127.0.0.1", port), keep_alive=8, one_shot=4, pause=0.001) as load:
            load.wait_for(50)
            server.ask("reload")
            load.wait_for(50)
        # Whoever came in the microsecond in which the old socket was closed; nobody else.
        assert len(load.failures) <= 2, load.failures
        assert not [each for each in load.failures if each.why.startswith(REFUSED)]
        assert answers(server, port)
        assert server.log.find(r"listening on http://0\.0\.0\.0:")
        bind(tmp_path, f"127.0.0.1:{port}")
        old = server.process.pid
        new = upgrade(server, old)
        eventually(lambda: not is_alive(old), "the old supervisor gone")
        assert answers(server, port)
        with pytest.raises(ConnectionRefusedError):
            server.get(url=f"http://127.0.0.2:{port}")
        server.signal(signal.SIGTERM, new)
        server.wait_until_gone()


def test_address_that_is_taken(tmp_path: Path) -> None:
    """A new address that cannot be had fails the reload, and nothing has changed."""
    stays, comes = free_port(), free_port()
    bind(tmp_path, f"127.0.0.1:{stays}")
    with (
        serving(tmp_path, command=command(tmp_path)) as server,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        before = server.wait_for_workers(2)
        bind(tmp_path, f"127.0.0.1:{comes}", f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UserError, match="is taken by process"):
            server.ask("reload")
        bind(tmp_path, f"127.0.0.1:{stays}", f"0.0.0.0:{stays}")  # as at a start
        with pytest.raises(UserError, match="is taken by this process itself"):
            server.ask("reload")
        bind(tmp_path, f"127.0.0.1:{stays}", "fd://3")  # it is some socket of the server's own
        with pytest.raises(UserError, match="fd://3: a socket can be passed at the start alone"):
            server.ask("reload")
        assert set(server.workers()) == before
        assert answers(server, stays)
        assert not answers(server, comes)


def test_code_that_does_not_come_up(tmp_path: Path) -> None:
    """New code that cannot be loaded: the new address is closed again, and the old one serves on."""
    stays, comes = free_port(), free_port()
    bind(tmp_path, f"127.0.0.1:{stays}")
    with serving(tmp_path, command=command(tmp_path), trouble=True) as server:
        server.wait_for_workers(2)
        server.deploy("raise RuntimeError('half a deploy')\n")
        bind(tmp_path, f"127.0.0.1:{comes}")
        with Load(("127.0.0.1", stays), keep_alive=8, one_shot=4) as load:
            with pytest.raises(UserError, match="half a deploy"):
                server.ask("reload")
            load.wait_for(200)
        assert not load.failures
        assert not answers(server, comes)
        server.deploy(APPLICATION)
        server.ask("reload")
        assert answers(server, comes)
        eventually(lambda: not answers(server, stays), "the old address closed")


def test_second_worker_fails(tmp_path: Path) -> None:
    """New code that comes up once only: the worker with the new address goes, too."""
    stays, comes = free_port(), free_port()
    bind(tmp_path, f"127.0.0.1:{stays}")
    with serving(tmp_path, command=command(tmp_path), trouble=True) as server:
        server.wait_for_workers(2)
        server.deploy(SECOND_FAILS + APPLICATION)
        bind(tmp_path, f"127.0.0.1:{stays}", f"127.0.0.1:{comes}")
        with Load(("127.0.0.1", stays), keep_alive=8, one_shot=4) as load:
            with pytest.raises(UserError, match="only one of us can be"):
                server.ask("reload")
            server.deploy(APPLICATION)
            server.wait_for_workers(2)
            eventually(lambda: not answers(server, comes), "the new address closed again")
            load.wait_for(200)
            assert server.status()["listeners"] == [f"http://127.0.0.1:{stays}"]
            server.ask("reload")
            assert answers(server, comes)
        assert not load.failures
