"""Where an upstream of `Proxy` is."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlsplit

from breezeway.semantics.hosts import parse_host

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Address(NamedTuple):
    """Where an upstream is."""

    url: str
    scheme: str
    host: str
    """Without brackets; the path of a unix socket."""
    port: int | None
    authority: str
    """As in a Host field."""
    base: str
    """What stands in front of every path, without a slash at its end."""


def parse_address(url: object) -> Address:
    """Read `http://host:port/base`, `https://...` or `unix:/path/of/socket`.

    Raises:
        ValueError: it is none of these.
    """
    wrong = ValueError(
        f"an upstream is a URL such as http://127.0.0.1:9000 or unix:/run/app.sock, not {url!r}"
    )
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        raise wrong
    if url.startswith("unix:/"):
        return Address(url, "unix", url.removeprefix("unix:"), None, "localhost", "")
    try:
        parts = urlsplit(url)
        host, port = parse_host(parts.netloc)
    except ValueError:
        raise wrong from None
    if parts.scheme not in DEFAULT_PORTS or parts.query or parts.fragment:
        raise wrong
    number = int(port) if port else DEFAULT_PORTS[parts.scheme]
    authority = host if number == DEFAULT_PORTS[parts.scheme] else f"{host}:{number}"
    base = parts.path.rstrip("/")
    return Address(url, parts.scheme, host.strip("[]"), number, authority, base)
