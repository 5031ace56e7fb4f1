"""Which addresses are meant: networks, as an operator writes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final

from breezeway.semantics.environ_keys import UNBELIEVED

ALL: Final = "*"
UNIX: Final = "unix"

LOOPBACK: Final = ("127.0.0.0/8", "::1", UNIX)
"""This machine."""

_UNSETTLED: Final = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", UNBELIEVED)


class Networks:
    """A set of IP networks; `unix` stands for unix sockets, `*` for everything."""

    def __init__(self, specs: Iterable[str]) -> None:
        """Read texts such as `10.0.0.0/8`, `2001:db8::1`, `unix` or `*`; raise ValueError."""
        self._all = self._unix = False
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for spec in specs:
            if spec == ALL:
                self._all = True
            elif spec == UNIX:
                self._unix = True
            else:
                self._networks.append(_network(spec))

    def __contains__(self, address: object) -> bool:
        """Whether the text of an address is among them; an empty one is that of a unix socket."""
        if self._all:
            return True
        if not address:
            return self._unix
        if not self._networks or not isinstance(address, str):
            return False
        try:
            parsed = parse_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def admit(self, environ: Mapping[str, Any]) -> bool:
        """Tell whether the client of a request is among them.

        While there are fields in which proxies name the client, or have been, nobody has settled who
        that is, and REMOTE_ADDR may be that of a proxy on this machine: then it is nobody in
        particular. They may be forged; but who forges them is only kept out.
        """
        if self._all:
            return True
        if environ.get("REMOTE_ADDR", "") not in self:
            return False
        return not any(key in environ for key in _UNSETTLED)


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address; an IPv4 address in the clothes of IPv6 (RFC 4291 2.5.5.2) becomes IPv4.

    Raises:
        ValueError: it is none.
    """
    address = ipaddress.ip_address(text)
    if address.version == 6 and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _network(spec: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(spec)
    except ValueError:
        pass
    else:
        if network.version == 6 and network.network_address.ipv4_mapped is not None:
            raise ValueError(f"{spec!r} is IPv4 in the clothes of IPv6: write it as IPv4")
        return network
    try:
        wide = ipaddress.ip_network(spec, strict=False)
    except ValueError:
        raise ValueError(
            f"{spec!r} is not a network, such as 10.0.0.0/8 or 2001:db8::/32"
        ) from None
    raise ValueError(f"{spec!r} has bits beyond its prefix: the network is {wide}")
