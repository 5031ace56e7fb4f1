"""Response heads: nothing that an application gives can split a response or slip past the memo."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breezeway.http1 import response
from breezeway.http1.response import PHRASES, Encoder, early_hints, plain_answer

NASTY = st.text(
    st.sampled_from("aZ0 \t:-\r\n\0\x0b\x0c\x1c\x7f\x85\xa0\xff\u0100\u2028K") | st.characters()
)
NAMES = st.sampled_from(["Content-Type", "X", "Date", "server", "Set-Cookie", "Content-Length"])
STATUSES = st.sampled_from(["200 OK", "204 No Content", "304 Not Modified", "599 "]) | NASTY
ODD = st.none() | st.integers() | st.binary(max_size=3) | st.lists(st.integers(), max_size=1)
HEADERS = st.lists(
    st.tuples(NAMES | NASTY, st.sampled_from(["5", "a; b", ""]) | NASTY)
    | st.tuples(NAMES | ODD, ODD)
    | st.lists(NAMES, max_size=3),
    max_size=4,
)

LINE = re.compile(rb"[^\r\n\0]+")


def encoded(encoder: Encoder, status: Any, headers: Any) -> Any:
    """Return the head, or the kind of the error."""
    try:
        return encoder.head(status, headers)
    except (TypeError, ValueError) as error:
        return type(error)


@settings(max_examples=500)
@given(status=STATUSES | ODD, headers=HEADERS)
def test_no_response_is_split(status: Any, headers: Any) -> None:
    """RFC 9110 section 5.5: every line that goes out is one that was given, and clean."""
    head = encoded(Encoder(), status, headers)
    if isinstance(head, type):
        return
    *lines, last = head.lines.split(b"\r\n")
    assert last == b""
    assert all(LINE.fullmatch(line) for line in lines)
    assert lines[0] == b"HTTP/1.1 " + status.encode("latin-1")
    given = [f"{name}: {value}".encode("latin-1") for name, value in headers]
    if head.status == 204:
        given = [line for line in given if not line.lower().startswith(b"content-length:")]
    assert lines[1:] == given


@settings(max_examples=300)
@given(first=STATUSES, second=STATUSES, headers=HEADERS, others=HEADERS)
def test_memo_tells_the_truth(first: str, second: str, headers: Any, others: Any) -> None:
    """What is remembered is what encoding it afresh would give, errors among it."""
    encoder = Encoder()
    for status in (first, second, first):
        for fields in (headers, others, [*headers, *others], headers):
            assert encoded(encoder, status, fields) == encoded(Encoder(), status, fields)


@pytest.mark.parametrize("headers", [(), (("X", "a"),), iter([]), {}, None, "X", [["X", "a"]]])
def test_headers_are_a_list_of_tuples(headers: Any) -> None:
    """PEP 3333: nothing else is taken, even when an equal list was before."""
    encoder = Encoder()
    encoder.head("200 OK", [])
    encoder.head("200 OK", [("X", "a")])
    assert encoded(encoder, "200 OK", headers) is TypeError


@pytest.mark.parametrize("text", ["\x7f", "\x0b", "\x1f", "\0", "\r", "\n", "\u0100"])
def test_characters(text: str) -> None:
    """RFC 9110 section 5.5: neither a value nor a reason phrase has control characters."""
    assert encoded(Encoder(), f"200 {text}", []) is ValueError
    assert encoded(Encoder(), "200 OK", [("X", f"a{text}b")]) is ValueError


@pytest.mark.parametrize(
    "status", ["199 X", "600 X", "200", "200OK", "2000 X", "99 X", "\u0662" * 3 + " "]
)
def test_statuses(status: str) -> None:
    """RFC 9112 section 4: three digits, a space; PEP 3333: of a final answer."""
    assert encoded(Encoder(), status, []) is ValueError


@pytest.mark.parametrize("name", sorted(response.HOP_BY_HOP))
def test_hop_by_hop_headers(name: str) -> None:
    """PEP 3333: fields of the connection are refused in any case."""
    for spelled in (name, name.upper(), name.title()):
        assert encoded(Encoder(), "200 OK", [(spelled, "a")]) is ValueError
        with pytest.raises(ValueError, match="connection"):
            early_hints([(spelled, "a")])


@given(headers=HEADERS)
def test_early_hints_are_not_split(headers: Any) -> None:
    """RFC 8297: a 103 is as clean as any other head."""
    try:
        hints = early_hints(headers)
    except (TypeError, ValueError):
        return
    first, *fields, end, last = hints.split(b"\r\n")
    assert (first, end, last) == (b"HTTP/1.1 103 Early Hints", b"", b"")
    assert len(fields) == len(headers)
    assert all(LINE.fullmatch(field) for field in fields)


def test_what_is_checked_goes_out() -> None:
    """A subclass of str that formats as another text splits no response, and is no other's in the memo."""

    class Odd(str):
        def __format__(self, _: str) -> str:
            return "a\r\nEvil: 1"

        def lower(self) -> str:
            return "x"

    encoder = Encoder()
    odd = encoder.head(Odd("200 OK"), [(Odd("X-A"), Odd("plain"))])
    assert odd.lines == encoder.head("200 OK", [("X-A", "plain")]).lines
    assert odd.lines == b"HTTP/1.1 200 OK\r\nX-A: plain\r\n"
    assert (
        early_hints([("Link", Odd("plain"))]) == b"HTTP/1.1 103 Early Hints\r\nLink: plain\r\n\r\n"
    )
    with pytest.raises(ValueError, match="belongs to the connection"):
        encoder.head("200 OK", [(Odd("Upgrade"), "h2c")])
    with pytest.raises(ValueError, match="no Content-Length"):
        early_hints([(Odd("Content-Length"), "5")])


def test_ending() -> None:
    """RFC 9110 section 6.6.1: Date and Server come from the server unless the application set them."""
    encoder = Encoder()
    encoder.set_date(b"now")
    for headers in ([], [("Date", "x")], [("server", "y")], [("DATE", "x"), ("Server", "y")]):
        head = encoder.head("200 OK", headers)
        whole = (head.lines + encoder.ending_for(head)).lower()
        assert whole.count(b"\r\ndate: ") == whole.count(b"\r\nserver: ") == 1
        assert whole.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", PHRASES)
@pytest.mark.parametrize("bodiless", [False, True])
def test_plain_answer(status: int, bodiless: bool) -> None:
    """Answers of the server's own are whole, plain, and the last of their connection."""
    answer = plain_answer(status, "why", b"\r\n", bodiless=bodiless)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d %b\r\n" % (status, PHRASES[status].encode()))
    assert b"\r\nConnection: close" in head
    expected = b"%d %b\nwhy\n" % (status, PHRASES[status].encode())
    assert b"\r\nContent-Length: %d" % len(expected) in head
    assert body == (b"" if bodiless else expected)
