"""What goes into the store of a cache, by which rules and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.cache.entry import Entry, Store
from breezeway.middleware.cache.flights import Invalidations
from breezeway.semantics.caching import Rules, Settings, cache_key, storage_rules
from breezeway.semantics.fields import Headers, content_length

MOST_KNOWN: Final = 8192
"""Keys that are known for what is not to be stored."""

LONGEST_KNOWN: Final = 256
"""Characters of such a key: with it, all of them take 2 MB at most."""

LEAST_SECONDS: Final = 10.0
"""Something stored is kept for so long, since a client may take what is stale (`max-stale`)."""

VALIDATION_SECONDS: Final = 60 * 60
"""A response with a validator is kept so long after its end: a 304 is cheap to get."""


def is_authorized(environ: WSGIEnvironment) -> bool:
    """Tell whether a request is somebody's; a server that checks passwords may hide the field."""
    return "HTTP_AUTHORIZATION" in environ or bool(environ.get("REMOTE_USER"))


class Shelf:
    """The store, and what goes into it."""

    def __init__(
        self, store: Store, settings: Settings, largest: int, clock: Callable[[], float]
    ) -> None:
        self.store = store
        self.settings = settings
        self.largest = largest
        self.clock = clock
        self.invalidations = Invalidations()
        self.telling = {"cache-control", "expires", *settings.targeted}
        """Fields without one of which nothing is stored, in lower case."""
        if settings.heuristic:
            self.telling.add("last-modified")
        self.uncacheable: set[str] = set()
        """The keys whose last response was not for the store: they are not looked up there,
        and nobody waits for another one's answer."""

    def rules(self, status: str, headers: Headers, environ: WSGIEnvironment) -> Rules | None:
        """Return how a response is to be stored, None if it is not."""
        rules = storage_rules(
            int(status[:3]), headers, self.settings, self.clock(), authorized=is_authorized(environ)
        )
        if rules is not None and (content_length(headers) or 0) > self.largest:
            return None
        return rules

    def keep(self, key: str, environ: WSGIEnvironment, entry: Entry, began: float) -> None:
        """Store an entry, unless it was invalidated since it was asked for."""
        if self.invalidations.since(key, began):
            return
        rules = entry.rules
        more = max(rules.stale_while_revalidate, rules.stale_if_error)
        etag, _ = entry.validators
        if etag is not None or any(name.lower() == "last-modified" for name, _ in entry.headers):
            more = max(more, VALIDATION_SECONDS)
        keep = max(0.0, rules.lifetime - entry.age) + more
        self.store.put(key, environ, entry, max(LEAST_SECONDS, keep))
        self.uncacheable.discard(key)
        if self.invalidations.since(
            key, began
        ):  # just now: it may have found nothing to delete yet
            self.store.delete(key)

    def forget(self, key: str) -> bool | None:
        """Invalidate a key, also for what is under way; return what `Store.delete` does."""
        self.invalidations.add(key)
        return self.store.delete(key)

    def note(self, key: str) -> None:
        """Remember that a response was not for the store, of a URL of which nothing is stored."""
        if len(key) > LONGEST_KNOWN:
            return
        if len(self.uncacheable) >= MOST_KNOWN:
            self.uncacheable.clear()
        self.uncacheable.add(key)

    def look_again(self, status: str, headers: Headers, environ: WSGIEnvironment) -> None:
        """Look whether what was not for the store is by now, so that the next response is stored."""
        if self.rules(status, headers, environ) is not None:
            self.uncacheable.discard(cache_key(environ))
