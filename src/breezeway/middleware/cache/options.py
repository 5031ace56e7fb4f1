"""What the options of a cache must be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from breezeway.middleware.cache.entry import Store
from breezeway.middleware.cache.memory import MemoryStore
from breezeway.middleware.cache.redis import RedisStore
from breezeway.middleware.option_checks import texts, whole
from breezeway.semantics.caching import Settings
from breezeway.semantics.networks import Networks

_FIELD_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TOKEN: Final = re.compile(r"[A-Za-z][!#$%&'*+\-.^_`|~:/0-9A-Za-z]*")
_GLOB: Final = re.compile(r"[*?\[\]\\]")


def number(option: str, value: float, most: float | None = None, unit: str = "") -> float:
    """Return a number of at least 0, and at most `most`.

    Raises:
        ValueError: it is something else.
    """
    if type(value) not in (int, float) or not 0 <= value <= (most or float("1e15")):
        bounds = "at least 0" if most is None else f"from 0 to {most:g}"
        of = f" of {unit}" if unit else ""
        raise ValueError(f"{option} must be a number{of}, {bounds}, not {value!r}")
    return float(value)


def token(option: str, value: str) -> str:
    """Return a name that needs no quotes in a structured field (RFC 9651 section 3.3.4), or nothing.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, str) or (value and _TOKEN.fullmatch(value) is None):
        raise ValueError(f"{option} must be a name such as Breezeway, or empty, not {value!r}")
    return value


def networks(option: str, value: str | Iterable[str]) -> Networks | None:
    """Return networks; None if there are none.

    Raises:
        ValueError: one is malformed.
    """
    specs = texts(option, value)
    try:
        return Networks(specs) if specs else None
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


def make_store(redis: Any, prefix: str, size: int, largest: int, variants: int) -> Store:
    """Make the store that the options name.

    Raises:
        ValueError: one of them is not what it has to be.
    """
    whole("variants", variants, 1)
    whole("size", size, 1, unit="bytes")
    if not isinstance(prefix, str) or not prefix or _GLOB.search(prefix):
        raise ValueError(f"prefix must be a text without *, ?, [, ] and \\, not {prefix!r}")
    if redis is not None:
        return RedisStore(redis, prefix, variants)
    if size < largest:
        raise ValueError(f"size must be at least largest, {largest} bytes, not {size!r}")
    return MemoryStore(size, variants)


def checked_settings(
    targeted: str | Iterable[str],
    heuristic: float,
    stale_while_revalidate: int,
    stale_if_error: int,
) -> Settings:
    """Make the settings of the rules.

    Raises:
        ValueError: an option is not what it has to be.
    """
    names = texts("targeted", targeted)
    for name in names:
        if _FIELD_NAME.fullmatch(name) is None:
            raise ValueError(f"targeted: {name!r} is not the name of a field")
    return Settings(
        tuple(name.lower() for name in names),
        number("heuristic", heuristic, 1),
        whole("stale_while_revalidate", stale_while_revalidate, 0, unit="seconds"),
        whole("stale_if_error", stale_if_error, 0, unit="seconds"),
    )
