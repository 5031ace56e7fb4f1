"""TLS under a supervisor: tickets outlive workers, certificates are renewed, nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from breezeway.supervisor.upgrade import shown_command

from ..certificates import Made, local, make
from .server import DEADLINE_SECONDS, Server, body_of, eventually, launching, read_all, serving

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

ALPHA, BETA = b"alpha", b"beta"


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a certificate."""
    return local(tmp_path_factory.mktemp("alpha"), "alpha")


@pytest.fixture(scope="module")
def beta(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make another one."""
    return local(tmp_path_factory.mktemp("beta"), "beta")


def put(made: Made, directory: Path) -> Made:
    """Have a certificate at the place where the server looks for it."""
    place = Made(str(directory / "server.pem"), str(directory / "server-key.pem"))
    then = time.time() - 60
    for source, target in zip(made, place, strict=True):
        shutil.copy(source, target + ".new")
        os.utime(target + ".new", (then, then))
        os.replace(target + ".new", target)
    return place


class Visitor:
    """A client that keeps its tickets."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.session: ssl.SSLSession | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.certificate = b""
        self.resumed: bool | None = None

    def ask(self) -> str:
        """Ask on a new connection, with the ticket of last time; return the body."""
        raw = self.server.connect()
        with self.context.wrap_socket(raw, session=self.session) as client:
            client.sendall(REQUEST)
            body = body_of(read_all(client))
            self.resumed = client.session_reused
            self.session = client.session
            self.certificate = client.getpeercert(True) or self.certificate
        return body


def names(server: Server) -> bytes:
    """Return the certificate that a new client gets."""
    visitor = Visitor(server)
    visitor.ask()
    return visitor.certificate


@pytest.mark.parametrize("how", ["replaced", "reloaded", "preloaded"])
def test_tickets_survive_workers(tmp_path: Path, alpha: Made, how: str) -> None:
    """A session is resumed with a worker that was not there when it began."""
    options = [*put(alpha, tmp_path).options]
    options += ["--preload"] if how == "preloaded" else []
    with serving(tmp_path, *options, workers=1) as server:
        assert server.url.startswith("https://")
        visitor = Visitor(server)
        pid = int(visitor.ask().split()[1])
        assert visitor.resumed is False
        if how == "reloaded":
            server.signal(signal.SIGHUP)
        else:
            server.signal(signal.SIGTERM, pid)
        server.wait_for_workers(1, but=[pid])
        eventually(lambda: int(visitor.ask().split()[1]) != pid, "another worker answers")
        assert visitor.resumed is True


@pytest.mark.parametrize("preload", [False, True])
def test_reload_takes_new_certificates(
    tmp_path: Path, alpha: Made, beta: Made, preload: bool
) -> None:
    """HUP takes new files at once, and broken ones are refused; no client notices either."""
    options = [*put(alpha, tmp_path).options, *(["--preload"] if preload else [])]
    with serving(tmp_path, *options, workers=2) as server:
        ends = threading.Event()
        failures: list[BaseException] = []

        def load() -> None:
            visitor = Visitor(server)
            try:
                while not ends.is_set():
                    visitor.ask()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            assert ALPHA in names(server)
            before = set(server.workers())
            put(beta, tmp_path)
            server.signal(signal.SIGHUP)
            server.log.wait_for("reloaded")
            server.wait_for_workers(2, but=list(before))
            eventually(lambda: BETA in names(server), "the new certificate")
            put(Made(alpha.certfile, beta.keyfile), tmp_path)
            server.signal(signal.SIGHUP)
            server.log.wait_for("is not that of the certificate")
            assert BETA in names(server)
        finally:
            ends.set()
            thread.join()
        assert not failures


def test_upgrade(tmp_path: Path, alpha: Made) -> None:
    """After USR2 the new supervisor speaks TLS on the same address."""
    options = put(alpha, tmp_path).options
    with serving(tmp_path, *options, "--redirect-bind", "localhost:0", workers=1) as server:
        server.log.wait_for(r"Redirecting to https from http://127\.0\.0\.1:\d+")
        visitor = Visitor(server)
        before = visitor.ask()
        server.signal(signal.SIGUSR2)
        server.end()
        assert eventually(visitor.ask, "an answer") != before
        server.log.wait_for("Redirecting to https from", count=2)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_key_that_workers_cannot_read(tmp_path: Path, alpha: Made, beta: Made) -> None:
    """A key that only root can read is read by root: at the start, at a reload, for a new worker."""
    for directory in (tmp_path, *tmp_path.parents[:3]):
        if not directory.stat().st_mode & 0o001:
            directory.chmod(0o755)
    place = put(alpha, tmp_path)
    os.chmod(place.keyfile, 0o600)
    command = ("--user", "nobody", "--control-socket", "off")
    with launching(tmp_path, *command, *place.options) as server:
        server.url = server.log.wait_for(r"Serving .*on (\S+)")[1]
        visitor = Visitor(server)
        pid = int(visitor.ask().split()[1])
        assert os.stat(f"/proc/{pid}").st_uid != 0
        put(beta, tmp_path)
        os.chmod(place.keyfile, 0o600)
        server.signal(signal.SIGHUP)
        eventually(lambda: BETA in names(server), "the new certificate")
        put(alpha, tmp_path)
        os.chmod(place.keyfile, 0o600)
        server.signal(signal.SIGTERM, int(visitor.ask().split()[1]))
        eventually(lambda: ALPHA in names(server), "the certificate of the next worker")


def start_and_fail(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Start a server, which is not to come up."""
    (directory / "application.py").write_text("def app(environ, start_response): ...")
    return subprocess.run(
        [sys.executable, "-m", "breezeway", *options],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


@pytest.mark.parametrize("command", ["serve", "check"])
def test_mistakes_are_told_at_the_start(
    tmp_path: Path, alpha: Made, beta: Made, command: str
) -> None:
    """A key that does not fit ends the start, and the check, with a sentence."""
    options = ("--certfile", alpha.certfile, "--keyfile", beta.keyfile, "--bind", "127.0.0.1:0")
    done = start_and_fail(tmp_path, command, "application:app", *options)
    assert done.returncode == 2
    assert "is not that of the certificate" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_warns_of_the_end(tmp_path: Path) -> None:
    """`breezeway check` says when a certificate is about to end."""
    made = make(tmp_path, "short", "DNS:localhost", days=3)
    done = start_and_fail(tmp_path, "check", "application:app", *made.options)
    assert done.returncode == 0
    assert "Warning: the certificate" in done.stdout


def test_password_is_not_logged() -> None:
    """The log of an upgrade has the command line without passwords."""
    command = ["python", "-m", "breezeway", "a:b", "--keyfile-password", "geheim", "--workers=2"]
    assert shown_command(command) == "python -m breezeway a:b --keyfile-password *** --workers=2"
    assert shown_command(["--keyfile-password=geheim"]) == "--keyfile-password=***"
