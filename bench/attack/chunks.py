"""Hostile bodies in the chunked coding."""

from __future__ import annotations

from attack.hostile import Hostile

AT_A_TIME = 8
HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
ENOUGH = 400  # pieces after which a body that is still taken ends


async def _bodies(hostile: Hostile, piece: bytes, end: bytes, first: bytes = b"") -> None:
    """Send bodies of `first`, many times `piece`, and `end`."""

    async def once() -> None:
        client = hostile.client()
        if not await client.open():
            return
        taken = await client.send(HEAD + first, requests=1)
        for _ in range(ENOUGH):
            if not taken or hostile.stopped.is_set():
                break
            taken = await client.send(piece)
        if taken and not hostile.stopped.is_set() and await client.send(end):
            await client.read()
        elif not taken:
            await client.read_to_end(0.5)
        client.close()

    await hostile.again_and_again(AT_A_TIME, once)


async def one_byte(hostile: Hostile) -> None:
    """Chunks of one byte, as fast as they are taken."""
    await _bodies(hostile, b"1\r\nx\r\n" * 2000, b"0\r\n\r\n")


async def extensions(hostile: Hostile) -> None:
    """One chunk-size line with an extension that never ends."""
    await _bodies(hostile, b"x" * 512, b"\r\nx\r\n0\r\n\r\n", b"1;a=")


async def many_extensions(hostile: Hostile) -> None:
    """Chunks of one byte with a short extension each."""
    await _bodies(hostile, b"1;a=b\r\nx\r\n" * 100, b"0\r\n\r\n")


async def trailers(hostile: Hostile) -> None:
    """A trailer section that never ends."""
    await _bodies(hostile, b"x: y\r\n" * 10, b"\r\n", b"0\r\n")


async def zeros(hostile: Hostile) -> None:
    """A chunk size with zeros in front that never ends."""
    await _bodies(hostile, b"0" * 512, b"1\r\nx\r\n0\r\n\r\n")


async def zero_padded(hostile: Hostile) -> None:
    """Chunks of one byte whose size has as many zeros as are allowed."""
    await _bodies(hostile, b"0000000000000001\r\nx\r\n" * 500, b"0\r\n\r\n")
