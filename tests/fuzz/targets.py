"""What is fuzzed: where its inputs come from, and what is checked of each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from hypothesis.strategies import SearchStrategy

from . import checks, connection
from .nearly import Writer
from .strategies import JUNK, chunked_bodies, connections, mutants


@dataclass(frozen=True, slots=True)
class Target:
    """One part of the server."""

    inputs: SearchStrategy[bytes]
    opened: Callable[[], AbstractContextManager[Any]]
    """Gives what has a `check`, of one input, which returns what became of that: `accepted`, a status,
    `incomplete`."""
    budget: int
    """Inputs of one run of the tests, which is to take a second or two."""
    seeds: tuple[int, ...]
    """Where the single faults of such a run begin, see `single_faults`."""
    write: Callable[[Writer], bytes] = Writer.connection


def _by(check: Callable[[bytes], str]) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: nullcontext(SimpleNamespace(check=check))


_INPUTS = connections() | mutants()

TARGETS = {
    "head": Target(_INPUTS | JUNK, _by(checks.check_head), 800, (0, 2, 5, 8)),
    "chunks": Target(
        chunked_bodies() | JUNK, _by(checks.check_chunks), 1000, (0, 3, 6, 10), Writer.chunks
    ),
    "intake": Target(_INPUTS | JUNK, _by(checks.check_intake), 600, (0, 2, 5, 8)),
    "connection": Target(_INPUTS, lambda: closing(connection.Driven()), 300, (2, 9, 17)),
    "live": Target(_INPUTS, lambda: closing(connection.Live()), 300, ()),
    "streamed": Target(_INPUTS, lambda: closing(connection.Live(stream_body=("/",))), 300, ()),
}
