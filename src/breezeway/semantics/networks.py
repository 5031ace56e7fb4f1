"""Which addresses are meant: networks, as an operator writes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

ALL: Final = "*"
UNIX: Final = "unix"


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

    def __contains__(self, address: str) -> bool:
        """Whether an address is among them; an empty one is that of a unix socket."""
        if self._all:
            return True
        if not address:
            return self._unix
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _network(spec: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(spec)
    except ValueError:
        pass
    try:
        wide = ipaddress.ip_network(spec, strict=False)
    except ValueError:
        raise ValueError(
            f"{spec!r} is not a network, such as 10.0.0.0/8 or 2001:db8::/32"
        ) from None
    raise ValueError(f"{spec!r} has bits beyond its prefix: the network is {wide}")
