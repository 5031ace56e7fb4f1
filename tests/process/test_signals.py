"""Every signal of the supervisor, with workers that are busy and under load."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest

from .load import Load
from .server import APPLICATION, eventually, is_alive, read_all, serving

AFTER_FORK = """
import os, signal

if os.environ.get("TEST_SIGNAL"):
    def send():
        try:
            os.close(os.open("sent", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), int(os.environ["TEST_SIGNAL"]))

    os.register_at_fork(after_in_child=send)
"""
"""A `sitecustomize` that sends a signal to the first process that is forked, before it has done a thing."""


def test_term_under_load(tmp_path: Path) -> None:
    """TERM: what has reached the server is answered; who connects later is refused."""
    with serving(tmp_path, workers=2) as server:
        client = server.sleep(1)
        with Load(server.address, keep_alive=32, one_shot=8) as load:
            load.wait_for(200)
            server.signal(signal.SIGTERM)
            server.log.wait_for("stopping: finishing the requests in flight")
            assert read_all(client).startswith(b"HTTP/1.1 200 ")
            client.close()
            assert server.end() == 0
        # An idle connection is closed at once: a request may be on its way just then.
        for failure in load.failures:
            assert failure.why.startswith(("end of file after 0 bytes", "Connection")), failure
        server.wait_until_gone()


def test_second_term(tmp_path: Path) -> None:
    """A second TERM shortens the wait to a second."""
    with serving(tmp_path, workers=2, trouble=True) as server:
        client = server.sleep(60)
        server.signal(signal.SIGTERM)
        server.log.wait_for("stopping")
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        assert 0.9 < time.monotonic() - began < 4
        cut = "1 request was cut off at the end of the grace"
        server.log.wait_for(cut + r": GET /sleep\?60 for \d\.\d s$")
        assert read_all(client) == b""
        client.close()
        server.wait_until_gone()


def test_what_is_cut_off(tmp_path: Path) -> None:
    """At the end of the grace half of a request is reported, and an idle connection is not."""
    whole = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
    half = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nnine"
    with serving(tmp_path, "--graceful-timeout", "100ms", workers=1) as server:
        with server.send() as idle, server.connect() as client:
            assert idle.recv(65536)
            client.sendall(whole + half)
            assert client.recv(65536)
            server.ask("recycle")
            assert not idle.recv(1)
        server.log.wait_for("1 request was cut off at the end of the grace$")


def test_grace_has_an_end(tmp_path: Path) -> None:
    """A request that outlasts --graceful-timeout is cut off."""
    options = ("--graceful-timeout", "300ms")
    with serving(tmp_path, *options, workers=2) as server:
        client = server.sleep(60)
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        assert 0.3 < time.monotonic() - began < 4
        server.log.wait_for("1 request was cut off")
        client.close()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGQUIT, 131)])
def test_quit_at_once(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """INT and QUIT end everything at once, with the status that a shell has; the access log is whole."""
    access = tmp_path / "access.log"
    with serving(tmp_path, "--access-log-file", str(access), workers=2) as server:
        client = server.sleep(60)
        server.get("/last")
        began = time.monotonic()
        server.signal(number)
        assert server.end() == status
        assert time.monotonic() - began < 2
        server.wait_until_gone()
        client.close()
    assert '"GET /last HTTP/1.1" 200' in access.read_text()
    assert "lost" not in server.log.text


def test_polite_interrupt(tmp_path: Path) -> None:
    """Without --workers, as in a terminal, INT finishes the request in flight; a second one does not."""
    with serving(tmp_path) as server:
        client = server.sleep(0.5)
        server.signal(signal.SIGINT)
        assert read_all(client).startswith(b"HTTP/1.1 200 ")
        client.close()
        assert server.end() == 0
    with serving(tmp_path) as server:
        client = server.sleep(60)
        server.signal(signal.SIGINT)
        server.log.wait_for("stopping")
        server.signal(signal.SIGINT)
        assert server.end() == 130
        client.close()
        server.wait_until_gone()


def test_terminal_signals_reach_all(tmp_path: Path) -> None:
    """Ctrl-C goes to the workers as well, and they leave it to the supervisor."""
    with serving(tmp_path) as server:
        client = server.sleep(0.5)
        os.killpg(server.process.pid, signal.SIGINT)
        assert read_all(client).startswith(b"HTTP/1.1 200 ")
        client.close()
        assert server.end() == 0
    with serving(tmp_path, workers=2) as server:
        before = set(server.workers())
        for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGINT):
            for pid in before:
                server.signal(number, pid)
        assert server.get().startswith("1 ")
        assert set(server.workers()) == before


@pytest.mark.parametrize(
    ("number", "preload"),
    [(signal.SIGTERM, ()), (signal.SIGINT, ()), (signal.SIGTERM, ("--preload",))],
)
def test_signal_right_after_the_fork(
    tmp_path: Path, number: signal.Signals, preload: tuple[str, ...]
) -> None:
    """A signal to a process that has just been forked is not taken for one to the supervisor."""
    (tmp_path / "sitecustomize.py").write_text(AFTER_FORK)
    (tmp_path / "sent").touch()
    environ = {"PYTHONPATH": str(tmp_path), "TEST_SIGNAL": str(int(number))}
    with serving(tmp_path, *preload, workers=2, environ=environ, trouble=True) as server:
        victim = next(iter(server.workers()))
        (tmp_path / "sent").unlink()
        server.signal(signal.SIGKILL, victim)
        eventually(lambda: (tmp_path / "sent").exists(), "the signal")
        server.wait_for_workers(2, but=[victim])
        assert server.get().startswith("1 ")
        assert "stopping" not in server.log.text


def test_logs_are_reopened(tmp_path: Path) -> None:
    """USR1: supervisor and workers go over to the new files, and no line is lost."""
    log, access = tmp_path / "log", tmp_path / "access"
    options = ("--log-file", "log", "--access-log-file", "access", "--log-level", "debug")
    with serving(tmp_path, *options, workers=2) as server:
        with Load(server.address, keep_alive=8, one_shot=4, pause=0.001) as load:
            for number in range(3):
                load.wait_for(200)
                log.rename(tmp_path / f"log.{number}")
                access.rename(tmp_path / f"access.{number}")
                server.signal(signal.SIGUSR1)
                eventually(
                    lambda: log.exists() and access.exists() and access.stat().st_size,
                    "the new files",
                )
        assert not load.failures
        server.signal(signal.SIGTTIN)
        eventually(lambda: "scaling to 3 workers" in log.read_text(), "the line in the new file")
        server.wait_for_workers(3)
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        files = [access, *(tmp_path / f"access.{number}" for number in range(3))]
        lines = [line for file in files for line in file.read_text().splitlines()]
        assert len(lines) == load.total
        assert all(
            re.fullmatch(r'127\.0\.0\.1 .* "GET / HTTP/1\.1" 200 .*', line) for line in lines
        )


def test_log_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """USR1 when the directory is gone: the lines go on into the old file."""
    logs = tmp_path / "logs"
    logs.mkdir()
    with serving(tmp_path, "--log-file", "logs/log", workers=1) as server:
        logs.rename(tmp_path / "moved")
        server.signal(signal.SIGUSR1)
        eventually(lambda: "again" in (tmp_path / "moved" / "log").read_text(), "a complaint")
        assert server.get().startswith("1 ")


def test_many_signals_at_once(tmp_path: Path) -> None:
    """HUP, TTIN, TTOU, USR1 and deaths all at the same time: it settles, and nothing is lost."""
    numbers = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1)
    with serving(tmp_path, workers=2) as server:
        killed = set()
        with Load(server.address, keep_alive=16, one_shot=4) as load:
            for turn in range(10):
                for number in numbers:
                    server.signal(number)
                if turn % 3 == 0 and (workers := list(server.workers())):
                    killed.add(f"1 {workers[0]}")
                    with contextlib.suppress(ProcessLookupError):  # it has just retired
                        server.signal(signal.SIGKILL, workers[0])
                load.wait_for(100)
            eventually(
                lambda: (
                    (now := server.status())["state"] == "serving"
                    and len(server.workers()) == now["wanted"]
                ),
                "the number of workers that is wanted",
            )
        for failure in load.failures:
            assert failure.last_body in ("", *killed), failure
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        server.wait_until_gone()


def test_supervisor_that_stood_still(tmp_path: Path) -> None:
    """Signals and deaths while the supervisor is stopped are dealt with when it goes on."""
    with serving(tmp_path, workers=2) as server:
        before = set(server.workers())
        server.signal(signal.SIGSTOP)
        for pid in before:
            server.signal(signal.SIGKILL, pid)
            eventually(lambda: not is_alive(pid), "the death")
        server.signal(signal.SIGHUP)
        client = server.send()
        server.signal(signal.SIGCONT)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.close()
        server.wait_for_workers(2, but=list(before))
        eventually(lambda: server.status()["reloads"] == 1, "the reload")


def test_stop_command(tmp_path: Path) -> None:
    """`ctl stop` is TERM with an answer when all is over; `--now` cuts off what is in flight."""
    with serving(tmp_path, workers=2) as server:
        client = server.sleep(0.5)
        assert server.ctl("stop").returncode == 0
        assert read_all(client).startswith(b"HTTP/1.1 200 ")
        client.close()
        assert server.end() == 0
        server.wait_until_gone()
    with serving(tmp_path, workers=2) as server:
        client = server.sleep(60)
        assert server.ctl("stop", "--now").returncode == 0
        assert read_all(client) == b""
        client.close()
        assert server.end() == 0
        server.wait_until_gone()


def test_hang_up_without_a_terminal(tmp_path: Path) -> None:
    """Without a terminal HUP is a reload and nothing else."""
    with serving(tmp_path) as server:
        server.deploy(APPLICATION.replace('"1"', '"2"', 1))
        server.signal(signal.SIGHUP)
        server.log.wait_for("reloaded")
        eventually(lambda: server.get().startswith("2 "), "the new code")
