"""As process 1 of a container: orphans are reaped, TERM drains, nothing is written, any user will do."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from breezeway.errors import UserError

from .load import Load
from .server import APPLICATION, Server, children_of, command_line, eventually, read_all, serving

NOBODY = 54321
"""A user id that no account has."""

ORPHANS = """
def app(environ, start_response, answer=app):
    if environ["PATH_INFO"] == "/orphan":
        if not os.fork():
            for _ in range(3):
                if not os.fork():
                    time.sleep(0.2)
                    os._exit(0)
            os._exit(0)
        os.wait()
    return answer(environ, start_response)
"""
"""Put behind an application: /orphan leaves three processes without a parent."""

WRITES = """
import tempfile

def app(environ, start_response, answer=app):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(body)).encode()]
"""


@cache
def refusal() -> str:
    """Return why there can be no container here; empty if there can be."""
    try:
        made = subprocess.run(
            ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "true"],
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        return "there is no unshare(1)"
    return made.stderr.strip() if made.returncode else ""


@pytest.fixture
def container() -> None:
    """Skip the test where the kernel allows no namespaces."""
    if refusal():
        pytest.skip(refusal())


def contained(directory: Path, *options: str, setup: str = "true", execute: str = "") -> list[str]:
    """Return the command line of a container in which a server is process 1.

    `setup` is a shell command in it, before; `execute` starts what follows, such as with another user.
    """
    inner = f"{setup} && exec {execute} {shlex.join(command_line(directory, *options))}"
    shell = ["sh", "-c", inner]
    return ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", *shell]


def process_1(server: Server) -> int:
    """Return the pid of process 1, as it is outside."""
    (pid,) = children_of(server.process.pid)
    return pid


READ_ONLY = "mount -o remount,bind,ro / && ! touch /tmp/touched 2>/dev/null"
"""Nothing can be written any more."""


@pytest.mark.usefixtures("container")
def test_orphans_are_reaped(tmp_path: Path) -> None:
    """What loses its parent becomes a child of process 1, which waits for its end."""
    application = APPLICATION + ORPHANS
    command = contained(tmp_path, "--workers", "2")
    with serving(tmp_path, command=command, application=application) as server:
        supervisor = process_1(server)
        server.wait_for_workers(2)
        server.get("/orphan")
        eventually(lambda: len(children_of(supervisor)) == 5, "three orphans")
        eventually(lambda: len(children_of(supervisor)) == 2, "two workers, and no zombies")
        assert server.status()["pid"] == 1
        assert server.status()["deaths"] == 0


@pytest.mark.usefixtures("container")
@pytest.mark.parametrize("options", [("--workers", "2"), (), ("--workers", "2", "--preload")])
def test_term_drains(tmp_path: Path, options: tuple[str, ...]) -> None:
    """TERM, which is what ends a container, lets the request in flight be finished."""
    with serving(tmp_path, command=contained(tmp_path, *options)) as server:
        client = server.sleep(0.5)
        server.signal(signal.SIGTERM, process_1(server))
        assert read_all(client).startswith(b"HTTP/1.1 200 ")
        client.close()
        assert server.end() == 0
        server.wait_until_gone()


@pytest.mark.usefixtures("container")
def test_signals(tmp_path: Path) -> None:
    """The other signals do what they do elsewhere; but process 1 cannot hand over."""
    with serving(tmp_path, command=contained(tmp_path, "--workers", "1")) as server:
        supervisor = process_1(server)
        with Load(server.address, keep_alive=8, one_shot=2) as load:
            server.deploy(APPLICATION.replace('"1"', '"2"', 1))
            server.signal(signal.SIGHUP, supervisor)
            server.log.wait_for("reloaded")
            server.signal(signal.SIGTTIN, supervisor)
            server.wait_for_workers(2)
            server.signal(signal.SIGUSR2, supervisor)
            server.log.wait_for("no upgrade: process 1 cannot hand over")
            with pytest.raises(UserError, match="replace the container instead"):
                server.ask("upgrade")
            load.wait_for(200)
        assert not load.failures
        server.signal(signal.SIGINT, supervisor)
        assert server.end() == 130


@pytest.mark.usefixtures("container")
def test_read_only_root(tmp_path: Path) -> None:
    """Where nothing can be written, it serves; there is no control socket, and that is said."""
    options = ("--workers", "2", "--control-socket", "auto")
    command = contained(tmp_path, *options, setup=READ_ONLY)
    with serving(tmp_path, command=command) as server:
        server.log.wait_for("no control socket: there is no directory for it")
        supervisor = process_1(server)
        with Load(server.address, keep_alive=8, one_shot=2) as load:
            load.wait_for(100)
            server.signal(signal.SIGHUP, supervisor)
            server.log.wait_for("reloaded")
            load.wait_for(100)
        assert not load.failures
        server.signal(signal.SIGTERM, supervisor)
        assert server.end() == 0


@pytest.mark.usefixtures("container")
def test_temporary_directory(tmp_path: Path) -> None:
    """With a writable /tmp alone, large bodies and the control socket go there."""
    options = ("--body-memory", "64KiB", "--control-socket", "auto")
    setup = "mount -t tmpfs tmpfs /run && mount -o remount,ro /run && mount -o remount,bind,ro /"
    # A mount below it, so that it stays visible when / is not writable any more.
    setup = f"mkdir -p {tmp_path}/tmp && mount -t tmpfs tmpfs {tmp_path}/tmp && {setup}"
    command = contained(tmp_path, *options, setup=setup)
    environ = {"TMPDIR": f"{tmp_path}/tmp"}
    application = APPLICATION + WRITES
    with serving(tmp_path, command=command, application=application, environ=environ) as server:
        with server.connect() as client:
            head = b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n"
            client.sendall(head + b"x" * 1_000_000)
            assert read_all(client).endswith(b"\r\n\r\n1000000")
        inside = Path(f"/proc/{process_1(server)}/root{tmp_path}/tmp")
        assert (inside / f"breezeway-{os.getuid()}" / "1.sock").is_socket()


@pytest.fixture
def public() -> Iterator[Path]:
    """Return a directory that every user can read and nobody but us can write."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def as_nobody() -> list[str]:
    """Return a command that executes another one as a user without an account."""
    code = (
        "import os, sys; os.setgroups([]);"
        f" os.setgid({NOBODY}); os.setuid({NOBODY}); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", code]


def readable(directory: Path) -> str:
    """Return a shell command that makes this Python readable for all, within the container.

    Where it is installed below a home directory, another one takes the place of that.
    """
    python = Path(sys.base_prefix)
    above = [*reversed(python.parents), python]
    closed = next((each for each in above if not each.stat().st_mode & 0o001), None)
    if closed is None:
        return "true"
    return (
        f"mkdir {directory}/python && mount --bind {python} {directory}/python"
        f" && mount -t tmpfs -o mode=755 tmpfs {closed}"
        f" && mkdir -p {python} && mount --bind {directory}/python {python}"
    )


@pytest.mark.usefixtures("container")
@pytest.mark.skipif(os.getuid() != 0, reason="root alone can become another user")
@pytest.mark.parametrize("read_only", [False, True])
def test_any_user(public: Path, read_only: bool) -> None:
    """A user id without an account, as some clusters give to each container, is enough."""
    options = ("--workers", "2", "--control-socket", "auto")
    setup = readable(public) + (f" && {READ_ONLY}" if read_only else "")
    command = contained(public, *options, setup=setup, execute=shlex.join(as_nobody()))
    with serving(public, command=command) as server:
        supervisor = process_1(server)
        eventually(lambda: len(children_of(supervisor)) == 2, "two workers")
        server.log.wait_for("Serving")
        for pid in (supervisor, *children_of(supervisor)):
            assert f"Uid:\t{NOBODY}" in Path(f"/proc/{pid}/status").read_text()
        with Load(server.address, keep_alive=8, one_shot=2) as load:
            load.wait_for(100)
            server.signal(signal.SIGHUP, supervisor)
            server.log.wait_for("reloaded")
            load.wait_for(100)
        assert not load.failures
        server.signal(signal.SIGTERM, supervisor)
        assert server.end() == 0
        server.wait_until_gone()


@pytest.mark.usefixtures("container")
@pytest.mark.skipif(os.getuid() != 0, reason="root alone can become another user")
def test_workers_of_another_user(public: Path) -> None:
    """--user: the workers are that user, can write their logs, also after SIGUSR1 and a reload."""
    user = ("--user", str(NOBODY), "--group", str(NOBODY), "--umask", "077")
    options = (*user, "--workers", "2", "--access-log-file", "access")
    with serving(public, command=contained(public, *options, setup=readable(public))) as server:
        supervisor = process_1(server)
        access = public / "access"
        for turn in range(3):
            server.wait_for_workers(2)
            eventually(lambda: len(children_of(supervisor)) == 2, "two workers")
            assert "Uid:\t0\t" in Path(f"/proc/{supervisor}/status").read_text()
            for pid in children_of(supervisor):
                status = Path(f"/proc/{pid}/status").read_text()
                assert f"Uid:\t{NOBODY}\t{NOBODY}" in status
                assert f"Gid:\t{NOBODY}\t{NOBODY}" in status
                assert "Umask:\t0077" in status
            server.get()
            eventually(lambda: access.read_text(), "a line in the access log")
            if turn:  # before whoever has moved the file away has said so
                access.rename(public / "older")
                server.signal(signal.SIGHUP, supervisor)
                server.log.wait_for("reloaded", count=turn)
            access.rename(public / "old")
            server.signal(signal.SIGUSR1, supervisor)
            eventually(access.exists, "a new access log")
        eventually(lambda: len(children_of(supervisor)) == 2, "the workers from before gone")
        access.rename(public / "older")
        victim = min(children_of(supervisor))
        server.signal(signal.SIGKILL, victim)
        eventually(access.exists, "an access log for its successor")
        eventually(lambda: len({*children_of(supervisor)} - {victim}) == 2, "two workers")
        assert access.stat().st_uid == NOBODY
