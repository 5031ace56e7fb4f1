"""The options of `Proxy`: defaults and checks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, Final

CONNECTIONS: Final = 64
"""To each upstream, of one process: more than a server has threads."""
MOST_CONNECTIONS: Final = 65_535
"""To one address there are no more ports; the pool has a place for each from the beginning."""
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 60.0
"""As proxy_read_timeout of nginx."""
RETRIES: Final = 2
FAILURES: Final = 5
RECOVERY_SECONDS: Final = 10.0
HEALTH_SECONDS: Final = 10.0
LONGEST_SECONDS: Final = 366 * 86_400
"""Of any of these times; the system takes no much longer ones."""
HEAD_BYTES: Final = 64 * 1024
"""Of a response; the servers in use send 8 to 16 KiB at most."""


IDEMPOTENT: Final = frozenset(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
"""RFC 9110 section 9.2.2, without TRACE."""

BALANCES: Final = ("round_robin", "least_connections")

_VIA: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?::[0-9]{1,5})?")
_PATH: Final = re.compile(r"/[!-\"$-~]*")
_HOST: Final = re.compile(r"[A-Za-z0-9.\-_\[\]:]+")


def check(options: dict[str, Any]) -> None:
    """Check what `Proxy` was given.

    Raises:
        ValueError: an option cannot be.
    """
    for name in ("connect_timeout", "read_timeout", "recovery", "health_interval"):
        value = options[name]
        if not _is_number(value) or not 0 < value <= LONGEST_SECONDS:
            raise ValueError(f"{name} must be seconds above 0, a year at most, not {value!r}")
    total = options["total_timeout"]
    if not _is_number(total) or not 0 <= total <= LONGEST_SECONDS:
        raise ValueError(
            f"total_timeout must be seconds, a year at most, or 0 for no limit, not {total!r}"
        )
    for name, least in (
        ("connections", 1),
        ("failures", 1),
        ("retries", 0),
        ("longest_head", 1024),
    ):
        value = options[name]
        if type(value) is not int or value < least:
            raise ValueError(f"{name} must be a whole number from {least} on, not {value!r}")
    if options["connections"] > MOST_CONNECTIONS:
        raise ValueError(
            f"connections must be at most {MOST_CONNECTIONS:,}, not {options['connections']:,}"
        )
    for name in ("rewrite_location", "rewrite_cookies", "verify"):
        if not isinstance(options[name], bool):
            raise ValueError(f"{name} must be true or false, not {options[name]!r}")
    _check_texts(
        **{name: options[name] for name in ("balance", "health_path", "host", "via", "ca_file")}
    )


def urls(upstreams: Any) -> list[Any]:
    """Return the upstreams as a list.

    Raises:
        ValueError: it is empty.
    """
    several = isinstance(upstreams, Iterable) and not isinstance(upstreams, str)
    found = [*upstreams] if several else [upstreams]
    if not found:
        raise ValueError("upstreams must name one at least")
    return found


def _check_texts(balance: Any, health_path: Any, host: Any, via: Any, ca_file: Any) -> None:
    if balance not in BALANCES:
        raise ValueError(f"balance must be {' or '.join(BALANCES)}, not {balance!r}")
    if health_path != "" and not _fits(_PATH, health_path):
        raise ValueError(f"health_path must be a path with a slash in front, not {health_path!r}")
    if not _fits(_HOST, host):
        raise ValueError(f"host must be keep, upstream or a host, not {host!r}")
    if not _fits(_VIA, via):
        raise ValueError(f"via must be a name without spaces, not {via!r}")
    if not isinstance(ca_file, str) or (ca_file and not os.path.isfile(ca_file)):
        raise ValueError(f"ca_file must be a file of certificates in PEM, not {ca_file!r}")


def _fits(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
