"""--preload: the application is loaded once, and the workers are forked from that process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import APPLICATION, Server, children_of, eventually, is_alive, read_all, serving

NOTES = """
import gc, os

def note(text):
    with open("notes", "a") as notes:
        notes.write(f"{text} {os.getpid()}\\n")

def before():
    note("before")

def after():
    note("after")

note("loaded")

def app(environ, start_response, answer=app):
    if environ["PATH_INFO"] == "/frozen":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(gc.get_freeze_count()).encode()]
    return answer(environ, start_response)
"""
"""Put behind an application: it notes who loads it and who calls its hooks."""

NOTING = APPLICATION + NOTES

OPTIONS = ("--preload", "--before-fork", "application:before", "--after-fork", "application:after")


def notes(directory: Path, what: str) -> list[int]:
    """Return the pids that have noted something."""
    lines = (directory / "notes").read_text().splitlines()
    return [int(pid) for text, pid in map(str.split, lines) if text == what]


def zygote_of(server: Server) -> int:
    """Return the pid of the process that has loaded the application."""
    (pid,) = children_of(server.process.pid)
    return pid


def test_application_is_loaded_once(tmp_path: Path) -> None:
    """One process loads it; before_fork is called there, and after_fork in each worker."""
    with serving(tmp_path, *OPTIONS, workers=3, application=NOTING) as server:
        zygote = zygote_of(server)
        workers = set(server.workers())
        assert notes(tmp_path, "loaded") == [zygote]
        assert notes(tmp_path, "before") == [zygote] * 3
        assert sorted(notes(tmp_path, "after")) == sorted(workers)
        assert set(children_of(zygote)) == workers
        # What was there at the fork is left alone by the collector, in the zygote and so here.
        assert int(server.get("/frozen")) > 1000


def test_hook_without_preload(tmp_path: Path) -> None:
    """after_fork is called in each worker without --preload, too."""
    with serving(tmp_path, *OPTIONS[-2:], workers=2, application=NOTING) as server:
        assert sorted(notes(tmp_path, "after")) == sorted(server.workers())


def test_dead_worker_is_replaced(tmp_path: Path) -> None:
    """A worker of the zygote that dies is replaced at once, without loading anything again."""
    with serving(tmp_path, *OPTIONS, workers=2, application=NOTING) as server:
        for count in range(3, 6):
            victim = next(iter(server.workers()))
            server.signal(signal.SIGKILL, victim)
            server.wait_for_workers(2, but=[victim])
            assert len(notes(tmp_path, "before")) == count
        assert len(notes(tmp_path, "loaded")) == 1
        server.log.wait_for("was killed by SIGKILL", count=3)
        status = server.status()
        assert status["deaths"] == 3
        assert status["death_causes"] == [{"cause": "signal", "detail": "SIGKILL", "count": 3}]
        assert set(children_of(zygote_of(server))) == set(server.workers())


def test_reload_takes_new_code(tmp_path: Path) -> None:
    """A reload loads the application anew, in another process; the old one ends."""
    with serving(tmp_path, *OPTIONS, workers=2, application=NOTING) as server:
        old = zygote_of(server)
        with Load(server.address, keep_alive=16, one_shot=4) as load:
            server.deploy(NOTING.replace('"1"', '"2"', 1))
            server.ask("reload")
            load.wait_for(200)
        assert not load.failures
        assert {body.split()[0] for body in load.responses} == {"1", "2"}
        eventually(lambda: not is_alive(old), "the old zygote gone")
        assert len(notes(tmp_path, "loaded")) == 2
        eventually(lambda: len(server.processes()) == 4, "the old workers gone")


def test_broken_reload(tmp_path: Path) -> None:
    """New code that cannot be loaded fails the reload, and the old zygote is still there."""
    with serving(tmp_path, *OPTIONS, workers=2, application=NOTING, trouble=True) as server:
        old, before = zygote_of(server), set(server.workers())
        server.deploy("raise RuntimeError('no database today')\n")
        with Load(server.address, keep_alive=16, one_shot=4) as load:
            with pytest.raises(UserError, match="no database today"):
                server.ask("reload")
            load.wait_for(200)
        assert not load.failures
        assert set(server.workers()) == before
        # What dies is forked from the old one, and so has the old code.
        victim = before.pop()
        server.signal(signal.SIGKILL, victim)
        server.wait_for_workers(2, but=[victim])
        assert zygote_of(server) == old
        assert server.get().startswith("1 ")


def test_import_that_hangs(tmp_path: Path) -> None:
    """New code that never gets loaded fails the reload after --boot-timeout; its stack is logged."""
    hangs = "import time\ntime.sleep(60)  # waits for the database\n"
    options = ("--preload", "--boot-timeout", "3s")
    with serving(tmp_path, *options, workers=2, trouble=True) as server:
        before = set(server.workers())
        server.deploy(hangs)
        with pytest.raises(UserError, match="was not ready after 3 s"):
            server.ask("reload")
        server.log.wait_for(r'application\.py", line 2 in <module>')
        assert set(server.workers()) == before
        eventually(lambda: len(server.processes()) == 4, "the hanging zygote gone")


def test_dead_zygote_is_replaced(tmp_path: Path) -> None:
    """A zygote that is killed is started again; its workers serve on, and are looked after."""
    with serving(tmp_path, *OPTIONS, workers=2, application=NOTING) as server:
        old, before = zygote_of(server), set(server.workers())
        with Load(server.address, keep_alive=16, one_shot=4, pause=0.01) as load:
            server.signal(signal.SIGKILL, old)
            eventually(lambda: len(notes(tmp_path, "loaded")) == 2, "another zygote")
            server.log.wait_for(r"that loads .* killed by SIGKILL \([a-z ]+\)\. Another one starts")
            load.wait_for(200)
            assert set(server.workers()) == before
            assert not load.failures
            victim = before.pop()
            server.signal(signal.SIGKILL, victim)
            server.wait_for_workers(2, but=[victim])
            load.wait_for(200)
        assert {each.last_body for each in load.failures} <= {f"1 {victim}", ""}


def test_dead_zygote_and_broken_code(tmp_path: Path) -> None:
    """A zygote that cannot be started again is tried with growing pauses."""
    with serving(tmp_path, "--preload", workers=2, trouble=True) as server:
        server.deploy("raise RuntimeError('no database today')\n")
        server.signal(signal.SIGKILL, zygote_of(server))
        for pause in ("0.5", "1"):
            server.log.wait_for(f"the next try is in {pause} s")
        assert server.get().startswith("1 ")
        assert len(server.log.find("^ *Traceback")) == 1
        server.deploy(APPLICATION)
        victim = next(iter(server.workers()))
        server.signal(signal.SIGKILL, victim)
        server.wait_for_workers(2, but=[victim])


def test_zygote_that_stands_still(tmp_path: Path) -> None:
    """A zygote that does not fork when it is asked to is killed, and another one does."""
    with serving(tmp_path, "--preload", "--boot-timeout", "3s", workers=2, trouble=True) as server:
        old = zygote_of(server)
        server.signal(signal.SIGSTOP, old)
        victim = next(iter(server.workers()))
        server.signal(signal.SIGKILL, victim)
        server.wait_for_workers(2, but=[victim])
        server.log.wait_for("does not do what it is asked for, and is killed. Another one starts")
        assert not is_alive(old)


def test_worker_that_fails_after_the_fork(tmp_path: Path) -> None:
    """A hook that raises in a worker is a failed boot, with its traceback."""
    fails = (
        NOTES + "\ndef after():\n    if os.path.exists('full'): raise RuntimeError('pool full')\n"
    )
    application = APPLICATION + fails
    with serving(tmp_path, *OPTIONS, workers=2, application=application, trouble=True) as server:
        (tmp_path / "full").touch()
        victim = next(iter(server.workers()))
        server.signal(signal.SIGKILL, victim)
        server.log.wait_for("^ *RuntimeError: pool full")
        (tmp_path / "full").unlink()
        server.wait_for_workers(2, but=[victim])


def test_hook_that_fails_before_the_fork(tmp_path: Path) -> None:
    """So is one that raises in the zygote."""
    fails = (
        NOTES + "\ndef before():\n    if os.path.exists('full'): raise RuntimeError('disk full')\n"
    )
    application = APPLICATION + fails
    with serving(tmp_path, *OPTIONS, workers=2, application=application, trouble=True) as server:
        (tmp_path / "full").touch()
        victim = next(iter(server.workers()))
        server.signal(signal.SIGKILL, victim)
        server.log.wait_for("^ *RuntimeError: disk full")
        (tmp_path / "full").unlink()
        server.wait_for_workers(2, but=[victim])


def test_nothing_is_printed_twice(tmp_path: Path) -> None:
    """What the application has printed and not flushed comes once, and not once for each worker."""
    prints = "print('loading the application')\n" + APPLICATION
    with serving(tmp_path, "--preload", workers=3, application=prints) as server:
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        assert len(server.out.find("loading the application")) == 1


def test_programs_get_nothing(tmp_path: Path) -> None:
    """A program that the application starts gets none of the server's descriptors."""
    lists = (
        "\nimport subprocess\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [subprocess.check_output(['ls', '/proc/self/fd'], close_fds=False)]\n"
    )
    with serving(tmp_path, "--preload", application=APPLICATION + lists) as server:
        # The three standard streams, and the one with which `ls` reads the directory.
        assert server.get().split() == ["0", "1", "2", "3"]


def test_recyclings(tmp_path: Path) -> None:
    """Workers of the zygote are recycled under load as others are."""
    with serving(tmp_path, "--preload", "--max-requests", "200", workers=2) as server:
        with Load(server.address, keep_alive=16, one_shot=4) as load:
            eventually(lambda: len(load.responses) >= 5, "3 recyclings", seconds=30)
        assert not load.failures
        assert server.status()["deaths"] == 0


def test_stop_with_a_child_of_the_application(tmp_path: Path) -> None:
    """A process that was forked at import, and outlives it, holds up no stop."""
    forks = "import os, time\nif not os.fork():\n    time.sleep(60); os._exit(0)\n"
    with serving(tmp_path, "--preload", application=forks + APPLICATION) as server:
        server.signal(signal.SIGTERM)
        assert server.end() == 0


def test_stop(tmp_path: Path) -> None:
    """TERM finishes the request in flight, while the port is closed already; nothing is left."""
    with serving(tmp_path, "--preload", workers=2) as server:
        client = server.sleep(1)
        server.signal(signal.SIGTERM)

        def refused() -> bool:
            try:
                server.connect().close()
            except (ConnectionRefusedError, ConnectionResetError):
                return True
            return False

        eventually(refused, "the port closed")
        assert server.process.poll() is None
        assert read_all(client).startswith(b"HTTP/1.1 200 ")
        client.close()
        assert server.end() == 0
        assert not server.processes()


def test_stop_while_loading(tmp_path: Path) -> None:
    """TERM during a reload ends the zygote that is loading, too."""
    with serving(tmp_path, "--preload", workers=1) as server:
        server.deploy("import time\ntime.sleep(60)\n")
        server.signal(signal.SIGHUP)
        eventually(lambda: len(children_of(server.process.pid)) == 2, "the new zygote")
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        assert not server.processes()


def test_killed_supervisor(tmp_path: Path) -> None:
    """When the supervisor is killed, zygote and workers end; the requests in flight are finished."""
    with serving(tmp_path, "--preload", workers=2) as server:
        client = server.sleep(0.5)
        server.signal(signal.SIGKILL)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.close()
        server.wait_until_gone()


def test_killed_supervisor_that_did_not_listen(tmp_path: Path) -> None:
    """So they do when it had not read all that the zygote has said."""
    with serving(tmp_path, "--preload", workers=2) as server:
        zygote, victim = zygote_of(server), next(iter(server.workers()))
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGKILL, victim)
        eventually(lambda: victim not in children_of(zygote), "its end told")
        server.signal(signal.SIGKILL)
        server.wait_until_gone()


def test_preload_by_a_reload(tmp_path: Path) -> None:
    """Settings may turn preloading on and off."""
    settings = tmp_path / "breezeway.toml"
    settings.write_text("workers = 2\n")
    with serving(tmp_path) as server:
        server.wait_for_workers(2)
        for preload, children in (("true", 1), ("false", 2)):
            settings.write_text(f"workers = 2\npreload = {preload}\n")
            with Load(server.address, keep_alive=8, one_shot=2) as load:
                server.ask("reload")
                load.wait_for(100)
            assert not load.failures
            eventually(
                lambda: len(children_of(server.process.pid)) == children,
                f"{children} children",
            )


def test_second_worker_fails(tmp_path: Path) -> None:
    """A reload that fails half-way leaves no zygote behind that nobody needs."""
    only_one = (
        APPLICATION
        + NOTES
        + ("\ndef after():\n    os.close(os.open('one', os.O_CREAT | os.O_EXCL))\n")
    )
    with serving(tmp_path, *OPTIONS, workers=2, application=NOTING, trouble=True) as server:
        server.deploy(only_one.replace('"1"', '"2"', 1))
        with pytest.raises(UserError, match="the hook"):
            server.ask("reload")
        server.wait_for_workers(2)
        eventually(lambda: len(server.processes()) == 4, "one zygote and two workers")
        server.deploy(NOTING.replace('"1"', '"3"', 1))
        with Load(server.address, keep_alive=8, one_shot=2) as load:
            server.ask("reload")
            load.wait_for(100)
        assert not load.failures
        eventually(lambda: server.get().startswith("3 "), "the newest code")
        eventually(lambda: len(server.processes()) == 4, "one zygote and two workers")


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="no smaps_rollup")
def test_memory_is_shared(tmp_path: Path) -> None:
    """What the application holds is there once, and not once for each worker."""
    large = APPLICATION + "\nlarge = [str(number) for number in range(500_000)]\n"

    def private(server: Server) -> int:
        total = 0
        for pid in server.workers():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_Dirty:"):
                    total += int(line.split()[1])
        return total

    with serving(tmp_path, workers=2, application=large) as server:
        alone = private(server)
    with serving(tmp_path, "--preload", workers=2, application=large) as server:
        shared = private(server)
    assert shared < alone / 3, (shared, alone)
