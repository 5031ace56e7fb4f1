"""The access log: what a line says, and that neither a client nor a disk can harm it."""

from __future__ import annotations

import fcntl
import io
import os
import re
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from breezeway.errors import UsageError
from breezeway.observe import access_lines, line_buffer
from breezeway.observe.access_log import AccessLog
from breezeway.observe.access_target import File, Stream
from breezeway.observe.counts import Counts
from breezeway.observe.line_buffer import BYTES, LineBuffer

from ..live import eventually
from .entries import entry

ROOT = Path(__file__).parents[2]

ENVIRON = {
    "REMOTE_ADDR": "192.0.2.1",
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/a?b",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_REFERER": "http://here/",
    "HTTP_USER_AGENT": "test",
}


def lines(*environs: dict[str, object]) -> list[str]:
    """Return the lines for requests with these environs."""
    stream = io.StringIO()
    log = AccessLog(access_lines.combined(), Stream(stream))
    log.write([entry(environ, seconds=0.0015) for environ in environs], "breezeway-1")
    log.close()
    return stream.getvalue().splitlines()


def one(environ: dict[str, object] = ENVIRON) -> list[Any]:
    """Return the entries of one request."""
    return [entry(environ)]


def test_line() -> None:
    """The combined format, and the duration behind it."""
    (line,) = lines(ENVIRON)
    pattern = (
        r"192\.0\.2\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
        r'"GET /a\?b HTTP/1\.1" 200 5 "http://here/" "test" 1\.5ms'
    )
    assert re.fullmatch(pattern, line), line


@pytest.mark.parametrize("hostile", ['a"b', "a\nb", "a\x1b[31mb", "a\x85b", "a\x7fb"])
@pytest.mark.parametrize("key", [key for key in ENVIRON if key != "REMOTE_ADDR"])
def test_nothing_ends_a_field_or_the_line(key: str, hostile: str) -> None:
    """Quotes and control characters are escaped, whoever has put them there."""
    (line,) = lines({**ENVIRON, key: hostile})
    assert line.isprintable()
    assert re.search(r"a\\x[0-9a-f]{2}", line)
    assert line.count('"') == 6


def test_environ_that_an_application_has_emptied() -> None:
    """The line tells what was asked for, whatever an application leaves of the environ."""
    stream = io.StringIO()
    log = AccessLog(access_lines.combined(), Stream(stream))
    log.write([entry(ENVIRON, left={}), entry(ENVIRON, left={"RAW_URI": 5})], "breezeway-1")
    log.close()
    assert stream.getvalue().count('"GET /a?b HTTP/1.1" 200 5') == 2


class Unwritable:
    """What an application may leave in an environ: it raises `error` when it is to become text."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_line_that_cannot_be_made(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """It costs no other line, does not reach the event loop, and is told once in a while."""
    counters: Counts[str] = Counts()
    stream = io.StringIO()
    log = AccessLog(access_lines.combined(), Stream(stream), counters=counters)
    hostile = entry(ENVIRON, left={"REMOTE_USER": Unwritable(error)})
    log.write([entry(ENVIRON), hostile, entry(ENVIRON)], "breezeway-1")
    eventually(lambda: counters.total() == 1, "it is counted")
    log.write([hostile], "breezeway-1")
    log.close()
    assert stream.getvalue().count('"GET /a?b HTTP/1.1" 200 5') == 2
    assert stream.getvalue().count("# 1 lines dropped") == 2
    assert counters == {"access_log.dropped": 2}
    (told,) = caplog.messages
    assert "cannot be made" in told


def test_slow_disk_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the stream blocks, lines are kept up to a bound, then dropped and counted."""
    blocked, released = threading.Event(), threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            blocked.set()
            assert released.wait(10)
            return super().write(text)

    monkeypatch.setattr(line_buffer, "HALF_BYTES", 300)
    stream = Stuck()
    log = AccessLog(access_lines.combined(), Stream(stream))
    log.write(one(), "breezeway-1")
    assert blocked.wait(10)
    for _ in range(10):
        log.write(one(), "breezeway-1")
    released.set()
    log.close()
    written = stream.getvalue().splitlines()
    assert len(written) == 1 + 3 + 1
    assert "# 7 lines dropped" in written


def test_stream_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Lines that a stream does not take are kept for the next attempt."""

    class Failing(io.StringIO):
        failures = 2

        def write(self, text: str) -> int:
            if self.failures:
                self.failures -= 1
                raise OSError("no space left on device")
            return super().write(text)

    stream = Failing()
    log = AccessLog(access_lines.combined(), Stream(stream))
    log.write(one(), "breezeway-1")
    eventually(lambda: not stream.failures, "both attempts")
    log.write(one(), "breezeway-1")
    log.close()
    assert stream.getvalue().count("GET /a?b") == 2
    assert caplog.text.count("cannot write to the access log: ") == 1
    assert "the access log is written again" in caplog.text


class TestFile:
    def test_lines_are_appended(self, tmp_path: Path) -> None:
        """What is in the file already stays."""
        file = tmp_path / "access.log"
        file.write_text("before\n")
        written_to(file, 2)
        before, *after = file.read_text().splitlines()
        assert before == "before"
        assert len(after) == 2

    def test_reopen(self, tmp_path: Path) -> None:
        """After `reopen`, lines go to a new file, and none is lost."""
        file, rotated = tmp_path / "access.log", tmp_path / "access.log.1"
        log = AccessLog(access_lines.combined(), File(str(file)))
        log.write(one(), "breezeway-1")
        eventually(lambda: file.stat().st_size > 0, "the first line")
        file.rename(rotated)
        log.reopen()
        eventually(file.exists, "the new file")
        log.write(one({**ENVIRON, "REMOTE_ADDR": "192.0.2.2"}), "breezeway-1")
        log.close()
        assert rotated.read_text().startswith("192.0.2.1 ")
        assert file.read_text().startswith("192.0.2.2 ")

    def test_reopen_that_fails(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """If the file cannot be opened again, the log says so, and the old one is written to."""
        directory, moved = tmp_path / "logs", tmp_path / "moved"
        directory.mkdir()
        log = AccessLog(access_lines.combined(), File(str(directory / "access.log")))
        directory.rename(moved)
        log.reopen()
        eventually(lambda: "still writing to the old one" in caplog.text, "the message")
        log.write(one(), "breezeway-1")
        log.close()
        assert "GET /a?b" in (moved / "access.log").read_text()
        path = directory / "access.log"
        assert f"cannot open the access log {path} again: No such file or directory;" in caplog.text

    def test_file_that_cannot_be_opened(self, tmp_path: Path) -> None:
        """A file that is impossible is the user's mistake, told with the option."""
        with pytest.raises(UsageError, match=r"cannot write to .*access.log \(--access-log-file\)"):
            AccessLog(access_lines.combined(), File(str(tmp_path / "nowhere/access.log")))

    def test_full_disk(self, caplog: pytest.LogCaptureFixture) -> None:
        """A full disk is told once, and costs lines alone."""
        log = AccessLog(access_lines.combined(), File("/dev/full"))
        log.write(one(), "breezeway-1")
        eventually(lambda: "cannot write" in caplog.text, "the message")
        log.write(one(), "breezeway-1")
        log.close()
        assert caplog.text.count("cannot write to the access log: ") == 1

    def test_name_that_is_no_text(self, tmp_path: Path) -> None:
        """A line that has no UTF-8 is written all the same."""
        file = tmp_path / "access.log"
        written_to(file, 1, {**ENVIRON, "RAW_URI": "/\udcff"})
        assert r"/\udcff" in file.read_text()


def written_to(file: Path, count: int, environ: dict[str, object] = ENVIRON) -> None:
    """Write lines to a file."""
    log = AccessLog(access_lines.combined(), File(str(file)))
    for _ in range(count):
        log.write(one(environ), "breezeway-1")
    log.close()


WRITER = """
import sys
from breezeway.observe import access_lines, access_log
from breezeway.observe.access_target import File, Stream
from tests.observe.entries import entry
access_log.PAUSE_SECONDS = 0.001
target = File(sys.argv[2]) if sys.argv[2:] else Stream(sys.stdout)
log = access_log.AccessLog(access_lines.combined(), target)
for number in range(3000):
    environ = {"REMOTE_ADDR": "192.0.2.1", "RAW_URI": "/" + sys.argv[1] * (number * 37 % 700)}
    log.write([entry(environ)], "")
log.close()
"""


@pytest.mark.parametrize("where", ["file", "pipe"])
def test_lines_of_several_processes_stay_whole(tmp_path: Path, where: str) -> None:
    """No line is torn by another process that writes to the same file or pipe."""
    file = tmp_path / "access.log"
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)  # full all the time
    command = [sys.executable, "-c", WRITER]
    last = [str(file)] if where == "file" else []
    writers = [
        subprocess.Popen([*command, letter, *last], stdout=theirs, cwd=ROOT) for letter in "abc"
    ]
    os.close(theirs)
    with open(ours, "rb") as pipe:
        received = pipe.read()
    assert [writer.wait(30) for writer in writers] == [0, 0, 0]
    lines = (file.read_bytes() if where == "file" else received).decode().splitlines()
    pattern = re.compile(r'192\.0\.2\.1 - - \[[^]]+\] "- /(a*|b*|c*) -" 200 5 "-" "-" 0\.0ms')
    assert not [line for line in lines if not pattern.fullmatch(line)]
    assert len(lines) == 9000


def test_what_a_killed_process_has_left_is_written() -> None:
    """Who gets the memory of a process that was killed writes its lines first."""
    memory = memoryview(bytearray(BYTES))
    LineBuffer(memory).put(b"of the dead\n", 1)
    stream = io.StringIO()
    log = AccessLog(access_lines.combined(), Stream(stream), LineBuffer(memory))
    log.write(one(), "breezeway-1")
    log.close()
    first, second = stream.getvalue().splitlines()
    assert first == "of the dead"
    assert "GET /a?b" in second
