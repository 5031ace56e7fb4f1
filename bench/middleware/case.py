"""What is measured of a piece: what it costs when it has nothing to do, and at its work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Wrap = Callable[[Application], Application]


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer in few bytes, as an application with nothing to compress or to check does."""
    start_response(
        "200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "12")]
    )
    return [b"Hello there\n"]


@dataclass(frozen=True)
class Case:
    """One comparison. The cost is that of the wrapped application less that of the bare one.

    `ours` wraps `application`. `peer` wraps `peer_application` (`application` if it is None): a Flask
    extension costs what it adds to a Flask application, on which ours would cost the same as on any.
    `environ` has what the request has beyond a browser's GET. `expect` is in the status line of all.
    """

    piece: str
    what: str
    """What happens: `idle`, or a few words."""
    ours: Wrap
    peer_name: str = ""
    peer: Wrap | None = None
    application: Application = hello
    peer_application: Application | None = None
    environ: Mapping[str, Any] = field(default_factory=dict)
    expect: str = "200"

    @property
    def is_idle(self) -> bool:
        """The piece has nothing to do, so that the budget of a microsecond applies."""
        return self.what == "idle"
