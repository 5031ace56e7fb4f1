"""Tokens against forged requests, for clients that do not say where a request comes from.

What a token stands for are 32 bytes that only this visitor's pages have: a secret in the session, or
an HMAC of a random cookie. A token is a random mask and those bytes under it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterable, MutableMapping
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.middleware.sessions.session import CSRF_KEY
from breezeway.semantics.cookies import HOST_PREFIX, find_cookie, set_cookie, with_cookie
from breezeway.semantics.fields import Headers, with_vary

SHORTEST_SECRET: Final = 16
"""Characters; `python -c "import secrets; print(secrets.token_hex(32))"` prints 64."""

_BYTES: Final = 32
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{43}")

log = logging.getLogger("breezeway.middleware")


def masked(value: bytes) -> str:
    """Return a token for a value, which is another one each time."""
    mask = secrets.token_bytes(len(value))
    return base64.urlsafe_b64encode(mask + _xor(mask, value)).decode().rstrip("=")


def unmasked(token: str) -> bytes | None:
    """Return the value of a token; None if it is malformed."""
    if len(token) != (2 * _BYTES * 8 + 5) // 6:
        return None
    try:
        data = base64.b64decode(token + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return _xor(data[:_BYTES], data[_BYTES:])


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))


class SessionToken:
    """Gives and checks the tokens of one request, which has a session."""

    __slots__ = ("_session",)

    def __init__(self, session: MutableMapping[str, Any]) -> None:
        self._session = session

    def __call__(self) -> str:
        """Return a token for a page of this visitor's."""
        secret = self._session.get(CSRF_KEY)
        if not isinstance(secret, str):
            secret = self._session[CSRF_KEY] = secrets.token_hex(_BYTES)
        return masked(bytes.fromhex(secret))

    def matches(self, token: str) -> bool:
        """Whether a token is one of this session."""
        secret = self._session.get(CSRF_KEY)
        value = unmasked(token)
        if value is None or not isinstance(secret, str):
            return False
        return hmac.compare_digest(value, bytes.fromhex(secret))


class CookieTokens:
    """What the tokens of all requests without a session share."""

    def __init__(self, secret: str | Iterable[str], name: str, secure: bool | str) -> None:
        """Take options of `Csrf`; raise ValueError in plain words, without the secret."""
        given = [secret] if isinstance(secret, str) else secret
        if not isinstance(given, Iterable):
            raise ValueError("secret is a text, or a list of texts with the newest first")
        found = list(given)
        if not all(isinstance(each, str) and len(each) >= SHORTEST_SECRET for each in found):
            raise ValueError(f"secret: each is a text of {SHORTEST_SECRET} characters or more")
        purpose = b"breezeway csrf token"
        self.keys = [hmac.digest(each.encode(), purpose, hashlib.sha256) for each in found]
        if not isinstance(secure, bool) and secure != "auto":
            raise ValueError(f"secure is true, false or 'auto', not {secure!r}")
        self._secure = secure
        if not isinstance(name, str) or not name:
            raise ValueError(f"cookie_name is a text, not {name!r}")
        self._name = name
        self.set_cookie("https", "")

    def _is_secure(self, scheme: str) -> bool:
        return self._secure is True or (self._secure == "auto" and scheme == "https")

    def _full_name(self, scheme: str) -> str:
        return f"{HOST_PREFIX if self._is_secure(scheme) else ''}{self._name}"

    def nonce(self, scheme: str, cookies: str) -> str | None:
        """Return the value of the cookie of a request; None if there is none that is well-formed."""
        value = find_cookie(cookies, self._full_name(scheme))
        return value if value is not None and _NONCE.fullmatch(value) else None

    def set_cookie(self, scheme: str, nonce: str) -> str:
        """Return the Set-Cookie field; the cookie goes when the browser is closed."""
        return set_cookie(
            self._full_name(scheme),
            nonce,
            secure=self._is_secure(scheme),
            http_only=True,
            same_site="Lax",
        )


class CookieToken:
    """Gives and checks the tokens of one request, which has no session."""

    __slots__ = (
        *(
            "_cookies",
            "_is_sent",
            "_is_used",
            "_nonce",
            "_path",
            "_scheme",
            "_set_cookie",
            "_start",
        ),
        "_tokens",
    )

    def __init__(
        self, tokens: CookieTokens, environ: WSGIEnvironment, start_response: StartResponse
    ) -> None:
        self._tokens = tokens
        # Not the environ itself: it has this object in it, and a circle would wait for the collector.
        self._cookies = environ.get("HTTP_COOKIE", "")
        self._scheme = environ["wsgi.url_scheme"]
        self._path = environ.get("PATH_INFO", "")
        self._start = start_response
        self._is_used = False
        self._is_sent = False

    def __call__(self) -> str:
        """Return a token for a page of this visitor's, who gets a cookie with it."""
        if not self._tokens.keys:
            raise RuntimeError("Csrf has neither a secret nor a session: it can give no token")
        if not self._is_used:
            self._is_used = True
            nonce = self._tokens.nonce(self._scheme, self._cookies)
            self._set_cookie = nonce is None
            self._nonce = nonce or secrets.token_urlsafe(_BYTES)
            if self._set_cookie and self._is_sent:
                log.warning(
                    "a token was made after start_response was called, for %r: it has no cookie",
                    self._path,
                )
        return masked(_signature(self._tokens.keys[0], self._nonce))

    def matches(self, token: str) -> bool:
        """Whether a token is one of the cookie of this request, made with any of the keys."""
        nonce = self._tokens.nonce(self._scheme, self._cookies)
        value = unmasked(token)
        if nonce is None or value is None:
            return False
        matches = [hmac.compare_digest(value, _signature(key, nonce)) for key in self._tokens.keys]
        return any(matches)

    def start_response(self, status: str, headers: Headers, exc_info: Any = None, /) -> Any:
        """Add the cookie to a response with a token in it."""
        if self._is_used:
            headers = with_vary(headers, "Cookie")
            if self._set_cookie:
                cookie = self._tokens.set_cookie(self._scheme, self._nonce)
                headers = with_cookie(headers, cookie)
        self._is_sent = True
        if exc_info is None:
            return self._start(status, headers)
        return self._start(status, headers, exc_info)


def _signature(key: bytes, nonce: str) -> bytes:
    return hmac.digest(key, nonce.encode(), hashlib.sha256)
