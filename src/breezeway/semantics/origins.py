"""Web origins: which of them an operator means, and whether the one of a request is among them.

Browsers write an origin in one way only (RFC 6454 section 6.2): lower case, without the port of the
scheme. What is compared is that text, whole. So an Origin that is written otherwise comes from no
browser, and is among none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from breezeway.semantics.hosts import parse_host

ANY: Final = "*"
NULL: Final = "null"
"""What a browser says for an origin that it will not tell: sandboxed frames and local files, anybody's."""

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

_PRIVATE_DOMAINS: Final = frozenset(
    ["corp", "home", "internal", "intranet", "lan", "local", "localhost", "private", "test"]
)
"""Names without a dot below which nobody can register: RFC 6761, RFC 6762 appendix G, `internal`."""

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.\-]*")

_LABELS: Final = r"(?:[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?\.)+"
"""One or more labels, each with its dot: 63 characters at most, no hyphen at an end (RFC 1123 2.1)."""

_LONGEST: Final = 512
"""Characters of an origin: a name has 253 at most, and what is longer is not looked at."""


class Origins:
    """A set of origins: exact ones, `https://*.example.org` for all below a name, `:*` for any port."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Read patterns such as `https://example.org`, `https://*.example.org:8443`, or `null`.

        Raises:
            ValueError: one of them is malformed; `*` is malformed here.
        """
        if isinstance(patterns, str):
            raise ValueError(f"origins are a list of texts, not {patterns!r}")
        exact, expressions = set(), []
        for pattern in patterns:
            text, is_exact = _read(pattern)
            if is_exact:
                exact.add(text)
            else:
                expressions.append(text)
        self.exact: Final = frozenset(exact)
        self._matches = re.compile("|".join(expressions)).fullmatch if expressions else None

    def __contains__(self, origin: str) -> bool:
        """Whether the text of an Origin field is among them."""
        if origin in self.exact:
            return True
        return (
            self._matches is not None
            and len(origin) <= _LONGEST
            and self._matches(origin) is not None
        )


def _read(pattern: str) -> tuple[str, bool]:
    """Return the origin and True, or the regular expression of a pattern and False."""
    if pattern == NULL:
        return NULL, True
    text = pattern.lower()
    scheme, mark, rest = text.partition("://")
    if not mark or _SCHEME.fullmatch(scheme) is None:
        raise ValueError(f"{pattern!r} is not an origin: it begins with https:// or another scheme")
    if rest.endswith("/"):
        raise ValueError(f"{pattern!r} is not an origin: it has no slash at its end")
    below = rest.startswith("*.")
    rest = rest.removeprefix("*.")
    any_port = rest.endswith(":*")
    host, port = _host(rest.removesuffix(":*"), pattern)
    if below and host.startswith("["):
        raise ValueError(f"{pattern!r} is not an origin: there is nothing below an address")
    if below and "." not in host and host not in _PRIVATE_DOMAINS:
        raise ValueError(f"{pattern!r} would let in everybody below a top-level domain")
    if any_port and port:
        raise ValueError(f"{pattern!r} is not an origin: it has two ports")
    if port and port != _DEFAULT_PORTS.get(scheme):
        host += f":{port}"
    if not below and not any_port:
        return f"{scheme}://{host}", True
    return (
        re.escape(f"{scheme}://")
        + (_LABELS if below else "")
        + re.escape(host)
        + ("(?::[1-9][0-9]{0,4})?" if any_port else "")
    ), False


def _host(text: str, pattern: str) -> tuple[str, str]:
    try:
        name, port = parse_host(text)
        return name, port
    except ValueError:
        pass
    raise ValueError(
        f"{pattern!r} is not an origin, such as https://example.org, https://*.example.org,"
        " http://localhost:* or null"
    )
