"""What `Lint` finds: a fault, the clause of PEP 3333 that it breaks, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# Headings of PEP 3333.
APPLICATION_SIDE: Final = "The Application/Framework Side"
BLOCK_BOUNDARIES: Final = "Middleware Handling of Block Boundaries"
BUFFERING: Final = "Buffering and Streaming"
CONTENT_LENGTH: Final = "Handling the Content-Length Header"
ENVIRON: Final = "environ Variables"
ERROR_HANDLING: Final = "Error Handling"
DETAILS: Final = "Specification Details"
HTTP_FEATURES: Final = "Other HTTP Features"
START_RESPONSE: Final = "The start_response() Callable"
STREAMS: Final = "Input and Error Streams"
UNICODE: Final = "Unicode Issues"
WRITE: Final = "The write() Callable"

SHOWN_CHARACTERS: Final = 80
"""Of a value in a message."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One breach.

    `mend` says what to do. `server` is true when the fault is not the application's but that of what
    calls it: the server, or middleware in between. `advice` is true for what PEP 3333 allows, but what
    does not work everywhere.
    """

    clause: str
    fault: str
    mend: str
    server: bool = False
    advice: bool = False

    def __str__(self) -> str:
        """Say it in two sentences."""
        whose = "the caller" if self.server else "the application"
        kind = "advice on" if self.advice else "breach of"
        return f'{kind} PEP 3333, "{self.clause}", by {whose}: {self.fault}. {self.mend}.'


Report = Callable[[Fault], None]


class LintError(AssertionError):
    """A fault, raised where it was found; an AssertionError as those of `wsgiref.validate` are."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def shown(value: object) -> str:
    """Write a value in a message."""
    try:
        text = repr(value)
    except Exception:
        text = f"an object of {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def typed(value: object) -> str:
    """Write a value and its type in a message."""
    return f"{shown(value)} ({type(value).__name__})"
