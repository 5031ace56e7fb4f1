"""What becomes of bytes that come in certain pieces: the requests in them, or a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from breezeway.gateway.environ import base_environ
from breezeway.gateway.input import BodyStore
from breezeway.gateway.memory_budget import MemoryBudget
from breezeway.http1.errors import ProtocolError
from breezeway.http1.head import CLOSE, Parser
from breezeway.http1.limits import HEAD_BYTES, Limits
from breezeway.worker.intake import Intake, Request, fill_environ

BASE = base_environ(
    server_name="localhost",
    server_port="80",
    root_path="",
    multithread=True,
    multiprocess=False,
    stopping=bool,
)

BODY_MEMORY = 100
"""Small, so that some bodies of the tests go to disk."""


class Served(NamedTuple):
    """One request as an application would see it."""

    environ: dict[str, Any]
    body: bytes


class Outcome(NamedTuple):
    """The requests in order, and how it ended."""

    requests: list[Served]
    refused: int
    """The status of the refusal, 0 if there is none."""
    complete: bool
    """No request was begun that is not there whole; a CRLF after a request begins none."""
    closes: bool = False
    """The last request is the last of its connection: what follows is not looked at."""


def outcome(pieces: Iterable[bytes], limits: Limits | None = None) -> Outcome:
    """Feed the pieces to the intake of one connection."""
    intake = Intake(Parser(limits or Limits()), BodyStore(BODY_MEMORY), MemoryBudget(HEAD_BYTES))
    requests: list[Served] = []
    try:
        for piece in pieces:
            for request in completed(intake, piece):
                requests.append(_served(request))
                if request.head.flags & CLOSE:
                    return Outcome(requests, 0, complete=True, closes=True)
    except ProtocolError as error:
        return Outcome(requests, error.status, complete=False)
    finally:
        intake.close()
    quiet = not intake or (bool(requests) and intake.blank)
    return Outcome(requests, 0, complete=quiet and not intake.in_body)


def completed(intake: Intake, piece: bytes) -> Iterator[Request]:
    """Add a piece to the input of a connection; return the requests that are complete by it."""
    while request := intake.take(piece, BASE):
        piece = b""
        if request.body is None:  # the client waits for `100 Continue`: it is told so
            intake.expect_body(request.head)
        else:
            yield request


def _served(request: Request) -> Served:
    assert request.body is not None
    environ = fill_environ(request)
    body = environ.pop("wsgi.input").read()
    request.body.close()
    return Served(environ, body)


def one_by_one(data: bytes) -> Iterator[bytes]:
    """Cut into single bytes."""
    return (data[at : at + 1] for at in range(len(data)))


def at(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """Cut at those positions."""
    before = 0
    for cut in sorted({min(each, len(data)) for each in cuts}):
        yield data[before:cut]
        before = cut
    yield data[before:]
