"""The access log: what a line says, and that neither a client nor a disk can harm it."""

from __future__ import annotations

import io
import re
import threading

import pytest

from breezeway.observe import access_log
from breezeway.observe.access_log import AccessLog

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/a?b",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_REFERER": "http://here/",
    "HTTP_USER_AGENT": "test",
}


def lines(*environs: dict[str, object]) -> list[str]:
    """Return the lines for requests with these environs."""
    stream = io.StringIO()
    log = AccessLog(stream)
    for environ in environs:
        log.record("192.0.2.1", environ, 200, 5, 0.0015)
    log.close()
    return stream.getvalue().splitlines()


def test_line() -> None:
    """The combined format, and the duration behind it."""
    (line,) = lines(ENVIRON)
    pattern = (
        r"192\.0\.2\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
        r'"GET /a\?b HTTP/1\.1" 200 5 "http://here/" "test" 1\.5ms'
    )
    assert re.fullmatch(pattern, line), line


@pytest.mark.parametrize("hostile", ['a"b', "a\nb", "a\x1b[31mb", "a\x85b", "a\x7fb"])
@pytest.mark.parametrize("key", ENVIRON)
def test_nothing_ends_a_field_or_the_line(key: str, hostile: str) -> None:
    """Quotes and control characters are escaped, whoever has put them there."""
    (line,) = lines({**ENVIRON, key: hostile})
    assert line.isprintable()
    assert re.search(r"a\\x[0-9a-f]{2}", line)
    assert line.count('"') == 6


def test_environ_that_an_application_has_emptied() -> None:
    """An application may leave nothing of the environ, or anything in it."""
    first, second = lines({}, {"REQUEST_METHOD": None, "RAW_URI": 5})
    assert '"- - -" 200 5 "-" "-"' in first
    assert '"None 5 -" 200 5' in second


def test_slow_disk_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the stream blocks, lines are kept up to a bound, then dropped and counted."""
    blocked, released = threading.Event(), threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            blocked.set()
            assert released.wait(10)
            return super().write(text)

    monkeypatch.setattr(access_log, "MAX_LINES", 3)
    stream = Stuck()
    log = AccessLog(stream)
    log.record("192.0.2.1", ENVIRON, 200, 5, 0.0)
    assert blocked.wait(10)
    for _ in range(10):
        log.record("192.0.2.1", ENVIRON, 200, 5, 0.0)
    released.set()
    log.close()
    written = stream.getvalue().splitlines()
    assert len(written) == 1 + 3 + 1
    assert written[-1] == "# 7 lines dropped"


def test_stream_that_fails_is_tried_again() -> None:
    """A stream that cannot be written to loses its lines, not the thread that writes."""

    class Failing(io.StringIO):
        failures = 1

        def write(self, text: str) -> int:
            if self.failures:
                self.failures -= 1
                raise OSError("no space left on device")
            return super().write(text)

    stream = Failing()
    log = AccessLog(stream)
    log.record("192.0.2.1", ENVIRON, 200, 5, 0.0)
    while stream.failures:
        log._stopping.wait(0.01)
    log.record("192.0.2.1", ENVIRON, 200, 5, 0.0)
    log.close()
    assert "# 1 lines dropped" in stream.getvalue()
    assert stream.getvalue().count("GET /a?b") == 1
