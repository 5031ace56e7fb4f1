"""The options of `Sessions`: checked, and made into the store and the cookies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from breezeway.middleware.sessions.cookie import SignedCookies
from breezeway.middleware.sessions.memory import MemoryStore
from breezeway.middleware.sessions.redis import RedisStore
from breezeway.middleware.sessions.sqlite import SQLiteStore
from breezeway.middleware.sessions.store import Backing, Clock, OnServer, Store
from breezeway.semantics.cookies import (
    HOST_PREFIX,
    SECURE_PREFIX,
    removed_cookie,
    set_cookie,
)

SHORTEST_SECRET: Final = 16
"""Characters; `python -c "import secrets; print(secrets.token_hex(32))"` prints 64."""

LONGEST_SECONDS: Final = 10 * 366 * 86_400

_SQLITE: Final = "sqlite:"
_REDIS: Final = ("redis://", "rediss://", "unix://")


class Jar(NamedTuple):
    """The cookie of sessions over http, or over https."""

    name: str
    removed: str
    """The Set-Cookie field that takes it away."""
    attributes: dict[str, Any]
    persistent: bool

    def cookie(self, value: str, seconds: int) -> str:
        """Return the Set-Cookie field for a session that ends after that many seconds at the latest."""
        max_age = seconds if self.persistent else None
        return set_cookie(self.name, value, max_age=max_age, **self.attributes)


def jars_of(
    name: str,
    path: str,
    domain: str | None,
    same_site: str,
    secure: bool | str,
    *,
    persistent: bool,
) -> tuple[Jar, Jar]:
    """Return the cookies over https and over http; raise ValueError if browsers would not keep one."""
    if not isinstance(secure, bool) and secure != "auto":
        raise ValueError(f"secure is true, false or 'auto', not {secure!r}")
    if not isinstance(persistent, bool):
        raise ValueError(f"persistent is true or false, not {persistent!r}")
    for option, value in (
        ("name", name),
        ("path", path),
        ("domain", "" if domain is None else domain),
    ):
        if not isinstance(value, str):
            raise ValueError(f"{option} is a text, not {value!r}")
    prefix = HOST_PREFIX if path == "/" and domain is None else SECURE_PREFIX
    jars = []
    for is_secure in (secure in (True, "auto"), secure is True):
        attributes: dict[str, Any] = {
            "path": path,
            "domain": domain,
            "secure": is_secure,
            "http_only": True,
            "same_site": same_site,
        }
        full = f"{prefix if is_secure else ''}{name}"
        jars.append(Jar(full, removed_cookie(full, **attributes), attributes, persistent))
    return jars[0], jars[1]


def backing_of(
    store: Any,
    secret: str | Iterable[str],
    name: str,
    session_bytes: int,
    memory_bytes: int,
    key_prefix: str,
    clock: Clock,
) -> Backing:
    """Return what keeps the sessions; raise ValueError in plain words."""
    secrets = _checked_secrets(secret)
    checked_bytes("session_bytes", session_bytes)
    checked_bytes("memory_bytes", memory_bytes)
    if not isinstance(key_prefix, str):
        raise ValueError(f"key_prefix is a text, not {key_prefix!r}")
    if store == "cookie":
        if not secrets:
            raise ValueError(
                "sessions in cookies need a secret to sign them with, or another store"
            )
        return SignedCookies(secrets, name)
    if secrets:
        raise ValueError(f"secret is for store = 'cookie'; with {store!r} nothing is signed")
    return OnServer(_store_of(store, memory_bytes, key_prefix), clock)


def _store_of(store: Any, memory_bytes: int, key_prefix: str) -> Store:
    if store == "memory":
        return MemoryStore(memory_bytes)
    if not isinstance(store, str) and hasattr(store, "pipeline"):
        return RedisStore(store, key_prefix)
    if isinstance(store, str) and store.startswith(_REDIS):
        return RedisStore(store, key_prefix)
    if isinstance(store, str) and store.startswith(_SQLITE) and store != _SQLITE:
        path = store.removeprefix(_SQLITE)
        if path == ":memory:":
            raise ValueError(
                "store: each connection would have a database of its own; use 'memory'"
            )
        if path.startswith("//") and not path.startswith("///"):
            raise ValueError(f"store: {store!r} has a host; write sqlite:/path/to/file")
        return SQLiteStore(path)
    raise ValueError(
        "store is 'cookie', 'memory', 'sqlite:' and a path, or a URL of Redis (redis://, rediss://,"
        f" unix://), not {store!r}"
    )


def checked_seconds(option: str, seconds: Any) -> int:
    """Return a time in whole seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ValueError(f"{option} is a number of seconds, not {seconds!r}")
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise ValueError(f"{option} is from 1 to {LONGEST_SECONDS:,} seconds, not {seconds!r}")
    return int(seconds)


def checked_bytes(option: str, number: Any) -> None:
    """Hold an option to be a number of bytes."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"{option} is a number of bytes, not {number!r}")


def _checked_secrets(secret: Any) -> list[str]:
    """Return the secrets; an error never shows one."""
    secrets = [secret] if isinstance(secret, str) else secret
    if not isinstance(secrets, Iterable):
        raise ValueError("secret is a text, or a list of texts with the newest first")
    found = list(secrets)
    for each in found:
        if not isinstance(each, str) or len(each) < SHORTEST_SECRET:
            raise ValueError(f"secret: each is a text of {SHORTEST_SECRET} characters or more")
    return found
