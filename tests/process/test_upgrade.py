"""SIGUSR2: another supervisor takes over, with the code and the Python that are installed by now."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import APPLICATION, Server, body_of, command_line, eventually, is_alive, serving

UPGRADES = 3

NEW = APPLICATION.replace('VERSION = "1"', 'VERSION = "2"')

BROKEN = APPLICATION + "\nimport no_such_module_anywhere\n"


def supervisor_of(server: Server) -> int:
    """Return the pid of the supervisor that answers on the control socket; 0 if none does."""
    try:
        return int(server.status()["pid"])
    except UserError:
        return 0


def upgrade(server: Server, before: int) -> int:
    """Send SIGUSR2, wait until another supervisor has taken over, and return its pid."""
    server.signal(signal.SIGUSR2, before)
    pid: int = eventually(
        lambda: (pid := supervisor_of(server)) not in (0, before) and pid, "another supervisor"
    )
    return pid


def test_upgrades_lose_nothing(tmp_path: Path) -> None:
    """3 upgrades under load: no request fails, and the last supervisor ends in good order."""
    pid_file = tmp_path / "pid"
    with serving(tmp_path, "--pid-file", "pid", workers=2) as server:
        pids = [server.process.pid]
        with Load(server.address, keep_alive=64, one_shot=16) as load:
            load.wait_for(200)
            for number in range(UPGRADES):
                server.deploy(APPLICATION.replace('"1"', f'"{number + 2}"', 1))
                pids.append(upgrade(server, pids[-1]))
                load.wait_for(200)
                eventually(lambda: not is_alive(pids[-2]), "the old supervisor gone")
                assert int(pid_file.read_text()) == pids[-1]
        assert not load.failures
        assert {body.split()[0] for body in load.responses} == {"1", "2", "3", "4"}
        assert server.end() == 0
        assert len(server.workers()) == 2
        server.signal(signal.SIGTERM, pids[-1])
        server.wait_until_gone()
        assert not pid_file.exists()
        with pytest.raises(ConnectionRefusedError):
            server.get()


def test_files_survive(tmp_path: Path) -> None:
    """The files of unix socket and pid file are there all along, and go with the new supervisor."""
    path, pid_file = tmp_path / "web", tmp_path / "pid"
    options = ("--bind", "unix:web", "--unix-mode", "660", "--pid-file", "pid")
    with serving(tmp_path, *options, workers=1) as server:
        with Load(str(path), keep_alive=8, one_shot=4) as load:
            load.wait_for(200)
            new = upgrade(server, server.process.pid)
            load.wait_for(200)
            assert server.end() == 0
            load.wait_for(200)
        assert not load.failures
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert int(pid_file.read_text()) == new
        with pid_file.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        server.signal(signal.SIGTERM, new)
        server.wait_until_gone()
        assert not path.exists()
        assert not pid_file.exists()
        assert not Path(server.control).exists()


def test_requests_in_flight_are_finished(tmp_path: Path) -> None:
    """A request that the old worker has is answered by it, while the new one serves already."""
    with serving(tmp_path, workers=1) as server:
        (old,) = server.workers()
        client = server.sleep(1.5)
        upgrade(server, server.process.pid)
        eventually(lambda: server.get() != f"1 {old}", "answers of the new one")
        assert is_alive(server.process.pid)
        assert body_of(client.recv(65536)) == f"1 {old}"
        client.close()
        assert server.end() == 0


@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_broken_application(tmp_path: Path, preload: tuple[str, ...]) -> None:
    """New code that cannot be imported: `ctl upgrade` says why, and the old server goes on."""
    files = ("--bind", "127.0.0.1:0", "--bind", "unix:web", "--admin-bind", "unix:admin")
    with serving(tmp_path, *preload, *files, workers=2, trouble=True) as server:
        before, processes = set(server.workers()), set(server.processes())
        server.deploy(BROKEN)
        with Load(server.address, keep_alive=16, one_shot=4) as load:
            failed = server.ctl("upgrade")
            assert failed.returncode == 1
            assert "No module named 'no_such_module_anywhere'" in failed.stderr
            load.wait_for(200)
        assert not load.failures
        assert set(server.workers()) == before
        eventually(lambda: set(server.processes()) == processes, "the new processes gone")
        assert (tmp_path / "web").is_socket()
        assert (tmp_path / "admin").is_socket()
        server.deploy(NEW)
        assert server.ctl("upgrade").returncode == 0
        assert server.end() == 0
        assert server.get().startswith("2 ")


SECOND_FAILS = """
import os, time
try:
    os.close(os.open("first", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    time.sleep(0.3)
    raise RuntimeError("no database today") from None
"""


def test_second_worker_fails(tmp_path: Path) -> None:
    """Until all are ready nobody is served by the new ones, so that nothing is lost with them."""
    with serving(tmp_path, workers=2, trouble=True) as server:
        server.deploy(SECOND_FAILS + NEW)
        with Load(server.address, keep_alive=8, one_shot=8) as load:
            with pytest.raises(UserError, match="no database today"):
                server.ask("upgrade")
            load.wait_for(100)
        assert not load.failures
        assert {body[:2] for body in load.responses} == {"1 "}


def test_import_that_hangs(tmp_path: Path) -> None:
    """New code that never gets loaded: the new supervisor gives up, and leaves nothing behind."""
    with serving(tmp_path, "--boot-timeout", "3s", workers=1, trouble=True) as server:
        processes = set(server.processes())
        server.deploy("import time; time.sleep(60)\n" + NEW)
        with pytest.raises(UserError, match="was not ready after 3 s"):
            server.ask("upgrade")
        eventually(lambda: set(server.processes()) == processes, "the new processes gone")
        assert server.get().startswith("1 ")


def test_python_that_is_gone(tmp_path: Path) -> None:
    """A command that cannot be executed any more fails the upgrade alone."""
    python = tmp_path / "python"
    python.symlink_to(os.path.realpath(sys.executable))
    command = [str(python), *command_line(tmp_path)[1:]]
    environ = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with serving(tmp_path, command=command, environ=environ) as server:
        python.unlink()
        with pytest.raises(UserError, match=r"cannot execute .*/python"):
            server.ask("upgrade")
        server.signal(signal.SIGUSR2)
        server.log.wait_for("the upgrade failed", count=2)
        assert server.get().startswith("1 ")
        python.symlink_to(os.path.realpath(sys.executable))
        server.ask("upgrade")
        assert server.end() == 0
        assert server.get().startswith("1 ")


def test_broken_settings(tmp_path: Path) -> None:
    """Settings with a mistake fail the upgrade before anything is started."""
    with serving(tmp_path) as server:
        (tmp_path / "breezeway.toml").write_text("threads = 'many'\n")
        with pytest.raises(UserError, match=r"breezeway\.toml, line 1"):
            server.ask("upgrade")
        assert server.get().startswith("1 ")


def test_new_supervisor_that_dies(tmp_path: Path) -> None:
    """A new supervisor that is killed before it is ready has changed nothing."""
    with serving(tmp_path, workers=1) as server:
        processes = set(server.processes())
        server.deploy("import time; time.sleep(1)\n" + NEW)
        server.signal(signal.SIGUSR2)
        server.log.wait_for("upgrading")
        (new, *_) = eventually(lambda: set(server.processes()) - processes, "a new process")
        server.signal(signal.SIGKILL, new)
        server.log.wait_for("the new supervisor ended before it was ready")
        assert server.get().startswith("1 ")
        eventually(lambda: set(server.processes()) == processes, "the new processes gone")


def test_one_at_a_time(tmp_path: Path) -> None:
    """During an upgrade there is no other one; SIGHUP is for the new supervisor, which comes next."""
    with serving(tmp_path, workers=1, trouble=True) as server:
        server.deploy("import time; time.sleep(1)\n" + NEW)
        server.signal(signal.SIGUSR2)
        server.log.wait_for("upgrading")
        with pytest.raises(UserError, match="under way already"):
            server.ask("upgrade")
        with pytest.raises(UserError, match="an upgrade is under way"):
            server.ask("reload")
        with pytest.raises(UserError, match="an upgrade is under way"):
            server.ask("scale", workers=2)
        server.deploy(APPLICATION.replace('"1"', '"3"', 1))
        server.signal(signal.SIGHUP)
        server.signal(signal.SIGUSR2)
        assert server.end() == 0
        server.log.wait_for("an upgrade is under way; the reload comes after it")
        server.log.wait_for("reloaded")
        assert server.get().startswith("3 ")


def test_logs_that_are_rotated_meanwhile(tmp_path: Path) -> None:
    """SIGUSR1 during an upgrade: the new supervisor opens the log files anew, too."""
    log, rotated = tmp_path / "log", tmp_path / "log.1"
    waits = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
    with serving(tmp_path, "--log-file", "log", workers=1) as server:
        server.deploy("print('loading', flush=True)\n" + waits + NEW)
        server.signal(signal.SIGUSR2)
        server.out.wait_for("loading")
        log.rename(rotated)
        server.signal(signal.SIGUSR1)
        eventually(log.exists, "the old supervisor's log opened anew")
        (tmp_path / "go").touch()
        assert server.end() == 0
        server.ask("recycle")
        server.ask("stop")
        server.wait_until_gone()
        assert "as an operator has asked" in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_stop_during_an_upgrade(tmp_path: Path, number: signal.Signals) -> None:
    """A stop ends the new supervisor as well, which would otherwise go on for ever."""
    with serving(tmp_path, "--pid-file", "pid", workers=2, trouble=True) as server:
        server.deploy("import time; time.sleep(1)\n" + NEW)
        server.signal(signal.SIGUSR2)
        server.log.wait_for("upgrading")
        eventually(lambda: len(server.processes()) > 4, "the new supervisor and its workers")
        server.signal(number)
        assert server.end() == (0 if number == signal.SIGTERM else 131)
        server.wait_until_gone()
        assert not (tmp_path / "pid").exists()


def test_command(tmp_path: Path) -> None:
    """When `ctl upgrade` returns, it is the new supervisor that answers; in between one always does.

    A pid file that somebody has removed comes back.
    """
    with serving(tmp_path, "--pid-file", "pid", workers=1) as server:
        for _ in range(2):
            before = server.status()["pid"]
            (tmp_path / "pid").unlink()
            done = server.ctl("upgrade")
            assert done.returncode == 0, done.stderr
            after = server.status()["pid"]
            assert after != before
            assert int((tmp_path / "pid").read_text()) == after


def test_scale_is_kept(tmp_path: Path) -> None:
    """The number of workers that an operator has chosen outlives the upgrade."""
    with serving(tmp_path, workers=1) as server:
        server.ask("scale", workers=3)
        upgrade(server, server.process.pid)
        assert server.status()["wanted"] == 3
        server.wait_for_workers(3)


def test_addresses_change(tmp_path: Path) -> None:
    """The new supervisor listens where its settings say; what it does not want is closed.

    A listener that nobody can reach is not taken over: its address is bound anew. Without the file of
    settings it would listen on the default address; that is refused.
    """
    settings = tmp_path / "breezeway.toml"
    settings.write_text('bind = ["127.0.0.1:0", "unix:old", "unix:lost"]\n')
    with serving(tmp_path, command=_without_bind(tmp_path)) as server:
        settings.unlink()
        with pytest.raises(UserError, match=r"breezeway\.toml is not there any more"):
            server.ask("upgrade")
        settings.write_text('bind = ["127.0.0.1:0", "unix:new", "unix:lost"]\n')
        (tmp_path / "lost").unlink()
        with socket.socket(socket.AF_UNIX) as other:  # that of somebody who has ended
            other.bind(str(tmp_path / "lost"))
        with Load(server.address, keep_alive=8, one_shot=4) as load:
            upgrade(server, server.process.pid)
            load.wait_for(200)
            assert server.end() == 0
        assert not load.failures
        for name in "new", "lost":
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / name))
        eventually(lambda: not (tmp_path / "old").exists(), "the old file gone")


def test_disk_full(tmp_path: Path) -> None:
    """A pid file that cannot be written any more costs the number in it, not the server."""
    with serving(tmp_path, "--pid-file", "pid", workers=1) as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        new = upgrade(server, server.process.pid)
        assert server.end() == 0
        server.log.wait_for("cannot use the pid file")
        assert server.get().startswith("1 ")
        server.signal(signal.SIGTERM, new)
        server.wait_until_gone()


def _without_bind(directory: Path) -> list[str]:
    command = command_line(directory)
    at = command.index("--bind")
    return command[:at] + command[at + 2 :]
