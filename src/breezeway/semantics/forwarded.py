"""Who the client is behind proxies, and what it has asked them for: Forwarded and X-Forwarded-*.

Each proxy adds on the right what it knows of the connection that it has accepted. So the list is
walked from the right, as long as the address belongs to a proxy that is trusted, and what comes next
is the client: the nearest hop that is not trusted. Everything to the left of it is hearsay.

`Forwarded` (RFC 7239) has one list with all that a proxy says. The X-Forwarded family has a list for
each fact, and proxies that overwrite where others append: of scheme, host, port and prefix that value
counts which stands as far from the right as the client, or the leftmost of a shorter list.

What is malformed is refused, not guessed at: docs/proxies.md has the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from breezeway.semantics.environ_keys import UNBELIEVED
from breezeway.semantics.hosts import parse_host, parse_port, port_of
from breezeway.semantics.networks import ALL, Networks, parse_address

MOST_ELEMENTS: Final = 100
"""Of one list: more proxies than that are a loop, or an attack on whoever reads the list."""

KEPT_READINGS: Final = 1024
"""What was read is kept for as many sets of values: reading takes 30 us, and clients come again."""

KEPT_CHARACTERS: Final = 512
"""Longer sets of values are not kept, so that nobody can fill the memory with them."""

DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

_FORWARDED: Final = "HTTP_FORWARDED"
_REAL_IP: Final = "HTTP_X_REAL_IP"
_FAMILY: Final = "HTTP_X_FORWARDED_"

# forwarded-pair = token "=" ( token / quoted-string )                     RFC 7239 section 4
_TCHARS: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PAIR: Final = re.compile(
    rf"({_TCHARS})=(?:({_TCHARS})"
    r'|"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)")'
)
# RFC 7239 section 4: Forwarded = 1#( [ forwarded-pair ] *( ";" [ forwarded-pair ] ) )
# However, white space is taken around the semicolon, too: many write it, and it cannot be misread.
# An empty element is refused: whether it counts as a hop could be read in two ways.
_DELIMITER: Final = re.compile(r"[ \t]*([;,])[ \t]*")
_ESCAPED: Final = re.compile(r"\\(.)")

# node     = nodename [ ":" node-port ]                                    RFC 7239 section 6
# nodename = IPv4address / "[" IPv6address "]" / "unknown" / obfnode
# obfnode  = "_" 1*( ALPHA / DIGIT / "." / "_" / "-" )
_NODE: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})|(?i:unknown)|_[0-9A-Za-z._\-]+)"
    r"(?::(?:([0-9]{1,5})|_[0-9A-Za-z._\-]+))?"
)
_BARE_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}")

_UNIX_NODE: Final = "unix:"
"""What nginx says about a client on a unix socket."""

# path-absolute of RFC 3986 without percent-encoding, and without the comma, which ends a list's element
_PREFIX_FORM: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9\-._~!$&'()*+;=:@]+)*/?")


class ForwardedError(ValueError):
    """What a trusted proxy says is malformed, or contradicts itself; the text is one plain clause."""


class Node(NamedTuple):
    """One hop; `address` is empty for a unix socket and None if it is not told."""

    address: str | None
    port: str = ""


UNKNOWN: Final = Node(None)


class Fields(NamedTuple):
    """The values of the fields; empty where there is none."""

    forwarded: str
    addresses: str
    proto: str
    host: str
    port: str
    prefix: str


_KEYS: Final = (
    _FORWARDED,
    *(_FAMILY + name for name in ("FOR", "PROTO", "HOST", "PORT", "PREFIX")),
)


class Trust:
    """Which proxies are believed."""

    def __init__(self, networks: Iterable[str], hops: int | None = None) -> None:
        """Take the specs of `Networks`, and how many proxies there are at most.

        `*` believes whoever connects. The addresses in the fields it only believes together with
        `hops`, for without an end the client could put any address to their left.

        Raises:
            ValueError: a spec is malformed.
        """
        specs = tuple(networks)
        self.most = hops or MOST_ELEMENTS
        """At how many hops from the right the client is at the latest."""
        self.assumed = hops or 1
        """The same, when no address tells."""
        peers = Networks(specs)
        hop_networks = peers if hops else Networks(spec for spec in specs if spec != ALL)
        self.has_peer = lru_cache(KEPT_READINGS)(peers.__contains__)
        """Whether the other end of a connection is believed; empty: it is a unix socket."""
        self.has_hop = hop_networks.__contains__
        """Whether an address in a list is that of a proxy that is believed."""
        self._read_short = lru_cache(KEPT_READINGS)(partial(_read, self))

    def read(self, fields: Fields) -> Told:
        """Read what a trusted peer says.

        Raises:
            ForwardedError: it is malformed, or the two families contradict each other.
        """
        if sum(map(len, fields)) > KEPT_CHARACTERS:
            return _read(self, fields)
        return self._read_short(fields)


@dataclass(frozen=True, slots=True)
class Told:
    """What the trusted proxies say; empty where they say nothing."""

    client: Node = UNKNOWN
    scheme: str = ""
    host: str = ""
    port: str = ""
    prefix: str = ""
    name: str = ""
    """The host without its port."""


def settle(environ: MutableMapping[str, Any], trust: Trust) -> bool:
    """Make an environ tell about the client if its peer is trusted; take the fields away either way.

    Where they were not believed, `UNBELIEVED` stays behind: the peer may be a proxy all the same.

    The fields go because they have had their effect: a framework that looked at them again would
    count hops from the wrong end, or believe what was not. Returns whether the peer is trusted.

    Raises:
        ForwardedError: the peer is trusted, and what it says cannot be; nothing was changed.
    """
    trusted = trust.has_peer(environ.get("REMOTE_ADDR", ""))
    if trusted:
        get = environ.get
        fields = Fields(*[get(key, "") for key in _KEYS])
        if any(fields):
            _apply(trust.read(fields), environ)
    told = [environ.pop(key, None) for key in (*_KEYS, _REAL_IP)]
    if _FAMILY in " ".join(environ):  # in one look: others of the family are rare
        family = [key for key in environ if key.startswith(_FAMILY)]
        told += [environ.pop(key) for key in family]
    if trusted:
        environ.pop(UNBELIEVED, None)  # of fields that are not this proxy's to set
    elif any(told):
        environ[UNBELIEVED] = True
    return trusted


def _read(trust: Trust, fields: Fields) -> Told:
    family = _read_family(trust, fields)
    if not fields.forwarded:
        return family
    standard = _read_forwarded(trust, fields.forwarded)
    if fields.addresses or fields.proto or fields.host:
        _compare(standard, family)
    return replace(standard, port=family.port, prefix=family.prefix)


def _compare(standard: Told, family: Told) -> None:
    """Want both families to say the same, for one of them may be the client's own."""
    for name, one, other in (
        ("client", standard.client.address, family.client.address),
        ("scheme", standard.scheme, family.scheme),
        ("host", standard.host.lower(), family.host.lower()),
    ):
        if one != other:
            raise ForwardedError(f"Forwarded and X-Forwarded fields contradict about the {name}")


def _apply(told: Told, environ: MutableMapping[str, Any]) -> None:
    """Write into an environ what the proxies say (RFC 3875 section 4.1, PEP 3333)."""
    if told.client.address is not None:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = told.client
        environ.pop("REMOTE_HOST", None)  # the name of the proxy, which some servers look up
    if told.scheme:
        environ["wsgi.url_scheme"] = told.scheme
        environ.pop("HTTPS", None)
        if told.scheme == "https":
            environ["HTTPS"] = "on"
    if told.host:
        environ["HTTP_HOST"] = told.host
        environ["SERVER_NAME"] = told.name
    if told.scheme or told.host or told.port:
        host = environ.get("HTTP_HOST", "").removesuffix(":")
        default = DEFAULT_PORTS[environ["wsgi.url_scheme"]]
        asked = port_of(host)
        environ["SERVER_PORT"] = told.port or asked or default
        if host and not asked and environ["SERVER_PORT"] != default:
            environ["HTTP_HOST"] = f"{host}:{told.port}"
    environ["SCRIPT_NAME"] = told.prefix + environ.get("SCRIPT_NAME", "")


# --- X-Forwarded-* -------------------------------------------------------------------------------


def _read_family(trust: Trust, fields: Fields) -> Told:
    client, depth = UNKNOWN, trust.assumed
    if fields.addresses:
        items = _items(fields.addresses, "X-Forwarded-For")
        client, depth = _walk((_node(item, bare=True) for item in reversed(items)), trust)

    def pick(value: str, name: str) -> str:
        items = _items(value, name)
        return items[-min(depth, len(items))]

    _, _, proto, host, port, prefix = fields
    scheme = _scheme(pick(proto, "X-Forwarded-Proto")) if proto else ""
    host, name = _host(pick(host, "X-Forwarded-Host")) if host else ("", "")
    port = _port(pick(port, "X-Forwarded-Port")) if port else ""
    prefix = _prefix(pick(prefix, "X-Forwarded-Prefix")) if prefix else ""
    return Told(client, scheme, host, port, prefix, name)


def _items(value: str, name: str) -> list[str]:
    if value.count(",") >= MOST_ELEMENTS:
        raise ForwardedError(f"{name} has more than {MOST_ELEMENTS} elements")
    return [item.strip(" \t") for item in value.split(",")]


def _walk(nodes: Iterator[Node], trust: Trust) -> tuple[Node, int]:
    """Return the client, and how far from the right it stands.

    If it has no address, it goes by that of the proxy that says so.
    """
    client, depth = UNKNOWN, 0
    for depth, node in enumerate(nodes, 1):
        if node.address is None:
            break
        client = node
        if depth >= trust.most or not trust.has_hop(node.address):
            break
    return client, depth


def _node(text: str, *, bare: bool = False) -> Node:
    """Read one hop; `bare` takes an IPv6 address without brackets, too, and what nginx says."""
    if bare and text == _UNIX_NODE:
        return Node("")
    if bare and text.count(":") > 1 and _BARE_IPV6.fullmatch(text):
        return Node(_address(text))
    match = _NODE.fullmatch(text)
    if match is None:
        raise ForwardedError("a forwarded address is malformed")
    ipv6, ipv4, port = match.groups()
    return Node(
        _address(ipv6, 6) if ipv6 else _address(ipv4, 4) if ipv4 else None,
        _port(port) if port else "",
    )


def _address(text: str, version: int = 6) -> str:
    try:
        if (":" in text) is (version == 6):
            return str(parse_address(text))
    except ValueError:
        pass
    raise ForwardedError("a forwarded address is malformed")


def _scheme(text: str) -> str:
    scheme = text.lower()
    if scheme not in DEFAULT_PORTS:
        raise ForwardedError("the forwarded scheme is neither http nor https")
    return scheme


def _host(text: str) -> tuple[str, str]:
    """Return a host as it is, and its name alone."""
    try:
        name = parse_host(text).name
    except ValueError:
        raise ForwardedError("the forwarded host is malformed") from None
    if text.endswith(":"):
        raise ForwardedError("the forwarded host is malformed")
    return text, name


def _port(text: str) -> str:
    try:
        return parse_port(text)
    except ValueError:
        raise ForwardedError("a forwarded port is malformed") from None


def _prefix(text: str) -> str:
    """Read a prefix of the path; a slash at its end belongs to PATH_INFO."""
    if _PREFIX_FORM.fullmatch(text) is None:
        raise ForwardedError("the forwarded prefix is malformed")
    return text.removesuffix("/")


# --- Forwarded -----------------------------------------------------------------------------------


def _read_forwarded(trust: Trust, value: str) -> Told:
    elements = parse_forwarded(value)
    client, depth = _walk((_node(each.get("for", "unknown")) for each in reversed(elements)), trust)
    said = elements[-depth]
    scheme = _scheme(said["proto"]) if "proto" in said else ""
    host, name = _host(said["host"]) if "host" in said else ("", "")
    return Told(client, scheme, host, name=name)


def parse_forwarded(value: str) -> list[dict[str, str]]:
    """Parse a Forwarded field (RFC 7239 section 4): the parameters of each element, names in lower case.

    The values are without their quotes; parameters of any name are taken.

    Raises:
        ForwardedError: it does not keep to the grammar, or has a parameter twice in an element.
    """
    elements: list[dict[str, str]] = [{}]
    at = 0
    while True:
        pair = _PAIR.match(value, at)
        if pair is not None:
            name, token, quoted = pair.groups()
            if name.lower() in elements[-1]:
                raise ForwardedError("Forwarded has a parameter twice in one element")
            elements[-1][name.lower()] = token or _ESCAPED.sub(r"\1", quoted or "")
            at = pair.end()
        if at == len(value):
            break
        delimiter = _DELIMITER.match(value, at)
        if delimiter is None:
            raise ForwardedError("Forwarded is malformed")
        at = delimiter.end()
        if delimiter[1] == ",":
            if not elements[-1]:
                raise ForwardedError("Forwarded has an empty element")
            if len(elements) == MOST_ELEMENTS:
                raise ForwardedError(f"Forwarded has more than {MOST_ELEMENTS} elements")
            elements.append({})
    if not elements[-1]:
        raise ForwardedError("Forwarded has an empty element")
    return elements
