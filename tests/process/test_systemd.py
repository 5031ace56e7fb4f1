"""Under systemd, as far as a process can tell: notifications, a watchdog, and sockets that are passed."""

from __future__ import annotations

import shlex
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import APPLICATION, command_line, eventually, is_alive, serving


class Systemd:
    """Listens on NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.environ: Mapping[str, str] = {"NOTIFY_SOCKET": str(path)}
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while data := self._socket.recv(4096):
            self.heard.append(data.decode())

    def wait_for(self, line: str, count: int = 1) -> None:
        """Wait until a message with this line has come so often."""
        eventually(
            lambda: sum(line in each.splitlines() for each in self.heard) >= count,
            f"{line} in {self.heard}",
        )

    def close(self) -> None:
        """End."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    """Return somebody who hears what the server tells systemd."""
    found = Systemd(tmp_path / "notify")
    yield found
    found.close()


def test_notifications(tmp_path: Path, systemd: Systemd) -> None:
    """READY when requests are served, RELOADING and READY again, STOPPING at the end."""
    with serving(tmp_path, workers=2, environ=systemd.environ, trouble=True) as server:
        systemd.wait_for("READY=1")
        server.ask("reload")
        systemd.wait_for("RELOADING=1")
        systemd.wait_for("READY=1", count=2)
        server.deploy("raise RuntimeError('half a deploy')\n")
        with pytest.raises(UserError, match="half a deploy"):
            server.ask("reload")
        systemd.wait_for("RELOADING=1", count=2)
        systemd.wait_for("READY=1", count=3)
        server.signal(signal.SIGTERM)
        systemd.wait_for("STOPPING=1")
        assert server.end() == 0


def test_upgrade(tmp_path: Path, systemd: Systemd) -> None:
    """An upgrade tells which process is the main one from now on."""
    with serving(tmp_path, workers=1, environ=systemd.environ) as server:
        pid = server.ask("upgrade")["pid"]
        systemd.wait_for(f"MAINPID={pid}")
        assert server.end() == 0
        assert is_alive(pid)


def test_watchdog(tmp_path: Path, systemd: Systemd) -> None:
    """The watchdog is told more than once in each interval, also of the new supervisor's life."""
    environ = {**systemd.environ, "WATCHDOG_USEC": "600000"}
    with serving(tmp_path, workers=1, environ=environ) as server:
        began = time.monotonic()
        systemd.wait_for("WATCHDOG=1", count=5)
        assert time.monotonic() - began < 5 * 0.6
        server.ask("upgrade")
        assert server.end() == 0
        before = "\n".join(systemd.heard).count("WATCHDOG=1")
        systemd.wait_for("WATCHDOG=1", count=before + 3)


def test_socket_activation(tmp_path: Path) -> None:
    """The sockets of a .socket unit are served, several and unix ones too, also after an upgrade."""
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        unix.bind(str(tmp_path / "web"))
        unix.listen()
        # Whoever connects before the server is there waits for it.
        early = socket.create_connection(tcp.getsockname())
        early.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        line = command_line(tmp_path, "--workers", "2")
        at = line.index("--bind")
        line = line[:at] + line[at + 2 :]
        sockets = (tcp.fileno(), unix.fileno())
        moves = "exec " + " ".join(f"{3 + to}<&{fd}" for to, fd in enumerate(sockets))
        script = f"{moves}; export LISTEN_PID=$$ LISTEN_FDS=2; exec {shlex.join(line)}"
        command = ["bash", "-c", script]
        with serving(tmp_path, command=command, pass_fds=sockets) as server:
            assert early.recv(65536).startswith(b"HTTP/1.1 200 ")
            early.close()
            with (
                Load(tcp.getsockname(), keep_alive=8, one_shot=4) as load,
                Load(str(tmp_path / "web"), keep_alive=8, one_shot=4) as other,
            ):
                server.ask("reload")
                server.deploy(APPLICATION.replace('"1"', '"2"', 1))
                server.ask("upgrade")
                assert server.end() == 0
                for each in (load, other):
                    each.wait_for(200)
            assert not load.failures
            assert not other.failures
            server.ask("stop")
            server.wait_until_gone()
        assert (tmp_path / "web").exists()  # it is systemd's
