"""Boot: the first worker that does not come up ends the start; later ones are tried again and again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import APPLICATION, eventually, launching, serving

BROKEN = "raise RuntimeError('no database today')\n"

DIES = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"

WORDY = """
def fail(depth):
    try:
        if depth:
            fail(depth - 1)
    finally:
        raise ValueError("x" * 1000 + " deep down")
fail(100)
"""
"""Its traceback is more than 100 kB."""


@pytest.mark.parametrize("options", [("--workers", "4"), ("--preload", "--workers", "4"), ()])
def test_first_boot_fails(tmp_path: Path, options: tuple[str, ...]) -> None:
    """An application that cannot be loaded ends the start: status 3, the traceback once."""
    with launching(tmp_path, *options, application=BROKEN, trouble=True) as server:
        assert server.end() == 3
        server.wait_until_gone()
        assert len(server.log.find("^ *Traceback")) == 1
        assert len(server.log.find("^ *RuntimeError: no database today")) == 1
        assert server.log.text.endswith("failed with RuntimeError.")


def test_first_boot_is_killed(tmp_path: Path) -> None:
    """A worker that dies while it loads the application ends the start, too."""
    with launching(tmp_path, "--workers", "2", application=DIES) as server:
        assert server.end() == 3
        server.wait_until_gone()
        assert len(server.log.find(r"was killed by SIGKILL \([a-z ]+\) before it was")) == 1


@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_first_boot_hangs(tmp_path: Path, preload: tuple[str, ...]) -> None:
    """An application that is not loaded within --boot-timeout ends the start: status 3."""
    hangs = "import time\ntime.sleep(60)\n"
    options = ("--boot-timeout", "500ms", *preload)
    with launching(tmp_path, *options, application=hangs) as server:
        assert server.end() == 3
        server.wait_until_gone()
        server.log.wait_for(r"not ready after 0\.5 s")


def test_first_probe_fails(tmp_path: Path) -> None:
    """An application that does not answer its probe ends the start."""
    sick = APPLICATION.replace("200 OK", "503 Not Yet")
    options = ("--probe-path", "/health", "--workers", "2")
    with launching(tmp_path, *options, application=sick) as server:
        assert server.end() == 3
        assert len(server.log.find("answered its probe /health with 503")) == 1


def test_probe_that_raises(tmp_path: Path) -> None:
    """A probe that raises fails as one with 500."""
    raises = "def app(environ, start_response):\n    raise RuntimeError('no database today')\n"
    with launching(tmp_path, "--probe-path", "/", application=raises, trouble=True) as server:
        assert server.end() == 3
        server.log.wait_for("answered its probe / with 500")
        server.log.wait_for("no database today")


def test_probe_that_waits(tmp_path: Path) -> None:
    """Nobody connects to a worker before its probe is answered, however long that takes."""
    warms_up = APPLICATION + (
        "\ndef app(environ, start_response, answer=app):\n"
        "    if environ['PATH_INFO'] == '/warm':\n"
        "        time.sleep(0.5)\n"
        "        open(f'warm-{os.getpid()}', 'x').close()\n"
        "    elif not os.path.exists(f'warm-{os.getpid()}'):\n"
        "        raise RuntimeError('cold')\n"
        "    return answer(environ, start_response)\n"
    )
    options = ("--probe-path", "/warm")
    with serving(tmp_path, *options, workers=2, application=warms_up) as server:
        with Load(server.address, keep_alive=8, one_shot=4) as load:
            server.ask("reload")
            load.wait_for(100)
        assert not load.failures


def test_second_worker_fails(tmp_path: Path) -> None:
    """When one worker has come up, the server serves; the others are tried again."""
    only_one = (
        "import os, time\n"
        "if os.path.exists('one'): time.sleep(0.5)\n"
        "os.close(os.open('one', os.O_CREAT | os.O_EXCL))\n"
    )
    application = only_one + APPLICATION
    with launching(tmp_path, "--workers", "2", application=application, trouble=True) as server:
        server.url = server.log.wait_for(r"Serving .*on (\S+)")[1]
        server.log.wait_for(r"the next try is in 0\.5 s")
        assert server.get().startswith("1 ")
        (tmp_path / "one").unlink()
        server.wait_for_workers(2)


def test_crash_loop(tmp_path: Path) -> None:
    """Broken code on disk: tries with growing pauses, the traceback once, then recovers by itself."""
    with serving(tmp_path, workers=2, trouble=True) as server:
        survivor, victim = server.workers()
        server.deploy(BROKEN)
        server.signal(signal.SIGKILL, victim)
        with Load(server.address, keep_alive=8, one_shot=2, pause=0.01) as load:
            for pause in ("0.5", "1", "2"):
                server.log.wait_for(f"the next try is in {pause} s")
            assert set(server.workers()) == {survivor}
            server.deploy(APPLICATION)
            server.wait_for_workers(2)
        assert not load.failures
        assert len(server.log.find("^ *Traceback")) == 1
        assert len(server.log.find("the next try is in")) == 3
        # After that a failure begins with the shortest pause again.
        server.deploy(BROKEN)
        server.signal(signal.SIGKILL, survivor)
        server.log.wait_for(r"the next try is in 0\.5 s", count=2)
        causes = {(each["cause"], each["count"]) for each in server.status()["death_causes"]}
        assert causes == {("signal", 2), ("boot", 4)}


def test_long_traceback(tmp_path: Path) -> None:
    """A traceback of more than 100 kB is shown to its end, at the start and after a reload."""
    with launching(tmp_path, "--workers", "1", application=WORDY, trouble=True) as server:
        assert server.end() == 3
        assert len(server.log.text) > 100_000
        assert server.log.find("^ *ValueError: x+ deep down$")
    with serving(tmp_path, workers=1, trouble=True) as server:
        server.deploy(WORDY)
        with pytest.raises(UserError, match=r"deep down$"):
            server.ask("reload")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def app(:\n", "SyntaxError"),
        ("import sys; sys.exit(5)\n", "ended the program"),
        ("import os; os._exit(5)\n", "ended with status 5 before it was ready"),
        ("app = 5\n", "is an int, not a WSGI application|has no callable|is an int"),
    ],
)
def test_ways_to_fail(tmp_path: Path, code: str, said: str) -> None:
    """However the application fails while it is loaded, the status is 3, and the reason is told."""
    with launching(tmp_path, application=code, trouble=True) as server:
        assert server.end() == 3
        server.wait_until_gone()
        assert server.log.find(said), server.log.text


def test_address_that_is_taken(tmp_path: Path) -> None:
    """A port that is taken ends the start with status 4; wrong settings with status 2."""
    with serving(tmp_path) as server:
        other = tmp_path / "other"
        other.mkdir()
        host, port = server.address
        with launching(other, "--bind", f"{host}:{port}") as second:
            assert second.end() == 4
            second.log.find(f"is taken by process {server.process.pid}")
        with launching(other, "--threads", "0") as third:
            assert third.end() == 2
        assert server.get().startswith("1 ")


def test_worker_that_dies_soon_after(tmp_path: Path) -> None:
    """A worker that dies as soon as it serves does not make the supervisor fork all the time."""
    short = APPLICATION + (
        "\nimport threading, signal\n"
        "if os.path.exists('short'):\n"
        "    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
    )
    with serving(tmp_path, workers=1, application=short, trouble=True) as server:
        (tmp_path / "short").touch()
        server.signal(signal.SIGKILL, next(iter(server.workers())))
        server.log.wait_for("another one takes its place", count=4)
        (tmp_path / "short").unlink()
        (worker,) = server.wait_for_workers(1)
        eventually(lambda: server.get() == f"1 {worker}", "the last one serves")
