"""Who may read and who may act.

There is one token (`--admin-token`). Without it nobody acts, and the listener is on this machine alone,
where everybody may read; what clients have sent in a query is left out, for there may be other
users. With it, who has it acts; on an address that others can reach, reading takes
it as well.

Against pages of other sites in the operator's own browser:

- A Host that is no name of ours is refused: a name of the attacker's may have been made to lead
  here (DNS rebinding). Addresses are ours where the listener is on all of them, for rebinding takes a name.
  `/health` is answered without a Host, too: probes in HTTP/1.0 have none, and no browser leaves it out.
- What says by Sec-Fetch-Site or Origin that another site asks is refused.
- An action needs `Content-Type: application/json`, which a form cannot send, and the token in
  `Authorization`, which no browser adds by itself, or in a session whose cookie is SameSite=Strict
  and comes with our own Origin.

Whoever guesses the token is slowed down (`attempts`).

The cookie does not have the token: every server on this host gets it, whatever its port. It has an
expiry, signed with a key that is derived from the token, so that sessions outlive this process.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable, Iterable
from typing import Final
from wsgiref.types import WSGIEnvironment

from breezeway.admin.attempts import Attempts
from breezeway.config import address
from breezeway.config.address import TcpAddress, UnixAddress
from breezeway.config.admin_checks import is_local, is_loopback
from breezeway.semantics.authorization import parse_credentials
from breezeway.semantics.cookies import find_cookie, removed_cookie, set_cookie
from breezeway.semantics.hosts import Hosts, parse_host

COOKIE: Final = "breezeway-admin"
"""Its name begins so. Cookies know no ports: that of a server with another token has another end."""

SHOWN: Final = "breezeway.admin.token"
"""The key of the environ that says whether the token of its Authorization is right, once that is known."""

SESSION_SECONDS: Final = 12 * 3600
"""A working day."""


class Access:
    """The rules for one listener."""

    def __init__(
        self,
        bind: str,
        token: str | None,
        hosts: Iterable[str] = (),
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`bind` is where it listens, and `hosts` are names beside those that this gives."""
        where = address.parse(bind)
        bound = where.host if isinstance(where, TcpAddress) else None
        self._any_address = bound in (None, "0.0.0.0", "::") and isinstance(  # noqa: S104
            where, TcpAddress
        )
        self._hosts = Hosts([*hosts, *([] if bound is None else [_as_host(bound)])])
        self._token = None if token is None else token.encode()
        self._key = hashlib.sha256(b"breezeway admin session " + (self._token or b"")).digest()
        self._cookie = f"{COOKIE}-{self._signature('name')[:8]}"
        self._clock = clock
        self.attempts = Attempts()
        self.reading_is_free = is_local(bind)
        """Whether it takes no token to read."""
        self.is_private = isinstance(where, UnixAddress)
        """Whether other users of this machine are kept out as well."""

    @property
    def has_token(self) -> bool:
        """Whether anybody at all may act."""
        return self._token is not None

    def knows_host(self, environ: WSGIEnvironment) -> bool:
        """Whether the request is meant for us, by its Host."""
        text = environ.get("HTTP_HOST", "")
        try:
            name = parse_host(text).name
        except ValueError:
            return False
        bare = name.strip("[]")
        return text in self._hosts or is_loopback(bare) or (self._any_address and _is_address(bare))

    @staticmethod
    def is_from_elsewhere(environ: WSGIEnvironment) -> bool:
        """Whether a browser says that another site's page asks."""
        if environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin"):
            return True
        origin = environ.get("HTTP_ORIGIN")
        return origin is not None and not _is_own(origin, environ)

    def may_read(self, environ: WSGIEnvironment) -> bool:
        """Whether the request may have numbers.

        Raises:
            TooManyError: there have been too many wrong tokens.
        """
        return self.reading_is_free or self.may_act(environ)

    def may_act(self, environ: WSGIEnvironment) -> bool:
        """Whether the request comes with the token or a session.

        Raises:
            TooManyError: there have been too many wrong tokens.
        """
        if self._token is None:
            return False
        if "HTTP_AUTHORIZATION" in environ:
            if SHOWN not in environ:  # one request is one attempt
                credentials = parse_credentials(environ["HTTP_AUTHORIZATION"])
                given = None if credentials is None else credentials.bearer
                environ[SHOWN] = given is not None and self.is_token(environ, given)
            return bool(environ[SHOWN])
        if environ["REQUEST_METHOD"] == "POST" and "HTTP_ORIGIN" not in environ:
            return False  # browsers send it with every POST
        session = find_cookie(environ.get("HTTP_COOKIE", ""), self._cookie)
        return session is not None and self._is_session(session)

    def is_token(self, environ: WSGIEnvironment, given: str) -> bool:
        """Whether this is the token; the time it takes says nothing of how much of it is right.

        Raises:
            TooManyError: there have been too many wrong ones.
        """
        token = self._token
        if token is None:
            return False
        shown = given.encode(errors="surrogatepass")
        return self.attempts.check(
            environ.get("REMOTE_ADDR") or "", lambda: hmac.compare_digest(shown, token)
        )

    def open_session(self) -> str:
        """Return the value of Set-Cookie for who has shown the token."""
        expiry = str(int(self._clock()) + SESSION_SECONDS)
        return set_cookie(
            self._cookie,
            f"{expiry}.{self._signature(expiry)}",
            max_age=SESSION_SECONDS,
            http_only=True,
            same_site="Strict",
        )

    def close_session(self) -> str:
        """Return the value of Set-Cookie that ends a session in its browser."""
        return removed_cookie(self._cookie)

    def _is_session(self, session: str) -> bool:
        expiry, _, signature = session.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(expiry).encode()):
            return False
        return int(expiry) > self._clock()

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()


def _is_own(origin: str, environ: WSGIEnvironment) -> bool:
    # Behind a proxy that speaks TLS the scheme of the page is another one than ours.
    scheme, mark, host = origin.lower().partition("://")
    return (
        bool(mark) and scheme in ("http", "https") and host == environ.get("HTTP_HOST", "").lower()
    )


def _as_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
