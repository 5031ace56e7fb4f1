"""Applications that fail, each in another way, to show what the server makes of it."""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING

from breezeway.demo.render import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIEnvironment

# More bytes than `short` sends; any number would do.
CLAIMED_LENGTH = 1000
# Seconds, so that one sees the block before the end.
PAUSE = 0.5


class DemoError(Exception):
    """What the failing routes raise: on purpose, so that a log shows it was the demo."""


def before(_environ: WSGIEnvironment) -> Answer:
    """Raise before there is a response: the client should get a 500 that gives nothing away."""
    raise DemoError("the demo fails before its response, as it was asked to")


def during(_environ: WSGIEnvironment) -> Answer:
    """Raise after one block: the head has gone, only cutting the response off tells."""

    def blocks() -> Iterator[bytes]:
        yield b"This is the first block. The second one never comes.\n"
        sleep(PAUSE)
        raise DemoError("the demo fails in the middle of its response, as it was asked to")

    return Answer("200 OK", [("Content-Type", "text/plain; charset=utf-8")], blocks())


def short(_environ: WSGIEnvironment) -> Answer:
    """Send less than Content-Length says: the response must not look whole."""
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(CLAIMED_LENGTH)),
    ]
    return Answer("200 OK", headers, [b"These are all the bytes that there are.\n"])
