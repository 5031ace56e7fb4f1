"""Bodies that are collected: where they are kept, when there is no room, and what is cut short."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from ..applications import PLAIN, Recorder
from ..live import Live, eventually, serving
from .client import Client, request

LARGE = b"x" * 600_000
"""More than is kept in memory."""

CHUNKED = ("Transfer-Encoding", "chunked")


def posted(length: int, *fields: tuple[str, str]) -> bytes:
    """Return the head of an upload."""
    return request("POST", "/", ("Content-Length", str(length)), *fields)


def files(directory: Path) -> list[str]:
    """Return what this process has open in a directory, with a name or without."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return [path for path in found if path.startswith(f"{directory}/")]


# --- where they are kept ---------------------------------------------------------------------------


def complete(client: Client) -> None:
    """Send the rest."""
    client.send(LARGE)
    client.response()


def fall_silent(client: Client) -> None:
    """Send no more."""
    assert client.response().status == 408


def break_framing(client: Client) -> None:
    """Send what is no chunk."""
    client.send(b"\r\nX\r\n")
    assert client.response().status == 400


ENDINGS: dict[str, tuple[bytes, Callable[[Client], None]]] = {
    "whole": (posted(2 * len(LARGE)) + LARGE, complete),
    "client closes": (posted(2 * len(LARGE)) + LARGE, Client.close),
    "client resets": (posted(2 * len(LARGE)) + LARGE, Client.reset),
    "timeout": (posted(2 * len(LARGE)) + LARGE, fall_silent),
    "refusal": (
        request("POST", "/", CHUNKED) + b"%x\r\n" % len(LARGE) + LARGE,
        break_framing,
    ),
}


@pytest.mark.parametrize(
    ("ending", "fails"), [*((name, False) for name in sorted(ENDINGS)), ("whole", True)]
)
def test_file_has_no_name_and_is_gone_at_the_end(tmp_path: Path, ending: str, fails: bool) -> None:
    """A large body is in --temp-dir without a name, and frees its room however its request ends."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if fails:
            raise LookupError("mistake of the application")
        start_response("200 OK", [PLAIN])
        return [b"x"]

    beginning, end = ENDINGS[ending]
    with serving(temp_dir=str(tmp_path), body_timeout=0.3) as live:
        live.play(application)
        with live.connect() as client:
            client.send(beginning)
            eventually(lambda: len(files(tmp_path)) == 1, "the file")
            assert os.listdir(tmp_path) == []
            end(client)
            eventually(lambda: not files(tmp_path), "the end of the file")


def test_small_bodies_are_in_memory(tmp_path: Path) -> None:
    """Up to --body-memory no file is made."""
    seen: list[list[str]] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(files(tmp_path))
        start_response("200 OK", [PLAIN])
        return [environ["wsgi.input"].read()]

    with serving(temp_dir=str(tmp_path), body_memory=100_000) as live:
        live.play(application)
        for size in (100_000, 100_001):
            with live.connect() as client:
                client.send(posted(size) + b"x" * size)
                assert len(client.response().body) == size
    assert [len(each) for each in seen] == [0, 1]


# --- when there is no room ---------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(directory: Path, size: int) -> Iterator[None]:
    """Mount a file system of that size, in KiB, which only root may."""
    options = ["-t", "tmpfs", "-o", f"size={size}k", "none", str(directory)]
    done = subprocess.run(["mount", *options], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("only root may mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@contextlib.contextmanager
def limited(what: int, size: int) -> Iterator[None]:
    """Lower a limit of this process."""
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


def refused(live: Live, log: pytest.LogCaptureFixture, status: int, why: str) -> None:
    """Upload what does not fit; one line in the log says why, and the server goes on."""
    log.clear()
    with live.connect() as client:
        with contextlib.suppress(ConnectionError):
            client.send(posted(4 * len(LARGE)) + 4 * LARGE)
        response = client.response()
        assert (response.status, response.options()) == (status, {"close"})
        assert why.encode() not in response.body
    (line,) = [record for record in log.records if record.name.startswith("breezeway")]
    assert f"refused with {status}" in line.getMessage()
    assert why in line.getMessage()
    assert live.get("/").status == 200


def taken(live: Live) -> None:
    """Upload what fits."""
    with live.connect() as client:
        client.send(posted(len(LARGE)) + LARGE)
        assert client.response().status == 200


def test_full_disk(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """RFC 4918 section 11.5: a body that the disk has no room for is 507, and the next one may fit."""
    with mounted(tmp_path, 1024), serving(temp_dir=str(tmp_path)) as live:
        live.play(Recorder())
        for _ in range(3):
            refused(live, log, 507, "No space left on device")
        taken(live)
        eventually(lambda: not files(tmp_path), "the end of the file")
        (tmp_path / "somebody's").write_bytes(b"x" * 900_000)
        with live.connect() as client:  # the last block fails, or closing the file
            client.send(posted(len(LARGE)) + LARGE)
            assert client.response().status == 507
        (tmp_path / "somebody's").unlink()
        taken(live)


def test_too_large_a_file(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """A limit for the size of files (RLIMIT_FSIZE) is no other thing than a full disk."""
    with serving(temp_dir=str(tmp_path)) as live:
        live.play(Recorder())
        with limited(resource.RLIMIT_FSIZE, 1_000_000):
            refused(live, log, 507, "File too large")
            taken(live)


def test_no_room_after_the_continue(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """RFC 4918 section 11.5: also where the application waits for the body; its read raises."""
    with serving(temp_dir=str(tmp_path)) as live:
        live.play(Recorder())
        with limited(resource.RLIMIT_FSIZE, 1_000_000), live.connect() as client:
            client.send(posted(4 * len(LARGE), ("Expect", "100-continue")))
            assert client.head().status == 100
            client.send(4 * LARGE)
            response = client.response()
            assert (response.status, response.options()) == (507, {"close"})
        assert any("File too large" in record.getMessage() for record in log.records)
        taken(live)


def test_no_descriptor_left(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """RFC 9110 section 15.6.4: a body for which no file can be opened is 503, until one can."""
    with serving(temp_dir=str(tmp_path)) as live:
        live.play(Recorder())
        with live.connect() as client:
            client.send(posted(len(LARGE)))
            assert live.get("/").status == 200
            log.clear()
            lowest = os.dup(0)
            os.close(lowest)
            with limited(resource.RLIMIT_NOFILE, lowest):
                client.send(LARGE)
                response = client.response()
                assert (response.status, response.value("Retry-After")) == (503, "1")
        assert any("Too many open files" in record.getMessage() for record in log.records)
        taken(live)


def test_no_room_for_a_stream_that_is_collected(tmp_path: Path) -> None:
    """The same where a body was to be read as it comes, and there is no thread to wait for it."""
    directory = tmp_path / "bodies"
    directory.mkdir()
    settings = {"threads": 1, "stream_body": ("/",), "body_memory": 0}
    with serving(temp_dir=str(directory), **settings) as live:
        live.play(Recorder())
        directory.rmdir()
        with live.connect() as client:
            client.send(posted(10) + b"hello")
            assert client.response().status == 507
        assert live.get("/").status == 200


def test_directory_that_is_removed(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """A directory that goes while the server runs is 507 as well, until it is back."""
    directory = tmp_path / "bodies"
    directory.mkdir()
    with serving(temp_dir=str(directory)) as live:
        live.play(Recorder())
        directory.rmdir()
        refused(live, log, 507, "No such file or directory")
        directory.mkdir()
        taken(live)


# --- what is cut short, and what only looks so -------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"01234"])
def test_cut_short_after_the_continue(live: Live, sent: bytes) -> None:
    """RFC 9112 section 8: a client that ends its side in the middle of a withheld body gets a 400."""
    live.play(Recorder())
    with live.connect() as client:
        client.send(posted(10, ("Expect", "100-continue")))
        assert client.head().status == 100
        client.send(sent)
        client.end()
        response = client.response()
        assert (response.status, response.options()) == (400, {"close"})
        assert client.rest() == b""


@pytest.mark.parametrize("extra", [b"\r", b"\r\n"])
@pytest.mark.parametrize("silent", [False, True])
def test_empty_line_after_a_body(log: pytest.LogCaptureFixture, extra: bytes, silent: bool) -> None:
    """RFC 9112 section 2.2: old clients send a CRLF after a body; it is the beginning of nothing."""
    with serving(head_timeout=0.3) as live:
        live.play(Recorder())
        with live.connect() as client:
            client.send(posted(5) + b"hello" + extra)
            assert client.response().status == 200
            if not silent:
                client.end()
            assert client.rest() == b""
    assert not [record for record in log.records if record.levelno >= logging.WARNING]


def test_stop_after_the_empty_line() -> None:
    """A connection with no more than that is idle: a stop closes it at once."""
    with serving() as live:
        live.play(Recorder())
        client = live.connect()
        client.send(posted(5) + b"hello\r\n")
        assert client.response().status == 200
        assert live.get().status == 200  # the connection has come to rest
    with client:
        assert client.rest() == b""


def test_request_after_the_empty_line(live: Live) -> None:
    """RFC 9112 section 2.2: it is ignored, and only one of it."""
    live.play(Recorder())
    with live.connect() as client:
        client.send(posted(5) + b"hello\r\n")
        assert client.response().status == 200
        assert client.get("/").status == 200
        client.send(posted(5) + b"hello\r\n")
        assert client.response().status == 200
        client.send(b"\r\n")
        assert client.response().status == 400
