"""Debugger: what it shows, to whom, and what its console does."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from breezeway.middleware import Debugger, RequestId
from breezeway.middleware.debugger import PATH, refusal
from breezeway.middleware.debugger.values import shown
from breezeway.testing import LiveServer

from .calling import Counted, Result, call, make_environ

PLAIN = ("Content-Type", "text/plain")
HERE = {"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "127.0.0.1", "HTTP_HOST": "localhost:8000"}
HTML = {"Accept": "text/html,*/*;q=0.8"}


class Odd:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError


def divide(number: int) -> float:
    """Fail, with variables."""
    evil = "<script>alert(1)</script>"
    odd = Odd()
    long = "x" * 10_000
    return number / len(evil[:0]) + len(long) + len([odd])


def failing(environ: Any, start_response: Any) -> Any:
    """Fail with a cause."""
    try:
        divide(7)
    except ZeroDivisionError as error:
        raise LookupError("no <b>such</b> thing") from error


def get(application: Any = failing, path: str = "/", **more: Any) -> Result:
    """Ask as a browser on this machine."""
    return call(Debugger(application), path, fields=HTML, **{**HERE, **more})


def test_page(caplog: pytest.LogCaptureFixture) -> None:
    """The page has the exceptions, the frames with source, and the variables, all escaped."""
    result = get(path="/a?b=<i>")
    text = result.body.decode()
    assert (result.code, result["content-type"]) == (500, "text/html; charset=utf-8")
    assert "LookupError" in text
    assert "no &lt;b&gt;such&lt;/b&gt; thing" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "was the direct cause of what follows" in text
    assert html.escape('raise LookupError("no <b>such</b> thing") from error') in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    assert "GET /a?b=&lt;i&gt;" in text
    assert "&lt;Odd, whose repr() raised ValueError&gt;" in text
    assert "(10000 characters)" in text
    assert "debugger.py" not in text.replace("test_debugger.py", "")
    assert "LookupError" in caplog.text


def test_page_needs_nothing_from_elsewhere() -> None:
    """Style and script are the page's own, by a nonce that is new each time."""
    nonces = set()
    for _ in range(2):
        result = get()
        policy = result["content-security-policy"] or ""
        nonces |= {*re.findall(r"nonce-([\w-]+)", policy)}
        assert policy.startswith("default-src 'none'")
        assert not re.search(rb"(?:src|href)=", result.body)
    assert len(nonces) == 2


def test_secrets_of_the_request_are_masked() -> None:
    """Cookies and passwords are not on the page: a screenshot is soon in a ticket."""
    secret = {"HTTP_COOKIE": "session=abc123", "HTTP_AUTHORIZATION": "Basic YTpi"}
    text = get(lambda environ, start_response: 1 / 0, **secret).body
    table = text[text.index(b"<th>HTTP_ACCEPT") :]
    assert b"HTTP_COOKIE" in table
    assert b"abc123" not in table
    assert b"YTpi" not in table


def test_plain_text_for_others() -> None:
    """Curl gets the traceback as Python prints it, without our frames."""
    result = call(Debugger(failing), **HERE)
    assert result["content-type"] == "text/plain; charset=utf-8"
    assert result.body.startswith(b"Traceback (most recent call last):\n")
    assert result.body.endswith(b"LookupError: no <b>such</b> thing\n")
    assert b"breezeway/middleware" not in result.body


def test_secrets_within_values_are_masked() -> None:
    """Nor are they in a local called environ, in a tuple of it, or in the copy that ProxyHeaders makes."""
    secret = "-".join(["session", "abc123"])
    kept: dict[str, Any] = {
        "HTTP_COOKIE": secret,
        "breezeway.before_proxies": {"HTTP_COOKIE": secret},
    }

    def application(*args: Any) -> Any:
        given = {"environ": args[0]}
        raise ValueError(len(given))

    text = get(application, **kept).body.decode()
    assert "<th>breezeway.before_proxies</th><td>{&#x27;HTTP_COOKIE&#x27;: &#x27;****" in text
    assert secret not in text


class Liar(str):
    """A text that cannot be measured."""

    __slots__ = ()

    def __len__(self) -> int:
        raise ValueError


class Meta(type):
    """Makes classes without a name."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise ValueError


class Nameless(metaclass=Meta):
    """Cannot be shown, nor can its class."""

    def __repr__(self) -> str:
        raise ValueError


class Closed(dict[Any, Any]):
    """Locals that cannot be listed."""

    def __iter__(self) -> Any:
        raise ValueError


class Loader:
    """Has no source, and says so in a way of its own."""

    def get_source(self, name: str) -> str:
        """Raise."""
        raise ValueError(name)


class Says:
    """An object with a repr() of one's choice."""

    def __init__(self, say: Any) -> None:
        self.say = say

    def __repr__(self) -> str:
        said: str = self.say()
        return said


class Mute(Exception):
    """Has no text, and ends the process if it is asked for one."""

    def __str__(self) -> str:
        raise SystemExit


def _with_local(value: Any) -> None:
    raise ZeroDivisionError


def _executed(code: str, *spaces: Any, filename: str = "<string>") -> None:
    exec(compile(code, filename, "exec"), *(spaces or ({},)))


@pytest.mark.parametrize(
    ("fail", "said"),
    [
        (lambda: _with_local(Says(sys.exit)), "&lt;Says, whose repr() raised SystemExit&gt;"),
        (lambda: _with_local(Says(lambda: Liar("hm"))), "<td>hm</td>"),
        (lambda: _with_local(Nameless()), "&lt;Nameless, whose repr() raised ValueError&gt;"),
        (lambda: _executed("1/0", {}, Closed()), "&lt;the rest cannot be read: ValueError&gt;"),
        (lambda: _executed("1/0", {}, {3: "three"}), "<th>3</th>"),
        (lambda: _executed("1/0", filename="a\0b"), "The source is not there."),
        (
            lambda: _executed("1/0", {"__loader__": Loader(), "__name__": "x"}, filename="x"),
            "Loader",
        ),
        (lambda: _executed("raise SyntaxError('x', ('f', 'no', 'line', 'text'))"), "SyntaxError"),
        (lambda: _executed("raise Mute", {"Mute": Mute}), "Mute"),
        (
            lambda: _executed("raise ExceptionGroup('many', [KeyError('a')])"),
            "many (1 sub-exception)",
        ),
        (lambda: _executed("e = ValueError(); e.__notes__ = 7; raise e"), "ValueError"),
    ],
)
def test_odd_failures(fail: Any, said: str) -> None:
    """Whatever an application raises, and has in its variables, there is a page."""

    def application(environ: Any, start_response: Any) -> Any:
        fail()

    result = get(application)
    assert result.code == 500
    assert said in result.body.decode()


def test_parts_of_groups() -> None:
    """The parts of a group, and of a group in it, have their frames before those of the group."""

    def application(environ: Any, start_response: Any) -> Any:
        failed: list[Exception] = []
        for number in range(2):
            try:
                divide(number)
            except ZeroDivisionError as error:
                failed.append(error)
        raise ExceptionGroup("all", [ExceptionGroup("some", failed), KeyError("alone")])

    text = get(application).body.decode()
    shown = re.findall(
        r'<h2 class="raised">(.*?)</h2>|<code>(divide)</code>|This (is .*?)\.<', text
    )
    assert [next(filter(None, each)) for each in shown] == [
        *("ZeroDivisionError: division by zero", "divide"),
        "is part 1 of ExceptionGroup: some (2 sub-exceptions)",
        *("ZeroDivisionError: division by zero", "divide"),
        "is part 2 of ExceptionGroup: some (2 sub-exceptions)",
        "ExceptionGroup: some (2 sub-exceptions)",
        "is part 1 of ExceptionGroup: all (2 sub-exceptions)",
        "KeyError: &#x27;alone&#x27;",
        "is part 2 of ExceptionGroup: all (2 sub-exceptions)",
        "ExceptionGroup: all (2 sub-exceptions)",
    ]


def test_large_groups() -> None:
    """Of a group of a thousand the first parts are shown."""

    def application(environ: Any, start_response: Any) -> Any:
        raise ExceptionGroup("many", [KeyError(number) for number in range(1000)])

    text = get(application).body
    assert b">This is part 9 of" in text
    assert b">This is part 10 of" not in text


@pytest.mark.parametrize(
    ("fail", "heads"),
    [
        (lambda: _executed("a b", filename="f.py"), ("SyntaxError", "invalid syntax\n  File ")),
        (lambda: _executed("raise ValueError"), ("", "ValueError")),
        (lambda: _executed("raise ValueError('a: b')"), ("ValueError", "a: b")),
        (lambda: _executed("raise ValueError('a\\nb: c')"), ("ValueError", "a\nb: c")),
    ],
)
def test_heads(fail: Any, heads: tuple[str, str]) -> None:
    """The type and the message are apart; the source of a SyntaxError comes behind its message."""

    def application(environ: Any, start_response: Any) -> Any:
        fail()

    text = get(application).body.decode()
    ((kind, message),) = re.findall(r'<p class="kind">(.*?)</p>\n<h1>(.*?)</h1>', text, re.DOTALL)
    assert kind == heads[0]
    assert message.startswith(heads[1])


def test_own_frames() -> None:
    """Frames of the application are open; those of Python, of packages and of Breezeway are not."""

    def application(environ: Any, start_response: Any) -> Any:
        return json.loads("[1") if environ["PATH_INFO"] == "/python" else fails.render()

    fails = Environment().from_string("{{ 1 / 0 }}")
    text = get(RequestId(application)).body.decode()
    found = re.findall(r'<details class="frame( library)?"( open)?>\n?<summary><code>(.*?)<', text)
    assert [(name, bool(library), bool(is_open)) for library, is_open, name in found] == [
        ("RequestId.__call__", True, False),
        ("test_own_frames.&lt;locals&gt;.application", False, True),
        ("Template.render", True, False),
        ("Environment.handle_exception", True, False),
        ("top-level template code", True, True),
    ]
    text = get(application, "/python").body.decode()
    assert re.findall(r'<details class="frame( library)?"', text)[:2] == ["", " library"]


def test_own_frames_within_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project may be in the directory of its virtual environment."""
    monkeypatch.chdir(sys.prefix)

    def application(environ: Any, start_response: Any) -> Any:
        _executed("1/0", filename="shop/views.py")

    text = get(application).body.decode()
    assert 'class="frame" open><summary><code>&lt;module&gt;' in text


class Row:
    """Counts how often one is written."""

    written = 0

    def __repr__(self) -> str:
        Row.written += 1
        return "<Row>"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ([Row()] * 10_000, "10000 items"),
        ({"rows": [{"row": Row()}] * 10_000}, "1 items"),
        ((tuple([Row()] * 5000), {Row() for _ in range(5000)}), "2 items"),
        (b"x" * 1_000_000, "1000000 bytes"),
    ],
)
def test_large_values(value: Any, size: str) -> None:
    """Of millions of rows no more is written than is shown."""
    Row.written = 0
    text = shown(value)
    assert text.endswith(f"... ({size})")
    assert text.startswith(repr(value)[:100])
    assert len(text) < 1600
    Row.written = 0
    shown(value)
    assert Row.written <= 1500


def test_values_are_written_whole() -> None:
    """What is short is as repr() has it, a list in itself too."""
    endless: list[Any] = [1]
    endless.append(endless)
    for value in ({"a": [1, (2,), {3}]}, (), (1,), frozenset({1}), Says(lambda: "x"), "it's"):
        assert shown(value) == repr(value)
    assert shown(endless).startswith("[1, [1, ")


def test_working_directory_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name of a file leads nowhere then."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    def application(environ: Any, start_response: Any) -> Any:
        _executed("1/0", filename="relative.py")

    assert get(application).code == 500


def test_long_message() -> None:
    """A message of megabytes does not become a page of them."""

    def application(environ: Any, start_response: Any) -> Any:
        raise ValueError("x" * 10_000_000)

    assert len(get(application).body) < 500_000


def test_no_path() -> None:
    """PATH_INFO may be left out where it would be empty (PEP 3333)."""
    environ = make_environ(fields=HTML) | HERE | {"SCRIPT_NAME": "/x"}
    del environ["PATH_INFO"]
    statuses: list[str] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        statuses.append(status)

    assert b"GET /x" in b"".join(Debugger(failing)(environ, start))
    assert statuses == ["500 Internal Server Error"]


def test_recursion() -> None:
    """Of a thousand frames the first and the last are shown."""

    def deep(number: int) -> int:
        return deep(number - 1) if number else 1 // 0

    text = get(lambda environ, start_response: deep(500)).body
    assert b"462 frames are left out" in text
    assert text.count(b" open>") == 3
    assert len(text) < 300_000


def test_generator(caplog: pytest.LogCaptureFixture) -> None:
    """A failure when the first block is asked for is shown; a later one is the server's, its log too."""

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        if environ["PATH_INFO"] == "/late":
            yield b"first"
        raise LookupError("no such thing")

    assert b"no such thing" in get(application).body
    caplog.clear()
    with pytest.raises(LookupError):
        get(application, "/late")
    assert "failed" not in caplog.text


def test_nothing_fails() -> None:
    """A good response passes."""
    application = Counted(b"a", b"b")
    assert get(application).blocks == [b"a", b"b"]
    assert application.closed == 1


# --- for whom ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"wsgi.multiprocess": True}, "several processes"),
        ({"wsgi.run_once": True}, "a process for each request"),
        ({"SERVER_NAME": "0.0.0.0"}, "bound to '0.0.0.0'"),
        ({"SERVER_NAME": "192.168.0.3"}, "bound to '192.168.0.3'"),
        ({"SERVER_NAME": "shop.example"}, "bound to 'shop.example'"),
        ({"SERVER_NAME": "::"}, "bound to '::'"),
        ({"REMOTE_ADDR": "192.0.2.1"}, "not on this machine"),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, "a proxy between"),
        ({"HTTP_FORWARDED": "for=127.0.0.1"}, "a proxy between"),
        ({"breezeway.unbelieved_forwarding": True}, "a proxy between"),
        ({"HTTP_HOST": "evil.example"}, "'evil.example', not localhost"),
        ({"HTTP_HOST": "localhost.evil.example"}, "not localhost"),
        ({"HTTP_HOST": "127.0.0.1.evil.example:80"}, "not localhost"),
        ({"HTTP_HOST": "a b"}, "not localhost"),
    ],
)
def test_refuses(changes: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture) -> None:
    """For anybody else the failure is the server's, and the log says once why."""
    debugger = Debugger(failing)
    environ = make_environ(fields=HTML) | HERE | {"wsgi.multiprocess": False} | changes
    for _ in range(2):
        with pytest.raises(LookupError):
            debugger(dict(environ), lambda *given: print)
    (message,) = caplog.messages
    assert message.startswith("the debugger does not run: ")
    assert said in message
    console = call(
        debugger, PATH, "POST", {"Content-Type": "application/json"}, b"{}", **{**HERE, **changes}
    )
    assert (console.code, said in console.body.decode()) == (403, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"SERVER_NAME": "localhost", "HTTP_HOST": "localhost"},
        {"SERVER_NAME": "::1", "HTTP_HOST": "[::1]:8000", "REMOTE_ADDR": "::1"},
        {"SERVER_NAME": "127.0.0.1", "HTTP_HOST": "shop.localhost:8000"},
        {"HTTP_HOST": ""},
    ],
)
def test_runs(changes: dict[str, Any]) -> None:
    """On this machine it runs, under any name that it has."""
    assert not refusal(make_environ() | HERE | {"wsgi.multiprocess": False} | changes)


# --- the console ------------------------------------------------------------------------------------------


class Page:
    """A page with its console."""

    def __init__(self, debugger: Debugger) -> None:
        self.debugger = debugger
        result = call(debugger, fields=HTML, **HERE)
        self.secret = re.findall(r'data-secret="([^"]+)"', result.body.decode())[0]
        self.frames = len(re.findall(rb'data-frame="', result.body))
        self.key = ""

    def ask(self, body: Any, **changes: Any) -> Result:
        """Ask the console."""
        fields = {"Content-Type": "application/json"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        environ = {**HERE, "HTTP_SEC_FETCH_SITE": "same-origin", **changes}
        return call(self.debugger, PATH, "POST", fields, data, **environ)

    def unlock(self, pin: str) -> Result:
        """Give a PIN."""
        result = self.ask({"failure": self.secret, "pin": pin})
        if result.code == 200:
            self.key = json.loads(result.body)["key"]
        return result

    def run(self, code: str, frame: int = 1) -> str:
        """Run code; return what it says."""
        asked = {"failure": self.secret, "key": self.key, "frame": frame, "code": code}
        result = self.ask(asked)
        assert result.code == 200, result
        output: str = json.loads(result.body)["output"]
        return output


@pytest.fixture
def page() -> Page:
    """Return the page of a failure, with an open console."""
    found = Page(Debugger(failing, pin="let me in"))
    assert found.unlock("let me in").code == 200
    return found


def test_console(page: Page) -> None:
    """Code runs within the frame that it is for, and what it defines stays there."""
    assert page.run("number + 1") == "8\n"
    assert page.run("x = [number + each for each in range(2)]") == ""
    assert page.run("x") == "[7, 8]\n"
    assert page.run("print('a'); print('b')") == "a\nb\n"
    assert page.run("y = number * 2; y") == "14\n"
    assert page.run("  for each in range(2):\n      print(each)\n  each") == "0\n1\n1\n"
    assert page.run("None") == page.run("") == page.run("# nothing") == ""
    assert "NameError" in page.run("x", frame=0)


def test_console_tells_failures(page: Page) -> None:
    """What raises, does not compile or ends the program is told, without our frames."""
    told = page.run("1 / 0")
    assert told.startswith("Traceback")
    assert "ZeroDivisionError" in told
    assert "debugger" not in told
    assert "SyntaxError" in page.run("a b")
    assert "SystemExit" in page.run("raise SystemExit")
    assert "ValueError" in page.run("int('x')")


def test_console_takes_anything(page: Page) -> None:
    """What is no text, no number or no traceback is told, and does not fail."""
    assert page.unlock("\ud800").code == 401
    environ = make_environ(PATH, "POST", {"Content-Type": "application/json"}, b"{}") | HERE
    environ["wsgi.multiprocess"], environ["CONTENT_LENGTH"] = False, "9" * 5000
    assert b"413 " in b"".join(page.debugger(environ, lambda *given: print))
    page.unlock("let me in")
    assert "SyntaxError" in page.run("raise SyntaxError('x', ('f', 'no', 'line', 'text'))")
    told = page.run("raise ValueError('mine')")
    assert told.endswith("ValueError: mine\n")
    assert "SyntaxError" not in told  # of the attempt to read it as an expression


def test_console_is_locked(caplog: pytest.LogCaptureFixture) -> None:
    """Without the PIN, which is in the log, nothing runs."""
    page = Page(Debugger(failing))
    refused = page.ask({"failure": page.secret, "frame": 0, "code": "1"})
    assert (refused.code, b"locked" in refused.body) == (401, True)
    (pin,) = re.findall(r"console is (\d{3}-\d{3}-\d{3})", caplog.text)
    unlocked = page.unlock(pin)
    assert page.run("1") == "1\n"
    page.key = page.key[:-1] + "\ud800"
    assert page.ask({"failure": page.secret, "key": page.key, "frame": 0, "code": "1"}).code == 401
    # Browsers send a cookie of this host to all ports of it, so to servers of other users, too.
    assert unlocked["set-cookie"] is None


def test_pin_is_not_guessed() -> None:
    """After ten wrong PINs the right one does not help."""
    page = Page(Debugger(failing, pin="123456"))
    for _ in range(10):
        assert page.unlock("000000").code == 401
    assert page.unlock("let me in").code == 403


@pytest.mark.parametrize(
    ("body", "changes", "code"),
    [
        ({"failure": "x", "frame": 0, "code": "1"}, {}, 404),
        ({"frame": 0, "code": "1"}, {}, 404),
        ({"frame": 99, "code": "1", "failure": ...}, {}, 404),
        ({"frame": -1, "code": "1", "failure": ...}, {}, 404),
        ({"frame": True, "code": "1", "failure": ...}, {}, 404),
        ({"frame": 0, "code": 1, "failure": ...}, {}, 400),
        (b"[]", {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 60_000, {}, 400),
        (b" " * 70_000, {}, 413),
        ({}, {"HTTP_SEC_FETCH_SITE": "cross-site"}, 403),
        ({}, {"CONTENT_TYPE": "text/plain"}, 403),
        ({}, {"REQUEST_METHOD": "GET"}, 405),
    ],
)
def test_console_refuses(page: Page, body: Any, changes: dict[str, Any], code: int) -> None:
    """What is no request of the page is refused."""
    if isinstance(body, dict):
        body = {key: page.secret if value is ... else value for key, value in body.items()}
        body["key"] = page.key
    assert page.ask(body, **changes).code == code


def test_old_failures_are_forgotten() -> None:
    """Ten failures can be looked into; older ones let go of what their frames hold."""
    debugger = Debugger(failing, pin="let me in")
    pages = [Page(debugger) for _ in range(11)]
    assert pages[0].unlock("let me in").code == 404
    assert pages[1].unlock("let me in").code == 200


def test_without_console() -> None:
    """Without a console there is no secret, no button, and no path."""
    debugger = Debugger(lambda environ, start_response: 1 / 0, console=False)
    assert b'data-secret=""' in call(debugger, fields=HTML, **HERE).body
    assert b'data-frame="' not in call(debugger, fields=HTML, **HERE).body
    assert call(debugger, PATH, "POST", body=b"{}", **HERE).code == 500


@pytest.mark.parametrize("options", [{"pin": "12345"}, {"pin": 123456}, {"console": "yes"}])
def test_bad_options(options: Any) -> None:
    """Options are checked when the piece is made."""
    with pytest.raises(ValueError, match=next(iter(options))):
        Debugger(**options)


def test_on_the_wire() -> None:
    """A live server in one process shows the page."""
    with LiveServer(Debugger(failing)) as server:
        done = subprocess.run(
            [sys.executable, "-c", FETCH, server.url], capture_output=True, text=True, check=True
        )
    assert "no &lt;b&gt;such&lt;/b&gt; thing" in done.stdout


FETCH = """
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers={"Accept": "text/html"}))
except urllib.error.HTTPError as error:
    print(error.read().decode())
"""


def test_script_of_the_page(tmp_path: Path) -> None:
    """The script is good JavaScript, where there is something to say so."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here")
    text = get().body.decode()
    script = tmp_path / "script.js"
    script.write_text(re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)[0])
    subprocess.run([node, "--check", str(script)], check=True)
