"""One session during one request: a mapping that is read when it is touched, and knows what to save."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, MutableMapping
from typing import Any, Final, Protocol
from wsgiref.types import WSGIEnvironment

from breezeway.middleware.sessions.store import Record

log = logging.getLogger("breezeway.middleware")

_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

CSRF_KEY: Final = "_csrf"
"""Where `Csrf` has the secret of its tokens."""

_SCALARS: Final = frozenset([str, int, float, bool, type(None)])


class Keeper(Protocol):
    """What a session asks of `Sessions`."""

    def load(self, session: Session) -> Record | None:
        """Return what there is for the cookie of the request; set `read_only` if there is no telling."""

    def refuse(self, session: Session) -> None:
        """Raise `StoreAwayError` for a session that is `read_only`."""


class Session(MutableMapping[str, Any]):
    """The session of a request, `environ["breezeway.session"]`: a mapping from texts to JSON values.

    Nothing is read, and no cookie looked at, until it is touched. It is saved when the application calls
    `start_response`, if its JSON is another than the one that was read: so changes within lists and
    dictionaries count, too.
    """

    # Most requests touch no session, and pay for no more than the attributes of `__init__`. The environ
    # is none of them: it has the session in it, and a circle would have to wait for the collector.
    _data: dict[str, Any] | None = None
    record: Record | None = None
    """As it was read or saved last; None for a new session."""
    value: str | None = None
    """Of the cookie: the one that the client has, or will have."""
    cookie: str | None = None
    """The Set-Cookie field of this response."""
    read_only: bool = False
    """The store is away: the session is empty, and changes are refused."""
    is_sent: bool = False
    """The application has called start_response."""
    is_lost: bool = False
    """Another request has ended this session meanwhile: nothing of it is saved."""
    rotates: bool = False
    ends: bool = False
    _changed: bool = False
    _lent: bool = False
    """Somebody has got hold of a value that can be changed without our knowing."""
    _told: bool = False

    _keeper: Keeper
    cookies: str
    scheme: str
    _path: str

    def __init__(self, keeper: Keeper, environ: WSGIEnvironment) -> None:
        self.__dict__.update(  # with `__setattr__` for each, all of a request takes 0.6 us more
            _keeper=keeper,
            cookies=environ.get("HTTP_COOKIE", ""),
            scheme=environ["wsgi.url_scheme"],
            _path=environ.get("PATH_INFO", ""),
        )

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _STATE:
            raise AttributeError(
                f'write session["{name}"]: a session is a mapping, and keeps no attribute {name!r}'
            )
        super().__setattr__(name, value)

    # --- the mapping --------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> Any:
        data = self._data
        value = (self._read() if data is None else data)[key]
        if type(value) not in _SCALARS:
            self._lent = True
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a key of a session is text, as JSON has it, not {key!r}")
        self._write()[key] = value

    def __delitem__(self, key: str) -> None:
        if key not in self._read():
            raise KeyError(key)
        del self._write()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __contains__(self, key: object) -> bool:
        return key in self._read()

    def __repr__(self) -> str:
        return f"<Session {'not read yet' if self._data is None else self._data!r}>"

    def clear(self) -> None:
        """End the session, such as at a logout; what is set afterwards begins another, with a new id."""
        self._write().clear()
        self.ends = True

    def rotate(self) -> None:
        """Give the session a new id and a new age, and make the old id worthless; keep the content.

        For every change of rights, a login above all: an id that somebody else has brought into this
        browser, or has read before, must not become the id of who logs in. The tokens of `Csrf` that were
        given out before go with the old id.
        """
        self._write().pop(CSRF_KEY, None)
        self.rotates = True

    # --- for the piece ------------------------------------------------------------------------------

    @property
    def is_touched(self) -> bool:
        """The application has looked at it."""
        return self._data is not None or self.read_only

    @property
    def is_empty(self) -> bool:
        """There is nothing in it."""
        return not self._data

    def text(self) -> str:
        """Return the content as JSON.

        Raises:
            TypeError, ValueError: there is something in it that is not JSON.
        """
        if self.record is not None and not self._changed and not self._lent:
            return self.record.text
        try:
            return _encode(self._data)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"a session takes what is in JSON (text, numbers, true, false, null, lists,"
                f" dictionaries), and something in this one is not: {error}"
            ) from error

    def saved(self, record: Record | None, value: str | None) -> None:
        """Note what is kept now."""
        self.record, self.value = record, value
        self._changed = self.rotates = self.ends = False

    def _read(self) -> dict[str, Any]:
        data = self._data
        if data is None:
            record = self._keeper.load(self)
            data = None if record is None else _decoded(record.text)
            if data is None:
                data, record = {}, None
            self._data, self.record = data, record
        return data

    def _write(self) -> dict[str, Any]:
        data = self._read()
        if self.read_only:
            self._keeper.refuse(self)
        if self.is_sent and not self._told:
            self._told = True
            log.warning(
                "the session was changed after start_response was called, for %r: that is not saved",
                self._path,
            )
        self._changed = True
        return data


_STATE: Final = frozenset(Session.__annotations__)


def _decoded(text: str) -> dict[str, Any] | None:
    """Return what was saved; None, and a line in the log, if that is damaged."""
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("it is no table")
    except (ValueError, RecursionError) as error:
        log.error("a session cannot be read, and is begun anew: %s", error)
        return None
    return data
