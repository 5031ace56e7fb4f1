"""What a gateway takes off a message, and what it adds (RFC 9110 section 7.6, RFC 7239)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from breezeway.semantics.fields import HOP_BY_HOP, Headers, members
from breezeway.semantics.networks import parse_address

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def end_to_end(headers: Headers) -> Headers:
    """Return the fields that go on to the next hop; those that Connection names do not, either."""
    dropped: frozenset[str] | set[str] = HOP_BY_HOP
    for name, value in headers:
        if name.lower() == "connection":
            dropped = dropped | {option.lower() for option in members(value)}
    return [field for field in headers if field[0].lower() not in dropped]


class Said(NamedTuple):
    """What a gateway says about the client; empty where it does not know."""

    address: str
    """An IP address; empty for a unix socket."""
    scheme: str
    host: str
    """As in the Host field."""
    port: str
    prefix: str
    """What was taken off the front of the path, with a slash in front, percent-encoded."""


def forwarded_fields(said: Said) -> Headers:
    """Make `Forwarded` (RFC 7239) and its X-Forwarded kin, which say the same."""
    address = _plain_address(said.address)
    node = f"[{address}]" if ":" in address else address or "unknown"
    element = f"for={_quoted(node)};proto={said.scheme}"
    fields = [("X-Forwarded-Proto", said.scheme)]
    if address:
        fields.append(("X-Forwarded-For", address))
    if said.host:
        element += f";host={_quoted(said.host)}"
        fields.append(("X-Forwarded-Host", said.host))
    if said.port:
        fields.append(("X-Forwarded-Port", said.port))
    if said.prefix:
        fields.append(("X-Forwarded-Prefix", said.prefix))
    return [("Forwarded", element), *fields]


@lru_cache(1024)  # clients come again
def _plain_address(text: str) -> str:
    try:
        return str(parse_address(text.partition("%")[0])) if text else ""
    except ValueError:
        return ""


def _quoted(text: str) -> str:
    if _TOKEN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
