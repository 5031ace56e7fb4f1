"""10,000 requests in one go."""

from __future__ import annotations

import asyncio

from attack.hostile import Hostile

COUNT = 10_000
AT_A_TIME = 4
SMALL = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


async def _unread(hostile: Hostile, request: bytes) -> None:
    """Send all and read nothing; leave with a reset when the attack ends."""

    async def begin() -> None:
        client = hostile.client()
        if not await client.open():
            return
        sending = asyncio.ensure_future(client.send(request * COUNT, requests=COUNT))
        await asyncio.wait(
            [sending, asyncio.ensure_future(hostile.stopped.wait())], return_when="FIRST_COMPLETED"
        )
        await hostile.stopped.wait()
        sending.cancel()
        client.reset()

    hostile.ready()
    await asyncio.gather(*(begin() for _ in range(AT_A_TIME)))


async def _read(hostile: Hostile, request: bytes) -> None:
    """Send all and read all, again and again."""

    async def once() -> None:
        client = hostile.client()
        if not await client.open():
            return
        sending = asyncio.ensure_future(client.send(request * COUNT, requests=COUNT))
        before = client.answers
        while client.answers - before < COUNT and not hostile.stopped.is_set():
            if not await client.read():
                break
        sending.cancel()
        client.close()

    await hostile.again_and_again(AT_A_TIME, once)


async def small_unread(hostile: Hostile) -> None:
    """10,000 small responses that nobody reads."""
    await _unread(hostile, SMALL)


async def large_unread(hostile: Hostile) -> None:
    """10,000 responses of 1 MiB that nobody reads."""
    await _unread(hostile, LARGE)


async def small_read(hostile: Hostile) -> None:
    """10,000 small responses, read."""
    await _read(hostile, SMALL)


async def bodies_read(hostile: Hostile) -> None:
    """10,000 requests with a body, their responses read."""
    await _read(hostile, POST)


async def large_read(hostile: Hostile) -> None:
    """10,000 responses of 1 MiB, read as fast as they come."""
    await _read(hostile, LARGE)
