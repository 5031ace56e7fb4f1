"""BearerAuth: on a path that is open, and with a token."""

from __future__ import annotations

from case import Case

from breezeway.middleware import BearerAuth

TOKEN = "3f786850e387550fdab836ed7e6dc881de23001b"


def cases() -> list[Case]:
    """Return the cases of this piece."""
    tokens = {TOKEN: "billing", **{f"{n:040}": f"client-{n}" for n in range(100)}}
    given = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
    return [
        Case("bearer_auth", "idle", lambda app: BearerAuth(app, tokens=tokens, protect=["/api"])),
        Case(
            "bearer_auth",
            "one of 101 tokens",
            lambda app: BearerAuth(app, tokens=tokens),
            environ=given,
        ),
    ]
