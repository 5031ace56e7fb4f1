"""`Sessions`: what an application remembers of a visitor from one request to the next."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.sessions.away import AWAY, RETRY, StartsLate, unavailable
from breezeway.middleware.sessions.options import Jar, backing_of, checked_seconds, jars_of
from breezeway.middleware.sessions.session import Session
from breezeway.middleware.sessions.store import Record, StoreAwayError
from breezeway.middleware.stack import unset
from breezeway.semantics.cookies import LONGEST_COOKIE, find_cookie, with_cookie
from breezeway.semantics.fields import Headers, replaced, with_vary

if TYPE_CHECKING:
    from breezeway.middleware.redis_link import Redis

KEY: Final = "breezeway.session"

DEFAULT_IDLE_SECONDS: Final = 14 * 86_400
DEFAULT_LIFETIME_SECONDS: Final = 30 * 86_400
"""NIST SP 800-63B section 4.1.3 asks for a new login after 30 days at least at its lowest level."""

DEFAULT_SESSION_BYTES: Final = 64 * 1024
DEFAULT_MEMORY_BYTES: Final = 64 * 1024 * 1024

REFRESH_SHARE: Final = 10
"""The end of an idle session is moved when a tenth of that time has gone by, and not with each request."""

log = logging.getLogger("breezeway.middleware")


class Sessions:
    """Give the application a mapping, `environ["breezeway.session"]`, that lasts from request to request.

    It is read when it is touched, and saved when the application calls `start_response`, if it has
    changed. `rotate()` belongs at each login, `clear()` at a logout. Values are JSON and nothing else:
    reading a pickle runs what is in it, and one leaked secret or one writable store would then be the
    whole machine.

    What it withstands: ids that others have brought into the browser (an id that is not known is never
    adopted), cookies from a neighbouring host or from plain http (`__Host-`, RFC 6265bis section 4.1.3.2,
    over https), scripts that read it (`HttpOnly`), most forged requests (`SameSite=Lax`; `Csrf` does
    the rest), shared caches (`Vary: Cookie` where it was touched, `Cache-Control: no-store` where
    it is set), and a request of before a logout that brings back what was ended.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        store: str | Redis = "cookie",
        secret: str | Iterable[str] = (),
        name: str = "sid",
        idle: float = DEFAULT_IDLE_SECONDS,
        lifetime: float = DEFAULT_LIFETIME_SECONDS,
        persistent: bool = True,
        path: str = "/",
        domain: str | None = None,
        same_site: str = "Lax",
        secure: bool | str = "auto",
        session_bytes: int = DEFAULT_SESSION_BYTES,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        key_prefix: str = "breezeway:session:",
        when_away: str = "refuse",
    ) -> None:
        """Take the options.

        `store`: `cookie`, `memory` (one process alone), `sqlite:` and the path of a file, or the URL of a
        Redis server (in Python also a client). `secret`: for `cookie`, what the cookies are signed with,
        16 characters or more; a list has the newest first, and the others are still read. `name`: of the
        cookie; over https it gets `__Host-` in front, or `__Secure-` with another path or a domain.
        `idle`: seconds without use after which a session ends; `lifetime`: seconds after which it ends in
        any case. `persistent`: whether the browser keeps the cookie when it is closed. `path`, `domain`,
        `same_site` (`Lax`, `Strict` or `None`): of the cookie. `secure`: true, false, or `auto`: as
        wsgi.url_scheme is. `session_bytes`: the most that one session may have in a store on the server.
        `memory_bytes`: the most that all may have in `memory`; the one that was used longest ago goes.
        `key_prefix`: of the keys in Redis. `when_away`: with a store that does not answer, `refuse` is
        503 for a request that touches its session, `empty` gives it one that is empty and cannot be changed
        (503 if it tries).

        Raises:
            ValueError: an option is not as described, or what the store needs is not installed.
        """
        self.application = application
        self._idle = checked_seconds("idle", idle)
        self._lifetime = checked_seconds("lifetime", lifetime)
        if when_away not in ("refuse", "empty"):
            raise ValueError(f"when_away is 'refuse' or 'empty', not {when_away!r}")
        self._refuses = when_away == "refuse"
        self._https, self._http = jars_of(
            name, path, domain, same_site, secure, persistent=persistent
        )
        self._clock = time.time
        self._bytes = session_bytes
        self._in_cookie = store == "cookie"
        self._one_process = store == "memory"
        self._is_never_away = store in ("cookie", "memory")
        self._backing = backing_of(
            store, secret, name, session_bytes, memory_bytes, key_prefix, lambda: self._clock()
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application with a session, and save what it has changed."""
        environ[KEY] = session = Session(self, environ)
        if self._one_process and environ["wsgi.multiprocess"]:
            self._one_process = False
            log.warning(
                "sessions in memory are those of one process: another worker, or the next one, has its own"
            )

        def start(status: str, headers: Headers, exc_info: Any = None, /) -> Any:
            if session.is_touched:
                headers = self._finished(session, headers)
                if session.read_only and self._refuses and status[:3] == "500":
                    # A framework has made a page of the error that the store is away.
                    status, headers = AWAY, replaced(headers, *RETRY)
            session.is_sent = True
            if exc_info is None:
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        try:
            blocks = self.application(environ, start)
        except StoreAwayError:
            if session.is_sent:
                raise
            return unavailable(environ, start_response)
        if session.is_sent or self._is_never_away:
            return blocks
        return StartsLate(blocks, session, environ, start_response)

    def close(self) -> None:
        """Close the files or connections of the store; whoever comes later opens them again."""
        store = getattr(self._backing, "store", None)
        if store is not None:
            store.close()

    # --- what a session asks for --------------------------------------------------------------------

    def load(self, session: Session) -> Record | None:
        """Return what there is for the cookie of a request."""
        value = find_cookie(session.cookies, self._jar(session).name)
        if not value:
            return None
        session.value = value
        now = self._clock()
        try:
            record = self._backing.load(value, now)
        except StoreAwayError as error:
            session.read_only = True
            log.debug("%s", error)
            if self._refuses:
                raise
            return None
        if record is not None and record.created + self._lifetime <= now:
            return None
        return record

    def refuse(self, session: Session) -> None:
        """Raise an error for a change of a session that cannot be changed."""
        raise StoreAwayError("the session cannot be changed: its store is away")

    # --- saving -------------------------------------------------------------------------------------

    def _finished(self, session: Session, headers: Headers) -> Headers:
        """Save a session that was touched; return the fields with what has to be said of it."""
        if not session.read_only and not session.is_lost:
            try:
                self._save(session)
            except Exception as error:  # the page that says so must not fail for the same reason
                session.is_lost = True
                session.read_only = isinstance(error, StoreAwayError)
                raise
        headers = with_vary(headers, "Cookie")
        if session.cookie is None:
            return headers
        return with_cookie(headers, session.cookie)

    def _save(self, session: Session) -> None:
        backing, record, value = self._backing, session.record, session.value
        if record is not None and (session.ends or session.is_empty):
            assert value is not None
            backing.delete(value)
            record = None
        if session.is_empty:
            if value is not None and (session.ends or session.record is not None):
                session.cookie = self._jar(session).removed
                session.saved(None, None)
            return
        now = int(self._clock())
        text = session.text()
        rotates = session.rotates or record is None
        created = now if rotates or record is None else record.created
        new = Record(text, created, min(now + self._idle, created + self._lifetime))
        changes = record is None or text != record.text
        if not rotates and not changes and record is not None:
            if new.expires - record.expires <= self._idle // REFRESH_SHARE:
                return
            self._keep(session, new, self._touched(value, new))
            return
        self._check_size(text)
        if record is None or value is None:
            self._keep(session, new, backing.create(new))
        else:
            self._keep(session, new, (backing.move if rotates else backing.replace)(value, new))

    def _touched(self, value: str | None, record: Record) -> str | None:
        assert value is not None
        try:
            return self._backing.touch(value, record)
        except StoreAwayError:
            return value  # a later request will do it

    def _keep(self, session: Session, record: Record, value: str | None) -> None:
        """Note what is kept under which cookie, and have the cookie set if it is another one."""
        if value is None:
            session.is_lost = True
            log.info("a session was ended by another request; what this one has changed is dropped")
            return
        if value != session.value:
            jar = self._jar(session)
            size = len(jar.name) + len(value)
            if size > LONGEST_COOKIE:
                raise ValueError(
                    f"the session takes {size:,} bytes as a cookie, and browsers keep {LONGEST_COOKIE:,}"
                    " at most: keep less in it, or use a store on the server"
                )
            left = record.created + self._lifetime - int(self._clock())
            session.cookie = jar.cookie(value, left)
        session.saved(record, value)

    def _check_size(self, text: str) -> None:
        if not self._in_cookie and len(text) > self._bytes:
            raise ValueError(
                f"the session takes {len(text):,} bytes, and session_bytes is {self._bytes:,}"
            )

    def _jar(self, session: Session) -> Jar:
        return self._https if session.scheme == "https" else self._http
