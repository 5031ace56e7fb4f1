"""The ways to an answer: from the store, from the application, or from waiting for another's."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.cache.entry import Entry
from breezeway.middleware.cache.fetch import Fetch
from breezeway.middleware.cache.flights import Background, Flights, Invalidations
from breezeway.middleware.cache.request import conditional, detached
from breezeway.middleware.cache.shelf import Shelf
from breezeway.middleware.cache.stored_answer import answer_from
from breezeway.semantics.caching import Verdict, Wishes, covers_error, judge, variant
from breezeway.semantics.fields import Headers

MOST_REFRESHES: Final = 4
"""Threads for refreshing in the background; while all are busy, what is stale is served again."""

REFRESH_SECONDS: Final = 60.0
"""A refresh that takes longer is taken for lost, and another one may begin."""

log = logging.getLogger("breezeway.middleware")

_engines: Final[weakref.WeakSet[Engine]] = weakref.WeakSet()


class Engine:
    """Answers GET and HEAD for one cache; the application is told with each call."""

    def __init__(self, shelf: Shelf, wait: float, name: str) -> None:
        self._shelf = shelf
        self._wait = wait
        self._name = name
        self._begin()
        _engines.add(self)
        self._telling = shelf.telling
        self._passed = self.said("fwd=uri-miss")

    def _begin(self) -> None:
        """Have no requests under way."""
        self._flights = Flights(self._wait)
        self._refreshes = Flights(REFRESH_SECONDS)
        self._background = Background(MOST_REFRESHES)

    def forked(self) -> None:
        """Leave to the parent what is the parent's, in a process that was just forked."""
        self._begin()
        self._shelf.invalidations = Invalidations()
        self._shelf.store.forked()

    def said(self, how: str) -> Headers:
        """Return the Cache-Status field (RFC 9211), if there is to be one."""
        return [("Cache-Status", f"{self._name}; {how}")] if self._name else []

    # --- From the store -------------------------------------------------------------------------

    def reuse(
        self,
        application: WSGIApplication,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        key: str,
        entry: Entry,
        wishes: Wishes,
        how: str = "hit",
    ) -> Iterable[bytes] | None:
        """Serve an entry if that is allowed as it is; None if it is not."""
        verdict = judge(entry.rules, entry.age_at(self._shelf.clock()), wishes)
        if verdict is Verdict.VALIDATE:
            return None
        if verdict is Verdict.REFRESH and not self._refresh(application, environ, key, entry):
            return None
        return self.serve(environ, start_response, entry, how)

    def serve(
        self, environ: WSGIEnvironment, start_response: StartResponse, entry: Entry, how: str
    ) -> Iterable[bytes]:
        """Serve an entry."""
        now = self._shelf.clock()
        age = int(entry.age_at(now))
        headers = [*entry.headers, ("Age", str(age))]
        if self._name:
            ttl = f"; ttl={entry.rules.lifetime - age}" if how == "hit" else ""
            headers.append(("Cache-Status", f"{self._name}; {how}{ttl}"))
        return answer_from(entry, environ, start_response, headers, now)

    # --- From the application -------------------------------------------------------------------

    def pass_on(
        self, application: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Let a request through whose answer is not stored, as the last one was not."""

        def start(status: str, headers: Headers, exc_info: Any = None, /) -> Any:
            for name, _ in headers:
                if name.lower() in self._telling:
                    self._shelf.look_again(status, headers, environ)
                    break
            if exc_info is None:
                return start_response(status, [*headers, *self._passed])
            return start_response(status, [*headers, *self._passed], exc_info)

        return application(environ, start)

    def ask(
        self,
        application: WSGIApplication,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        key: str,
        vary: tuple[str, ...] | None,
        entry: Entry | None,
        wishes: Wishes,
    ) -> Iterable[bytes]:
        """Ask the application, or wait for the answer to another who does."""
        how = "fwd=uri-miss" if vary is None else "fwd=vary-miss"
        waits = self._wait > 0 and not wishes.no_cache
        if entry is not None:
            is_fresh = entry.age_at(self._shelf.clock()) < entry.rules.lifetime
            how = "fwd=request" if is_fresh and not entry.rules.revalidate else "fwd=stale"
            # What must be revalidated each time must be so for each request.
            waits = waits and not is_fresh and not entry.rules.revalidate
        elif "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MODIFIED_SINCE" in environ:
            waits = False  # a 304 would be of use to nobody else
        done: Callable[[], object] = bool
        for _ in range(2 if waits else 0):
            name = _flight_name(key, vary, environ)
            leads, flight = self._flights.enter(name)
            if leads:
                done = partial(self._flights.leave, name, flight)
            in_time = leads or self._flights.wait(flight)
            # Meanwhile, or just before, another one may have got it.
            vary, found = self._shelf.store.get(key, environ)
            if found is not None and found != entry:
                said = "hit" if leads else f"{how}; collapsed"
                served = self.reuse(application, environ, start_response, key, found, wishes, said)
                if served is not None:
                    done()
                    return served
                entry = found
            if leads or not in_time or key in self._shelf.uncacheable:
                break
        return self._fetch(application, environ, start_response, key, entry, wishes, how, done)

    def _fetch(
        self,
        application: WSGIApplication,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        key: str,
        entry: Entry | None,
        wishes: Wishes,
        how: str,
        done: Callable[[], object],
    ) -> Iterable[bytes]:
        """Ask the application; an entry that there is, is asked about."""
        shelf = self._shelf
        if entry is None:
            # The application may change its environ, and Vary is about what the client sent.
            asked, received, covers = environ, environ.copy(), False
        else:
            asked, received = conditional(environ, entry), environ
            covers = covers_error(entry.rules, entry.age_at(shelf.clock()), wishes)
        fetch = Fetch(shelf, key, received, start_response, self.said(how), done, entry, covers)
        fetch.is_new = how == "fwd=uri-miss"
        try:
            blocks = fetch.returned(application(asked, fetch.start))
            if fetch.outcome[:3] == "304":
                entry = fetch.renewed()
        except BaseException as error:
            fetch.end()
            if entry is None or not covers or fetch.goes_on or not isinstance(error, Exception):
                raise
            log.exception("The application failed; a stored response stands in")
            return self.serve(environ, start_response, entry, how)
        if not fetch.outcome:
            return blocks
        fetch.end()
        assert entry is not None
        if fetch.outcome[:3] != "304":
            log.warning("A stored response stands in for %s", fetch.outcome)
        how = f"{how}; fwd-status={fetch.outcome[:3]}"
        return self.serve(environ, start_response, entry, how)

    def _refresh(
        self, application: WSGIApplication, environ: WSGIEnvironment, key: str, entry: Entry
    ) -> bool:
        """Ask about an entry in the background; return False if that cannot be."""
        if not environ["wsgi.multithread"] or environ["wsgi.run_once"]:
            return False
        name = _flight_name(key, entry.rules.vary, environ)
        leads, flight = self._refreshes.enter(name)
        if not leads:
            return True
        asked = conditional(detached(environ), entry)
        done = partial(self._refreshes.leave, name, flight)
        fetch = Fetch(self._shelf, key, asked.copy(), _sink, [], done, entry, covers_error=True)

        def refresh() -> None:
            blocks: Iterable[bytes] = ()
            try:
                blocks = fetch.returned(application(asked, fetch.start))
                if fetch.outcome[:3] == "304":
                    fetch.renewed()
                elif fetch.outcome:
                    log.warning("The stored response is not refreshed: %s", fetch.outcome)
                for _ in blocks:
                    pass
            except Exception:
                log.exception("The application failed while a stored response was refreshed")
            finally:
                _close(blocks)
                fetch.end()

        if not self._background.run(refresh):
            done()
        return True


def _flight_name(key: str, vary: tuple[str, ...] | None, environ: WSGIEnvironment) -> str:
    return key if vary is None else f"{key}\n{variant(environ, vary)}"


def _sink(status: str, headers: Headers, exc_info: Any = None, /) -> Callable[[bytes], object]:
    """Start a response that nobody gets."""
    return bool


def _close(blocks: object) -> None:
    close = getattr(blocks, "close", None)
    if close is not None:
        close()


def _fork_all() -> None:
    for engine in list(_engines):
        engine.forked()


os.register_at_fork(after_in_child=_fork_all)
