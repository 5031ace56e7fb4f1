"""What keeps sessions: the seam between `Sessions` and the places where their content may be.

A backing works with values of the cookie. The one of signed cookies has the content in that value;
`OnServer` has a random id there, and the content in a store under the SHA-256 of the id, so that who
reads the store, or a copy of it, has no id to come with.

An id that is not in the store is never adopted: what a client makes up, or somebody has put into its
cookies, opens nothing and is given to nobody (session fixation). A session that has ended, by `clear()`,
by `rotate()` or by its age, cannot be written again by a request that has read it before: `replace` and
`move` change what there is, in one step, and make nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final, NamedTuple, Protocol

ID_BYTES: Final = 32
"""256 random bits: nobody guesses one (OWASP asks for 64)."""

ID_LENGTH: Final = 43
"""Characters of an id in base64url."""


class StoreAwayError(RuntimeError):
    """Sessions cannot be read or written now."""


class Record(NamedTuple):
    """The content of a session."""

    text: str
    """JSON, ASCII."""

    created: int
    """When the session began, or was rotated; seconds since the epoch."""

    expires: int
    """When it ends if nobody uses it until then; seconds since the epoch."""


class Backing(Protocol):
    """Sessions by the value of their cookie. All methods may raise `StoreAwayError`."""

    def load(self, value: str, now: float) -> Record | None:
        """Return a session that has not ended; `value` is anything that a client may say."""

    def create(self, record: Record) -> str:
        """Begin a session; return the value of its cookie."""

    def replace(self, value: str, record: Record) -> str | None:
        """Change a session; return the value of its cookie, None if it has ended meanwhile."""

    def move(self, value: str, record: Record) -> str | None:
        """Change a session, and its id; return as `replace` does. The old id opens nothing any more."""

    def touch(self, value: str, record: Record) -> str | None:
        """Give a session another time of its end, and leave its content; return as `replace` does."""

    def delete(self, value: str) -> None:
        """End a session."""


class Store(Protocol):
    """Sessions by a key, the hexadecimal SHA-256 of an id. All methods may raise `StoreAwayError`."""

    def load(self, key: str, now: float) -> Record | None:
        """Return a record whose end is after `now`."""

    def create(self, key: str, record: Record, now: float) -> None:
        """Keep a new record."""

    def replace(self, key: str, record: Record, now: float) -> bool:
        """Change a record if it is there, in one step; say whether it was."""

    def move(self, old: str, new: str, record: Record, now: float) -> bool:
        """Take a record away, and if it was there keep the new one; say whether it was."""

    def touch(self, key: str, expires: int, now: float) -> bool:
        """Change the end of a record if it is there; say whether it was."""

    def delete(self, key: str) -> None:
        """Take a record away if it is there."""

    def close(self) -> None:
        """Close what is open."""


class OnServer:
    """Sessions in a store; the cookie has an id."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """`clock` returns the seconds since the epoch."""
        self.store = store
        self._clock = clock

    def load(self, value: str, now: float) -> Record | None:
        """Look a session up; see `Backing`."""
        return self.store.load(_key(value), now) if len(value) == ID_LENGTH else None

    def create(self, record: Record) -> str:
        """Begin a session under a new id."""
        value = secrets.token_urlsafe(ID_BYTES)
        self.store.create(_key(value), record, self._clock())
        return value

    def replace(self, value: str, record: Record) -> str | None:
        """Change a session."""
        return value if self.store.replace(_key(value), record, self._clock()) else None

    def move(self, value: str, record: Record) -> str | None:
        """Change a session, and its id."""
        new = secrets.token_urlsafe(ID_BYTES)
        moved = self.store.move(_key(value), _key(new), record, self._clock())
        return new if moved else None

    def touch(self, value: str, record: Record) -> str | None:
        """Give a session another time of its end."""
        return value if self.store.touch(_key(value), record.expires, self._clock()) else None

    def delete(self, value: str) -> None:
        """End a session."""
        self.store.delete(_key(value))


class Clock(Protocol):
    """Returns the seconds since the epoch."""

    def __call__(self) -> float:
        """Return them."""


def _key(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
