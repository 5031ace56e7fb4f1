"""Exchanges over a transport that only notes: what is framed how, and when what goes out."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from breezeway.gateway.exchange import COPY_BYTES, Exchange
from breezeway.gateway.failure import ClientGone
from breezeway.gateway.file_wrapper import FileRange, FileWrapper
from breezeway.http1.head import CLOSE, HTTP_1_0, METHOD_HEAD
from breezeway.http1.response import Encoder

PLAIN = ("Content-Type", "text/plain")


class Noting:
    """A transport that keeps what it is given; it fails from the `gone_after`-th send on."""

    def __init__(self, gone_after: int = 1000) -> None:
        self.sent: list[bytes] = []
        self.files: list[FileRange] = []
        self.blocks = 0
        self._left = gone_after

    def send(self, *pieces: bytes) -> None:
        if not self._left:
            raise ClientGone("gone")
        self._left -= 1
        self.sent.append(b"".join(pieces))

    watched = False

    def send_last(self, data: bytes) -> None:
        self.send(data)

    def send_block(self, *pieces: bytes) -> None:
        self.blocks += 1
        self.send(*pieces)

    def answers(self, exchange: object) -> bool:
        return True

    def begins(self) -> None:
        pass

    def uncork(self) -> None:
        pass

    def send_file(self, head: bytes, pieces: Sequence[bytes | FileRange]) -> None:
        self.send(head)
        self.files.extend(each for each in pieces if isinstance(each, FileRange))


class Ran:
    """What became of one application."""

    def __init__(self, application: Any, flags: int = 0, **transport: Any) -> None:
        self.transport = Noting(**transport)
        self.exchange = Exchange(self.transport, Encoder(), flags)
        environ: dict[str, Any] = {"QUERY_STRING": "", "RAW_URI": "/"}
        setup_testing_defaults(environ)
        environ["REQUEST_METHOD"] = "HEAD" if flags & METHOD_HEAD else "GET"
        self.returned = self.exchange.run(application, environ)
        self.sent = [*self.transport.sent, *([self.returned] if self.returned else [])]
        self.whole = b"".join(self.sent)
        head, _, self.body = self.whole.partition(b"\r\n\r\n")
        self.status_line, *self.fields = head.split(b"\r\n")

    @property
    def framing(self) -> set[bytes]:
        """The fields that frame the body or tell about the connection."""
        names = (b"content-length", b"transfer-encoding", b"connection")
        return {field for field in self.fields if field.lower().startswith(names)}


def app(
    result: Callable[[], Any], *fields: tuple[str, str], status: str = "200 OK"
) -> Callable[..., Any]:
    """Return an application that starts a response and returns what `result` makes."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, [PLAIN, *fields])
        return result()

    return application


def blocks(*given: bytes) -> Callable[[], Iterator[bytes]]:
    """Return what makes a generator of those blocks."""
    return lambda: (block for block in given)


class Odd(bytes):
    """Bytes that say of themselves that they are others."""

    def __len__(self) -> int:
        return 3


class OddList(list[bytes]):
    """A list that holds something else than it gives."""

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"he", b"llo"])


ONE = [b"hello"]
CHUNKED_HELLO = b"5\r\nhello\r\n0\r\n\r\n"
CHUNKED = {b"Transfer-Encoding: chunked"}
FIVE = {b"Content-Length: 5"}
END = {b"Connection: close"}
KEEP = {b"Connection: keep-alive"}
LENGTH = ("Content-Length", "5")


@pytest.mark.parametrize(
    ("result", "fields", "flags", "framing", "body"),
    [
        (lambda: ONE, (), 0, FIVE, b"hello"),
        (lambda: tuple(ONE), (LENGTH,), 0, FIVE, b"hello"),
        (lambda: [b"he", b"llo"], (), 0, FIVE, b"hello"),
        (lambda: [b"", b"hello", b""], (LENGTH,), 0, FIVE, b"hello"),
        (list, (), 0, {b"Content-Length: 0"}, b""),
        (lambda: ONE, (), CLOSE, FIVE | END, b"hello"),
        (lambda: ONE, (), HTTP_1_0, FIVE | KEEP, b"hello"),
        (lambda: ONE, (), HTTP_1_0 | CLOSE, FIVE | END, b"hello"),
        (lambda: ONE, (), METHOD_HEAD, FIVE, b""),
        (blocks(b"hello"), (), 0, CHUNKED, CHUNKED_HELLO),
        (blocks(b"", b"hello", b""), (), 0, CHUNKED, CHUNKED_HELLO),
        (blocks(b"he", b"llo"), (LENGTH,), 0, FIVE, b"hello"),
        (blocks(b"hello"), (), CLOSE, CHUNKED | END, CHUNKED_HELLO),
        (blocks(b"hello"), (), HTTP_1_0, END, b"hello"),
        (blocks(b"hello"), (LENGTH,), 0, FIVE, b"hello"),
        (blocks(b"", b"hello", b""), (LENGTH,), 0, FIVE, b"hello"),
        (blocks(b"hello"), (LENGTH,), CLOSE, FIVE | END, b"hello"),
        (blocks(b"hello"), (LENGTH,), METHOD_HEAD, FIVE, b""),
        (blocks(b"he", b"llo"), (LENGTH,), HTTP_1_0, FIVE | KEEP, b"hello"),
        (blocks(b"hello"), (), METHOD_HEAD, CHUNKED, b""),
        (blocks(), (), 0, {b"Content-Length: 0"}, b""),
        (lambda: FileWrapper(io.BytesIO(b"hello")), (), 0, CHUNKED, CHUNKED_HELLO),
        (lambda: FileWrapper(io.BytesIO(b"hello world")), (LENGTH,), 0, FIVE, b"hello"),
        (lambda: {b"hello": 1}, (), 0, FIVE, b"hello"),  # its length is 1
        (lambda: [Odd(b"hello")], (), 0, FIVE, b"hello"),
        (blocks(Odd(b"hello")), (), 0, CHUNKED, CHUNKED_HELLO),
        (blocks(Odd(b"hello")), (LENGTH,), 0, FIVE, b"hello"),
        (lambda: OddList(ONE), (), 0, FIVE, b"hello"),
    ],
)
def test_framing(
    result: Callable[[], Any], fields: Any, flags: int, framing: set[bytes], body: bytes
) -> None:
    """RFC 9112 section 6: how the end of each body is told."""
    ran = Ran(app(result, *fields), flags)
    assert ran.status_line == b"HTTP/1.1 200 OK"
    assert ran.framing == framing
    assert ran.body == body
    assert not ran.exchange.aborted
    assert bool(ran.exchange.flags & CLOSE) == (b"Connection: close" in framing)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("result", [list, lambda: ONE, blocks(b"hello"), blocks()])
@pytest.mark.parametrize("flags", [0, METHOD_HEAD, HTTP_1_0])
def test_bodiless(status: str, result: Callable[[], Any], flags: int) -> None:
    """RFC 9112 section 6.3: no body after 204 and 304, and no chunked coding."""
    ran = Ran(app(result, status=status), flags)
    assert ran.body == b""
    assert not any(field.startswith(b"Transfer") for field in ran.fields)
    assert not ran.exchange.aborted


@pytest.mark.parametrize(
    "result", [lambda: ONE, lambda: [b"he", b"llo"], blocks(b"hello"), blocks(b"", b"he", b"llo")]
)
@pytest.mark.parametrize("fields", [(), (LENGTH,)])
@pytest.mark.parametrize("flags", [0, HTTP_1_0])
def test_validated(
    result: Callable[[], Any], fields: Any, flags: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The standard library's validator finds nothing in what an exchange does."""
    ran = Ran(validator(app(result, *fields)), flags)
    assert ran.status_line == b"HTTP/1.1 200 OK"
    assert "without being closed" not in capsys.readouterr().err


def test_small_list_is_returned() -> None:
    """The common case goes out in one send, by the caller."""
    ran = Ran(app(lambda: ONE))
    assert ran.transport.sent == []
    assert ran.returned.endswith(b"\r\n\r\nhello")
    assert ran.exchange.size == 5


def test_size_is_of_what_was_sent() -> None:
    """A block beyond the Content-Length does not count: it does not go out."""
    ran = Ran(app(lambda: iter([b"hel", b"lo world"]), ("Content-Length", "5")))
    assert (ran.body, ran.exchange.size) == (b"hel", 3)


def test_large_list_is_sent_at_once() -> None:
    """So does a large body, without being copied."""
    ran = Ran(app(lambda: [bytes(COPY_BYTES + 1)]))
    assert len(ran.transport.sent) == 1
    assert ran.exchange.size == COPY_BYTES + 1
    assert ran.exchange.delimited


def test_each_block_is_sent_before_the_next() -> None:
    """PEP 3333: no block is kept back until the next one comes."""
    sent: list[int] = []
    transport: Noting

    def result() -> Iterator[bytes]:
        for number in range(3):
            sent.append(len(transport.sent))
            yield b"%d" % number

    transport = Noting()
    Exchange(transport, Encoder(), 0).run(app(result), {})
    assert sent == [0, 1, 2]
    assert transport.blocks == 2


@pytest.mark.parametrize(
    ("result", "length"),
    [
        (lambda: ONE, "4"),
        (lambda: ONE, "6"),
        (list, "5"),
        (blocks(b"hello!"), "5"),
        (blocks(), "5"),
        (lambda: [Odd(b"hello")], "3"),
        (blocks(Odd(b"hello")), "3"),
    ],
)
def test_wrong_length_before_the_head(result: Callable[[], Any], length: str) -> None:
    """A Content-Length that is known to be wrong in time becomes a 500."""
    ran = Ran(app(result, ("Content-Length", length)))
    assert ran.status_line.startswith(b"HTTP/1.1 500 ")
    assert b"hello" not in ran.body
    assert not ran.exchange.aborted


@pytest.mark.parametrize(
    "result", [blocks(b"he"), blocks(b"he", b"llo!"), blocks(b"he", b"llo", b"!")]
)
def test_wrong_length_after_the_head(result: Callable[[], Any]) -> None:
    """One that turns out wrong later breaks the response off; no byte too many goes out."""
    ran = Ran(app(result, LENGTH))
    assert ran.exchange.aborted
    assert b"hello"[: len(ran.body)] == ran.body


@pytest.mark.parametrize("flags", [0, HTTP_1_0, METHOD_HEAD])
@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_application_that_raises(error: type[BaseException], flags: int) -> None:
    """Whatever an application raises becomes a 500 that gives nothing away."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        raise error("secret")

    ran = Ran(application, flags)
    assert ran.status_line == b"HTTP/1.1 500 Internal Server Error"
    assert b"secret" not in ran.whole
    assert bool(ran.body) != bool(flags & METHOD_HEAD)


@pytest.mark.parametrize("sends", [0, 1, 2, 3])
def test_client_that_leaves(sends: int) -> None:
    """PEP 3333: `close` is called exactly once, wherever the client leaves."""
    closed = []

    class Blocks:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"] * 5)

        def close(self) -> None:
            closed.append(True)

    ran = Ran(app(Blocks), gone_after=sends)
    assert ran.exchange.aborted
    assert closed == [True]
    assert len(ran.transport.sent) == sends


def test_early_hints() -> None:
    """RFC 8297: hints go out before the head, not to HTTP/1.0, and not after it."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        exchange.early_hints([("Link", "</a>")])
        start_response("200 OK", [PLAIN])(b"x")
        exchange.early_hints([("Link", "</b>")])
        return []

    for flags, count in ((0, 1), (HTTP_1_0, 0)):
        transport = Noting()
        exchange = Exchange(transport, Encoder(), flags)
        exchange.run(application, {})
        assert b"".join(transport.sent).count(b"HTTP/1.1 103 Early Hints\r\nLink: </a>") == count
        assert b"</b>" not in b"".join(transport.sent)


@pytest.mark.parametrize(
    ("fields", "framing", "body"), [((LENGTH,), FIVE, b"hello"), ((), CHUNKED, CHUNKED_HELLO)]
)
def test_head_is_replaced_in_the_first_step(fields: Any, framing: set[bytes], body: bytes) -> None:
    """PEP 3333, 'Error Handling': the head that goes is the one that was given last."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN, LENGTH])

        def result() -> Iterator[bytes]:
            start_response("404 Not Found", [PLAIN, *fields], (ValueError, ValueError(), None))
            yield b"hello"

        return result()

    ran = Ran(application)
    assert ran.status_line == b"HTTP/1.1 404 Not Found"
    assert (ran.framing, ran.body) == (framing, body)


@pytest.mark.parametrize(
    ("fields", "size"), [((), 5), ((LENGTH,), 5), ((("Content-Length", "3"),), 3)]
)
def test_file(fields: Any, size: int, tmp_path: Path) -> None:
    """PEP 3333, 'Optional Platform-Specific File Handling': the system sends it, as far as is said."""
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    with path.open("rb") as file:
        ran = Ran(app(lambda: FileWrapper(file), *fields))
    assert [each[1:] for each in ran.transport.files] == [(0, size)]
    assert ran.framing == {b"Content-Length: %d" % size}
    assert ran.exchange.size == size
    assert ran.exchange.delimited


def test_file_that_is_too_short(tmp_path: Path) -> None:
    """What is known before the head goes becomes a 500."""
    path = tmp_path / "file"
    path.write_bytes(b"hell")
    with path.open("rb") as file:
        ran = Ran(app(lambda: FileWrapper(file), LENGTH))
    assert ran.status_line.startswith(b"HTTP/1.1 500 ")
    assert not ran.exchange.aborted


@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("fields", [(LENGTH,), ()])
@pytest.mark.parametrize("size", [1, COPY_BYTES + 1])
def test_nothing_goes_out_behind_the_end(
    in_file: bool, fields: Any, size: int, tmp_path: Path
) -> None:
    """What `close` of a result writes would be taken for the beginning of the next response."""
    path = tmp_path / "file"
    path.write_bytes(b"hello")

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        write = start_response("200 OK", [PLAIN, *fields])

        class Result(FileWrapper):
            def close(self) -> None:
                write(b"x" * size)

        return Result(file if in_file else io.BytesIO(b"hello"))

    with path.open("rb") as file:
        ran = Ran(application)
    assert b"x" not in ran.body
    assert in_file or b"hello" in ran.body


def test_next_request_has_nothing_of_the_last() -> None:
    """An exchange that serves again has sent nothing yet."""
    exchange = Exchange(Noting(), Encoder(), 0)
    exchange.run(app(blocks(b"hello")), {})
    assert exchange.first > 0
    exchange.renew(0)
    assert (exchange.size, exchange.first, exchange.returned, exchange.status) == (0, 0.0, 0.0, 0)


@pytest.mark.parametrize("block_size", [2, 8])
def test_endless_file(block_size: int) -> None:
    """PEP 3333: no more of a file is read than Content-Length says."""
    with open("/dev/zero", "rb") as file:
        ran = Ran(app(lambda: FileWrapper(file, block_size), LENGTH))
    assert ran.framing == FIVE
    assert ran.body == bytes(5)


def test_whole_block_goes_before_the_next_is_asked_for() -> None:
    """A block that is all of the body goes out at once; one too many spoils the response."""
    sent_at: list[int] = []

    def result() -> Iterator[bytes]:
        yield b"hello"
        sent_at.append(len(transport.sent))
        yield b"more"

    transport = Noting()
    exchange = Exchange(transport, Encoder(), 0)
    assert exchange.run(app(result, LENGTH), {}) == b""
    assert sent_at == [1]
    assert exchange.aborted


def test_first_block_hurries_unless_the_last_stream_was_quick() -> None:
    """The first block goes at once, until a stream with the same head has ended under watch."""
    encoder = Encoder()

    def blocks_of_a_stream(*, watched: bool) -> int:
        transport = Noting()
        transport.watched = watched
        Exchange(transport, encoder, 0).run(app(lambda: iter([b"a", b"b", b"c"])), {})
        return transport.blocks

    assert blocks_of_a_stream(watched=True) == 2
    assert blocks_of_a_stream(watched=False) == 3
    assert blocks_of_a_stream(watched=False) == 2
