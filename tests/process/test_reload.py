"""Reload: new code and settings under load, and a broken deploy that takes nothing down."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import APPLICATION, Server, body_of, eventually, read_all, serving

RELOADS = 10

BROKEN = APPLICATION + "\nimport no_such_module_anywhere\n"

SECOND_FAILS = """
import os
try:
    os.open("first", os.O_CREAT | os.O_EXCL)
except FileExistsError:
    raise RuntimeError("only one of us can be")
"""
"""Put before an application: the first process can load it, and no other one."""


def version(number: int) -> str:
    """Return the application with another version."""
    return APPLICATION.replace('VERSION = "1"', f'VERSION = "{number}"')


def versions(load: Load) -> set[str]:
    """Return the versions that have answered."""
    return {body.split()[0] for body in load.responses}


def wait_for_version(server: Server, number: int) -> None:
    """Wait until this version alone answers: after a signal, an old worker may accept a moment longer."""
    eventually(
        lambda: {server.get().split()[0] for _ in range(8)} == {str(number)}, f"version {number}"
    )


def hang_up(server: Server) -> None:
    """Send SIGHUP, and wait for the end of the reload."""
    before = server.status()
    server.signal(signal.SIGHUP)
    eventually(
        lambda: (
            (now := server.status())["reloads"] > before["reloads"] and now["state"] == "serving"
        ),
        "the reload",
    )


def test_reloads_lose_nothing(tmp_path: Path) -> None:
    """10 reloads by SIGHUP under load: no request fails, and each brings the new code."""
    with serving(tmp_path, workers=2) as server:
        with Load(server.address, keep_alive=64, one_shot=16) as load:
            for number in range(RELOADS):
                server.deploy(version(number + 2))
                hang_up(server)
                load.wait_for(200)
        assert not load.failures
        assert versions(load) == {str(number) for number in range(1, RELOADS + 2)}
        assert load.closed
        status = server.status()
        assert (status["reloads"], status["generation"], status["deaths"]) == (10, 11, 0)
        wait_for_version(server, 11)


def test_ctl_reload_shows_progress(tmp_path: Path) -> None:
    """`ctl reload` says how many of how many workers it has replaced; its result has the count."""
    with serving(tmp_path, workers=3) as server:
        server.deploy(version(2))
        done = server.ctl("reload")
        assert done.returncode == 0
        assert [line.partition("]")[0] for line in done.stderr.splitlines()] == [
            "[1/3",
            "[2/3",
            "[3/3",
        ]
        assert {server.get().split()[0] for _ in range(20)} == {"2"}


def test_broken_deploy(tmp_path: Path) -> None:
    """New code that cannot be imported: nothing fails, `ctl reload` does and says why; then mended."""
    with serving(tmp_path, workers=2, trouble=True) as server:
        before = set(server.workers())
        with Load(server.address, keep_alive=64, one_shot=16) as load:
            server.deploy(BROKEN)
            failed = server.ctl("reload")
            assert failed.returncode == 1
            assert failed.stderr.splitlines()[-3:] == [
                "    import no_such_module_anywhere",
                "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
                "breezeway: error: the reload failed.",
            ]
            load.wait_for(200)
            assert set(server.workers()) == before
            assert server.ctl("reload").returncode == 1
            assert versions(load) == {"1"}
            server.deploy(version(2))
            assert server.ctl("reload").returncode == 0
            load.wait_for(200)
        assert not load.failures
        wait_for_version(server, 2)
        assert len(server.log.find("Traceback")) == 1  # though it failed twice
        status = server.status()
        assert (status["reloads"], status["failed_reloads"]) == (1, 2)


def test_broken_settings(tmp_path: Path) -> None:
    """A settings file with a mistake fails the reload, and the server goes on with the old ones."""
    settings = tmp_path / "breezeway.toml"
    settings.write_text("threads = 3\n")
    with serving(tmp_path, workers=1) as server:
        before = set(server.workers())
        settings.write_text("threads = 3\nthread = 4\n")
        with pytest.raises(UserError, match=r"breezeway\.toml, line 2"):
            server.ask("reload")
        settings.write_text('threads = 4\nlog_file = "nowhere/log"\n')
        with pytest.raises(UserError, match=r"cannot write to .*nowhere/log"):
            server.ask("reload")
        server.log.wait_for("the reload failed, .* cannot write to .*nowhere/log")
        settings.write_text("threads = [\n")
        with pytest.raises(UserError, match=r"breezeway\.toml"):
            server.ask("reload")
        settings.unlink()
        with pytest.raises(UserError, match=r"breezeway\.toml is not there any more"):
            server.ask("reload")
        settings.mkdir()
        with pytest.raises(UserError, match=r"breezeway\.toml"):
            server.ask("reload")
        assert set(server.workers()) == before
        settings.rmdir()
        settings.write_text("threads = 5\n")
        server.ask("reload")
        (worker,) = server.workers().values()
        eventually(lambda: next(iter(server.workers().values()))["threads"] == 5, "5 threads")
        assert worker["pid"] not in before


def test_failing_probe(tmp_path: Path) -> None:
    """A new worker that answers its probe path with 500 does not take over."""
    sick = APPLICATION.replace('"200 OK"', '"200 OK" if path != "/health" else "500 Sick"')
    sick = sick.replace('    if environ["', '    path = environ["PATH_INFO"]\n    if environ["', 1)
    with serving(tmp_path, "--probe-path", "/health", workers=2) as server:
        before = set(server.workers())
        server.deploy(sick)
        with Load(server.address, keep_alive=8, one_shot=2) as load:
            failed = server.ctl("reload")
            assert failed.returncode == 1
            assert "answered its probe /health with 500" in failed.stderr
            load.wait_for(100)
        assert not load.failures
        assert set(server.workers()) == before
        server.deploy(version(2))
        server.ask("reload")
        wait_for_version(server, 2)


def test_import_that_hangs(tmp_path: Path) -> None:
    """New code that never gets loaded fails the reload after --boot-timeout; its stack is logged."""
    hangs = "import time\ntime.sleep(60)  # waits for the database\n"
    with serving(tmp_path, "--boot-timeout", "3s", workers=2, trouble=True) as server:
        before = set(server.workers())
        server.deploy(hangs)
        with pytest.raises(UserError, match="was not ready after 3 s"):
            server.ask("reload")
        server.log.wait_for(r'application\.py", line 2 in <module>')
        assert set(server.workers()) == before
        server.deploy(version(2))
        server.ask("reload")
        wait_for_version(server, 2)
        eventually(lambda: len(server.processes()) == 3, "the hanging worker gone")


def test_second_worker_fails(tmp_path: Path) -> None:
    """New code that only one process can load: that one stays, beside one with the old code."""
    with serving(tmp_path, workers=2, trouble=True) as server:
        with Load(server.address, keep_alive=16, one_shot=4) as load:
            before = set(server.workers())
            server.deploy(SECOND_FAILS + version(2))
            with pytest.raises(UserError, match="only one of us can be"):
                server.ask("reload")
            after = server.wait_for_workers(2)
            assert len(before & after) == 1
            load.wait_for(200)
            server.deploy(version(3))
            server.ask("reload")
            server.wait_for_workers(2, but=list(before | after))
            load.wait_for(200)
        assert not load.failures
        wait_for_version(server, 3)


def test_broken_deploy_takes_no_worker_away(tmp_path: Path) -> None:
    """Settings that want fewer workers take effect with the reload, and not when it fails."""
    settings = tmp_path / "breezeway.toml"
    settings.write_text("workers = 3\n")
    with serving(tmp_path, trouble=True) as server:
        before = server.wait_for_workers(3)
        settings.write_text("workers = 1\n")
        server.deploy(BROKEN)
        with pytest.raises(UserError, match="no_such_module_anywhere"):
            server.ask("reload")
        assert set(server.workers()) == before
        assert server.status()["wanted"] == 3
        server.deploy(version(2))
        server.ask("reload")
        server.wait_for_workers(1, but=list(before))
        assert server.status()["wanted"] == 1


def test_more_workers_by_a_reload(tmp_path: Path) -> None:
    """Settings that want more workers bring them up; those that fail leave the number as it was."""
    settings = tmp_path / "breezeway.toml"
    settings.write_text("workers = 1\n")
    with serving(tmp_path, trouble=True) as server:
        before = server.wait_for_workers(1)
        settings.write_text("workers = 3\n")
        server.deploy(BROKEN)
        with pytest.raises(UserError):
            server.ask("reload")
        assert server.status()["wanted"] == 1
        server.deploy(version(2))
        server.ask("reload")
        server.wait_for_workers(3, but=list(before))


def test_storm_of_signals(tmp_path: Path) -> None:
    """100 SIGHUP in a row are a reload or a few, and nothing is lost."""
    with serving(tmp_path, workers=2) as server:
        with Load(server.address, keep_alive=16, one_shot=4) as load:
            load.wait_for(100)
            server.deploy(version(2))
            for _ in range(100):
                server.signal(signal.SIGHUP)
            eventually(
                lambda: (now := server.status())["reloads"] > 0 and now["state"] == "serving",
                "the reloads",
            )
            load.wait_for(100)
        assert not load.failures
        wait_for_version(server, 2)
        assert 1 <= server.status()["reloads"] <= 100


def test_last_deploy_wins(tmp_path: Path) -> None:
    """A SIGHUP during a reload is not forgotten: the code of the last deploy serves at the end."""
    slow = "import time; time.sleep(0.5)\n"
    with serving(tmp_path, workers=2) as server:
        server.deploy(slow + version(2))
        server.signal(signal.SIGHUP)
        eventually(lambda: server.workers("starting"), "a worker that starts")
        server.deploy(version(3))
        server.signal(signal.SIGHUP)
        server.log.wait_for("a reload is under way already; the next one comes after it")
        eventually(lambda: server.status()["reloads"] == 2, "the second reload")
        wait_for_version(server, 3)


def test_two_callers(tmp_path: Path) -> None:
    """Who asks for a reload during another one is told so."""
    with serving(tmp_path, workers=1) as server:
        server.deploy("import time; time.sleep(0.5)\n" + version(2))
        first = threading.Thread(target=server.ask, args=("reload",))
        first.start()
        eventually(lambda: server.status()["state"] == "reloading", "a reload")
        with pytest.raises(UserError, match="under way already"):
            server.ask("reload")
        first.join()
        wait_for_version(server, 2)


def test_term_during_a_reload(tmp_path: Path) -> None:
    """A stop is a stop, also with a worker that has just been started."""
    with serving(tmp_path, workers=2) as server:
        server.deploy("import time; time.sleep(60)\n" + version(2))
        client = server.sleep(0.5)
        server.signal(signal.SIGHUP)
        eventually(lambda: server.workers("starting"), "a worker that starts")
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert body_of(read_all(client)).startswith("1 ")
        client.close()
        assert server.end() == 0
        assert time.monotonic() - began < 5
        server.wait_until_gone()


def test_worker_killed_during_a_reload(tmp_path: Path) -> None:
    """An old worker that dies in the middle of a reload is replaced by one of the new generation."""
    with serving(tmp_path, workers=3) as server:
        server.deploy("import time; time.sleep(0.4)\n" + version(2))
        before = list(server.workers())
        server.signal(signal.SIGHUP)
        eventually(lambda: server.workers("starting"), "a worker that starts")
        server.signal(signal.SIGKILL, before[-1])
        server.wait_for_workers(3, but=before)
        eventually(lambda: server.status()["state"] == "serving", "the end of the reload")
        wait_for_version(server, 2)


def test_settings_by_a_reload(tmp_path: Path) -> None:
    """The log level and the number of threads are those of the new settings; of others it is told."""
    settings = tmp_path / "breezeway.toml"
    settings.write_text('threads = 2\nlog_level = "info"\n')
    with serving(tmp_path, workers=1) as server:
        settings.write_text('threads = 3\nlog_level = "debug"\npid_file = "pid"\nbacklog = 9\n')
        server.ask("reload")
        server.log.wait_for("pid_file has changed: that takes effect at a start or an upgrade")
        server.log.wait_for("backlog has changed: addresses that are open already keep theirs")
        server.log.wait_for(r"DEBUG .* is ready")
        eventually(lambda: next(iter(server.workers().values()))["threads"] == 3, "3 threads")
        settings.write_text('threads = 3\nlog_level = "error"\n')
        server.ask("reload")
        lines = server.log.text
        server.ask("recycle")
        assert server.log.text == lines


def test_crash_loop_is_ended_by_a_reload(tmp_path: Path) -> None:
    """A reload with mended code does not wait for the pause of a worker that failed again and again."""
    with serving(tmp_path, workers=2, trouble=True) as server:
        server.deploy(BROKEN)
        for pid in server.workers():
            server.signal(signal.SIGKILL, pid)
        server.log.wait_for("the next try is in 4 s")
        server.deploy(version(2))
        began = time.monotonic()
        server.ask("reload")
        assert time.monotonic() - began < 2
        server.wait_for_workers(2)
        wait_for_version(server, 2)
