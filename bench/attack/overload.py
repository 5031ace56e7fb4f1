"""More requests than there are threads and places to wait."""

from __future__ import annotations

import asyncio
import random
import time

from attack.hostile import Hostile

CLIENTS = 400
QUEUE = 100  # --queue-limit of the scenario
PATIENCE = 1.0  # seconds from a 503 to the next attempt
DECISION = 0.05  # seconds in which a 503 has to come


async def slow_requests(hostile: Hostile) -> None:
    """400 clients who ask for what takes a second, again as soon as they have an answer."""
    waits: list[float] = []
    without_hint = 0

    async def once() -> None:
        nonlocal without_hint
        client = hostile.client(many=True)
        if not await client.open():
            return
        began = time.monotonic()
        await client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", requests=1)
        answer = await client.read()
        if answer.startswith(b"HTTP/1.1 503"):
            waits.append(time.monotonic() - began)
            without_hint += b"Retry-After:" not in answer
            await hostile.pause(PATIENCE * random.uniform(0.5, 1.5))
        client.close()

    async def task() -> None:
        while not hostile.stopped.is_set():
            await once()

    tasks = [asyncio.ensure_future(task()) for _ in range(CLIENTS)]
    await hostile.pause(1.0)
    waits.clear()  # of the moment in which all came at once, and this side was as busy
    hostile.ready()
    await hostile.stopped.wait()
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    late = sorted(waits)[int(len(waits) * 0.99)] if waits else 0.0
    hostile.tally.notes.append(f"503 in {late * 1000:.0f} ms (p99)")
    if late > DECISION:
        hostile.tally.failures.append(f"503 only after {late * 1000:.0f} ms")
    if without_hint:
        hostile.tally.failures.append(f"{without_hint} times 503 without Retry-After")
