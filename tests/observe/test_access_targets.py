"""Where the access log goes: syslog, journald, a file; none of them blocks or gets a line twice."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import select
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from breezeway.observe import (
    access_filter,
    access_journald,
    access_json,
    access_lines,
    access_log,
    access_options,
    access_syslog,
    access_target,
    line_buffer,
    log_file,
)
from breezeway.observe.access_journald import Journal
from breezeway.observe.access_log import DROPPED, AccessLog
from breezeway.observe.access_options import Syslog
from breezeway.observe.access_syslog import SyslogServer
from breezeway.observe.access_target import File, Stream, Target, Unmarked, target_of
from breezeway.observe.counts import Counts
from breezeway.observe.line_buffer import BYTES, LineBuffer
from breezeway.worker import scoreboard
from breezeway.worker.process import finish
from breezeway.worker.scoreboard import Scoreboard

from ..live import eventually
from ..worker.driven import Driven, echo
from .entries import entry

ENVIRON = {
    "REMOTE_ADDR": "192.0.2.1",
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/a?b",
    "PATH_INFO": "/a",
    "SERVER_PROTOCOL": "HTTP/1.1",
}
WAIT = 20.0


class Two(Unmarked):
    """Takes two lines at a time, and breaks down when it is told to."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.broken = False

    def write(self, lines: memoryview) -> int:
        if self.broken:
            raise OSError("broken")
        taken = bytes(lines).splitlines(keepends=True)[:2]
        self.lines += taken
        return sum(map(len, taken))


@contextmanager
def receiver(family: int, kind: int, address: Any) -> Iterator[socket.socket]:
    """Open a socket that something is sent to."""
    with socket.socket(family, kind) as made:
        made.bind(address)
        made.settimeout(WAIT)
        yield made


@pytest.fixture
def short() -> Iterator[str]:
    """Make a directory whose path fits the address of a unix socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        yield directory


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/var/log/a.log", "/var/log/a.log"),
        ("journald", "journald"),
        ("syslog:", Syslog("unix", "/dev/log")),
        ("syslog:/run/log", Syslog("unix", "/run/log")),
        ("syslog:udp://logs.example", Syslog("udp", "logs.example", 514)),
        ("syslog:tcp://192.0.2.1:601", Syslog("tcp", "192.0.2.1", 601)),
        ("syslog:tcp://[2001:db8::1]:601", Syslog("tcp", "2001:db8::1", 601)),
    ],
)
def test_names(text: str, found: Any) -> None:
    """A setting names a file, a syslog server or the journal."""
    assert access_options.target(text) == found
    assert (access_options.file_of(text) == text) is text.startswith("/")


@pytest.mark.parametrize(
    "text", ["", "a\0b", "syslog:logs", "syslog:udp://", "syslog:http://a", "syslog:tcp://a:0"]
)
def test_wrong_names(text: str) -> None:
    """What names nothing is refused."""
    with pytest.raises(ValueError, match="must be"):
        access_options.target(text)


def test_closed_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has closed standard output wants no lines, but a server."""
    monkeypatch.setattr(sys, "stdout", None)
    target = target_of(None)
    assert target.write(memoryview(b"line\n")) == 5
    target.close()


# --- syslog ----------------------------------------------------------------------------------------

RFC5424 = (
    rb"<190>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ breezeway %d access - "
    rb"192\.0\.2\.1 - - .*\" \d\.\dms" % os.getpid()
)


def log_to(target: Target, **more: Any) -> AccessLog:
    """Begin an access log in the combined format."""
    return AccessLog(access_lines.combined(), target, **more)


def test_udp() -> None:
    """Each line is a datagram (RFC 5426) with a message of RFC 5424."""
    with receiver(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)) as server:
        log = log_to(target_of(f"syslog:udp://127.0.0.1:{server.getsockname()[1]}"))
        log.write([entry(ENVIRON), entry(ENVIRON)], "")
        messages = [server.recv(4096), server.recv(4096)]
        log.close()
    assert all(re.fullmatch(RFC5424, each) for each in messages), messages


def test_tcp_and_again(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are framed by their length (RFC 6587); who was away gets what waited."""
    monkeypatch.setattr(access_syslog, "AGAIN_SECONDS", 0.0)
    with receiver(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        # It is bound, but refuses: nobody listens yet.
        log = log_to(SyslogServer(Syslog("tcp", "127.0.0.1", port)))
        log.write([entry(ENVIRON)], "")
        eventually(lambda: "cannot write to the access log: " in caplog.text, "the message")
        server.listen()
        connection, _ = server.accept()
        log.write([entry(ENVIRON)], "")
        log.close()
        with connection, connection.makefile("rb") as stream:
            received = stream.read()
    messages = unframed(received)
    assert "the access log is written again" in caplog.text
    assert all(re.fullmatch(RFC5424, each) for each in messages), messages
    assert len(messages) == 2


def test_tcp_server_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent after it has closed the connection is not taken for written: it is kept."""
    monkeypatch.setattr(access_syslog, "AGAIN_SECONDS", 0.0)
    with receiver(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)) as server:
        server.listen()
        target = SyslogServer(Syslog("tcp", "127.0.0.1", server.getsockname()[1]))
        lines = memoryview(b"line\n")
        for number in range(2):
            assert target.write(lines) == len(lines)
            connection, _ = server.accept()
            connection.sendall(b"a greeting that nobody wants" * number)
            connection.recv(100)
            connection.close()
        # The first write after each end has gone by a new connection.
        assert target.write(lines) == len(lines)
        connection, _ = server.accept()
        connection.close()
    with pytest.raises(ConnectionError):
        target.write(lines)
    target.close()


class Chatterbox:
    """A connection whose other end never stops talking."""

    def __init__(self) -> None:
        self.reads = 0

    def settimeout(self, seconds: float) -> None:
        assert seconds == 0

    def recv(self, size: int) -> bytes:
        self.reads += 1
        assert self.reads <= access_syslog.MOST_READS, "it listens for ever"
        return b"x" * size


def test_tcp_server_that_talks_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds nobody up."""
    target = SyslogServer(Syslog("tcp", "127.0.0.1", 514))
    monkeypatch.setattr(target, "_socket", Chatterbox())
    assert not target._has_gone()


def unframed(received: bytes) -> list[bytes]:
    """Take the frames of RFC 6587 off; what is left at the end is a message cut off."""
    messages = []
    while received:
        size, _, rest = received.partition(b" ")
        messages.append(rest[: int(size)])
        received = rest[int(size) :]
    return messages


def read_all(connection: socket.socket) -> bytes:
    """Read to the end of a connection."""
    with connection, connection.makefile("rb") as stream:
        return stream.read()


@contextmanager
def stuck(
    caplog: pytest.LogCaptureFixture, lines: int
) -> Iterator[tuple[socket.socket, AccessLog]]:
    """Give a TCP server that has stopped to read, and a log of numbered lines that has noticed."""
    with receiver(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        server.listen()
        log = log_to(SyslogServer(Syslog("tcp", "127.0.0.1", server.getsockname()[1])))
        for number in range(lines):
            log.write([entry({**ENVIRON, "REMOTE_USER": f"{number:x>4000}"})], "")
        eventually(lambda: "cannot write to the access log: " in caplog.text, "the message")
        yield server, log


def numbers_of(messages: list[bytes]) -> list[int]:
    """Return the numbers of the lines."""
    return [int(re.findall(rb" x+(\d+) \[", each)[0]) for each in messages]


def test_tcp_server_that_takes_nothing_for_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets everything by the connection that it has, once, and the log says so once."""
    monkeypatch.setattr(access_syslog, "WAIT_SECONDS", 0.02)
    with stuck(caplog, lines := 1_700) as (server, log):
        connection, _ = server.accept()
        received, reader = (
            [],
            threading.Thread(target=lambda: received.append(read_all(connection))),
        )
        reader.start()
        eventually(lambda: "the access log is written again" in caplog.text, "the other message")
        log.close()
        reader.join()
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert numbers_of(unframed(received[0])) == list(range(lines))
    assert caplog.text.count("cannot write to the access log: ") == 1


def test_tcp_server_that_is_stuck_for_good(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some time later there is a new connection, which begins with the message that was cut off."""
    monkeypatch.setattr(access_syslog, "WAIT_SECONDS", 0.02)
    monkeypatch.setattr(access_syslog, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(access_syslog, "STUCK_SECONDS", 0.05)
    with stuck(caplog, 1_700) as (server, log):
        first, _ = server.accept()
        second, _ = server.accept()
        monkeypatch.setattr(access_syslog, "STUCK_SECONDS", 60.0)
        old = unframed(read_all(first))
        received, reader = [], threading.Thread(target=lambda: received.append(read_all(second)))
        reader.start()
        eventually(lambda: "the access log is written again" in caplog.text, "the other message")
        log.close()
        reader.join()
    before, after = numbers_of(old[:-1]), numbers_of(unframed(received[0]))
    assert before == list(range(len(before)))
    assert after == list(range(after[0], 1_700))
    assert after[0] in (len(before), len(before) + 1)


def test_local_socket(short: str) -> None:
    """The daemon of the machine gets the form that syslog(3) has."""
    path = f"{short}/log"
    with receiver(socket.AF_UNIX, socket.SOCK_DGRAM, path) as server:
        log = log_to(target_of(f"syslog:{path}"))
        log.write([entry(ENVIRON)], "")
        message = server.recv(4096)
        log.close()
    pattern = rb"<190>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d breezeway\[%d\]: 192\.0\.2\.1 - .*"
    assert re.fullmatch(pattern % os.getpid(), message), message


def test_dead_server_stops_nobody(
    short: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes nothing costs lines alone; they are counted and told."""
    monkeypatch.setattr(line_buffer, "HALF_BYTES", 1000)
    monkeypatch.setattr(access_syslog, "WAIT_SECONDS", 0.01)
    path = f"{short}/log"
    counters: Counts[str] = Counts()
    with receiver(socket.AF_UNIX, socket.SOCK_DGRAM, path) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        log = log_to(target_of(f"syslog:{path}"), counters=counters)
        for _ in range(3000):  # more than any socket keeps
            log.write([entry(ENVIRON)], "")
        eventually(lambda: counters[DROPPED] > 0, "lines to be dropped")
        log.close()
    assert re.search("the access log has lost .* could not be written to", caplog.text)


# --- journald --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("auto", "192.0.2.1 GET /a?b 500 5 1.5ms"),
        ("%(m)s %(s)s", "GET 500"),
        ("json", "{"),
    ],
)
def test_journald(short: str, form: str, message: str) -> None:
    """Each line is a datagram of fields: the message, and a field for each member."""
    path = f"{short}/socket"
    lines = access_journald.lines_of(form, access_json.lines_of({"worker": 3}))
    with receiver(socket.AF_UNIX, socket.SOCK_DGRAM, path) as server:
        log = AccessLog(lines, Journal(path))
        hostile = {**ENVIRON, "REMOTE_USER": "a\nMESSAGE=forged\tb"}
        log.write([entry(ENVIRON, left=hostile, status=500, seconds=0.0015)], "breezeway-1")
        datagram = server.recv(8192).decode()
        log.close()
    fields = dict(line.split("=", 1) for line in datagram.splitlines())
    assert len(fields) == datagram.count("\n")
    assert fields["MESSAGE"].startswith(message)
    if form == "json":
        assert json.loads(fields["MESSAGE"])["status"] == 500
    assert fields["SYSLOG_IDENTIFIER"] == "breezeway"
    assert fields["PRIORITY"] == "4"
    assert fields["BREEZEWAY_STATUS"] == "500"
    assert fields["BREEZEWAY_WORKER"] == "3"
    assert fields["BREEZEWAY_USER"] == r"a\nMESSAGE=forged\tb"


def test_journald_message_has_no_end_of_line() -> None:
    """A message for people is one field, whatever is told of the request."""
    lines = access_journald.lines_of("auto", access_json.lines_of({}))
    hostile = {**ENVIRON, "RAW_URI": "/\nPRIORITY=0"}
    (message,) = access_journald._messages("".join(lines([entry(hostile)], "-")).encode())
    assert b"\nPRIORITY=0" not in message
    assert message.startswith(rb"MESSAGE=192.0.2.1 GET /\nPRIORITY=0 200 ")


@pytest.mark.parametrize("form", ["auto", "json"])
def test_journald_gets_whole_fields(form: str) -> None:
    """However long they are, for it would drop the datagram that ends in the middle of one."""
    lines = access_journald.lines_of(form, access_json.lines_of({"worker": 3}))
    long = "\u00ff" * 65_000
    asked = {**ENVIRON, **dict.fromkeys(("HTTP_HOST", "HTTP_REFERER", "HTTP_USER_AGENT"), long)}
    left = dict.fromkeys(("REMOTE_USER", "breezeway.request_id"), "\U0001f600" * 65_000)
    text = "".join(lines([entry(asked, left=left)], "-")).encode()
    (message,) = access_journald._messages(text)
    assert len(message) < access_syslog.DATAGRAM_BYTES
    assert message.endswith(b"\n")
    assert b"\nBREEZEWAY_STATUS=200\n" in message


@pytest.mark.parametrize("note", [b"# 7 lines dropped\n", b'{"dropped":7}\n'])
def test_journald_gets_notes(short: str, note: bytes) -> None:
    """A line that is of no request is a message by itself."""
    path = f"{short}/socket"
    with receiver(socket.AF_UNIX, socket.SOCK_DGRAM, path) as server:
        journal = Journal(path)
        assert journal.write(memoryview(note)) == len(note)
        assert b"MESSAGE=" + note in server.recv(4096)
        journal.close()


# --- what is lost, and what is not -----------------------------------------------------------------


def test_drops_are_counted_while_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter goes up while the target is broken; the log says so when it is not."""
    monkeypatch.setattr(line_buffer, "HALF_BYTES", 300)
    counters: Counts[str] = Counts()
    target = Two()
    target.broken = True
    log = log_to(target, counters=counters, dropped=access_log.DROPPED_OBJECT)
    for _ in range(20):
        log.write([entry(ENVIRON)], "")
    eventually(lambda: counters[DROPPED] > 0, "the count")
    target.broken = False
    log.close()
    dropped = sum(json.loads(line)["dropped"] for line in target.lines if line[:1] == b"{")
    assert dropped == counters[DROPPED]
    assert dropped + sum(line[:1] != b"{" for line in target.lines) == 20


def test_end_of_a_worker_that_cuts_requests_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered until then is written before the process ends."""
    monkeypatch.setattr(access_log, "PAUSE_SECONDS", 60.0)
    path = tmp_path / "access.log"
    driven = Driven(echo, access_log_file=str(path))
    driven.reactor._recorder.record(entry(ENVIRON), "", logged=True)
    monkeypatch.setattr(driven.reactor, "stop", lambda: None)
    assert finish(driven.reactor, 0.0) == 0
    assert path.read_text().count("GET /a?b") == 1
    driven.end()


def test_line_that_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    """What an application has left in the environ costs its own line alone."""

    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    stream, counters = io.StringIO(), Counts[str]()
    log = log_to(Stream(stream), counters=counters)
    bad = entry(ENVIRON, left={**ENVIRON, "REMOTE_USER": Hostile()})
    log.write([entry(ENVIRON), bad, entry(ENVIRON)], "")
    log.close()
    assert stream.getvalue().count("GET /a?b") == 2
    assert counters[DROPPED] == 1
    assert "cannot be made" in caplog.text


class Killed(BaseException):
    """Stands for SIGKILL."""


class Mortal(File):
    """A file whose process is killed in the middle of a write, or just before or after one."""

    def __init__(self, path: str, when: str) -> None:
        super().__init__(path)
        self._when = when

    def write(self, lines: memoryview) -> int:
        half = bytes(lines)[: bytes(lines).rfind(b"\n", 0, len(lines) // 2) + 1]
        if self._when != "before":
            super().write(memoryview(half) if self._when == "within" else lines)
        raise Killed


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_no_line_twice(tmp_path: Path, when: str) -> None:
    """Wherever in a write a process is killed, the next one goes on exactly there."""
    path = str(tmp_path / "access.log")
    (tmp_path / "access.log").write_bytes(b"line 0\n" * 3)  # like the first, but of others
    memory = memoryview(bytearray(BYTES))
    buffer = LineBuffer(memory)
    buffer.put(b"".join(b"line %d\n" % (number // 3) for number in range(300)), 300)
    dying = Mortal(path, when)
    with pytest.raises(Killed):
        buffer.drain(dying)
    dying.close()
    with open(path, "ab") as other:
        other.write(b"other\n")
    successor = File(path)
    LineBuffer(memory).drain(successor)
    successor.close()
    found = (tmp_path / "access.log").read_bytes().splitlines()[3:]
    found.remove(b"other")
    assert found == [b"line %d" % (number // 3) for number in range(300)]


def test_pipe_is_not_read(tmp_path: Path) -> None:
    """What cannot be looked into is written to again."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    target = File(str(path))
    line = memoryview(b"line\n")
    assert target.write(line) == 5
    assert target.written_since(target.mark(), line) == 0
    target.close()
    os.close(reader)


# --- filters ---------------------------------------------------------------------------------------


def test_pipe_that_nobody_reads(tmp_path: Path) -> None:
    """A pipe with a name can be the file: nobody waits for its reader, and lines stay whole."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    file = File(str(path))
    lines = memoryview((b"x" * 99 + b"\n") * 50)
    assert file.write(lines) == select.PIPE_BUF // 100 * 100
    file.reopen()
    with open(path, "rb") as reader:
        assert reader.read(100) == bytes(lines[:100])
    file.close()


def test_no_filter_costs_nothing() -> None:
    """Without a filter the lines are made by the same function."""
    lines = access_lines.combined()
    assert access_filter.filtered(lines) is lines


def test_skipped_path_is_decoded() -> None:
    """A path stands in the settings as in a URL."""
    lines = access_filter.filtered(access_lines.combined(), skip=["/a%20b", "/caf%c3%a9"])
    paths = ["/a b", "/caf\u00c3\u00a9", "/a%20b"]
    found = lines([entry(ENVIRON | {"PATH_INFO": path, "RAW_URI": path}) for path in paths], "")
    assert [line.split()[6] for line in found] == ["/a%20b"]


def test_sampling() -> None:
    """Of a class so many have a line; a status counts before its class."""
    draws = iter([0.05, 0.2] * 2)
    lines = access_filter.filtered(
        access_lines.combined(), sample=["2xx=0.1", "204=1", "4xx=0"], chance=lambda: next(draws)
    )
    entries = [entry(ENVIRON, status=status) for status in (200, 200, 204, 404, 500)]
    assert [line.split()[8] for line in lines(entries, "")] == ["200", "204", "500"]


@pytest.mark.parametrize("spec", ["", "2xx", "2xx=2", "2xx=-1", "2xx=nan", "6xx=1", "20x=1"])
def test_wrong_shares(spec: str) -> None:
    """What is no share is refused."""
    with pytest.raises(ValueError, match="must be STATUS=SHARE"):
        access_options.shares([spec])


def test_share_twice() -> None:
    """A status has one share."""
    with pytest.raises(ValueError, match="has 2xx twice"):
        access_options.shares(["2xx=1", "2xx=0"])


def test_lines_of_a_killed_worker_are_handed_on() -> None:
    """A worker that lives writes them; until then nobody else gets the row, nor when the heir dies."""
    board, target = Scoreboard(), Two()
    dead, first, second = board.take(), board.take(), board.take()
    buffer = dead.line_buffer()
    buffer.put(b"of the dead\n", 1)
    board.give_back(dead)
    assert board.take().number not in (dead.number, first.number, second.number)
    board.hand_on_lines([])
    board.hand_on_lines([first.number])
    board.give_back(first)  # before it has looked
    board.hand_on_lines([second.number])
    heir = second.line_buffer()
    heir.put(b"of the heir\n", 1)
    heir.drain(target)
    assert target.lines == [b"of the heir\n", b"of the dead\n"]
    heir.drain(target)
    assert len(target.lines) == 2
    board.hand_on_lines([second.number])
    assert {board.take().number, board.take().number} == {dead.number, first.number}


def test_lines_that_nobody_can_write_take_no_row_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk is full workers come and go: their lines are dropped, counted, and told of."""
    monkeypatch.setattr(scoreboard, "MOST_LEFT", 1)
    board = Scoreboard()
    for _ in range(3):
        row = board.take()
        row.line_buffer().put(b"one\ntwo\n", 2)
        board.give_back(row)
    assert board.lost_lines() == 6
    last = board.take()
    assert last.number == 1  # the first one waits for an heir
    buffer = last.line_buffer()
    assert buffer.take_dropped() == 4
    board.hand_on_lines([last.number])
    buffer.drain(Two())
    assert board.lost_lines() == 0


def test_lines_that_are_left_at_the_end() -> None:
    """Without a worker to follow, the supervisor writes what killed ones have left."""
    board, target = Scoreboard(), Two()
    for line in (b"one\n", b"two\n"):
        board.take().line_buffer().put(line, 1)
    target.broken = True
    with pytest.raises(OSError, match="broken"):
        board.write_lines(target)
    assert board.lost_lines() == 2
    target.broken = False
    board.write_lines(target)
    assert target.lines == [b"one\n", b"two\n"]
    assert board.lost_lines() == 0


def test_lines_that_are_left_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is for workers that serve."""
    monkeypatch.setattr(scoreboard, "MOST_LEFT_BYTES", 7)
    board, rows = Scoreboard(), []
    for _ in range(2):
        rows.append(board.take())
        rows[-1].line_buffer().put(b"one\n", 1)
    for row in rows:
        board.give_back(row)
    assert board.take().number == rows[1].number


def test_end_of_a_log_that_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    """Without another process that could write them, the lines that are left are told at once."""
    target = Two()
    target.broken = True
    log = AccessLog(access_lines.combined(), target)
    log.write([entry(ENVIRON)] * 3, "-")
    log.close()
    assert "the access log could not be written to: 3 lines are lost" in caplog.text


def test_full_disk_behind_standard_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a full disk took is not written again, and a line that it has cut ends before the next one."""
    room = [6]

    def write_some(fd: int, data: bytes | memoryview, wait: float) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = os.write(fd, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(log_file, "write_some", write_some)
    with open(tmp_path / "log", "w") as file:
        target, other = Stream(file), Stream(file)  # as two workers have it
        lines = memoryview(b"one\ntwo\n")
        assert target.write(lines) == 4
        with pytest.raises(OSError, match="No space"):
            target.write(lines[4:])
        room[0] = 100
        assert other.write(memoryview(b"three\n")) == 6
        assert target.write(lines[4:]) == 4
    assert (tmp_path / "log").read_text() == "one\ntw\nthree\ntwo\n"


@pytest.mark.parametrize("last", [10, 20_000, 70_000])
def test_first_lines_end_where_a_line_does(last: int) -> None:
    """However long the line is that no longer fits."""
    line = b"a" * 99 + b"\n"
    lines = memoryview(line * 300 + b"b" * last + b"\n" + line)
    assert bytes(access_target.first_lines(lines, 30_005)) == line * 300
