"""RequestId: whose id it is, where it is known, and that none is given twice."""

from __future__ import annotations

import io
import logging
import os
import random
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import RequestId
from breezeway.middleware.request_id import RequestIdFilter, current_request_id

from .calling import Counted, call, make_environ, run

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"
NEW_ID = re.compile(r"[0-9a-f]{32}")


def keys(fields: dict[str, str], **options: Any) -> tuple[str, str, str, str]:
    """Return id, trace-id, traceparent and tracestate that the application sees."""
    application = Counted(b"a")
    result = call(RequestId(application, **options), fields=fields)
    environ = application.environ
    assert result[options.get("field", "X-Request-ID")] == environ["breezeway.request_id"]
    names = ("request_id", "trace_id", "traceparent", "tracestate")
    return tuple(environ[f"breezeway.{name}"] for name in names)  # type: ignore[return-value]


def test_new() -> None:
    """Id and trace-id are one, and what is sent on has a span of its own."""
    request_id, trace_id, traceparent, tracestate = keys({})
    assert NEW_ID.fullmatch(request_id)
    assert request_id == trace_id
    assert re.fullmatch(rf"00-{trace_id}-[0-9a-f]{{16}}-00", traceparent)
    assert tracestate == ""


def test_trace_is_continued() -> None:
    """The trace is the caller's; the span, and the id, are new."""
    fields = {"Traceparent": GOOD, "tracestate": "foo=1 , bar=2"}
    request_id, trace_id, traceparent, tracestate = keys(fields)
    assert (trace_id, tracestate) == (TRACE, "foo=1,bar=2")
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", traceparent)
    assert PARENT not in traceparent
    assert NEW_ID.fullmatch(request_id)
    assert request_id != TRACE


def test_later_version() -> None:
    """What is sent on is of the version that is known here."""
    _, _, traceparent, _ = keys({"traceparent": f"cc-{TRACE}-{PARENT}-ff-more"})
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", traceparent)


@pytest.mark.parametrize(
    "value",
    ["", "garbage", GOOD.upper(), f"{GOOD}-x", f"ff{GOOD[2:]}", f"{GOOD},{GOOD}", "\xff" * 99],
)
def test_malformed_trace_is_taken_away(value: str) -> None:
    """Nothing within reads it in another way, and its tracestate means nothing."""
    application = Counted(b"a")
    call(RequestId(application), fields={"traceparent": value, "tracestate": "foo=1"})
    environ = application.environ
    assert {"HTTP_TRACEPARENT", "HTTP_TRACESTATE"} & {*environ} == set()
    assert environ["breezeway.trace_id"] == environ["breezeway.request_id"]
    assert environ["breezeway.tracestate"] == ""


def test_malformed_state_goes_alone() -> None:
    """The trace is continued without it."""
    application = Counted(b"a")
    call(RequestId(application), fields={"traceparent": GOOD, "tracestate": "foo=1,foo=2"})
    assert application.environ["breezeway.trace_id"] == TRACE
    assert application.environ["HTTP_TRACEPARENT"] == GOOD
    assert "HTTP_TRACESTATE" not in application.environ
    assert application.environ["breezeway.tracestate"] == ""


def test_state_alone_means_nothing() -> None:
    """Without a trace there is none to be in."""
    application = Counted(b"a")
    call(RequestId(application), fields={"tracestate": "foo=1"})
    assert "HTTP_TRACESTATE" not in application.environ


def test_trace_at_an_edge() -> None:
    """By option each request begins a trace, whatever it says."""
    _, trace_id, _, tracestate = keys(
        {"traceparent": GOOD, "tracestate": "foo=1"}, continue_trace=False
    )
    assert (trace_id == TRACE, tracestate) == (False, "")


# --- ids of clients -----------------------------------------------------------------------------------


def test_id_of_a_client_is_not_taken() -> None:
    """Unless that is said."""
    assert NEW_ID.fullmatch(keys({"X-Request-ID": "mine"})[0])


@pytest.mark.parametrize(
    "value", ["mine", "a" * 128, "550e8400-e29b-41d4-a716-446655440000", "1-a_b=/+"]
)
def test_accepted(value: str) -> None:
    """What keeps to the pattern is taken; the trace goes by its own."""
    request_id, trace_id, _, _ = keys({"x-request-id": value}, accept=True)
    assert request_id == value
    assert NEW_ID.fullmatch(trace_id)


@pytest.mark.parametrize(
    "value", ["", "a" * 129, "a b", "a\nb", "a\r\nSet-Cookie: b", "é", "a,b", "<i>"]
)
def test_not_accepted(value: str) -> None:
    """What does not is as if it were not there."""
    assert NEW_ID.fullmatch(keys({"X-Request-ID": value}, accept=True)[0])


def test_pattern_and_field() -> None:
    """Field, pattern and bound can be said."""
    options = {"field": "X-Correlation-Id", "accept": True, "pattern": "[a-f]+", "longest": 4}
    assert keys({"X-Correlation-ID": "abc"}, **options)[0] == "abc"
    for value in ("abcde", "xyz", "abc\n"):
        assert NEW_ID.fullmatch(keys({"X-Correlation-ID": value}, **options)[0])


@pytest.mark.parametrize("value", ["", "a\rb", "a\nb", "\xe9", "\x7f", "\x00"])
def test_pattern_that_takes_anything(value: str) -> None:
    """What would break a line of a log or a field is never taken."""
    assert NEW_ID.fullmatch(keys({"X-Request-ID": value}, accept=True, pattern=r"[\s\S]*")[0])


def test_field_of_the_application_is_replaced() -> None:
    """There is one id in the response, also after an error."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        error = LookupError()
        fields = [("Content-Type", "text/plain"), ("x-request-id", "theirs"), ("X-REQUEST-ID", "b")]
        start_response("500 Oh", fields, (LookupError, error, None))
        return []

    result = call(RequestId(application))
    assert result.code == 500
    assert NEW_ID.fullmatch(result["X-Request-ID"] or "")


# --- who else knows it --------------------------------------------------------------------------------


def test_current_while_the_application_runs() -> None:
    """Code without an environ knows the id, between the blocks too, and not after the end."""
    seen: list[str | None] = []

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        seen.append(current_request_id())
        yield b"a"
        seen.append(current_request_id())
        yield b"b"

    assert current_request_id() is None
    result = call(RequestId(application))
    assert seen == [result["X-Request-ID"]] * 2
    assert current_request_id() is None


def test_current_ends_with_a_failure() -> None:
    """An application that fails, before or within, leaves nothing behind."""

    def application(environ: Any, start_response: Any) -> Any:
        raise LookupError

    with pytest.raises(LookupError):
        call(RequestId(application))
    assert current_request_id() is None
    counted = Counted(b"a", 5)  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        call(RequestId(counted))
    assert (current_request_id(), counted.closed) == (None, 1)


def test_client_that_leaves() -> None:
    """The end is the server's close(), and reaches the application once."""
    application = Counted(b"a", b"b")
    found: Any = RequestId(application._application)(make_environ(), lambda *a: print)
    assert next(iter(found)) == b"a"
    assert current_request_id() is not None
    found.close()
    found.close()
    assert (current_request_id(), application.closed) == (None, 1)


def test_what_is_returned_is_untouched() -> None:
    """The server sees a list or a file as what it is."""
    for returned in ([b"a"], (b"a",), FileWrapper(io.BytesIO(b"a"))):

        def application(environ: Any, start_response: Any, returned: Any = returned) -> Any:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return returned

        assert RequestId(application)(make_environ(), lambda *a: print) is returned
        assert current_request_id() is None


def test_filter() -> None:
    """A handler with the filter has the id in its lines."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.addFilter(RequestIdFilter())
    handler.setFormatter(logging.Formatter("%(request_id)s %(message)s"))
    logger = logging.Logger("test")
    logger.addHandler(handler)

    def application(environ: Any, start_response: Any) -> Any:
        logger.warning("within")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return []

    request_id = call(RequestId(application))["X-Request-ID"]
    logger.warning("after")
    assert lines.getvalue() == f"{request_id} within\n- after\n"


# --- unique -------------------------------------------------------------------------------------------


def new_ids(count: int) -> list[str]:
    """Return ids of so many requests."""
    piece = RequestId(Counted(b"a"))
    return [call(piece)["X-Request-ID"] or "" for _ in range(count)]


def test_unique_over_threads() -> None:
    """Many at once get different ids, each its own."""
    with ThreadPoolExecutor(16) as pool:
        found = [each for some in pool.map(new_ids, [50] * 16) for each in some]
    assert len({*found}) == 800


def test_seed_of_the_library_does_not_matter() -> None:
    """An application that seeds its random numbers gets no id again."""
    random.seed(5)
    first = new_ids(1)
    random.seed(5)
    assert new_ids(1) != first


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_unique_over_forks() -> None:
    """A process that was forked does not go on with the ids of its parent."""
    piece = RequestId(Counted(b"a"))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, (call(piece)["X-Request-ID"] or "").encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        theirs = pipe.read().decode()
    os.waitpid(child, 0)
    assert NEW_ID.fullmatch(theirs)
    assert call(piece)["X-Request-ID"] != theirs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"field": "X Request"}, "field"),
        ({"field": ""}, "field"),
        ({"field": 5}, "field"),
        ({"accept": 1}, "accept"),
        ({"pattern": "["}, "pattern"),
        ({"pattern": 5}, "pattern"),
        ({"pattern": b"[a-f]+"}, "pattern"),
        ({"longest": 0}, "longest"),
        ({"longest": "8"}, "longest"),
        ({"continue_trace": "no"}, "continue_trace"),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    """What cannot work is told when the piece is made."""
    with pytest.raises(ValueError, match=message):
        RequestId(**options)


TEXT = st.text(st.characters(max_codepoint=255), max_size=150)


@given(TEXT, TEXT, TEXT)
def test_whatever_is_sent(request_id: str, traceparent: str, tracestate: str) -> None:
    """The response has one id of plain characters, and what is sent on is well-formed."""
    application = Counted(b"a")
    fields = {"X-Request-ID": request_id, "traceparent": traceparent, "tracestate": tracestate}
    result = run(RequestId(application, accept=True), make_environ(fields=fields))
    assert re.fullmatch(r"[!-~]{1,128}", result["X-Request-ID"] or "")
    assert re.fullmatch(
        r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", application.environ["breezeway.traceparent"]
    )
