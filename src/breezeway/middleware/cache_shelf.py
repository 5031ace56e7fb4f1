"""What goes into the store of a cache, by which rules and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.cache_entry import Entry, Store
from breezeway.middleware.cache_flights import Invalidations
from breezeway.semantics.caching import Rules, Settings, storage_rules
from breezeway.semantics.fields import Headers, content_length

MOST_KNOWN: Final = 8192
"""Keys, as numbers, that are known for what cannot be stored."""

VALIDATION_SECONDS: Final = 60 * 60
"""A response with a validator is kept so long after its end: a 304 is cheap to get."""


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
        self.uncacheable: set[int] = set()
        """Hashes of the keys whose last response was not for the store."""

    def rules(self, status: str, headers: Headers, environ: WSGIEnvironment) -> Rules | None:
        """Return how a response is to be stored, None if it is not."""
        authorized = "HTTP_AUTHORIZATION" in environ
        rules = storage_rules(
            int(status[:3]), headers, self.settings, self.clock(), authorized=authorized
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
        self.store.put(key, environ, entry, max(0.0, rules.lifetime - entry.age) + more)

    def forget(self, key: str) -> bool:
        """Invalidate a key, also for what is under way; return whether something was stored."""
        self.invalidations.add(key)
        return self.store.delete(key)

    def note(self, key: str, *, cacheable: bool) -> None:
        """Remember whether the last response to a key was for the store."""
        if cacheable:
            self.uncacheable.discard(hash(key))
            return
        if len(self.uncacheable) >= MOST_KNOWN:
            self.uncacheable.clear()
        self.uncacheable.add(hash(key))
