"""Bandwidth: so many bytes a second, in pieces, and no place is ever lost."""

from __future__ import annotations

import io
import random
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import FileWrapper

import pytest

from breezeway.middleware import Bandwidth
from breezeway.middleware.bandwidth import pace as bandwidth_pace
from breezeway.middleware.bandwidth import response as bandwidth_response
from breezeway.testing import LiveServer

from ..wire.client import Client
from .calling import Counted, Result, call, make_environ, run

PLAIN = ("Content-Type", "text/plain")
DEADLINE_SECONDS = 20.0


class Clock:
    """A time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.sleeps.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a test the time."""
    clock = Clock()
    monkeypatch.setattr(bandwidth_pace, "monotonic", lambda: clock.now)
    monkeypatch.setattr(bandwidth_response, "sleep", clock.sleep)
    return clock


def listed(content: bytes, *fields: tuple[str, str]) -> WSGIApplication:
    """Make an application that answers with a list of one block."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN, *fields])
        return [content]

    return application


def places(piece: Bandwidth) -> int:
    """Say how many places are free."""
    return piece._limit.places._value


def took(clock: Clock, piece: Bandwidth, **request: Any) -> tuple[Result, float]:
    """Send a request; return the response, and how long it took."""
    began = clock.now
    return call(piece, **request), clock.now - began


def test_pieces_come_in_time(clock: Clock) -> None:
    """A second's worth at once, then a piece each tenth of a second."""
    content = random.Random(1).randbytes(3_500)
    piece = Bandwidth(listed(content), rate=1_000)
    result, seconds = took(clock, piece)
    assert result.body == content
    assert seconds == pytest.approx(2.5)
    assert {len(block) for block in result.blocks} == {100}
    pauses = [seconds for seconds in clock.sleeps if seconds > 1e-6]
    assert pauses == pytest.approx([0.1] * 25)
    assert places(piece) == 4


def test_pause_comes_before_its_piece(clock: Clock) -> None:
    """At no time was more sent than the burst and what the rate gives."""
    piece = Bandwidth(Counted(b"x" * 700, b"", b"y" * 1, b"z" * 950), rate=500, burst=200)
    began, sent = clock.now, 0
    found: Any = piece(make_environ(), lambda *_: print)  # type: ignore[arg-type, return-value]
    for block in found:
        sent += len(block)
        assert sent <= 200 + (clock.now - began) * 500 + 1e-6
    found.close()
    assert sent == 1651
    assert clock.now - began == pytest.approx((1651 - 200) / 500)


@pytest.mark.parametrize("length", [0, 1, 1_000])
def test_what_fits_goes_on_untouched(clock: Clock, length: int) -> None:
    """A list, a generator and a file that say that they are short reach the server as they are."""
    fields = [PLAIN, ("Content-Length", str(length))]
    for returned in (
        [b"x" * length],
        iter([b"x" * length]),
        FileWrapper(io.BytesIO(b"x" * length)),
    ):

        def application(environ: Any, start_response: Any, returned: Any = returned) -> Any:
            start_response("200 OK", fields)
            return returned

        piece = Bandwidth(application, rate=1_000, responses=1)
        piece._limit.places.acquire()
        assert piece(make_environ(), lambda *_: print) is returned  # type: ignore[arg-type, return-value]
    assert not clock.sleeps


def test_head_and_not_modified_have_no_content(clock: Clock) -> None:
    """What has no content is not slowed down, whatever its fields say, even in debt."""
    long = ("Content-Length", "1000000")

    def application(environ: Any, start_response: Any) -> Any:
        status = environ["QUERY_STRING"]
        start_response(f"{status} X", [long, PLAIN] if status == "200" else [])
        return []

    for key in ("response", "all"):
        piece = Bandwidth(application, rate=10, responses=1, key=key)
        piece._limit.places.acquire()
        if piece._limit.pace:
            piece._limit.pace.take("all", 5_000)
        assert call(piece, "/?200", method="HEAD").code == 200
        assert call(piece, "/?304").code == 304
        assert call(piece, "/?204").code == 204


def test_file_is_read_in_blocks_up_to_its_length(clock: Clock) -> None:
    """A file that is longer than the response says is not sent on."""
    reads = []

    class File(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            reads.append(size)
            return super().read(size)

    file = File(bytes(range(256)) * 100)
    file.seek(10)

    def application(environ: Any, start_response: Any) -> Any:
        start_response("206 Partial Content", [PLAIN, ("Content-Length", "5000")])
        return environ["wsgi.file_wrapper"](file, 512)

    piece = Bandwidth(application, rate=1_000)
    result, seconds = took(clock, piece)
    assert result.body == (bytes(range(256)) * 100)[10:5010]
    assert seconds == pytest.approx(4.0)
    assert reads == [512] * 10
    assert file.closed
    assert places(piece) == 4


def test_streaming_stays_streaming(clock: Clock) -> None:
    """A block goes out before the next is asked for; close() frees the place once."""
    application = Counted(b"a" * 150, b"b")
    piece = Bandwidth(application, rate=1_000, responses=2)
    found: Any = piece(make_environ(), lambda *_: print)  # type: ignore[arg-type, return-value]
    blocks = iter(found)
    assert next(blocks) == b"a" * 100
    assert (application.yielded, places(piece)) == (1, 1)
    assert next(blocks) == b"a" * 50
    assert application.yielded == 1
    for _ in "ab":
        found.close()
        assert (application.closed, places(piece)) == (1, 2)


def test_no_place_is_a_refusal(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Whether it starts early, late, or with write(): 503 in time, and the application is closed."""
    closed = []

    class Blocks(list):  # type: ignore[type-arg]
        def close(self) -> None:
            closed.append(1)

    def early(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        return Blocks([b"early"])

    def writes(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [PLAIN])
        write(b"one")
        write(b"two")
        return Blocks([b"three"])

    def fails(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])(b"one")
        try:
            raise LookupError
        except LookupError:
            start_response("500 Oh", [PLAIN], sys.exc_info())
        return Blocks([b"three"])

    late = Counted(b"late", b"r")
    for application in (early, writes, fails, late):
        piece = Bandwidth(application, rate=1, responses=1, retry_after=9)
        piece._limit.places.acquire()
        result = call(piece)
        assert (result.code, result["retry-after"]) == (503, "9")
        assert result.body == b"503 Service Unavailable\n"
        assert places(piece) == 0
    assert (len(closed), late.closed, late.yielded) == (3, 1, 1)
    assert "Bandwidth has refused a request" in caplog.messages[0]


def test_write_is_in_time(clock: Clock) -> None:
    """What goes through write() waits there; what follows goes on in the same time."""

    def application(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [PLAIN])
        write(b"a" * 1_500)
        return [b"b" * 500]

    piece = Bandwidth(application, rate=1_000)
    result, seconds = took(clock, piece)
    assert result.body == b"a" * 1_500 + b"b" * 500
    assert seconds == pytest.approx(1.0)
    assert places(piece) == 4


def test_short_write(clock: Clock) -> None:
    """Who says how much he will write() is not slowed down if it is little."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN, ("Content-Length", "3")])(b"abc")
        return []

    piece = Bandwidth(application, rate=1_000, responses=1)
    piece._limit.places.acquire()
    assert call(piece).body == b"abc"


def test_failures_free_the_place(clock: Clock) -> None:
    """Before it returns, after write(), within a block, in close(), in the server's start_response."""

    def before(environ: Any, start_response: Any) -> Any:
        raise LookupError

    def after_write(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])(b"x")
        raise LookupError

    def within(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        yield b"x" * 500
        raise LookupError

    class Blocks:
        def __iter__(self) -> Any:
            return iter([b"x"])

        def close(self) -> None:
            raise LookupError

    def in_close(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        return Blocks()

    for application in (before, after_write, within, in_close):
        piece = Bandwidth(application, rate=10_000, responses=1)
        for _ in "ab":
            with pytest.raises(LookupError):
                call(piece)
            assert places(piece) == 1

    def refuses(*_: Any) -> Any:
        raise LookupError

    piece = Bandwidth(in_close, rate=10_000, responses=1)
    with pytest.raises(LookupError):
        piece(make_environ(), refuses)
    assert places(piece) == 1


def test_exc_info(clock: Clock) -> None:
    """A response that is replaced before its head was sent is the one that counts."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN, ("Content-Length", "100000")])
        try:
            raise LookupError
        except LookupError:
            start_response("500 Oh", [PLAIN, ("Content-Length", "2")], sys.exc_info())
        return [b"oh"]

    assert call(Bandwidth(application, rate=10)).status == "500 Oh"

    def late(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        yield b"x"
        try:
            raise LookupError("late")
        except LookupError:
            start_response("500 Oh", [PLAIN], sys.exc_info())

    with pytest.raises(LookupError, match="late"):
        call(Bandwidth(late, rate=10))


def test_nothing_at_all(clock: Clock) -> None:
    """A generator without a block has its head."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        return
        yield

    piece = Bandwidth(application, rate=10)
    assert (call(piece).body, places(piece)) == (b"", 4)


def test_client_has_one_rate(clock: Clock) -> None:
    """All responses of a client share a rate, short ones count, too; another client has its own."""
    content = b"x" * 1_000
    piece = Bandwidth(listed(content), rate=1_000, key="address")
    assert took(clock, piece)[1] == 0
    assert took(clock, piece)[1] == pytest.approx(1.0)
    assert took(clock, piece, REMOTE_ADDR="192.0.2.9")[1] == 0
    clock.now += 0.5
    assert took(clock, piece)[1] == pytest.approx(0.5)


def test_client_in_debt_needs_a_place(clock: Clock) -> None:
    """Short responses of a client that has used up its rate do not get round it."""
    piece = Bandwidth(listed(b"x" * 1_000), rate=1_000, key="address", responses=1)
    assert call(piece).code == 200
    piece._limit.places.acquire()
    assert call(piece).code == 503
    assert call(piece, REMOTE_ADDR="192.0.2.9").code == 200


def test_clients_are_bounded(clock: Clock) -> None:
    """As many as may be are kept in mind, those that sent last."""
    piece = Bandwidth(listed(b"x"), rate=1_000, key="address", max_keys=10)
    for number in range(100):
        call(piece, REMOTE_ADDR=f"192.0.2.{number}")
    assert piece._limit.pace is not None
    assert [*piece._limit.pace._paid] == [f"192.0.2.{number}" for number in range(90, 100)]


def test_long_block_costs_no_more(clock: Clock) -> None:
    """Taking a huge block apart takes time that grows with its length, not with the square of it."""
    content = bytes(1 << 26)
    piece = Bandwidth(listed(content), rate=200_000)
    began = time.process_time()
    assert sum(map(len, call(piece).blocks)) == len(content)
    assert time.process_time() - began < 5


def test_other_paths_are_untouched(clock: Clock) -> None:
    """Only what is named is limited."""
    piece = Bandwidth(
        listed(b"x" * 1_000), rate=100, paths=["/files"], exempt_networks=["10.0.0.0/8"]
    )
    assert took(clock, piece)[1] == 0
    assert took(clock, piece, path="/files/a", REMOTE_ADDR="10.1.1.1")[1] == 0
    assert took(clock, piece, path="/files/a")[1] == pytest.approx(9.0)


def test_real_time() -> None:
    """With the clock of the wall, and four at once that share a rate."""
    piece = Bandwidth(listed(b"x" * 5_000), rate=100_000, burst=0, key="all")
    began = time.monotonic()
    threads = [threading.Thread(target=run, args=(piece, make_environ())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert 0.2 <= time.monotonic() - began < DEADLINE_SECONDS
    assert places(piece) == 4


def test_no_place_leaks() -> None:
    """Sixteen threads, clients that leave, applications that fail: all is free in the end."""

    def application(environ: Any, start_response: Any) -> Any:
        chance = environ["test.chance"]
        if chance.random() < 0.1:
            raise LookupError
        write = start_response("200 OK", [PLAIN])
        if chance.random() < 0.2:
            write(b"x" * 100)
        if chance.random() < 0.1:
            raise LookupError
        if chance.random() < 0.3:
            return [b"x" * chance.randrange(3_000)]
        return generate(chance)

    def generate(chance: random.Random) -> Any:
        yield b"x" * chance.randrange(500)
        if chance.random() < 0.2:
            raise LookupError
        yield b"y"

    piece = Bandwidth(application, rate=10_000_000, burst=1_000, responses=3)
    codes: list[str] = []

    def ask(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            environ = make_environ(**{"test.chance": chance})
            found: Any = None
            try:
                found = piece(environ, lambda status, *_: codes.append(status) or print)  # type: ignore[arg-type, return-value]
                for _ in found:
                    if chance.random() < 0.2:
                        break
            except LookupError:
                pass
            finally:
                getattr(found, "close", lambda: None)()

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()
    assert places(piece) == 3
    assert "200 OK" in codes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0}, "rate must be a number of bytes a second from 1, not 0"),
        ({"rate": "fast"}, "rate must be a number of bytes a second"),
        ({"rate": float("nan")}, "rate must be a number of bytes a second"),
        ({"rate": float("inf")}, "rate must be a number of bytes a second"),
        ({"rate": True}, "rate must be a number of bytes a second"),
        ({"burst": -1}, "burst must be a number from 0"),
        ({"burst": 1.5}, "burst must be a number from 0"),
        ({"responses": 0}, "responses must be a number from 1"),
        ({"retry_after": -1}, "retry_after must be a number from 0"),
        ({"max_keys": 0}, "max_keys must be a number from 1"),
        ({"key": "cookie"}, "key must be 'all'"),
        ({"paths": ["x"]}, "paths must be paths"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    """Each option is checked when the piece is made."""
    with pytest.raises(ValueError, match=re.escape(message)):
        Bandwidth(**{"rate": 1_000, **options})


def test_client_that_leaves_on_the_wire(tmp_path: Path) -> None:
    """Its place is free when it has gone; those who stay get every byte, of a file, too."""
    content = random.Random(2).randbytes(300_000)
    file = tmp_path / "file"
    file.write_bytes(content)

    def application(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/endless":
            start_response("200 OK", [PLAIN])
            return iter(lambda: b"x" * 10_000, b"")
        start_response("200 OK", [PLAIN, ("Content-Length", str(len(content)))])
        return environ["wsgi.file_wrapper"](file.open("rb"))

    piece = Bandwidth(application, rate=1_000_000, burst=100_000, responses=1)
    with LiveServer(piece) as server:
        with Client(server.address) as client:
            client.send(b"GET /endless HTTP/1.1\r\nHost: test\r\n\r\n")
            _until(lambda: places(piece) == 0)
            with Client(server.address) as other:
                assert other.get("/").status == 503
        _until(lambda: places(piece) == 1)
        with Client(server.address) as client:
            began = time.monotonic()
            assert client.get("/").body == content
            assert time.monotonic() - began >= 0.19
        _until(lambda: places(piece) == 1)


def _until(condition: Any) -> None:
    ends = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)
