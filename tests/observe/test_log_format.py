"""What a line of the log looks like, as text and as JSON; what cannot be done to it."""

import json
import logging
import os
import sys

import pytest

from breezeway.observe import log_format, logs
from breezeway.observe.log_format import JSONFormatter, TextFormatter
from breezeway.observe.request_fields import request_fields, request_in_words

from .test_logs import restored  # noqa: F401  # a fixture

LOGGER = logging.getLogger("breezeway.test")


def record(text="message", *args, level=logging.ERROR, exc_info=None, **extra):
    """Make a record of a known time."""
    made = LOGGER.makeRecord(LOGGER.name, level, "file", 1, text, args, exc_info, extra=extra)
    made.created, made.msecs = 1_795_273_445.123456, 123.0
    return made


def failed(error, cause=None):
    """Return an exception as `exc_info`, raised in one place from another."""
    try:
        try:
            if cause is not None:
                raise cause
        finally:
            raise error
    except BaseException:
        return sys.exc_info()


class Odd(SyntaxError):
    @property
    def lineno(self):
        raise LookupError


class TestText:
    def test_control_characters_are_escaped(self):
        """Nothing in a message moves a terminal's cursor, turns text around or ends a line."""
        text = TextFormatter().format(record("a\x1b[2J\rb\x00\x7f\x9b31m\u2028c\u202ed\te\xe9"))
        assert text.endswith("ERROR a\\x1b[2J\\x0db\\x00\\x7f\\x9b31m\\u2028c\\u202ed\te\xe9")

    def test_no_line_can_be_forged(self):
        """All lines of a message but the first are indented, those of a traceback, too."""
        forged = "2026-11-21 15:04:05.123 ERROR forged"
        text = TextFormatter().format(
            record(f"one\n{forged}\n", exc_info=failed(ValueError(f"\n{forged}")))
        )
        first, *others = text.split("\n")
        assert first.endswith("ERROR one")
        assert len(others) > 4
        assert all(line.startswith("  ") for line in others)
        assert others[1] == "  Traceback (most recent call last):"

    def test_tag(self):
        """What a message belongs to stands before it."""
        made = record("message", tag="GET /")
        for _ in range(2):  # as two handlers do
            assert TextFormatter().format(made).endswith("ERROR GET /: message")


@pytest.mark.parametrize("formatter", [TextFormatter(), JSONFormatter()])
def test_exception_that_python_cannot_print(formatter):
    """It is told without its odd part."""
    error = failed(Odd("what it is"))
    assert "Odd: what it is" in formatter.format(record(exc_info=error))


class TestJSON:
    def members(self, *args, **more):
        """Format a record, and read it again."""
        text = JSONFormatter().format(record(*args, **more))
        assert "\n" not in text
        assert text.isascii()
        return json.loads(text)

    def test_members(self):
        """An object says when, how bad, from where, what and who."""
        logs.become("worker 3")
        assert self.members("started %d\n\u2028", 8) == {
            "time": "2026-11-21T15:04:05.123456Z",
            "level": "error",
            "logger": "breezeway.test",
            "message": "started 8\n\u2028",
            "role": "worker",
            "worker": 3,
            "pid": os.getpid(),
            "thread": "MainThread",
        }
        logs.become("preload")
        assert self.members()["role"] == "preload"
        assert "worker" not in self.members()

    def test_request(self):
        """The request is there, if there is one."""
        fields = {"method": "GET", "target": "/", "client": "::1", "request_id": "abc"}
        found = self.members(**fields, traceparent="-", duration=1.5, tag="x")
        assert {name: found[name] for name in fields} == fields
        assert found["duration"] == 1.5
        assert not {"traceparent", "tag", "extra"} & found.keys()

    def test_exception(self):
        """An exception is there as text and in parts, with the one that has led to it."""
        found = self.members(exc_info=failed(UnicodeError("b\n"), KeyError("a")))
        assert found["traceback"].startswith("Traceback (most recent call last):\n")
        last, first = found["exceptions"]
        assert (last["type"], last["message"]) == ("UnicodeError", "b\n")
        assert (first["type"], first["message"]) == ("KeyError", "'a'")
        assert first["frames"][-1] == {
            "file": __file__,
            "line": failed.__code__.co_firstlineno + 5,
            "function": "failed",
            "source": "raise cause",
        }

    def test_exception_without_bounds(self):
        """A recursion and a long chain of exceptions are told in part."""

        def deep(level):
            if level:
                deep(level - 1)
            raise ValueError

        error = None
        for _ in range(30):
            error, cause = KeyError(), error
            error.__cause__ = cause
        found = self.members(exc_info=(KeyError, error, None))
        assert len(found["exceptions"]) == log_format.MOST_EXCEPTIONS
        try:
            deep(100)
        except ValueError:
            found = self.members(exc_info=sys.exc_info())
        assert len(found["exceptions"][0]["frames"]) == log_format.MOST_FRAMES

    def test_extra(self):
        """What the application adds is there, whatever it is."""

        class Silent:
            def __str__(self):
                raise ValueError

        found = self.members(user=5, what=Silent(), where={"a": {1}}, why={(1, 2): 3})
        assert found["extra"] == {
            "user": 5,
            "what": "<Silent that cannot be shown>",
            "where": {"a": "{1}"},
            "why": {},
        }

    @pytest.mark.parametrize("what", ["nan", "loop"])
    def test_extra_that_json_has_not(self, what):
        """What JSON cannot hold is there as text, and the message is not lost."""
        loop = {}
        loop["again"] = loop
        value = {"nan": float("nan"), "loop": loop}[what]

        def no_constant(text):
            raise AssertionError(text)

        line = JSONFormatter().format(record("said", value=value))
        found = json.loads(line, parse_constant=no_constant)
        assert (found["message"], found["extra"]) == ("said", {"value": str(value)})

    def test_in_the_log(self, capsys):
        """`configure` makes it the form of all messages."""
        logs.configure("info", style="json")
        assert logs.is_json()
        LOGGER.info("hello \udcff")
        assert json.loads(capsys.readouterr().err)["message"] == "hello \udcff"
        logs.configure("info")
        assert not logs.is_json()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        (
            {"REQUEST_METHOD": "GET", "RAW_URI": "/a?b", "REMOTE_ADDR": "::1"},
            "GET /a?b from ::1",
        ),
        (
            {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "breezeway.request_id": 7},
            "GET /a from unix (request 7)",
        ),
        ({}, "- - from unix"),
    ],
)
def test_request_in_words(environ, words):
    """A request is named by what an application has left of its environ."""
    assert request_in_words(request_fields(environ)) == words


def test_trace():
    """The trace is the one that the middleware has made, else the client's."""
    theirs = {"HTTP_TRACEPARENT": "theirs"}
    assert request_fields(theirs)["traceparent"] == "theirs"
    assert request_fields(theirs | {"breezeway.traceparent": "ours"})["traceparent"] == "ours"


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_cannot_become_text_is_left_out(error: type[BaseException]) -> None:
    """An application may leave anything in the environ, and the event loop asks for the fields."""

    class Unwritable:
        def __bool__(self) -> bool:
            raise error

    environ = {"REQUEST_METHOD": "GET", "RAW_URI": Unwritable(), "PATH_INFO": "/a"}
    assert request_in_words(request_fields(environ)) == "GET /a from unix"
