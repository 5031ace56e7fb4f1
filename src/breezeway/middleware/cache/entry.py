"""What a cache keeps of a response, and the two ways to keep it: in memory and in Redis."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol
from wsgiref.types import WSGIEnvironment

from breezeway.semantics.caching import (
    Rules,
    Settings,
    freshened,
    initial_age,
    parse_date,
    storage_rules,
    stored_headers,
)
from breezeway.semantics.dates import http_date
from breezeway.semantics.fields import Headers, content_length, get, replaced
from breezeway.semantics.validators import Validators

WITHOUT_CONTENT: Final = ("204", "205")


class Entry(NamedTuple):
    """A stored response."""

    status: str
    headers: Headers
    body: bytes
    received: float
    """When it came, in seconds since the epoch."""
    age: float
    """How old it was then, in seconds."""
    rules: Rules

    def age_at(self, now: float) -> float:
        """Return its age in seconds (RFC 9111 section 4.2.3).

        If it came in the future, a clock was set back: it must not be fresh until then.
        """
        return self.age + abs(now - self.received)

    @property
    def validators(self) -> Validators:
        """Return its validators; a Date stands in for a Last-Modified (RFC 9111 section 4.3.2)."""
        modified = get(self.headers, "last-modified") or get(self.headers, "date") or ""
        return Validators(get(self.headers, "etag"), parse_date(modified))


class Store(Protocol):
    """Where entries are kept, by the key of a URL and of a variant; safe for threads."""

    def get(
        self, key: str, environ: WSGIEnvironment
    ) -> tuple[tuple[str, ...] | None, Entry | None]:
        """Return the names of Vary, None if nothing is known of the URL, and the entry selected."""

    def put(self, key: str, environ: WSGIEnvironment, entry: Entry, keep: float) -> None:
        """Keep an entry for some seconds; of a URL's variants those with another Vary go."""

    def delete(self, key: str) -> bool | None:
        """Forget all variants of a URL; return whether there were any, None if that cannot be done."""

    def clear(self) -> None:
        """Forget everything."""

    def forked(self) -> None:
        """Go on in a process that was just forked, without the threads that may hold a lock."""


def make_entry(
    status: str, headers: Headers, body: bytes, rules: Rules, asked: float, now: float
) -> Entry:
    """Make an entry of a response that was asked for and has come at these times."""
    kept = stored_headers(headers, rules, now)
    if content_length(kept) is None and not status.startswith(WITHOUT_CONTENT):
        kept.append(("Content-Length", str(len(body))))
    return Entry(status, kept, body, now, initial_age(headers, asked, now), rules)


def renewed(
    entry: Entry, update: Headers, settings: Settings, asked: float, now: float, *, authorized: bool
) -> tuple[Entry, bool]:
    """Return an entry as a 304 has made it (RFC 9111 section 4.3.4), and whether it may be kept."""
    if parse_date(get(update, "date") or "") is None:
        update = replaced(update, "Date", http_date(now).decode())
    headers = freshened(entry.headers, update)
    age = initial_age(update, asked, now)
    rules = storage_rules(int(entry.status[:3]), headers, settings, now, authorized=authorized)
    kept = entry._replace(headers=headers, received=now, age=age)
    return (kept, False) if rules is None else (kept._replace(rules=rules), True)
