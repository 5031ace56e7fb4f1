"""`BearerAuth`: bearer tokens by RFC 6750."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import problem
from breezeway.middleware.stack import unset
from breezeway.semantics.environ_keys import AUTHENTICATED
from breezeway.semantics.protected_paths import ProtectedPaths

SHORTEST_TOKEN: Final = 16
"""Characters of a token that is given as it is: fewer can be guessed."""

LONGEST_TOKEN: Final = 8192
"""Characters of a token in a request; a large JWT has 4,000."""

HASHED: Final = "sha256:"

# b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="   RFC 6750 section 2.1
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_DIGEST: Final = re.compile(r"sha256:[0-9A-Fa-f]{64}")
_SCHEME: Final = re.compile(r"(?i:Bearer)(?: +|\Z)")
_REALM: Final = re.compile(r"[\x20-\x7e]*")

Identify = Callable[[str], str | None]


class BearerAuth:
    """Let in who has a token in its Authorization field (RFC 6750).

    For programs that call an interface. A token is taken from the Authorization field alone: in a
    query or a form (RFC 6750 sections 2.2 and 2.3) it gets into logs and histories. Tokens are looked
    up by their SHA-256, so that time tells nobody how much of a guess was right.

    The application finds who it is in `REMOTE_USER`, and `Bearer` in `AUTH_TYPE`; where nothing is
    asked both are taken out, so that they never come from elsewhere than from this piece or `BasicAuth`.
    The answers are those of RFC 6750 section 3.1: 401 without an error where there is no token, 400
    `invalid_request` for a malformed one, 401 `invalid_token` for one that is not known; with problem
    details (RFC 9457), for those who ask are programs.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        tokens: Mapping[str, str] | Iterable[str] | Identify,
        realm: str = "Restricted",
        protect: Iterable[str] = ("/",),
        exempt: Iterable[str] = (),
    ) -> None:
        """Take the options.

        `tokens`: a table of tokens and who has them, or a list of tokens (then who it is called is
        `token-` with the first eight hexadecimal digits of the token's SHA-256). A token is
        given as it is, 16 characters or more, or as `sha256:` with the hexadecimal SHA-256 of it. In
        Python also a function of a token that returns who has it, or None. `realm`: ASCII text.
        `protect`, `exempt`: prefixes of the path, below where the piece is mounted; the longest that
        covers a path counts.

        Raises:
            ValueError: an option is not as described.
        """
        self.application = application
        self._identify: Identify = tokens if callable(tokens) else _Table(tokens).get
        if not isinstance(realm, str) or _REALM.fullmatch(realm) is None:
            raise ValueError(f"realm is ASCII text, not {realm!r}")
        quoted = re.sub(r'(["\\])', r"\\\1", realm)
        self._challenge = f'Bearer realm="{quoted}"'
        self._protected = ProtectedPaths(protect, exempt)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Refuse a request without a token that is known, or call the application."""
        if environ.get("PATH_INFO", "") not in self._protected:
            if AUTHENTICATED not in environ:
                environ.pop("REMOTE_USER", None)
                environ.pop("AUTH_TYPE", None)
            return self.application(environ, start_response)
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        scheme = _SCHEME.match(authorization)
        if scheme is None:
            return self._refuse(environ, start_response, "401 Unauthorized")
        token = authorization[scheme.end() :].rstrip(" ")
        if len(token) > LONGEST_TOKEN or _TOKEN.fullmatch(token) is None:
            error = "invalid_request", "the token is malformed"
            return self._refuse(environ, start_response, "400 Bad Request", *error)
        who = self._identify(token)
        if not who:  # nor is anybody let in without a name
            error = "invalid_token", "the token is not known, or not any more"
            return self._refuse(environ, start_response, "401 Unauthorized", *error)
        environ["REMOTE_USER"] = who.encode().decode("latin-1")  # as PEP 3333 has all text
        environ["AUTH_TYPE"] = "Bearer"
        environ[AUTHENTICATED] = True
        return self.application(environ, start_response)

    def _refuse(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        status: str,
        error: str = "",
        why: str = "",
    ) -> Iterable[bytes]:
        challenge = self._challenge
        if error:
            challenge += f', error="{error}", error_description="{why}"'
        fields = [("WWW-Authenticate", challenge)]
        return problem(environ, start_response, status, why, headers=fields)


class _Table:
    """Who has which token, by the SHA-256 of the token."""

    def __init__(self, tokens: Any) -> None:
        if isinstance(tokens, str) or not isinstance(tokens, Iterable) or not tokens:
            raise ValueError(
                "tokens is a table of tokens and who has them, or a list of tokens, and not empty"
            )
        names = tokens if isinstance(tokens, Mapping) else None
        self._who: dict[bytes, tuple[bytes, str]] = {}
        for token in tokens:
            digest = _digest_of(token)
            who = f"token-{digest.hex()[:8]}" if names is None else names[token]
            if not isinstance(who, str) or not who:
                raise ValueError(f"tokens: who has a token is a text, not {who!r}")
            if digest in self._who:
                raise ValueError(f"tokens: {who!r} and {self._who[digest][1]!r} have the same one")
            self._who[digest] = digest, who

    def get(self, token: str) -> str | None:
        """Return who has a token; None if nobody has."""
        digest = hashlib.sha256(token.encode()).digest()
        found = self._who.get(digest)
        return found[1] if found is not None and hmac.compare_digest(found[0], digest) else None


def _digest_of(token: object) -> bytes:
    """Return the SHA-256 of a token of the options; an error never shows the token."""
    if not isinstance(token, str):
        raise ValueError("tokens: a token is a text")
    if token.startswith(HASHED):
        if _DIGEST.fullmatch(token) is None:
            raise ValueError("tokens: after sha256: there are 64 hexadecimal digits")
        return bytes.fromhex(token.removeprefix(HASHED))
    if _TOKEN.fullmatch(token) is None or len(token) < SHORTEST_TOKEN:
        raise ValueError(
            f"tokens: a token has {SHORTEST_TOKEN} characters or more, letters, digits and -._~+/"
        )
    return hashlib.sha256(token.encode()).digest()
