"""Quick forms of what bench/attack does: what a hostile client costs the others, and the memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..applications import plain
from ..live import Live, eventually
from .client import Client, request

LARGE = 4_000_000
WINDOW_BYTES = 4096
KEPT_BYTES = 1024 * 1024
"""More than what the kernel may keep for one client with all its accounting, less than a response."""


def unsent(client: Client) -> int:
    """Return how many bytes the server's kernel keeps for a client on this machine."""
    ends = [f"{port:04X}" for _, port in (client.socket.getpeername(), client.socket.getsockname())]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if [local[-4:], remote[-4:]] == ends:
            return int(queues.partition(":")[0], 16)
    return 0


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel tells it on Linux alone")
def test_the_kernel_keeps_little_for_who_does_not_read(live: Live) -> None:
    """A response that nobody reads does not fill memory that all connections share."""
    live.play(plain(b"x" * LARGE))
    with live.connect(window=WINDOW_BYTES) as client:
        client.send(request("GET", "/"))
        assert client.head().status == 200
        eventually(lambda: unsent(client) > 0, "a response that waits")
        assert unsent(client) < KEPT_BYTES
        assert len(client.take(LARGE)) == LARGE
