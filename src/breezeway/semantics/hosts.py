"""Which host a request asks for, and whether it is one of those that are served here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

MOST_PORT: Final = 65535

LONGEST_NAME: Final = 253
"""Characters of a name (RFC 1035 section 2.3.4, as text)."""

# Host = uri-host [ ":" port ]                                             RFC 9110 section 7.2
# However, of a reg-name just the characters are taken that names of machines have, so no
# percent-encoding and no sub-delims. Underscores are no part of a host name, and yet are in use.
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._~\-]+))(?::([0-9]{0,5}))?")

_PORT_AT_END: Final = re.compile(r":([0-9]{1,5})\Z")


class Host(NamedTuple):
    """A host in the form in which two of them can be compared."""

    name: str
    """In lower case, without the dot at the end of a full name; an IPv6 address in brackets."""

    port: str
    """Without leading zeros; empty if there is none."""


def parse_host(text: str) -> Host:
    """Read a host with or without a port, as the Host field has it.

    Raises:
        ValueError: it is neither a name nor an address, or the port is out of range.
    """
    match = _HOST.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a host")
    address, name, port = match.groups()
    if address is not None:
        name = f"[{ipaddress.IPv6Address(address)}]"
    name = name.lower().removesuffix(".")
    if "" in name.split(".") or len(name) > LONGEST_NAME:
        raise ValueError(f"{text!r} is not a host")
    return Host(name, parse_port(port) if port else "")


def parse_port(text: str) -> str:
    """Read a port; return it without leading zeros.

    Raises:
        ValueError: it is not a number from 1 to 65535.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= MOST_PORT):
        raise ValueError(f"{text!r} is not a port")
    return str(int(text))


def port_of(host: str) -> str:
    """Return the port at the end of a Host field that is known to be well-formed, or nothing."""
    match = _PORT_AT_END.search(host)
    return match[1] if match else ""


class Hosts:
    """A set of hosts: names, `*.` in front of a name for all below it, addresses; with a port or any."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Read patterns such as `example.org`, `*.example.org`, `[::1]:8000`; raise ValueError."""
        self._exact: set[Host] = set()
        self._below: set[Host] = set()
        for pattern in patterns:
            name = pattern.removeprefix("*.")
            try:
                host = parse_host(name)
            except ValueError:
                raise ValueError(
                    f"{pattern!r} is not a host, such as example.org, *.example.org or [::1]"
                ) from None
            (self._exact if name == pattern else self._below).add(host)

    def __contains__(self, text: str) -> bool:
        """Whether the text of a Host field is among them; what is malformed is not."""
        try:
            name, port = parse_host(text)
        except ValueError:
            return False
        if self._has(self._exact, name, port):
            return True
        if not self._below or name.startswith("["):
            return False
        labels = name.split(".")
        return any(
            self._has(self._below, ".".join(labels[start:]), port)
            for start in range(1, len(labels))
        )

    @staticmethod
    def _has(hosts: set[Host], name: str, port: str) -> bool:
        return (name, port) in hosts or (name, "") in hosts
