"""Lint: every fault that wsgiref.validate finds, and those that it misses, with clause and mend."""

from __future__ import annotations

import gc
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.validate import WSGIWarning, validator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breezeway.middleware import Lint
from breezeway.middleware.lint.faults import Fault, LintError

from .calling import make_environ
from .pieces import PIECES

pytestmark = pytest.mark.once

PLAIN = ("Content-Type", "text/plain")


def responding(
    status: Any = "200 OK", headers: Any = None, blocks: Any = (b"x",), *more: Any
) -> Any:
    """Return an application that says these things to start_response."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response(status, [PLAIN] if headers is None else headers, *more)
        return list(blocks) if isinstance(blocks, tuple) else blocks

    return application


def serve(application: Any, environ: Any, *, close: bool = True) -> list[Any]:
    """Call as a server does that takes anything."""
    sent: list[Any] = []

    def start_response(status: Any, headers: Any, exc_info: Any = None) -> Any:
        if exc_info and sent:
            raise exc_info[1]
        return sent.append

    found = application(environ, start_response)
    try:
        sent.extend(found)
    finally:
        if close:
            found.close()
    return sent


def faults_of(application: Any, environ: Any = None) -> list[Fault]:
    """Return all that is found, with nothing raised."""
    found: list[Fault] = []
    try:
        serve(
            Lint(application, report=found.append), make_environ() if environ is None else environ
        )
    except Exception:
        assert found, "it fails without a word"
    return found


def validate_objects(application: Any, environ: Any) -> bool:
    """Whether wsgiref.validate finds a fault, or warns."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", WSGIWarning)
            serve(validator(application), environ)
    except Exception:  # its own, or it stumbles
        return True
    return False


# --- what an application does -------------------------------------------------------------------------


def no_start(environ: Any, start_response: Any) -> Any:
    """Answer without start_response."""
    return [b"x"]


def no_start_no_block(environ: Any, start_response: Any) -> Any:
    """Answer nothing without start_response."""
    return []


def late_start(environ: Any, start_response: Any) -> Any:
    """Yield before start_response."""
    yield b""
    start_response("200 OK", [PLAIN])
    yield b"x"


def twice(environ: Any, start_response: Any) -> Any:
    """Begin two responses."""
    start_response("200 OK", [PLAIN])
    start_response("200 OK", [PLAIN])
    return [b"x"]


def by_name(environ: Any, start_response: Any) -> Any:
    """Name an argument."""
    start_response("200 OK", headers=[PLAIN])
    return [b"x"]


def one_argument(environ: Any, start_response: Any) -> Any:
    """Leave the headers out."""
    start_response("200 OK")
    return [b"x"]


def writes_text(environ: Any, start_response: Any) -> Any:
    """Write text."""
    start_response("200 OK", [PLAIN])("x")
    return []


def writes_late(environ: Any, start_response: Any) -> Any:
    """Write while the iterable is read."""
    write = start_response("200 OK", [PLAIN])
    yield b"x"
    write(b"y")


def using(use: Callable[[Any], object]) -> Any:
    """Return an application that does something with the environ."""

    def application(environ: Any, start_response: Any) -> Any:
        use(environ)
        start_response("200 OK", [PLAIN])
        return [b"x"]

    return application


class Announced:
    """Says that it has one block, and has two."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Any:
        return iter([b"x", b"y"])


def length(number: object) -> Any:
    """Return headers with this Content-Length."""
    return [PLAIN, ("Content-Length", str(number))]


APPLICATIONS: list[tuple[Any, str, str]] = [
    (no_start, "Buffering and Streaming", "a block came before start_response was called"),
    (no_start_no_block, "The start_response() Callable", "start_response was not called"),
    (late_start, "Buffering and Streaming", "though an empty one"),
    (twice, "The start_response() Callable", "a second time without exc_info"),
    (by_name, "The start_response() Callable", "1 positional arguments and headers by name"),
    (one_argument, "The start_response() Callable", "with 1 positional arguments"),
    (writes_text, "The write() Callable", "write() was given 'x' (str)"),
    (writes_late, "The write() Callable", "when the iterable had begun"),
    (responding(b"200 OK"), "Unicode Issues", "the status is b'200 OK' (bytes)"),
    (responding(200), "Unicode Issues", "the status is 200 (int)"),
    (responding("200"), "The start_response() Callable", "the status is '200'"),
    (responding("20 OK"), "The start_response() Callable", "the status is '20 OK'"),
    (responding("OK"), "The start_response() Callable", "the status is 'OK'"),
    (responding("099 X"), "The start_response() Callable", "the status is '099 X'"),
    (responding("200 O\nK"), "The start_response() Callable", "the status is '200 O\\nK'"),
    (responding("200 €"), "Unicode Issues", "the status is '200 €'"),
    (responding("100 Continue"), "The start_response() Callable", "does not end a request"),
    (responding(headers=(PLAIN,)), "The start_response() Callable", "the headers are (("),
    (responding(headers={"Content-Type": "x"}), "The start_response() Callable", "the headers are"),
    (responding(headers=[["Content-Type", "x"]]), "The start_response() Callable", "a header is"),
    (responding(headers=[PLAIN, ("a",)]), "The start_response() Callable", "a header is ('a',)"),
    (responding(headers=[PLAIN, (b"a", "b")]), "Unicode Issues", "the name of a header is b'a'"),
    (responding(headers=[PLAIN, ("a", 1)]), "Unicode Issues", "the value of a header is 1 (int)"),
    (responding(headers=[PLAIN, ("a b", "")]), "The start_response() Callable", "called 'a b'"),
    (responding(headers=[PLAIN, ("a:", "")]), "The start_response() Callable", "called 'a:'"),
    (responding(headers=[PLAIN, ("", "")]), "The start_response() Callable", "called ''"),
    (responding(headers=[PLAIN, ("a-", "")]), "The start_response() Callable", "called 'a-'"),
    (
        responding(headers=[PLAIN, ("Status", "1")]),
        "The start_response() Callable",
        "called Status",
    ),
    (responding(headers=[PLAIN, ("a", "b\r\nc: d")]), "The start_response() Callable", "control"),
    (responding(headers=[PLAIN, ("a", "€")]), "Unicode Issues", "beyond ISO-8859-1"),
    (responding(headers=[PLAIN, ("a", " b")]), "The start_response() Callable", "is ' b'"),
    (responding(headers=[PLAIN, ("Connection", "close")]), "Other HTTP Features", "Connection"),
    (responding(headers=[PLAIN, ("transfer-encoding", "x")]), "Other HTTP Features", "transfer-"),
    (responding(headers=[]), "Specification Details", "no Content-Type"),
    (responding("204 No", [PLAIN], ()), "Specification Details", "a 204 has a Content-Type"),
    (responding("304 Not", [PLAIN], ()), "Specification Details", "a 304 has a Content-Type"),
    (responding("204 No", []), "Specification Details", "a 204 has content"),
    (responding(headers=length("x")), "Handling the Content-Length Header", "is 'x'"),
    (responding(headers=length(-1)), "Handling the Content-Length Header", "is '-1'"),
    (
        responding(headers=length(0)),
        "Handling the Content-Length Header",
        "longer than the 0 bytes",
    ),
    (responding(headers=length(2)), "Handling the Content-Length Header", "has 1 bytes, "),
    (
        responding(headers=[*length(1), ("content-length", "1")]),
        "Handling the Content-Length Header",
        "there are 2 Content-Length",
    ),
    (responding("200 OK", None, (b"x",), "e"), "Error Handling", "exc_info is 'e'"),
    (responding("200 OK", None, (b"x",), (1, 2, 3)), "Error Handling", "exc_info is (1, 2, 3)"),
    (
        responding(blocks="text"),
        "The Application/Framework Side",
        "the application returned 'text'",
    ),
    (responding(blocks=b"text"), "The Application/Framework Side", "returned b'text'"),
    (responding(blocks=None), "The Application/Framework Side", "the application returned None"),
    (responding(blocks=5), "The Application/Framework Side", "the application returned 5"),
    (responding(blocks=("x",)), "The Application/Framework Side", "yielded 'x' (str)"),
    (responding(blocks=(bytearray(b"x"),)), "The Application/Framework Side", "yielded bytearray"),
    (responding(blocks=(7,)), "The Application/Framework Side", "the application yielded 7"),
    (responding(blocks=Announced()), "Specification Details", "has 1 blocks by len(), and gave 2"),
    (using(lambda e: e["wsgi.input"].read()), "Input and Error Streams", "without a size"),
    (using(lambda e: e["wsgi.input"].read("1")), "Input and Error Streams", "called with ('1',)"),
    (using(lambda e: e["wsgi.input"].readline(1, 2)), "Input and Error Streams", "with (1, 2)"),
    (using(lambda e: e["wsgi.input"].readlines(1, 2)), "Input and Error Streams", "with (1, 2)"),
    (using(lambda e: e["wsgi.input"].close()), "Input and Error Streams", "wsgi.input was closed"),
    (using(lambda e: e["wsgi.input"].seek(0)), "Input and Error Streams", "asked for 'seek'"),
    (using(lambda e: e["wsgi.errors"].write(b"x")), "Input and Error Streams", "given b'x'"),
    (using(lambda e: e["wsgi.errors"].writelines([1])), "Input and Error Streams", "given 1"),
    (
        using(lambda e: e["wsgi.errors"].close()),
        "Input and Error Streams",
        "wsgi.errors was closed",
    ),
]


@pytest.mark.parametrize(("application", "clause", "said"), APPLICATIONS)
def test_applications(application: Any, clause: str, said: str) -> None:
    """What an application does wrong is told, with the clause and how to mend it."""
    found = faults_of(application)
    assert [clause] == [fault.clause for fault in found if said in fault.fault], found
    assert not any(fault.server for fault in found)
    assert all(fault.mend for fault in found)


# --- what a server or middleware does -------------------------------------------------------------------

MISSING = object()


class ReadOnly:
    """An input of which middleware has left out half."""

    def read(self, size: int = -1) -> bytes:
        return b""


class Odd(io.BytesIO):
    """An input that gives text."""

    def read(self, size: Any = -1) -> Any:
        return "text"

    def readlines(self, hint: Any = -1) -> Any:
        return ("text",)


ENVIRONS: list[tuple[dict[str, Any], str]] = [
    *(({key: MISSING}, f"environ has no {key}") for key in ("REQUEST_METHOD", "SERVER_NAME")),
    *(({key: MISSING}, f"environ has no {key}") for key in ("wsgi.version", "wsgi.input")),
    *(({key: MISSING}, f"environ has no {key}") for key in ("wsgi.run_once", "SERVER_PROTOCOL")),
    ({"QUERY_STRING": MISSING}, "QUERY_STRING is not there"),
    ({"QUERY_STRING": "?a"}, "QUERY_STRING is '?a'"),
    ({"HTTP_CONTENT_TYPE": "x"}, "environ has HTTP_CONTENT_TYPE"),
    ({"HTTP_CONTENT_LENGTH": "1"}, "environ has HTTP_CONTENT_LENGTH"),
    ({"HTTP_x": "1"}, "environ has HTTP_x"),
    ({"HTTP_X": 1}, "HTTP_X is 1 (int), not a str"),
    ({"HTTP_X": b"a"}, "HTTP_X is b'a' (bytes)"),
    ({"USER": object()}, "USER is <object"),
    ({"PATH_INFO": "/€"}, "PATH_INFO is '/€', with characters beyond ISO-8859-1"),
    ({"PATH_INFO": "a"}, "PATH_INFO is 'a'"),
    ({"PATH_INFO": MISSING, "SCRIPT_NAME": "/a"}, "PATH_INFO is not there"),
    ({"SCRIPT_NAME": MISSING}, "SCRIPT_NAME is not there"),
    ({"SCRIPT_NAME": "a"}, "SCRIPT_NAME is 'a'"),
    ({"SCRIPT_NAME": "/"}, "SCRIPT_NAME is '/'"),
    ({"SCRIPT_NAME": "/a/"}, "SCRIPT_NAME is '/a/'"),
    ({"REQUEST_METHOD": "BREW"}, "REQUEST_METHOD is 'BREW'"),
    ({"REQUEST_METHOD": "G T"}, "REQUEST_METHOD is 'G T'"),
    ({"CONTENT_LENGTH": "-1"}, "CONTENT_LENGTH is '-1'"),
    ({"CONTENT_LENGTH": "x"}, "CONTENT_LENGTH is 'x'"),
    ({"SERVER_PORT": "http"}, "SERVER_PORT is 'http'"),
    ({"SERVER_PORT": 80}, "SERVER_PORT is 80 (int)"),
    ({"SERVER_NAME": ""}, "SERVER_NAME is empty"),
    ({"SERVER_PROTOCOL": "http"}, "SERVER_PROTOCOL is 'http'"),
    ({"wsgi.version": [1, 0]}, "wsgi.version is [1, 0] (list)"),
    ({"wsgi.url_scheme": "ftp"}, "wsgi.url_scheme is 'ftp'"),
    ({"wsgi.input": ReadOnly()}, "has no readline, readlines, __iter__"),
    ({"wsgi.errors": None}, "wsgi.errors (None) has no flush, write, writelines"),
    ({"wsgi.file_wrapper": 1}, "wsgi.file_wrapper is 1"),
]


@pytest.mark.parametrize(("changes", "said"), ENVIRONS)
def test_environs(changes: dict[str, Any], said: str) -> None:
    """What is wrong with an environ is the caller's fault."""
    (fault,) = faults_of(responding(), changed(changes))
    assert said in fault.fault
    assert fault.server


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return an environ that is right but for these changes."""
    environ = make_environ() | changes
    return {key: value for key, value in environ.items() if value is not MISSING}


def test_environ_of_another_type() -> None:
    """Environ is a dict, and no subclass."""
    (fault,) = faults_of(responding(), type("Own", (dict,), {})(make_environ()))
    assert "not a dict" in fault.fault


@pytest.mark.parametrize("use", [lambda i: i.read(1), lambda i: i.readlines()])
def test_input_of_middleware(use: Any) -> None:
    """An input that gives something else than bytes is told to whoever put it there."""
    application = using(lambda environ: use(environ["wsgi.input"]))
    (fault,) = faults_of(application, changed({"wsgi.input": Odd()}))
    assert "of wsgi.input gave" in fault.fault
    assert fault.server


def test_called_wrongly() -> None:
    """An application is called with two arguments by position."""
    found: list[Fault] = []
    lint = Lint(lambda environ, start_response: [], report=found.append)
    assert lint(environ={}, start_response=print) == []
    assert "0 positional arguments and environ, start_response by name" in found[0].fault


class TestServer:
    """What the server does, or middleware around."""

    @pytest.fixture
    def found(self) -> list[Fault]:
        """Return where the faults go."""
        return []

    @pytest.fixture
    def lint(self, found: list[Fault]) -> Lint:
        """Return a piece around a good application."""
        return Lint(responding(blocks=(b"x", b"y")), report=found.append)

    def test_never_closed(self, lint: Lint, found: list[Fault]) -> None:
        """An iterable that is dropped without close() is told when it is collected."""
        serve(lint, make_environ(), close=False)
        gc.collect()
        assert [fault.fault for fault in found] == ["the iterable of '/' was never closed"]

    def test_never_closed_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """That cannot be raised, so that it is logged."""
        serve(Lint(responding()), make_environ(), close=False)
        gc.collect()
        assert "was never closed" in caplog.text

    def test_closed_twice(self, lint: Lint, found: list[Fault]) -> None:
        """close() is called once."""
        made: Any = lint(make_environ(), lambda *given: print)
        made.close()
        made.close()
        assert [fault.fault for fault in found] == ["close() was called twice"]

    def test_asked_after_close(self, lint: Lint, found: list[Fault]) -> None:
        """Nothing comes after close()."""
        made: Any = lint(make_environ(), lambda *given: print)
        made.close()
        next(made)
        assert "after close()" in found[0].fault

    def test_no_write(self, lint: Lint, found: list[Fault]) -> None:
        """start_response returns write()."""
        made: Any = lint(make_environ(), lambda *given: None)
        made.close()
        assert "start_response returned None" in found[0].fault

    def test_error_is_swallowed(self, found: list[Fault]) -> None:
        """exc_info after the head has to be raised."""

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [PLAIN])
            yield b"x"
            error = LookupError()
            start_response("500 Oh", [PLAIN], (LookupError, error, None))

        made: Any = Lint(application, report=found.append)(make_environ(), lambda *given: print)
        assert [*made] == [b"x"]
        made.close()
        assert [fault.clause for fault in found] == ["Error Handling"]

    def test_client_that_leaves(self, found: list[Fault]) -> None:
        """A response that is not read to its end is nobody's fault."""
        application = responding(headers=length(10), blocks=(b"12345", b"67890"))
        made: Any = Lint(application, report=found.append)(make_environ(), lambda *given: print)
        next(made)
        made.close()
        assert not found


# --- what is right --------------------------------------------------------------------------------------


def recovers(environ: Any, start_response: Any) -> Any:
    """Replace the response in time."""
    start_response("200 OK", length(100))
    try:
        raise LookupError
    except LookupError as error:
        start_response("500 Oh", [PLAIN], (LookupError, error, error.__traceback__))
    return [b"x"]


@pytest.mark.parametrize(
    "application",
    [
        responding(),
        responding(headers=length(1)),
        responding(blocks=()),
        responding("204 No Content", [], ()),
        responding("304 Not Modified", [("ETag", '"x"')], ()),
        responding("404 Nicht gefunden für dich"),
        responding("200 "),
        responding(blocks=iter([b"", b"x"])),
        recovers,
        using(lambda e: [e["wsgi.input"].read(5), e["wsgi.input"].readline(), [*e["wsgi.input"]]]),
        using(lambda e: [e["wsgi.errors"].write("x"), e["wsgi.errors"].flush()]),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_nothing_to_say(application: Any, method: str) -> None:
    """What is right is left alone."""
    assert not faults_of(application, make_environ(method=method, body=b"a\nb\nc"))


def test_head_may_leave_the_content_out() -> None:
    """The Content-Length of a HEAD is that of the GET."""
    assert not faults_of(responding(headers=length(5), blocks=()), make_environ(method="HEAD"))


def test_failure_passes() -> None:
    """An error of the application is raised as it is, and close() comes through."""

    def failing(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", length(5))
        yield b"x"
        raise LookupError("on purpose")

    with pytest.raises(LookupError, match="on purpose"):
        serve(Lint(failing), make_environ())


# --- how it is told -------------------------------------------------------------------------------------


def test_raises() -> None:
    """A fault is raised where it was found, as one sentence on the fault and one on its mending."""
    with pytest.raises(LintError) as caught:
        serve(Lint(responding(200)), make_environ())
    assert str(caught.value) == (
        'breach of PEP 3333, "Unicode Issues", by the application: the status is 200 (int), not a str.'
        " Write it like '200 OK'."
    )
    assert isinstance(caught.value, AssertionError)


def test_advice_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Advice does not end a request, and is logged once."""
    lint = Lint(using(lambda environ: environ["wsgi.input"].read()))
    for _ in range(3):
        serve(lint, make_environ())
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "advice on PEP 3333" in caplog.text


def test_logs(caplog: pytest.LogCaptureFixture) -> None:
    """With report="log" each different fault is logged once, and the response goes on."""
    lint = Lint(responding(headers=[PLAIN, ("Connection", "close")]), report="log")
    for _ in range(3):
        assert serve(lint, make_environ()) == [b"x"]
    assert len(caplog.records) == 1


def test_bad_option() -> None:
    """`report` is one of three things."""
    with pytest.raises(ValueError, match="report must be 'raise', 'log' or a function, not 'x'"):
        Lint(report="x")


# --- wsgiref.validate as oracle -------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *("", " ", "200", "200 OK", "204 No", "304 X", "abc", "Content-Type", "content-type"),
        *("a", "a-", "a:b", "a\nb", "\x00", "Status", "text/plain", "é", "x" * 5, "1", "99 X"),
    ]
)
ANYTHING = st.one_of(WORDS, st.none(), st.integers(0, 999), st.binary(max_size=3))
HEADERS = st.one_of(
    st.lists(
        st.one_of(st.tuples(WORDS, WORDS), st.tuples(ANYTHING, ANYTHING), ANYTHING), max_size=3
    ),
    st.lists(st.tuples(WORDS, WORDS), max_size=2).map(lambda found: [PLAIN, *found]),
    st.just(()),
    st.none(),
)
BLOCKS = st.one_of(
    st.lists(st.binary(max_size=3), max_size=3),
    st.lists(ANYTHING, max_size=3),
    st.sampled_from(["text", b"text", None, 5]),
)


# What validate leaves behind when it stumbles.
STUMBLES = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@STUMBLES
@settings(max_examples=400, deadline=None)
@given(status=ANYTHING, headers=HEADERS, blocks=BLOCKS, late=st.booleans())
def test_finds_what_validate_finds(status: Any, headers: Any, blocks: Any, late: bool) -> None:
    """Whatever wsgiref.validate objects to in a response, Lint does."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        if not late:
            start_response(status, list(headers) if isinstance(headers, list) else headers)
        return list(blocks) if isinstance(blocks, list) else blocks

    if validate_objects(application, make_environ()):
        assert faults_of(application)


@STUMBLES
@pytest.mark.parametrize("application", [each[0] for each in APPLICATIONS])
def test_finds_it_in_every_application(application: Any) -> None:
    """Nor is any of the cases above left to validate."""
    if validate_objects(application, make_environ()):
        assert faults_of(application)


@STUMBLES
@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*make_environ(), "HTTP_X", "HTTP_CONTENT_TYPE", "CONTENT_LENGTH"]),
        st.one_of(ANYTHING, st.just(MISSING)),
        max_size=3,
    )
)
def test_finds_what_validate_finds_in_an_environ(changes: dict[str, Any]) -> None:
    """Whatever wsgiref.validate objects to in an environ, Lint does."""
    if validate_objects(responding(), changed(changes)):
        assert faults_of(responding(), changed(changes))


# --- between two of them ----------------------------------------------------------------------------------


def a_list(environ: Any, start_response: Any) -> Any:
    """Echo, in a list."""
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [PLAIN])
    return [b"hello " * 300, content]


def a_generator(environ: Any, start_response: Any) -> Any:
    """Yield, an empty block too."""
    start_response("200 OK", [PLAIN])
    yield b"a" * 2000
    yield b""
    yield b"b"


def a_late_start(environ: Any, start_response: Any) -> Any:
    """Call start_response when the first block is asked for, with a length."""

    def blocks() -> Any:
        start_response("200 OK", [PLAIN, ("Content-Length", "5")])
        yield b"hello"

    return blocks()


def a_file(environ: Any, start_response: Any) -> Any:
    """Return a file in the server's wrapper."""
    start_response("200 OK", [PLAIN, ("Content-Length", "5")])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"hello"))


def a_writer(environ: Any, start_response: Any) -> Any:
    """Write, and return the rest."""
    start_response("200 OK", [PLAIN])(b"one")
    return [b"two"]


def a_head(environ: Any, start_response: Any) -> Any:
    """Leave the content of HEAD out, and not its length."""
    start_response("200 OK", [PLAIN, ("Content-Length", "5")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"hello"]


def an_error_page(environ: Any, start_response: Any) -> Any:
    """Replace a response that was begun."""
    start_response("200 OK", [PLAIN])
    try:
        raise ValueError
    except ValueError:
        start_response("500 Internal Server Error", [PLAIN], sys.exc_info())
    return [b"sorry"]


BETWEEN = [
    *(a_list, a_generator, a_late_start, a_file, a_writer, a_head, an_error_page),
    responding("204 No Content", [], ()),
    responding("304 Not Modified", [("ETag", '"x"')], ()),
]

ASKED: list[tuple[str, dict[str, str], bytes]] = [
    ("GET", {}, b""),
    ("HEAD", {}, b""),
    ("POST", {"Content-Type": "text/plain"}, b"data"),
    ("OPTIONS", {"Origin": "https://shop.example", "Access-Control-Request-Method": "PUT"}, b""),
    ("GET", {"Accept-Encoding": "gzip", "Range": "bytes=0-1", "If-None-Match": '"x"'}, b""),
    ("GET", {"Authorization": "Basic x", "X-Forwarded-For": "192.0.2.1", "Cookie": "a=b"}, b""),
]


@pytest.mark.parametrize("name", PIECES)
def test_nothing_to_say_of_the_pieces(name: str) -> None:
    """None of our pieces breaks a rule, on the side of the server or on that of the application."""
    found: list[Fault] = []
    for application in BETWEEN:
        inner = Lint(application, report=found.append)
        outer = Lint(PIECES[name](inner), report=found.append)
        for method, fields, body in [each for each in ASKED for _ in range(2)]:
            serve(outer, make_environ("/x", method, fields, body))
    gc.collect()
    assert [str(fault) for fault in found if not fault.advice] == []


def _flask() -> Any:
    flask = pytest.importorskip("flask")
    app = flask.Flask("linted")
    app.add_url_rule("/list", "list", lambda: "hello")
    app.add_url_rule("/stream", "stream", lambda: flask.Response(iter(["a", "b"])))
    app.add_url_rule("/file", "file", lambda: flask.send_file(__file__))
    app.add_url_rule("/echo", "echo", lambda: flask.request.get_data(), methods=["POST"])
    return app


def _falcon() -> Any:
    falcon = pytest.importorskip("falcon")

    class Resource:
        def on_get(self, request: Any, response: Any) -> None:
            if request.path == "/file":
                response.stream = io.BytesIO(b"hello")
            else:
                response.text = "hello"

        def on_post(self, request: Any, response: Any) -> None:
            response.data = request.bounded_stream.read()

    app = falcon.App()
    for path in ("/list", "/stream", "/file", "/echo"):
        app.add_route(path, Resource())
    return app


def _bottle() -> Any:
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()
    app.route("/list")(lambda: "hello")
    app.route("/stream")(lambda: iter(["a", "b"]))
    app.route("/file")(lambda: bottle.static_file(Path(__file__).name, Path(__file__).parent))
    app.route("/echo", method="POST")(lambda: bottle.request.body.read())
    return app


def _pyramid() -> Any:
    pytest.importorskip("pyramid")
    from pyramid.config import Configurator
    from pyramid.response import FileResponse, Response

    views = {
        "list": lambda request: Response("hello"),
        "stream": lambda request: Response(app_iter=iter([b"a", b"b"])),
        "file": lambda request: FileResponse(__file__, request),
        "echo": lambda request: Response(request.body),
    }
    with Configurator() as config:
        for name, view in views.items():
            config.add_route(name, f"/{name}")
            config.add_view(view, route_name=name)
        return config.make_wsgi_app()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # WebOb's, of cgi
@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")  # Pyramid's
@pytest.mark.parametrize("make", [_flask, _falcon, _bottle, _pyramid])
def test_nothing_to_say_of_frameworks(make: Any) -> None:
    """Nor has it anything to say of what people use."""
    application = make()
    environs = [
        make_environ(path, method)
        for path in ("/list", "/stream", "/file", "/never")
        for method in ("GET", "HEAD")
    ]
    environs.append(make_environ("/echo", "POST", {"Content-Type": "text/plain"}, b"data"))
    for environ in environs:
        found = [each for each in faults_of(application, environ) if not each.advice]
        assert found == [], environ["PATH_INFO"]
