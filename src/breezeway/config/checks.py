"""What a value must be beyond its kind: a function for each setting whose text has a form.

Each takes the whole value of its setting, a tuple if the setting is repeatable, and raises
`ValueError` with the rest of a sentence that begins with the setting's name.
"""

from __future__ import annotations

import re
from typing import Final

from breezeway.config import address
from breezeway.config.kinds import parse_duration

SHORTEST = 0.001
"""Seconds. The least that a time limit can be; a limit of 0 would refuse everything."""

EVERYWHERE = ""
"""The prefix of a `--request-timeout` that has none."""

SHORTEST_TOKEN: Final = 16
"""Characters. Whoever tries one after the other, as fast as he can, should not be done in a lifetime."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


def bind(specs: tuple[str, ...]) -> None:
    """Want addresses (`breezeway.config.address`), none twice but those with port 0."""
    for spec in specs:
        address.parse(spec)
        if specs.count(spec) > 1 and not spec.endswith(":0"):
            raise ValueError(f"{spec!r} is there twice")


def one_address(spec: str) -> None:
    """Want one address."""
    address.parse(spec)


def statsd(spec: str) -> None:
    """Want an address that datagrams can be sent to."""
    where = address.parse(spec)
    if isinstance(where, address.InheritedSocket) or (
        isinstance(where, address.TcpAddress) and not where.port
    ):
        raise ValueError(f"must be HOST:PORT or unix:PATH, not {spec!r}")


def statsd_prefix(text: str) -> None:
    """Want names with dots between them, or nothing."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]*", text):
        raise ValueError(f"may have letters, digits and . _ - alone, not {text!r}")


def token(text: str) -> None:
    """Want what the field Authorization can carry (RFC 6750 section 2.1), and not too short."""
    if len(text) < SHORTEST_TOKEN:
        raise ValueError(f"must have at least {SHORTEST_TOKEN} characters")
    if not _TOKEN.fullmatch(text):
        raise ValueError("may have letters, digits and - . _ ~ + / alone, and = at its end")


def root_path(path: str) -> None:
    """Want a path that SCRIPT_NAME can be."""
    if path and (not path.startswith("/") or path.endswith("/")):
        raise ValueError(f"must be empty, or start with '/' and not end with it, not {path!r}")
    if not path.isprintable() or "?" in path or "#" in path:
        raise ValueError(f"has a character that no path has: {path!r}")


def server_name(name: str) -> None:
    """Want a host name or an address."""
    if not name or not name.isascii() or not name.isprintable() or set(name) & set(" /?#@,"):
        raise ValueError(f"must be a host name or address, not {name!r}")


def probe_path(path: str) -> None:
    """Want a request-target in origin-form (RFC 9112 section 3.2.1)."""
    if not path.startswith("/"):
        raise ValueError(f"must start with '/', not {path!r}")
    if not path.isascii() or not path.isprintable() or " " in path or "#" in path:
        raise ValueError(f"has a character that no request-target has: {path!r}")


def callable_name(text: str) -> None:
    """Want MODULE:NAME, without a call."""
    module, colon, name = text.partition(":")
    names = [*module.split("."), *name.split(".")]
    if not colon or not all(part.isidentifier() for part in names):
        raise ValueError(f"must name a callable as MODULE:NAME, not {text!r}")


def file_name(path: str) -> None:
    """Want a path that a file can have."""
    if not path or "\0" in path:
        raise ValueError(f"must be the path of a file, not {path!r}")


def file_names(paths: tuple[str, ...]) -> None:
    """Want paths that files can have."""
    for path in paths:
        file_name(path)


def directories(paths: tuple[str, ...]) -> None:
    """Want paths that directories can have."""
    for path in paths:
        if not path or "\0" in path:
            raise ValueError(f"must be the path of a directory, not {path!r}")


def account(name: str) -> None:
    """Want the name or the number of a user or a group."""
    if not name or not name.isprintable() or set(name) & set(" :/"):
        raise ValueError(f"must be a name or a number, not {name!r}")


def control_socket(path: str) -> None:
    """Want a path, or one of two words."""
    if not path or "\0" in path:
        raise ValueError(f"must be a path, 'auto' or 'off', not {path!r}")


def request_timeouts(specs: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Read the texts of `--request-timeout`: pairs of a prefix and seconds, the longest prefix first.

    The prefix of one that has none is `EVERYWHERE`, which every path starts with, and is last.
    """
    found: dict[str, float] = {}
    for spec in specs:
        prefix, equals, text = spec.rpartition("=")
        if equals and not prefix.startswith("/"):
            raise ValueError(f"{spec!r} has a prefix that does not start with '/'")
        if spec.startswith("/") and not equals:
            raise ValueError(f"{spec!r} has no duration: write {spec}=30s")
        seconds = parse_duration(text)
        if seconds < SHORTEST:
            raise ValueError(f"{spec!r} is too short: at least 1ms")
        if prefix in found:
            raise ValueError(f"{prefix or 'the one without a prefix'} is there twice")
        found[prefix] = seconds
    return tuple(sorted(found.items(), key=lambda pair: len(pair[0]), reverse=True))


def request_timeout(specs: tuple[str, ...]) -> None:
    """Want DURATION or /PREFIX=DURATION each, and no prefix twice."""
    request_timeouts(specs)


def prefixes(paths: tuple[str, ...]) -> None:
    """Want beginnings of paths."""
    for path in paths:
        probe_path(path)


def networks(specs: tuple[str, ...]) -> None:
    """Want IP networks or addresses, `unix`, or `*`."""
    if not specs:
        return
    from breezeway.semantics.networks import Networks  # here alone, since few have one

    Networks(specs)


def hosts(patterns: tuple[str, ...]) -> None:
    """Want host names or addresses, with or without a port; a name may have `*.` in front."""
    if not patterns:
        return
    from breezeway.semantics.hosts import Hosts  # here alone, since few have one

    Hosts(patterns)


def statics(specs: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Read the texts of `--static`: pairs of a prefix and a directory, the longest prefix first.

    A prefix is percent-decoded, its bytes as latin-1, as a path of an environ is.
    """
    if not specs:
        return ()
    from urllib.parse import unquote_to_bytes  # here alone, since few have one

    found: dict[str, str] = {}
    for spec in specs:
        prefix, equals, directory = spec.partition("=")
        if not equals or not directory or "\0" in directory:
            raise ValueError(f"{spec!r} has no directory: write /prefix=DIRECTORY")
        probe_path(prefix)
        if "?" in prefix:
            raise ValueError(f"has a character that no path has: {prefix!r}")
        path = unquote_to_bytes(prefix).decode("latin-1").rstrip("/") or "/"
        if path in found:
            raise ValueError(f"{prefix!r} is there twice")
        found[path] = directory
    return tuple(sorted(found.items(), key=lambda pair: len(pair[0]), reverse=True))


def static(specs: tuple[str, ...]) -> None:
    """Want /PREFIX=DIRECTORY each, and no prefix twice."""
    statics(specs)
