"""BasicAuth: on a path that is open, with a password that was right lately, and with one that was not."""

from __future__ import annotations

import base64

from case import Application, Case

from breezeway.middleware import BasicAuth
from breezeway.middleware.basic_auth.passwords import hash_password


def cases() -> list[Case]:
    """Return the cases of this piece."""
    hashed = {"ann": hash_password("open sesame")}
    right = {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"ann:open sesame").decode()}

    def case(what: str, users: dict[str, str], environ: dict[str, str], path: str = "/") -> Case:
        def ours(app: Application) -> Application:
            return BasicAuth(app, users=users, protect=[path])  # type: ignore[arg-type, return-value]

        expect = "200" if environ or path != "/" else "401"
        return Case("basic_auth", what, ours, environ=environ, expect=expect)

    return [
        case("idle", hashed, {}, "/admin"),
        case("a password that is remembered", hashed, right),
        case("a plain password that is remembered", {"ann": "open sesame"}, right),
        case("no password", hashed, {}),
    ]
