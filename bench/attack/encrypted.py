"""Attacks on the handshake of TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil

from attack.hostile import Hostile, Life

STALLED = 1000
ADDRESSES_AT_A_TIME = 20
HELLO_LENGTH = 0x0200  # a record that says it has 512 bytes


async def stalled(hostile: Hostile) -> None:
    """1,000 handshakes that stop after the first bytes of the ClientHello."""

    async def begin(number: int) -> Life | None:
        client = hostile.client(many=True)
        if not await client.open():
            return None
        await client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")

        async def life() -> None:
            await client.read_to_end(120)

        return life

    await hostile.crowd(STALLED, begin)


async def garbage(hostile: Hostile) -> None:
    """Random bytes in the place of a handshake, plain HTTP, and records of other lengths."""

    async def once() -> None:
        junk = os.urandom(300)
        for data in (junk, b"\x16\x03\x01\x02\x00" + junk, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
            client = hostile.client()
            if await client.open():
                await client.send(data, requests=1)
                client.end()
                await client.read_to_end(1)
                client.close()

    await hostile.again_and_again(ADDRESSES_AT_A_TIME, once)


async def renegotiation(hostile: Hostile) -> None:
    """`openssl s_client` that asks for a renegotiation in TLS 1.2, again and again."""
    program = shutil.which("openssl")
    if program is None:
        hostile.tally.failures.append("openssl is not installed")
        return

    async def once() -> None:
        child = await asyncio.create_subprocess_exec(
            *(program or "", "s_client", "-connect", f"127.0.0.1:{hostile.port}", "-tls1_2"),
            *("-legacy_renegotiation",),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        hostile.tally.connections += 1
        with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            async with asyncio.timeout(2):
                assert child.stdin is not None
                for _ in range(3):
                    child.stdin.write(b"R\n")
                    await child.stdin.drain()
                    await asyncio.sleep(0.1)
                    hostile.tally.requests += 1
                await child.wait()
        if child.returncode is None:
            child.kill()
        await child.wait()

    await hostile.again_and_again(2, once)
