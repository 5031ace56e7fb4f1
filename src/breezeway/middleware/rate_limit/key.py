"""Whom a limit counts: which requests it concerns, and under which key.

What a client can vary at will must not make it another client. So an IPv6 address counts by its network,
of which a client has at least a /64 to itself; a path counts by the prefix that an operator has named;
and the value of a field, which anybody can invent, is for clients that were authenticated before.

In doubt a request is limited: one whose path applications read in more ways than one (empty and dot
segments, parameters) is not exempt by its path, and is under a prefix if it is so in one of them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from wsgiref.types import WSGIEnvironment

from breezeway.semantics.networks import Networks, parse_address
from breezeway.semantics.path_prefixes import readings

KeyOf = Callable[[WSGIEnvironment], str | None]
"""Returns the key of a request, None if it is not limited."""

IPV6_PREFIX: Final = 64
"""Bits. What a provider gives to one customer at least (RFC 6177, RFC 7934)."""

KEPT: Final = 4096
"""Readings of addresses and of values of fields; clients come again."""

KEPT_CHARACTERS: Final = 256
"""Longer values are read anew each time, so that nobody can fill the memory with them."""

LONGEST_KEY: Final = 80
"""Characters of a key that is kept as it is: longer ones are hashed."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ODD: Final = re.compile(r"//|/\.{1,2}(?:/|\Z)")


def make_key_of(
    key: str | Iterable[str] | KeyOf,
    ipv6_prefix: int = IPV6_PREFIX,
    paths: Iterable[str] = (),
    exempt_paths: Iterable[str] = (),
    exempt_networks: Iterable[str] = (),
) -> KeyOf:
    """Return the function that tells the key of a request.

    `key` is one of `all`, `address`, `path`, `header:NAME`, several of them, or a function of one's own.

    Raises:
        ValueError: an option is malformed.
    """
    if type(ipv6_prefix) is not int or not 1 <= ipv6_prefix <= 128:
        raise ValueError(f"ipv6_prefix must be a number of bits from 1 to 128, not {ipv6_prefix!r}")
    limited, exempt = read_paths("paths", paths), read_paths("exempt_paths", exempt_paths)
    exempt_networks = texts_of("exempt_networks", exempt_networks)
    try:
        networks = Networks(exempt_networks)
    except ValueError as error:
        raise ValueError(f"exempt_networks: {error}") from None
    if callable(key):
        key_of = _bounded(key)
    else:
        names = texts_of("key", key)
        if not names:
            raise ValueError(
                "key must name what is counted: 'all', 'address', 'path', 'header:NAME'"
            )
        parts = [_part(name, ipv6_prefix, limited) for name in names]
        key_of = (
            parts[0] if len(parts) == 1 else lambda environ: " ".join(p(environ) for p in parts)
        )
    if not limited and not exempt and not exempt_networks:
        return key_of
    is_under_limited, is_under_exempt = make_is_under(limited), make_is_under(exempt)
    is_exempt = lru_cache(KEPT)(networks.__contains__)

    def concerned(environ: WSGIEnvironment) -> str | None:
        path = environ.get("PATH_INFO", "")
        if limited and not any(map(is_under_limited, readings(path))):
            return None
        if is_under_exempt(path) and len(readings(path)) == 1:
            return None
        if exempt_networks and is_exempt(environ.get("REMOTE_ADDR", "")):
            return None
        return key_of(environ)

    return concerned


def _bounded(key_of: KeyOf) -> KeyOf:
    def bounded(environ: WSGIEnvironment) -> str | None:
        key = key_of(environ)
        if key is None:
            return None
        if not isinstance(key, str):
            raise ValueError(f"the function key must return a text or None, not {key!r}")
        return key if len(key) <= LONGEST_KEY else hashed(key)

    return bounded


def _part(name: str, ipv6_prefix: int, paths: tuple[str, ...]) -> Callable[[WSGIEnvironment], str]:
    if name == "all":
        return lambda environ: "all"
    by_address = _by_address(ipv6_prefix)
    if name == "address":
        return by_address
    if name == "path":
        if not paths:
            raise ValueError("the key 'path' counts by the prefixes of the option paths: give some")
        return lambda environ: prefix_of(environ.get("PATH_INFO", ""), paths) or "/"
    kind, _, field = name.partition(":")
    if kind != "header" or _TOKEN.fullmatch(field) is None:
        raise ValueError(f"key must be 'all', 'address', 'path' or 'header:NAME', not {name!r}")
    variable = "HTTP_" + field.upper().replace("-", "_")

    def by_header(environ: WSGIEnvironment) -> str:
        value = environ.get(variable)
        return hashed(value) if value else by_address(environ)

    return by_header


def _by_address(ipv6_prefix: int) -> Callable[[WSGIEnvironment], str]:
    @lru_cache(KEPT)
    def network(address: str) -> str:
        try:
            parsed = parse_address(address)
        except ValueError:
            return hashed(address)
        if parsed.version == 4:
            return str(parsed)
        number = int(parsed) >> (128 - ipv6_prefix) << (128 - ipv6_prefix)
        return f"{ipaddress.IPv6Address(number)}/{ipv6_prefix}"

    def by_address(environ: WSGIEnvironment) -> str:
        address: str = environ.get("REMOTE_ADDR", "")
        return network(address) if ":" in address else address or "unix"

    return by_address


def hashed(value: str) -> str:
    """Return a digest, so that neither a memory nor a store holds keys and passwords of clients."""
    return _kept_digest(value) if len(value) <= KEPT_CHARACTERS else _digest(value)


def _digest(value: str) -> str:
    return blake2b(value.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


_kept_digest = lru_cache(KEPT)(_digest)


# --- paths ---------------------------------------------------------------------------------------


def read_paths(option: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Read prefixes, the longest first; raise ValueError."""
    prefixes = texts_of(option, paths)
    for prefix in prefixes:
        if not prefix.startswith("/") or _ODD.search(prefix):
            raise ValueError(f"{option} must be paths that begin with a slash, not {prefix!r}")
    return tuple(sorted({prefix.rstrip("/") for prefix in prefixes}, key=len, reverse=True))


def make_is_under(prefixes: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a function that tells whether a path is one of the prefixes, or below one."""
    exact, below = frozenset(prefixes), tuple(prefix + "/" for prefix in prefixes)
    return lambda path: path.startswith(below) or path in exact


def prefix_of(path: str, prefixes: tuple[str, ...]) -> str | None:
    """Return the longest prefix that a path is under, in any of its readings."""
    found = [f"{reading}/" for reading in readings(path)]
    for prefix in prefixes:
        if any(reading.startswith(f"{prefix}/") for reading in found):
            return prefix or "/"
    return None


def texts_of(option: str, value: object) -> tuple[str, ...]:
    """Read a text or a list of texts; raise ValueError."""
    texts = (value,) if isinstance(value, str) else value
    if isinstance(texts, Iterable) and not isinstance(texts, (bytes, dict)):
        found = tuple(texts)
        if all(isinstance(text, str) for text in found):
            return found
    raise ValueError(f"{option} must be a text or a list of texts, not {value!r}")
