"""Heads: any bytes in any pieces give the same; `parse_again` tells what `parse` tells."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breezeway.http1 import grammar, head
from breezeway.http1.errors import ProtocolError
from breezeway.http1.head import (
    CLOSE,
    EXPECT_CONTINUE,
    HTTP_1_0,
    METHOD_HEAD,
    Head,
    Parser,
)
from breezeway.http1.limits import Limits
from breezeway.semantics.environ_keys import UNBELIEVED

from ..corpus import cases
from .outcome import BASE, at, one_by_one, outcome

SMALL = Limits(request_line=60, head=200, fields=5, body=50)

CORPUS = [case.request for case in [*cases.valid(), *cases.invalid()] if len(case.request) < 1000]

PARTS = [
    *(
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b":",
        b"\0",
        b"\xff",
        b"_",
        b"\t",
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
    ),
    *(b"GET / HTTP/1.1\r\n", b"POST /a?b HTTP/1.0\r\n", b"OPTIONS * HTTP/1.1\r\n", b"HEAD"),
    *(b"GET http://b/ HTTP/1.1\r\n", b" HTTP/2.0\r\n", b"Host: a\r\n", b"Connection: close\r\n"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n"),
    *(b"X: y\r\n", b" folded\r\n", b"hello", b"Cookie: a=b\r\n", b"Content-Type:\r\n"),
]

TEXTS = st.lists(st.sampled_from(PARTS) | st.binary(max_size=5), max_size=14).map(b"".join)
CUTS = st.lists(st.integers(0, 300), max_size=6)


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Draw a case of the corpus with a small piece of it replaced, and more behind it."""
    text = draw(st.sampled_from(CORPUS))
    place = draw(st.integers(0, len(text)))
    length = draw(st.integers(0, 3))
    return text[:place] + draw(st.sampled_from(PARTS)) + text[place + length :] + draw(TEXTS)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS | mutants(), cuts=CUTS, limits=st.sampled_from([Limits(), SMALL]))
def test_pieces_make_no_difference(text: bytes, cuts: list[int], limits: Limits) -> None:
    """The same requests or the same refusal come of any bytes, in whatever pieces they come."""
    whole = outcome([text], limits)
    assert outcome(at(text, cuts), limits) == whole
    assert outcome(one_by_one(text), limits) == whole


LINES = st.builds(
    "{} {} HTTP/1.{}".format,
    st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]),
    st.sampled_from(
        ["/", "/a?b=c", "/%41", "/%", "*", "http://b/c?d", "http://e:8/", "https://@/"]
    ),
    st.sampled_from("01"),
)

FIELDS = st.lists(
    st.sampled_from(
        [
            *("Host: a", "Host: b", "Connection: close", "Connection: keep-alive", "Cookie: c=d"),
            *("Content-Length: 0", "Content-Length: 5", "Transfer-Encoding: chunked", "X_Y: z"),
            *("Expect: 100-continue", "X: 1", "X: 2", "Content-Type: a/b", "Authorization: e"),
        ]
    ),
    max_size=4,
)


def _parsed(parser: Parser, raw: bytes) -> Head | int:
    try:
        return parser.parse(raw, BASE)
    except ProtocolError as error:
        return error.status


@settings(max_examples=500, deadline=None)
@given(first=LINES, second=LINES, fields=FIELDS)
def test_parse_again_equals_parse(first: str, second: str, fields: list[str]) -> None:
    """A head parsed by the help of the last one is the head that parsing all of it gives."""
    parser = Parser(Limits())
    block = "\r\n".join(["", *fields, "", ""])
    last = _parsed(parser, (first + block).encode())
    if isinstance(last, int):
        return
    raw = (second + block).encode()
    try:
        again = parser.parse_again(raw, last)
    except ProtocolError:
        again = None
    if again is not None:
        assert again == _parsed(Parser(Limits()), raw)


@pytest.mark.parametrize(
    ("first", "second"),
    [("http://other/", "/"), ("/", "http://other/"), ("http://other/", "http://another/")],
)
def test_authority_is_not_inherited(first: str, second: str) -> None:
    """RFC 9112 section 3.2.2: the host of an absolute-form target is that of one request alone."""
    fields = "HTTP/1.1\r\nHost: test\r\n\r\n"
    got = outcome([f"GET {first} {fields}GET {second} {fields}".encode()])
    hosts = [served.environ["HTTP_HOST"] for served in got.requests]
    assert hosts == [each[7:-1] if each.startswith("http:") else "test" for each in (first, second)]


@pytest.mark.parametrize(
    ("first", "second"),
    [("http://b/", "/"), ("/", "http://b/"), ("*", "http://b/"), ("http://b/", "http://c/")],
)
def test_authority_is_parsed_each_time(first: str, second: str) -> None:
    """The short road is none for a target that names the host, nor after one."""
    parser = Parser(Limits())
    rest = " HTTP/1.1\r\nHost: a\r\n\r\n"
    last = parser.parse(f"OPTIONS {first}{rest}".encode(), BASE)
    assert parser.parse_again(f"OPTIONS {second}{rest}".encode(), last) is None


@pytest.mark.parametrize(
    ("request_line", "fields", "flags"),
    [
        ("HEAD / HTTP/1.0", "", CLOSE | HTTP_1_0 | METHOD_HEAD),
        ("HEAD / HTTP/1.1", "Connection: x ,\tClOSE\r\n", CLOSE | METHOD_HEAD),
        ("HEAD / HTTP/1.0", "Connection: Keep-Alive\r\n", HTTP_1_0 | METHOD_HEAD),
        (
            "PUT / HTTP/1.1",
            "Connection: close\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n",
            CLOSE | EXPECT_CONTINUE,
        ),
        ("PUT / HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n", 0),
        ("PUT / HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 5\r\n", CLOSE | HTTP_1_0),
        ("PUT / HTTP/1.0", "Expect: a\r\nConnection: keep-alive\r\n", HTTP_1_0),
    ],
)
def test_flags(request_line: str, fields: str, flags: int) -> None:
    """RFC 9112 section 9.3, RFC 9110 section 10.1.1: what each head asks for beside its body."""
    raw = f"{request_line}\r\nHost: a\r\n{fields}\r\n".encode()
    assert Parser(Limits()).parse(raw, BASE).flags == flags


GET = b"GET / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize(
    ("text", "status"),
    [
        (lambda n: GET.replace(b"/", b"/" * (SMALL.request_line - 13 + n), 1) + b"\r\n", 414),
        (lambda n: (GET + b"X: ").ljust(SMALL.head - 4 + n, b"x") + b"\r\n\r\n", 431),
        (lambda n: GET + b"X: y\r\n" * (SMALL.fields - 1 + n) + b"\r\n", 431),
        (lambda n: GET + b"Content-Length: %d\r\n\r\n" % (SMALL.body + n) + bytes(51), 413),
    ],
)
def test_limits_to_the_byte(text: Callable[[int], bytes], status: int, over: int) -> None:
    """What is as large as its limit is served, and with one byte or field more refused; in any pieces."""
    for pieces in ([text(over)], one_by_one(text(over))):
        got = outcome(pieces, SMALL)
        assert (got.refused == status, len(got.requests)) == (bool(over), 1 - over)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"G" * (SMALL.request_line + 2), 414),
        (b"GET / HTTP/1.1\r\nX: ".ljust(SMALL.head, b"x"), 431),
    ],
)
def test_head_over_its_limit_is_not_waited_for(data: bytes, status: int) -> None:
    """A request line or a head that cannot end within its limit any more is refused at that byte."""
    for pieces in ([data], one_by_one(data)):
        assert outcome(pieces, SMALL).refused == status
    for pieces in ([data[:-1]], one_by_one(data[:-1])):
        assert outcome(pieces, SMALL).refused == 0


def test_environ_of_a_head_stays() -> None:
    """The base environ is never written to, nor is the environ of an earlier head."""
    base = BASE.copy()
    parser = Parser(Limits())
    last = parser.parse(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", base)
    kept = last.environ.copy()
    assert parser.parse_again(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n", last) is not None
    assert base == BASE
    assert last.environ == kept


def test_fields_of_proxies_are_kept_if_they_are_named() -> None:
    """Those that are not named are dropped and counted, in any case and with a bad name never kept."""
    parser = Parser(Limits(), kept=("forwarded", "x-forwarded-for"))
    names = ("FORWARDED", "x-forwarded-For", "X-Forwarded-Proto", "X-Forwarded-", "X-Real-IP")
    lines = "".join(f"{name}: 1\r\n" for name in (*names, "X_Forwarded_For", "X-Forwarded_For"))
    read = parser.parse(f"GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode(), BASE)
    found = {key: read.environ[key] for key in read.environ if key.startswith("HTTP_")}
    assert found == {"HTTP_HOST": "a", "HTTP_FORWARDED": "1", "HTTP_X_FORWARDED_FOR": "1"}
    assert parser.dropped_fields == 5
    assert read.environ[UNBELIEVED] is True
    other = parser.parse(b"GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\nProxy: 1\r\n\r\n", BASE)
    assert UNBELIEVED not in other.environ


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("Proxy-Authorization: Basic YQ==\r\nProxy-Authorization: Basic Yg==\r\n", 400),
        ('Transfer-Encoding: "chunked"\r\n', 400),
        ("Transfer-Encoding: ,\r\n", 400),
    ],
)
def test_fields_that_are_refused(fields: str, status: int) -> None:
    """RFC 9110 sections 5.3 and 5.6: one field of these, and of the grammar; what it says comes later."""
    assert outcome([f"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()]).refused == status


def test_lines_in_use_are_translated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that every request has is translated once, whatever junk comes beside it."""
    translated = []
    translate = head._translate
    monkeypatch.setattr(
        head, "_translate", lambda line, kept: translated.append(line) or translate(line, kept)
    )
    parser = Parser(Limits())
    for number in range(5000):
        parser.parse(b"GET /%d HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n" % (number, number), BASE)
    assert translated.count(b"Host: a") == 1
    assert len(translated) == 5001


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (grammar.HOST, "[" + ":" * 65536),
        (grammar.HOST, "[" + "a:" * 32768 + "]:x"),
        (grammar.HOST, "[" + "1:" * 32768 + ":1]"),
        (grammar.HOST, "a" * 65536 + " "),
        (grammar.HOST, "%41" * 21845 + "%"),
        (grammar.REQUEST_LINE, b"G" * 65536),
        (grammar.REQUEST_LINE, b"GET " + b"/ HTTP/1.1" * 6553),
        (grammar.ABSOLUTE_FORM, b"http://" + b"/?" * 32768 + b"\n"),
        (grammar.CHUNK_LINE, b"5" + b";a" * 32768 + b" "),
        (grammar.CHUNK_LINE, b'5;a="' + b"\\\\" * 32768),
        (grammar.CHUNK_LINE, b"5" + b';a="b"' * 10922 + b'"'),
        (grammar.FIELD_VALUE, b"a " * 32768 + b"\0"),
    ],
)
def test_grammar_takes_linear_time(pattern: object, text: object) -> None:
    """No input of the size of a head keeps a pattern busy: the event loop waits for it."""
    began = time.perf_counter()
    assert pattern.fullmatch(text) is None  # type: ignore[attr-defined]
    assert time.perf_counter() - began < 0.25
