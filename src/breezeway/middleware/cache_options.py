"""What the options of a cache must be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

from breezeway.middleware.cache_entry import Store
from breezeway.middleware.cache_memory import MemoryStore
from breezeway.middleware.cache_redis import RedisStore
from breezeway.semantics.caching import Settings
from breezeway.semantics.networks import Networks

_TOKEN: Final = re.compile(r"[A-Za-z][!#$%&'*+\-.^_`|~:/0-9A-Za-z]*")
_GLOB: Final = re.compile(r"[*?\[\]\\]")


def number(name: str, value: object, least: float, most: float = 2**53) -> int | float:
    """Want a number."""
    if type(value) not in (int, float) or not isfinite(value) or not least <= value <= most:  # type: ignore[arg-type, operator]
        at_most = f" to {most:g}" if most < 2**53 else " or more"
        raise ValueError(f"{name} must be a number, {least:g}{at_most}, not {value!r}")
    return value  # type: ignore[return-value]


def whole(name: str, value: object, least: int) -> int:
    """Want a whole number."""
    if type(value) is not int or value < least:
        raise ValueError(f"{name} must be a whole number, {least} or more, not {value!r}")
    return value


def token(name: str, value: object) -> str:
    """Want a name that needs no quotes in a structured field (RFC 9651 section 3.3.4), or nothing."""
    if not isinstance(value, str) or (value and _TOKEN.fullmatch(value) is None):
        raise ValueError(f"{name} must be a name such as Breezeway, or empty, not {value!r}")
    return value


def texts(name: str, value: object) -> tuple[str, ...]:
    """Want a text, or some."""
    found = (value,) if isinstance(value, str) else tuple(value) if _is_iterable(value) else (None,)  # type: ignore[arg-type]
    if not all(isinstance(each, str) and each for each in found):
        raise ValueError(f"{name} must be a text or a list of texts, not {value!r}")
    return found  # type: ignore[return-value]


def networks(name: str, value: object) -> Networks | None:
    """Want networks; None if there are none."""
    specs = texts(name, value)
    try:
        return Networks(specs) if specs else None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def make_store(redis: Any, prefix: object, size: object, largest: int, variants: object) -> Store:
    """Make the store that the options name."""
    most = whole("variants", variants, 1)
    if not isinstance(prefix, str) or not prefix or _GLOB.search(prefix):
        raise ValueError(f"prefix must be a text without *, ?, [, ] and \\, not {prefix!r}")
    if redis is not None:
        return RedisStore(redis, prefix, most)
    if whole("size", size, 1) < largest:
        raise ValueError(f"size must be at least largest, {largest} bytes, not {size!r}")
    return MemoryStore(whole("size", size, 1), most)


def checked_settings(
    targeted: object, heuristic: object, stale_while_revalidate: object, stale_if_error: object
) -> Settings:
    """Make the settings of the rules."""
    return Settings(
        tuple(name.lower() for name in texts("targeted", targeted)),
        number("heuristic", heuristic, 0, 1),
        whole("stale_while_revalidate", stale_while_revalidate, 0),
        whole("stale_if_error", stale_if_error, 0),
    )


def _is_iterable(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (bytes, dict))
