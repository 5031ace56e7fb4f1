"""breezeway dev-cert: a certificate for development."""

from __future__ import annotations

import os
import re
import resource
import shlex
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from breezeway import cli, dev_cert
from breezeway.testing import LiveServer

from .applications import plain


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run the command; return its exit status and what it prints."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["dev-cert", *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code, *capsys.readouterr()


def test_serves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A client that trusts it gets through, by any of its names, with what the command has printed."""
    status, out, _ = run(str(tmp_path / "a new one"), capsys=capsys)
    assert status == 0
    found = re.search(r"breezeway MODULE:NAME (.*)", out)
    assert found is not None
    _, certfile, _, keyfile = shlex.split(found[1])
    assert stat.S_IMODE(os.stat(keyfile).st_mode) == 0o600
    with LiveServer(plain(b"hello"), certfile=(certfile,), keyfile=(keyfile,)) as server:
        for host in ("localhost", "127.0.0.1"):
            url = f"https://{host}:{server.address[1]}/"
            command = ["curl", "-sS", "--cacert", certfile, url]
            assert subprocess.run(command, capture_output=True).stdout == b"hello"
    names = ssl._ssl._test_decode_cert(certfile)["subjectAltName"]  # type: ignore[attr-defined]
    assert ("IP Address", "0:0:0:0:0:0:0:1") in names


def test_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there already stays as it is."""
    for name in ("localhost.pem", "localhost-key.pem"):
        (tmp_path / name).write_text("mine")
        status, _, error = run(str(tmp_path), capsys=capsys)
        assert status == 1
        assert f"{name} is there already" in error
        assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
        (tmp_path / name).unlink()


def test_without_openssl(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the openssl program it is said how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, error = run(str(tmp_path), capsys=capsys)
    assert status == 1
    assert "apt install openssl" in error


def test_directory_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that cannot be made is told in a sentence."""
    (tmp_path / "file").write_text("")
    status, _, error = run(str(tmp_path / "file" / "below"), capsys=capsys)
    assert status == 1
    assert "cannot write to" in error


def test_disk_that_is_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half-written is left, which would be in the way of the next try."""
    monkeypatch.setattr(dev_cert, "_make", lambda: (bytes(100_000), b"key"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        status, _, error = run(str(tmp_path), capsys=capsys)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 1
    assert "cannot write to" in error
    assert list(tmp_path.iterdir()) == []


def test_is_in_the_help() -> None:
    """The help of the whole names it."""
    command = [sys.executable, "-m", "breezeway", "--help"]
    assert "dev-cert" in subprocess.run(command, capture_output=True, text=True).stdout
