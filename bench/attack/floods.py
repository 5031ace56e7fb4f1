"""Connections that come and go, and those that break off at every byte of an exchange."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from attack.hostile import Client, Hostile, Life

AT_A_TIME = 50
SILENT = 900  # connections of one address that say nothing
PLACES = 100  # in a long response where it is broken off
READ_PART = 512 * 1024  # at most, of a response that is broken off
SMALL_RESPONSE = 135  # bytes
SHORT_WAIT = 0.3  # seconds for what the server says to half a request

EXCHANGES = (
    b"GET /path?q=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    b"\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /stream HTTP/1.1\r\nHost: a\r\n\r\n",
)


async def open_and_close(hostile: Hostile) -> None:
    """Connections that are closed at once."""

    async def once() -> None:
        client = hostile.client()
        if await client.open():
            client.close()

    await hostile.again_and_again(AT_A_TIME, once)


async def open_and_reset(hostile: Hostile) -> None:
    """Half a request on a new connection, then a reset."""

    async def once() -> None:
        client = hostile.client()
        if await client.open():
            await client.send(b"GET / HTTP/1.1\r\nHost:", requests=1)
            client.reset()

    await hostile.again_and_again(AT_A_TIME, once)


async def ask_and_reset(hostile: Hostile) -> None:
    """A request for 1 MiB on a new connection, then a reset."""

    async def once() -> None:
        client = hostile.client()
        if await client.open():
            await client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n", requests=1)
            await client.read(1)
            client.reset()

    await hostile.again_and_again(AT_A_TIME, once)


async def silent(hostile: Hostile) -> None:
    """900 connections of one address that say nothing."""

    async def begin(number: int) -> None:
        client = hostile.client()
        kept.append(client)
        await client.open()

    kept: list[Client] = []
    await hostile.crowd(SILENT, begin)
    for client in kept:
        client.close()


async def one_address(hostile: Hostile) -> None:
    """5,000 connections from one address: more than it may have."""
    kept: list[Client] = []

    async def begin(number: int) -> Life:
        client = hostile.client()
        kept.append(client)
        await client.open()

        async def life() -> None:
            await client.read_to_end(60)

        return life

    await hostile.crowd(5000, begin)
    for client in kept:
        client.close()


async def break_off_requests(hostile: Hostile) -> None:
    """Requests that break off after every byte: closed, reset, or half closed."""

    async def one(data: bytes, way: int) -> None:
        client = hostile.client()
        if not await client.open():
            return
        await client.send(data, requests=1)
        if way == 0:
            client.close()
        elif way == 1:
            client.reset()
        else:
            client.end()
            await client.read_to_end(SHORT_WAIT)
            client.close()

    cases = iter(
        [
            (exchange[:at], way)
            for exchange in EXCHANGES
            for at in range(len(exchange) + 1)
            for way in range(3)
        ]
    )
    await _all(hostile, cases, one)


async def break_off_responses(hostile: Hostile) -> None:
    """Responses that are broken off: after every byte of a small one, and all along a large one."""

    async def one(path: bytes, at: int, way: int) -> None:
        client = hostile.client(window=4096)
        if not await client.open():
            return
        await client.send(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path, requests=1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHORT_WAIT):
                while at > 0 and (data := await client.read(at)):
                    at -= len(data)
        client.reset() if way else client.close()

    small = [(b"/", at, way) for at in range(SMALL_RESPONSE) for way in range(2)]
    large = [
        (b"/large", at, way) for at in range(0, READ_PART, READ_PART // PLACES) for way in range(2)
    ]
    stream = [
        (b"/stream", at, way) for at in range(0, READ_PART, READ_PART // PLACES) for way in range(2)
    ]
    await _all(hostile, iter(small + large + stream), one)


async def _all(
    hostile: Hostile, cases: Iterator[tuple[Any, ...]], one: Callable[..., Awaitable[None]]
) -> None:
    """Go through all cases once, some at a time."""

    async def once() -> None:
        for case in cases:
            await one(*case)
        await hostile.stopped.wait()

    await hostile.again_and_again(10, once)
