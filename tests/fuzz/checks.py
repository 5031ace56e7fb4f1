"""What has to hold for any bytes whatever: a check raises AssertionError, or an error of our own code.

- No other exception than `ProtocolError`, and no more work than the size of the input allows.
- The same result whether the bytes come at once, one by one, or cut anywhere.
- The same result whatever the parser has met before.
- What is accepted keeps to the policy, and written anew from its environ, reads as the same request.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from breezeway.http1.body import ChunkedBody
from breezeway.http1.errors import ProtocolError
from breezeway.http1.head import CHUNKED, HTTP_1_0, METHOD_HEAD, Parser, leading_empty_line
from breezeway.http1.limits import Limits
from breezeway.semantics.environ_keys import UNBELIEVED

from ..http1.outcome import BASE, at, one_by_one, outcome
from . import chunks_by_the_book
from .written import written

ROOMY = Limits(request_line=1 << 20, head=1 << 20, fields=1000)
"""For requests that were written anew: a space more here and there must not make them too long."""

CONTENT_LIMIT = 1000
"""Of the chunk decoder under test: small, so that the limit is met."""

CALLS = 500
CALLS_OF_A_BYTE = 20
"""Function calls that an input may cost, and each of its bytes. A line costs some thirty; a loop that
does not come to an end exceeds any bound."""

_REMEMBERING = Parser(Limits())
"""A parser that has met all inputs before."""

_TARGET = re.compile(r"/[!-\"$-~]*|\*|[Hh][Tt][Tt][Pp][Ss]?://[!-\"$-~]+")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")


@contextmanager
def bounded(size: int) -> Iterator[None]:
    """Fail when an input of that many bytes costs more function calls than it may.

    The number of calls is the same on every machine, which the time is not.
    """
    left = CALLS + CALLS_OF_A_BYTE * size

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal left
        left -= event in ("call", "c_call")
        if left < 0:
            sys.setprofile(None)
            raise AssertionError(f"more work than {size} bytes are worth")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)


def cuts_of(data: bytes, seed: int) -> list[int]:
    """Choose places to cut, by the input alone, so that a failure comes again."""
    chosen = random.Random(seed ^ len(data))
    return [chosen.randrange(len(data) + 1) for _ in range(chosen.randrange(1, 5))]


def deliveries(data: bytes, seed: int = 0) -> list[Callable[[], Iterable[bytes]]]:
    """Return the ways in which the bytes may come, beside all at once."""
    return [
        lambda: one_by_one(data),
        lambda: at(data, cuts_of(data, seed)),
        lambda: at(data, [len(data) - 1]),
        lambda: [b"", data, b""],
    ]


class Read(NamedTuple):
    """A head, as the parser reads it; all of it is empty when the head is refused or incomplete."""

    refused: int
    environ: dict[str, Any]
    length: int
    flags: int
    end: int


def read_head(pieces: Iterable[bytes], parser: Parser) -> Read:
    """Have a parser read the first head in the bytes."""
    buffer = bytearray()
    scanned = 0
    try:
        for piece in pieces:
            buffer += piece
            end = parser.head_end(buffer, scanned) if buffer else 0
            if end:
                head = parser.parse(bytes(buffer[leading_empty_line(buffer) : end]), BASE)
                return Read(0, head.environ, head.length, head.flags, end)
            scanned = len(buffer)
    except ProtocolError as error:
        return Read(error.status, {}, 0, 0, 0)
    return Read(0, {}, 0, 0, 0)


def check_head(data: bytes) -> str:
    """Check what becomes of the first head in the bytes; return what became of it."""
    with bounded(len(data)):
        whole = read_head([data], Parser(Limits()))
    for pieces in deliveries(data):
        assert read_head(pieces(), Parser(Limits())) == whole
    assert read_head([data], _REMEMBERING) == whole
    if whole.refused:
        assert 400 <= whole.refused <= 505
        return str(whole.refused)
    if not whole.end:
        return "incomplete"
    _keeps_to_the_policy(data[: whole.end], whole)
    for more in (b"\n", b"\r\n", b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"):
        assert read_head([data + more], Parser(Limits())) == whole, "what follows matters"
    again = read_head([written(whole.environ)], Parser(ROOMY))
    assert _stripped(again.environ) == _stripped(whole.environ)
    return "accepted"


def _keeps_to_the_policy(raw: bytes, read: Read) -> None:
    """Check an accepted head by other means than the parser's."""
    environ, length = read.environ, read.length
    lines = raw.removeprefix(b"\r\n").split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert not any(line[:1] in (b" ", b"\t") for line in lines[:-2])
    names = [line.partition(b":")[0].lower() for line in lines[1:-2]]
    assert all(_TOKEN.fullmatch(name.decode("latin-1")) for name in names)
    assert names.count(b"host") == 1 or (read.flags & HTTP_1_0 and b"host" not in names)
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert (length == CHUNKED) == (b"transfer-encoding" in names)
    assert re.fullmatch("[0-9]{1,18}", environ.get("CONTENT_LENGTH", "0"))
    assert length == CHUNKED or length == int(environ.get("CONTENT_LENGTH", "0"))
    assert not (length == CHUNKED and read.flags & HTTP_1_0)
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ
    assert not environ.keys() & {"HTTP_PROXY", "HTTP_FORWARDED", "HTTP_X_REAL_IP"}
    assert not any(key.startswith("HTTP_X_FORWARDED_") for key in environ)
    assert _TOKEN.fullmatch(environ["REQUEST_METHOD"])
    assert bool(read.flags & METHOD_HEAD) == (environ["REQUEST_METHOD"] == "HEAD")
    assert _TARGET.fullmatch(environ["RAW_URI"])
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            assert _VALUE.fullmatch(value.strip(" \t"))


def _stripped(environ: dict[str, Any]) -> dict[str, Any]:
    """Leave out what an environ cannot say of its head.

    That is the space which joining an empty value leaves at the end of a list, and the mark of fields that
    were dropped.
    """
    return {
        key: value.strip(" \t") if key.startswith("HTTP_") else value
        for key, value in environ.items()
        if key not in ("CONTENT_LENGTH", "RAW_URI", UNBELIEVED)
    }


class Decoded(NamedTuple):
    """What a chunk decoder has made of the bytes; the rest is empty when they are refused."""

    refused: int
    content: bytes = b""
    rest: bytes = b""
    done: bool = False
    trailers: tuple[tuple[str, str], ...] = ()


def decode(pieces: Iterable[bytes]) -> Decoded:
    """Have the chunk decoder decode the bytes."""
    body = ChunkedBody(CONTENT_LIMIT)
    content = rest = b""
    try:
        for piece in pieces:
            if body.done:
                rest += piece
            else:
                content += body.feed(piece)
                rest += body.rest
    except ProtocolError as error:
        return Decoded(error.status)
    return Decoded(0, content, rest, body.done, tuple(body.trailers))


def check_chunks(data: bytes) -> str:
    """Check what becomes of a body in the chunked coding; return what became of it."""
    with bounded(len(data)):
        whole = decode([data])
    for pieces in deliveries(data):
        assert decode(pieces()) == whole
    try:
        expected = chunks_by_the_book.decode(data)
    except chunks_by_the_book.Refused:
        assert whole.refused or not whole.done, "the second decoder refuses it"
        return str(whole.refused) if whole.refused else "incomplete"
    if expected is None:
        assert not whole.done
        return str(whole.refused) if whole.refused else "incomplete"
    if len(expected.content) > CONTENT_LIMIT:
        assert whole.refused == 413
        return "413"
    assert whole == Decoded(0, expected.content, expected.rest, True, expected.trailers)
    coded = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in _parts(whole.content))
    assert decode([coded + b"0\r\n\r\n"]).content == whole.content
    return "accepted"


def _parts(content: bytes) -> Iterator[bytes]:
    return (part for part in (content[:1], content[1:7], content[7:]) if part)


def check_intake(data: bytes) -> str:
    """Check what becomes of all requests in the bytes; return what became of them."""
    with bounded(2 * len(data)):
        whole = outcome([data])
    for pieces in deliveries(data, seed=1):
        assert outcome(pieces()) == whole
    for served in whole.requests:
        again = outcome([written(served.environ, served.body)], ROOMY)
        assert again.complete
        (same,) = again.requests
        assert same.body == served.body
        environ = _stripped(served.environ)
        environ.pop("breezeway.trailers", None)
        assert _stripped(same.environ) == environ
    if whole.refused:
        return str(whole.refused)
    return "accepted" if whole.complete else "incomplete"
