"""`BasicAuth`: names and passwords by RFC 7617."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.basic_auth.passwords import Check, check_of
from breezeway.middleware.stack import unset
from breezeway.semantics.authorization import parse_credentials as authorization_of
from breezeway.semantics.environ_keys import AUTHENTICATED
from breezeway.semantics.protected_paths import ProtectedPaths

DEFAULT_MEMO_SECONDS: Final = 300
"""How long a pair that was right is not computed again: a page has dozens of requests, and a hash
takes a tenth of a second on purpose."""

MEMO_ENTRIES: Final = 1024
"""Pairs that are remembered: each is 32 bytes of HMAC and a time; the oldest goes first."""

LONGEST_CREDENTIALS: Final = 2048
"""Characters of the field, so that nobody has megabytes hashed; a password of 255 bytes takes 400."""

# realm = quoted-string                                                    RFC 9110 section 11.5
_REALM: Final = re.compile(r"[\x20-\x7e]*")


class BasicAuth:
    """Ask for a name and a password before the application is called (RFC 7617).

    For sites that are not public yet, and for a page of operators: nothing has to be built. The
    password goes over the wire with each request, so it belongs on https alone.

    What it withstands: a password is compared in constant time, and for a name that is unknown as
    much is computed as for one that is there, so that time tells nobody which names exist. A request
    with malformed credentials is one without: 401. How often somebody may guess is what `RateLimit`
    says, around this piece.

    The application finds the name in `REMOTE_USER`, a character for each byte of UTF-8, and `Basic` in
    `AUTH_TYPE` (RFC 3875 section 4.1); where nothing is asked both are taken out, so that they never
    come from elsewhere than from this piece or `BearerAuth`.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        users: Mapping[str, str] | Callable[[str, str], bool],
        realm: str = "Restricted",
        protect: Iterable[str] = ("/",),
        exempt: Iterable[str] = (),
        memo_seconds: float = DEFAULT_MEMO_SECONDS,
    ) -> None:
        """Take the options.

        `users`: a table of names and what `python -m breezeway.middleware.basic_auth` printed for the
        password, or the password itself; in Python also a function of name and password that returns
        whether they are right. `realm`: what the browser shows; ASCII. `protect`, `exempt`: prefixes
        of the path, below where the piece is mounted; the longest that covers a path counts.
        `memo_seconds`: how long a pair that was right is not checked again; 0 for never. A password
        that is taken back by a function of one's own goes on for that long.

        Raises:
            ValueError: an option is not as described.
        """
        self.application = application
        self._check = _checker(users)
        if not isinstance(realm, str) or _REALM.fullmatch(realm) is None:
            raise ValueError(f"realm is ASCII text, not {realm!r}")
        quoted = re.sub(r'(["\\])', r"\\\1", realm)
        self._challenge = ("WWW-Authenticate", f'Basic realm="{quoted}", charset="UTF-8"')
        self._protected = ProtectedPaths(protect, exempt)
        if isinstance(memo_seconds, bool) or not isinstance(memo_seconds, (int, float)):
            raise ValueError(f"memo_seconds is a number of seconds, not {memo_seconds!r}")
        if memo_seconds < 0:
            raise ValueError(f"memo_seconds is 0 or more, not {memo_seconds!r}")
        self._memo = _Memo(memo_seconds)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Ask for a name and a password, or call the application."""
        if environ.get("PATH_INFO", "") not in self._protected:
            if AUTHENTICATED not in environ:
                environ.pop("REMOTE_USER", None)
                environ.pop("AUTH_TYPE", None)
            return self.application(environ, start_response)
        name = self._name(environ.get("HTTP_AUTHORIZATION", ""))
        if name is None:
            return answer(environ, start_response, "401 Unauthorized", headers=[self._challenge])
        environ["REMOTE_USER"] = name
        environ["AUTH_TYPE"] = "Basic"
        environ[AUTHENTICATED] = True
        return self.application(environ, start_response)

    def _name(self, authorization: str) -> str | None:
        """Return the name of who asks; None unless the password is right."""
        known = self._memo.get(authorization)
        if known is not None:
            return known
        pair = parse_credentials(authorization)
        if pair is None or not self._check(*pair):
            return None
        name = pair[0].encode().decode("latin-1")  # as PEP 3333 has all text
        self._memo.add(authorization, name)
        return name


def parse_credentials(authorization: str) -> tuple[str, str] | None:
    """Return name and password of an Authorization field; None if it is malformed or of another scheme."""
    if len(authorization) > LONGEST_CREDENTIALS:
        return None
    credentials = authorization_of(authorization)
    return None if credentials is None else credentials.basic


def _checker(users: Any) -> Check:
    """Return what says whether a name and a password are right."""
    if callable(users):
        return lambda name, password: _true_or_false(users(name, password))
    if not isinstance(users, Mapping) or not users:
        raise ValueError(f"users is a table of names and passwords, not {users!r}")
    return check_of(users)


def _true_or_false(found: object) -> bool:
    """Hold a function to its word: the coroutine of one that is async would let everybody in."""
    if not isinstance(found, bool):
        raise TypeError(f"users: the function returns True or False, not a {type(found).__name__}")
    return found


class _Memo:
    """The pairs that were right lately, as HMACs of their fields with a key of this process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._key = secrets.token_bytes(32)
        self._entries: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, field: str) -> str | None:
        """Return the name that a field was found to be right for."""
        if not self._entries or len(field) > LONGEST_CREDENTIALS:
            return None
        entry = self._entries.get(self._digest(field))
        return entry[1] if entry is not None and entry[0] > time.monotonic() else None

    def add(self, field: str, name: str) -> None:
        """Remember a field that was right."""
        if not self._seconds or len(field) > LONGEST_CREDENTIALS:
            return
        digest = self._digest(field)
        with self._lock:
            self._entries[digest] = (time.monotonic() + self._seconds, name)
            self._entries.move_to_end(digest)
            if len(self._entries) > MEMO_ENTRIES:
                self._entries.popitem(last=False)

    def _digest(self, field: str) -> bytes:
        return hmac.digest(self._key, field.encode("utf-8", "surrogatepass"), hashlib.sha256)
