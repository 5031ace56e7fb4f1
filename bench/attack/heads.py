"""Hostile request heads: as large, as many-parted, as new and as late as a client can make them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from attack.hostile import Hostile

AT_A_TIME = 20
SMALL_PIECE = 7  # bytes
FLOOD_PIPELINED = 50  # requests in one go, for those who want to be answered

_numbers = itertools.count()


async def _one_shot(hostile: Hostile, data: bytes) -> None:
    await hostile.client().talk(data)


async def many_fields(hostile: Hostile) -> None:
    """64 KiB of heads with thousands of tiny fields."""
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a:b\r\n" * 12_000 + b"\r\n"
    await hostile.again_and_again(AT_A_TIME, lambda: _one_shot(hostile, data))


async def huge_field(hostile: Hostile) -> None:
    """One field of 100 KiB."""
    data = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"
    await hostile.again_and_again(AT_A_TIME, lambda: _one_shot(hostile, data))


async def largest_heads(hostile: Hostile) -> None:
    """The largest heads that are allowed: 99 fields of 600 bytes, each of them new."""

    async def once() -> None:
        number = next(_numbers)
        fields = b"".join(b"x-%d-%d: %s\r\n" % (number, n, b"v" * 600) for n in range(98))
        data = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + fields + b"\r\n"
        await _one_shot(hostile, data)

    await hostile.again_and_again(AT_A_TIME, once)


async def endless_head(hostile: Hostile) -> None:
    """Heads that never end, sent as fast as they are taken."""
    piece = b"x-field: some value\r\n" * 100

    async def once() -> None:
        client = hostile.client()
        if await client.open():
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n", requests=1)
            for _ in range(200):
                if not await client.send(piece):
                    break
            await client.read_to_end()
            client.close()

    await hostile.again_and_again(AT_A_TIME, once)


async def small_pieces(hostile: Hostile) -> None:
    """Heads of 8 KiB in pieces of 7 bytes, each in a packet of its own."""
    data = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + b"x" * 8000 + b"\r\n\r\n"

    async def once() -> None:
        client = hostile.client()
        if await client.open():
            for at in range(0, len(data), SMALL_PIECE):
                if not await client.send(data[at : at + SMALL_PIECE]):
                    break
            hostile.tally.requests += 1
            await client.read_to_end()
            client.close()

    await hostile.again_and_again(AT_A_TIME, once)


async def new_fields(hostile: Hostile) -> None:
    """Requests with field lines that nobody has sent before, to push out those of others."""

    def request() -> bytes:
        number = next(_numbers)
        fields = b"".join(b"x-%d-%d: y\r\n" % (number, n) for n in range(50))
        return b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"

    await _pipelined(hostile, request)


async def new_request_lines(hostile: Hostile) -> None:
    """Requests for paths that nobody has asked for before."""
    await _pipelined(
        hostile,
        lambda: b"GET /%d?%s HTTP/1.1\r\nHost: a\r\n\r\n" % (next(_numbers), b"q" * 500),
    )


async def cookies(hostile: Hostile) -> None:
    """Cookie fields of 60 KB with thousands of pairs, each time others."""

    def request() -> bytes:
        number = next(_numbers)
        pairs = b"; ".join(b"k%d=%d" % (n, number) for n in range(4000))
        return b"GET / HTTP/1.1\r\nHost: a\r\nCookie: %s\r\n\r\n" % pairs

    await _pipelined(hostile, request, 2)


async def malformed(hostile: Hostile) -> None:
    """Requests that are refused, each with a log line if nobody limits them."""
    bad = (
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    )

    async def once() -> None:
        client = hostile.client()
        if await client.open():
            await client.send(bad[next(_numbers) % len(bad)], requests=1)
            client.end()
            await client.read_to_end()
            client.close()

    await hostile.again_and_again(AT_A_TIME, once)


async def _pipelined(
    hostile: Hostile, request: Callable[[], bytes], count: int = FLOOD_PIPELINED
) -> None:
    """Send requests on connections that stay, some in one go, and read the answers."""

    async def task() -> None:
        client = hostile.client()
        if not await client.open():
            return
        while not hostile.stopped.is_set():
            if not await client.send(b"".join(request() for _ in range(count)), requests=count):
                break
            answered = 0
            while answered < count and (data := await client.read()):
                answered += data.count(b"HTTP/1.1 ")
            if answered < count:
                break
        client.close()

    await hostile.again_and_again(4, task)
