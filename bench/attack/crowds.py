"""Slow clients: many connections, each of which keeps as much as it can for as long as it can."""

from __future__ import annotations

import random

from attack.hostile import Client, Hostile, Life

CROWD = 5000
ONE_ADDRESS = 900  # below --limit-connections-per-client
SLOW_SECONDS = 1.0  # between two bytes
WINDOW = 4096  # receive buffer of one that reads slowly
SLOW_READ = 256  # bytes that it takes each second
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
LARGE = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
FULL_HEAD = 63 * 1024  # below --limit-head
FULL_BODY = 255 * 1024  # below --body-memory


def _sends_slowly(hostile: Hostile, client: Client) -> Life:
    async def life() -> None:
        await hostile.pause(random.random())
        while await hostile.pause(SLOW_SECONDS):
            if not await client.send(b"x"):
                await client.read_to_end()
                return

    return life


def _reads_slowly(hostile: Hostile, client: Client) -> Life:
    async def life() -> None:
        await hostile.pause(random.random())
        while await hostile.pause(SLOW_SECONDS):
            if not await client.read(SLOW_READ):
                return

    return life


async def mixed(hostile: Hostile) -> None:
    """5,000 clients: half heads, a byte of the body each second, and readers of 256 bytes a second."""

    async def begin(number: int) -> Life | None:
        kind = number % 3
        client = hostile.client(many=True, window=WINDOW if kind == 2 else 0)
        if not await client.open() or not await client.send((HEAD, BODY, LARGE)[kind], requests=1):
            return None
        return (_sends_slowly, _sends_slowly, _reads_slowly)[kind](hostile, client)

    await hostile.crowd(CROWD, begin)


async def full_heads(hostile: Hostile) -> None:
    """As many heads of 63 KiB as one address may have, none of them complete."""
    await _heap(hostile, HEAD + b"x" * FULL_HEAD)


async def full_bodies(hostile: Hostile) -> None:
    """As many bodies of 255 KiB as one address may have, none of them complete."""
    await _heap(hostile, BODY + b"x" * FULL_BODY)


async def slow_readers(hostile: Hostile) -> None:
    """As many readers of 1 MiB as one address may have, who take nothing after the request."""

    async def begin(number: int) -> Life | None:
        client = hostile.client(window=WINDOW)
        if not await client.open() or not await client.send(LARGE, requests=1):
            return None
        return _sleeps(hostile, client)

    await hostile.crowd(ONE_ADDRESS, begin)


async def idle(hostile: Hostile) -> None:
    """5,000 clients who make one request and then keep the connection."""

    async def begin(number: int) -> Life | None:
        client = hostile.client(many=True)
        if not await client.open():
            return None
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", requests=1)
        return _sleeps(hostile, client)

    await hostile.crowd(CROWD, begin)


async def late_together(hostile: Hostile) -> None:
    """5,000 half heads, all begun in the same moment: their time limit strikes at once."""
    clients = [hostile.client(many=True) for _ in range(CROWD)]
    opened = [client for client in clients if await client.open()]
    hostile.ready()
    for client in opened:
        await client.send(b"GET / HT", requests=1)
    for client in opened:
        await client.read_to_end()
        client.close()
    await hostile.stopped.wait()


async def _heap(hostile: Hostile, data: bytes) -> None:
    async def begin(number: int) -> Life | None:
        client = hostile.client()
        if not await client.open() or not await client.send(data, requests=1):
            return None
        return _sends_slowly(hostile, client)

    await hostile.crowd(ONE_ADDRESS, begin)


def _sleeps(hostile: Hostile, client: Client) -> Life:
    async def life() -> None:
        await hostile.stopped.wait()
        client.close()

    return life
