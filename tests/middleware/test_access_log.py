"""The access log: what a line says, that it stays one line, and where it goes."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from breezeway.middleware.access_log import AccessLog
from breezeway.middleware.access_log import writer as access_log_writer
from breezeway.middleware.access_log.writer import LineWriter

from ..live import eventually, serving
from .calling import Counted, call, make_environ

PLAIN = [("Content-Type", "text/plain"), ("Content-Length", "5")]


def hello(environ: Any, start_response: Any) -> list[bytes]:
    """Answer with five bytes."""
    start_response("200 OK", PLAIN[:])
    return [b"hello"]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Give a function that makes an AccessLog, and returns the lines that it has logged so far."""
    caplog.set_level(logging.INFO, "test.access")

    def made(application: Any = hello, **options: Any) -> AccessLog:
        return AccessLog(application, logger="test.access", **options)

    made.seen = lambda: [r.getMessage() for r in caplog.records if r.name == "test.access"]  # type: ignore[attr-defined]
    return made


def test_combined(lines: Any) -> None:
    """The line is the combined one of Apache and nginx, with the duration at its end."""
    fields = {"Referer": "http://a/", "User-Agent": "curl/8 (x)"}
    call(lines(), "/a b?c=d", fields=fields, REMOTE_USER="anna")
    (line,) = lines.seen()
    assert re.fullmatch(
        r'192\.0\.2\.1 - anna \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /a%20b\?c=d HTTP/1\.1"'
        r' 200 5 "http://a/" "curl/8 \(x\)" \d+\.\dms',
        line,
    )


def test_raw_target_is_kept(lines: Any) -> None:
    """What the server has of the request-target comes before what can be put together."""
    call(lines(), "/a b", RAW_URI="/a%20b?")
    assert '"GET /a%20b? HTTP/1.1"' in lines.seen()[0]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('x" 200 5 "', r"x\x22 200 5 \x22"),
        ("x\r\n192.0.2.9 - -", r"x\x0d\x0a192.0.2.9 - -"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\\x22", r"a\x5cx22"),
        ("a\u2028b\u202e", r"a\U00002028b\U0000202e"),
        ("a\x85b", r"a\x85b"),
    ],
)
@pytest.mark.parametrize("form", ["combined", "{agent}"])
def test_nothing_can_be_forged(lines: Any, form: str, value: str, written: str) -> None:
    """What would end a value or a line, or steer a terminal, is escaped, and the way back is clear."""
    call(lines(format=form), fields={"User-Agent": value})
    (line,) = lines.seen()
    assert line.isprintable()
    assert (f'"{written}"' if form == "combined" else written) in line
    assert form != "combined" or line.count('"') == 6


def test_user_is_one_word(lines: Any) -> None:
    """A user's name is not quoted in the combined form: what has a space cannot pose as a time."""
    call(lines(), REMOTE_USER='a [b] "c')
    assert r" - a\x20[b]\x20\x22c [" in lines.seen()[0]


def test_json(lines: Any) -> None:
    """Each line is an object."""
    fields = {"User-Agent": 'a"\n\u00e9'}
    call(
        lines(format="json"), "/a", fields=fields, REMOTE_USER="b", **{"breezeway.request_id": "r1"}
    )
    (line,) = lines.seen()
    found = json.loads(line)
    assert isinstance(found.pop("microseconds"), int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.pop("time"))
    assert found == {
        "address": "192.0.2.1",
        "method": "GET",
        "target": "/a",
        "protocol": "HTTP/1.1",
        "host": "test",
        "status": "200",
        "bytes": 5,
        "outcome": "done",
        "referer": "",
        "agent": 'a"\n\u00e9',
        "user": "b",
        "id": "r1",
    }


def test_template(lines: Any) -> None:
    """A template has what names there are, and fields of the request and the response."""
    form = (
        "100% {method} {path} {query} {status} {bytes} {scheme} {host} {outcome} {id} {user}"
        " {request[x-one]} {request[Content-Type]} {response[content-type]} {response[X]}"
        " {environ[a.b]} {{}}"
    )
    call(lines(format=form), "/p?q", fields={"X-One": "1"}, **{"a.b": "c"})
    line = "100% GET /p q 200 5 http test done - - 1 - text/plain - c {}"
    assert lines.seen() == [line]


def test_times(lines: Any) -> None:
    """Durations come in two units, times in two forms."""
    call(lines(format="{microseconds} {milliseconds} {iso} {time}"))
    assert re.fullmatch(r"\d+ \d+\.\d \d{4}-\S+Z \d\d/\S+ \+0000", lines.seen()[0])


def test_status_of_what_fails(lines: Any) -> None:
    """A failure is logged as what the server answers, and raised on."""

    def application(environ: Any, start_response: Any) -> Any:
        raise LookupError

    with pytest.raises(LookupError):
        call(lines(application, format="{status} {outcome}"))
    assert lines.seen() == ["500 failed"]


def test_client_that_leaves(lines: Any) -> None:
    """A response that was given up is told apart from one that ended."""
    application = lines(Counted(b"ab", b"cd"), format="{status} {bytes} {outcome}")
    found = application(make_environ(), lambda status, headers, exc_info=None: None)
    next(iter(found))
    assert lines.seen() == []
    found.close()
    assert lines.seen() == ["200 2 left"]


def test_skip(lines: Any) -> None:
    """Requests of a health check need not fill the log."""
    application = lines(skip=["/healthz"])
    for path in ("/healthz", "/healthz/x", "/"):
        call(application, path)
    assert len(lines.seen()) == 2


def test_slow(lines: Any) -> None:
    """With a threshold, only what is slow or went wrong is logged."""
    call(lines(slow=60.0))
    assert lines.seen() == []
    call(lines(Counted(b"", status="503 Busy"), slow=60.0))
    assert len(lines.seen()) == 1


def test_odd_values_do_not_matter(lines: Any) -> None:
    """An application may leave anything in the environ: the request is answered all the same."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        environ["REMOTE_USER"] = "ü\ud800"
        environ["RAW_URI"] = "/\ud800"
        return hello(environ, start_response)

    for form in ("combined", "json", "{user}"):
        assert call(lines(application, format=form)).code == 200
    assert len(lines.seen()) == 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"format": ""}, "format must be"),
        ({"format": "combind"}, "format must be"),
        ({"format": 3}, "format must be"),
        ({"format": "{methd}"}, "no field 'methd'"),
        ({"format": "{method!r}"}, "more than a name"),
        ({"format": "{method:>9}"}, "more than a name"),
        ({"format": "{method"}, "no template"),
        ({"format": "{request[a b]}"}, "no field"),
        ({"format": "{method}\n{path}"}, "one line"),
        ({"file": "/nowhere/at/all"}, "cannot be written to"),
        ({"file": "-", "logger": "a"}, "not both"),
        ({"skip": "/a"}, "skip must be a list"),
        ({"slow": -1}, "slow must be"),
        ({"slow": "1"}, "slow must be"),
        ({"slow": float("nan")}, "slow must be"),
    ],
)
def test_wrong_options(options: Any, text: str) -> None:
    """Each option is checked at construction."""
    with pytest.raises(ValueError, match=re.escape(text)):
        AccessLog(hello, **options)


def test_user_that_is_no_text(lines: Any) -> None:
    """Applications leave numbers in REMOTE_USER."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        environ["REMOTE_USER"] = 7
        return hello(environ, start_response)

    for form in ("combined", "json", "{user}"):
        call(lines(application, format=form))
    first, second, third = lines.seen()
    assert first.startswith("192.0.2.1 - 7 [")
    assert json.loads(second)["user"] == "7"
    assert third == "7"


class TestFile:
    def test_thread_ends_with_its_log(self, tmp_path: Path) -> None:
        """A log that nobody has any more leaves no thread behind, and loses no line."""
        before = set(threading.enumerate())
        writer = LineWriter(str(tmp_path / "log"))
        writer.put("last")
        (thread,) = set(threading.enumerate()) - before
        del writer
        thread.join(10)
        assert not thread.is_alive()
        assert (tmp_path / "log").read_text() == "last\n"

    def test_lines_after_the_end(self, tmp_path: Path) -> None:
        """What is logged while a process ends is written, too."""
        writer = LineWriter(str(tmp_path / "log"))
        writer.put("one")
        writer.end()
        writer.put("two")
        assert (tmp_path / "log").read_text() == "one\ntwo\n"

    def test_lines_of_many_threads(self, tmp_path: Path) -> None:
        """Every request of sixteen threads has its line, whole."""
        path = tmp_path / "log"
        application = AccessLog(hello, file=str(path), format="{path}")

        def ask(number: int) -> None:
            for count in range(50):
                call(application, f"/{number}/{count}")

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: path.read_text().count("\n") == 800, "all lines")
        assert len({*path.read_text().split()}) == 800
        assert path.stat().st_mode & 0o007 == 0

    def test_rotation(self, tmp_path: Path) -> None:
        """A file that was moved away, or removed, is opened anew."""
        path = tmp_path / "log"
        writer = LineWriter(str(path))
        writer.put("one")
        writer.write()
        path.rename(tmp_path / "log.1")
        writer.put("two")
        writer.write()
        assert path.read_text() == "two\n"
        assert (tmp_path / "log.1").read_text() == "one\n"

    def test_failure_is_logged_once_and_recovers(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """While the file cannot be written, lines are dropped and counted, and nobody fails."""
        there = tmp_path / "there"
        there.mkdir()
        writer = LineWriter(str(there / "log"))
        (there / "log").unlink()
        there.rmdir()
        for _ in range(2):
            writer.put("lost")
            writer.write()
        there.mkdir()
        writer.put("kept")
        writer.write()
        assert (there / "log").read_text() == "kept\n# 2 lines dropped\n"
        said = [r.levelname for r in caplog.records if r.name == "breezeway.middleware"]
        assert said == ["ERROR", "WARNING"]

    def test_a_full_disk_tears_no_other_line(self, tmp_path: Path) -> None:
        """What follows a line that was cut off begins a line of its own."""
        path = tmp_path / "log"
        program = f"""
import resource, signal
from breezeway.middleware.access_log.writer import LineWriter
writer = LineWriter({str(path)!r})
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
writer.put("one two three")
writer.write()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
writer.put("four")
writer.write()
writer.put("five")
"""
        subprocess.run(
            [sys.executable, "-c", program], check=True, timeout=10, stderr=subprocess.DEVNULL
        )
        assert path.read_text() == "one two th\nfour\n# 1 lines dropped\nfive\n"

    def test_no_more_threads(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A thread that cannot be started is tried again with the next line; none is lost."""
        path = tmp_path / "log"
        writer = LineWriter(str(path))

        def fail(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", fail)
            writer.put("one")
        writer.put("two")
        eventually(lambda: path.read_text() == "one\ntwo\n", "both lines")

    def test_what_waits_has_a_bound(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """When nothing can be written, memory is not filled."""
        monkeypatch.setattr(access_log_writer, "MOST_WAITING", 10)
        monkeypatch.setattr(LineWriter, "_rouse", lambda self: None)
        writer = LineWriter(str(tmp_path / "log"))
        for _ in range(20):
            writer.put("x" * 6)
        writer.write()
        assert (tmp_path / "log").read_text() == "xxxxxx\nxxxxxx\n# 18 lines dropped\n"

    def test_fork_and_end(self, tmp_path: Path) -> None:
        """A child writes its own lines and not its parent's again; the end of a process loses none."""
        path = tmp_path / "log"
        program = f"""
import os, sys
from breezeway.middleware.access_log.writer import LineWriter
writer = LineWriter({str(path)!r})
writer.put("parent")
pid = os.fork()
if pid == 0:
    writer.put("child")
    sys.exit()
os.waitpid(pid, 0)
"""
        subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=10)
        assert sorted(path.read_text().split()) == ["child", "parent"]

    def test_standard_output(self) -> None:
        """Lines go to standard output by default, after what the application has printed."""
        program = """
from breezeway.middleware.access_log.writer import LineWriter
print("first")
LineWriter("-").put("second")
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=10, check=True
        )
        assert done.stdout == "first\nsecond\n"

    def test_default_goes_to_the_stream_in_the_process(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A stream that has no descriptor gets the lines as text."""
        writer = LineWriter("-")
        writer.put("a\ud800")
        writer.write()
        assert capsys.readouterr().out == "a\\ud800\n"


def test_on_the_wire(tmp_path: Path) -> None:
    """A file goes by sendfile and is logged with its size; a client that leaves is told."""
    path = tmp_path / "log"
    content = tmp_path / "content"
    content.write_bytes(b"x" * 100_000)

    def application(environ: Any, start_response: Any) -> Any:
        size = os.path.getsize(content)
        start_response("200 OK", [("Content-Type", "a/b"), ("Content-Length", str(size))])
        return environ["wsgi.file_wrapper"](content.open("rb"))

    with serving() as live:
        live.play(
            AccessLog(application, file=str(path), format="{target} {status} {bytes} {outcome}")
        )
        assert len(live.get("/a?b").body) == 100_000
        eventually(lambda: path.read_text() == "/a?b 200 100000 done\n", "the line")


def test_client_that_leaves_on_the_wire(tmp_path: Path) -> None:
    """The server closes a stream whose client has gone, and the log says so."""
    path = tmp_path / "log"

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        while True:
            yield b"x" * 10_000

    with serving() as live:
        live.play(AccessLog(application, file=str(path), format="{status} {outcome}"))
        with live.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.take(1)
        eventually(lambda: path.read_text() == "200 left\n", "the line")
