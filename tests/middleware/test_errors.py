"""Errors: what the client sees of a failure, and what the log says."""

from __future__ import annotations

import html.parser
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from breezeway.middleware import Errors

from .calling import Counted, call, make_environ, run

PLAIN = ("Content-Type", "text/plain")
SECRET = "sk_live_1234"


def failing(environ: Any, start_response: Any) -> Any:
    """Fail before there is a response."""
    raise LookupError(SECRET)


def failing_first(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Fail when the first block is asked for, after start_response."""
    start_response("200 OK", [PLAIN, ("Content-Length", "5"), ("Set-Cookie", SECRET)])
    if environ:
        raise LookupError(SECRET)
    yield b"never"


class FailingIter:
    """Fails when it is iterated over."""

    closed = 0

    def __iter__(self) -> Any:
        raise LookupError(SECRET)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("application", [failing, failing_first, lambda e, s: FailingIter()])
@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
        ("application/problem+json, application/json", "application/problem+json"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("*/*", "application/problem+json"),
        ("image/png", "text/plain; charset=utf-8"),
        ("text/html;q=0, application/json", "application/json"),
    ],
)
def test_answers(
    application: Any, accept: str, content_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets an id and nothing more, in the form that it asks for; the log has the rest."""
    result = call(Errors(application), "/a b", fields={"Accept": accept})
    assert (result.code, result["content-type"]) == (500, content_type)
    assert result["cache-control"] == "no-store"
    assert SECRET not in f"{result.body!r}{result.headers}"
    (record,) = caplog.records
    (name,) = re.findall(r"\[(\w{16})\]", record.message)
    assert name in result.body.decode()
    assert record.levelno == logging.ERROR
    assert record.message == f"GET /a b failed [{name}]"
    assert f"LookupError: {SECRET}" in caplog.text
    assert "errors.py" not in caplog.text.replace("test_errors.py", "").partition("\n")[2]


def test_json() -> None:
    """JSON has title, status and id (RFC 9457)."""
    result = call(Errors(failing), fields={"Accept": "application/problem+json"})
    told = json.loads(result.body)
    assert told == {"title": "Internal Server Error", "status": 500, "id": told["id"]}


def test_page_is_well_formed() -> None:
    """The page needs nothing from elsewhere."""
    text = call(Errors(failing), fields={"Accept": "text/html"}).body.decode()
    html.parser.HTMLParser().feed(text)
    assert "src=" not in text
    assert "http" not in text


def test_head() -> None:
    """A HEAD gets the fields alone."""
    result = call(Errors(failing), method="HEAD")
    assert (result.code, result.body) == (500, b"")
    assert int(result["content-length"] or 0) > 0


def test_id_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    """The id is that of RequestId, where there is one; what it has of HTML is text."""
    environ = {"breezeway.request_id": "<b>7"}
    result = call(Errors(failing), fields={"Accept": "text/html"}, **environ)
    assert b"<code>&lt;b&gt;7</code>" in result.body
    assert "[<b>7]" in caplog.text


def test_log_has_one_line_for_the_request(caplog: pytest.LogCaptureFixture) -> None:
    """A path cannot write lines of its own into the log."""
    environ = make_environ()
    environ["PATH_INFO"] = "/a\r\nGET /forged\x1b[2J\xe9"
    run(Errors(failing), environ)
    assert "GET /a\\x0d\\x0aGET /forged\\x1b[2J\\xe9 failed" in caplog.messages[0]


def test_failure_after_a_block(caplog: pytest.LogCaptureFixture) -> None:
    """When a part was sent, the error goes on to the server, and is logged."""

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        yield b"first"
        raise LookupError(SECRET)

    with pytest.raises(LookupError):
        call(Errors(application))
    assert len(caplog.records) == 1


def test_server_that_takes_no_exc_info() -> None:
    """Under uWSGI, where exc_info is a SystemError, there is the page all the same."""
    begun: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info:
            raise SystemError("uwsgi_spit returned a result with an exception set")
        begun.append(status)

    blocks = Errors(failing)(make_environ(fields={"Accept": "application/json"}), start_response)
    assert b"Internal Server Error" in b"".join(blocks)
    assert begun == ["500 Internal Server Error"]


def test_a_system_error_of_the_application() -> None:
    """It is raised by a server that has sent a part, and nothing is begun anew."""

    def application(environ: Any, start_response: Any) -> Any:
        raise SystemError

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        raise exc_info[1]

    with pytest.raises(SystemError):
        Errors(application)(make_environ(), start_response)


class Loader:
    """Has no source, and says so in a way of its own."""

    def get_source(self, name: str) -> str:
        """Raise."""
        raise ValueError(name)


@pytest.mark.parametrize("code", ["raise SyntaxError('x', ('f', 'no', 'line', 'text'))", "1/0"])
def test_traceback_that_cannot_be_written(code: str, caplog: pytest.LogCaptureFixture) -> None:
    """The client is answered, and the log has what it can have."""
    names = {"__loader__": Loader(), "__name__": "odd"}

    def application(environ: Any, start_response: Any) -> Any:
        exec(compile(code, "nowhere", "exec"), names)

    def on_error(*given: Any) -> None:
        application(*given[:2])

    assert call(Errors(application, on_error=on_error)).code == 500
    assert "whose traceback cannot be written because of" in caplog.text
    assert "on_error failed for [" in caplog.text


def test_log_injection(caplog: pytest.LogCaptureFixture) -> None:
    """A method has no control characters in the log; some servers let them in."""
    environ = make_environ(REQUEST_METHOD="GET\x1b[2J")
    list(Errors(failing)(environ, lambda *given: print))
    assert "GET\\x1b[2J / failed" in caplog.text


def test_long_path(caplog: pytest.LogCaptureFixture) -> None:
    """A path fills no log, however long the server lets it be."""
    call(Errors(failing), "/" + "\x01" * 60_000)
    assert len(caplog.messages[0]) < 5000


def test_closes_once() -> None:
    """The application's iterable is closed once when it fails, and when iter() fails."""
    found = FailingIter()
    run(Errors(lambda environ, start_response: found), make_environ())
    assert found.closed == 1
    application = Counted(b"a")
    call(Errors(application))
    assert application.closed == 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_is_no_failure(kind: type[BaseException]) -> None:
    """What ends a program or a request goes on."""

    def application(environ: Any, start_response: Any) -> Any:
        raise kind

    with pytest.raises(kind):
        Errors(application)(make_environ(), lambda *given: print)


def test_lists_go_on_untouched() -> None:
    """A response that cannot fail any more is left alone."""
    blocks = [b"x"]

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        return blocks

    assert Errors(application)(make_environ(), lambda *given: print) is blocks


def test_page_of_ones_own(tmp_path: Path) -> None:
    """A page of the user's own, with the id."""
    page = tmp_path / "500.html"
    page.write_text("<p>Öh! $id $$5", encoding="utf-8")
    environ = {"breezeway.request_id": "x1"}
    result = call(Errors(failing, page=str(page)), fields={"Accept": "text/html"}, **environ)
    assert result.body.decode() == "<p>Öh! x1 $5"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"$name", "other names after a dollar"),
        (b"$", "other names after a dollar"),
        (b"\xff", "not UTF-8"),
        (b"x" * (1 << 20) + b"y", "larger than 1 MiB"),
    ],
)
def test_page_that_is_none(tmp_path: Path, content: bytes, said: str) -> None:
    """A page is read when the piece is made."""
    page = tmp_path / "500.html"
    page.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        Errors(page=str(page))


@pytest.mark.parametrize("options", [{"page": "/no/such"}, {"page": 1.5}, {"on_error": "x"}])
def test_bad_options(options: Any) -> None:
    """Options are checked when the piece is made."""
    with pytest.raises(ValueError, match=next(iter(options))):
        Errors(**options)


def test_on_error(caplog: pytest.LogCaptureFixture) -> None:
    """A function of the user's own sees each failure; its own failure changes nothing."""
    seen: list[Any] = []

    def note(environ: Any, error: BaseException, name: str) -> None:
        seen.append((environ["PATH_INFO"], type(error), name))
        raise ValueError("of the note")

    result = call(Errors(failing, on_error=note), "/x")
    ((path, kind, name),) = seen
    assert (path, kind) == ("/x", LookupError)
    assert name.encode() in result.body
    assert "on_error failed" in caplog.text
