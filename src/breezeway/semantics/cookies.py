"""Cookies: reading `Cookie`, and writing `Set-Cookie` (RFC 6265 and its revision, called 6265bis here).

What is written here is kept by browsers, or refused here: a browser drops without a word a cookie that
breaks the rules of its prefix, is too long or has `SameSite=None` without `Secure`.
"""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

from breezeway.semantics.dates import http_date
from breezeway.semantics.fields import Headers, get, members, replaced

LONGEST_COOKIE: Final = 4096
"""Bytes of name and value together that a browser keeps (6265bis section 5.6)."""

LONGEST_ATTRIBUTE: Final = 1024
"""Bytes of the value of an attribute; a longer one is ignored (6265bis section 5.6)."""

SameSite = Literal["Strict", "Lax", "None"]

# cookie-name  = 1*token-char                                            6265bis section 4.1.1
# cookie-value = *cookie-octet / ( DQUOTE *cookie-octet DQUOTE )
# cookie-octet = %x21 / %x23-2B / %x2D-3A / %x3C-5B / %x5D-7E
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OCTETS: Final = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_VALUE: Final = re.compile(rf'{_OCTETS}|"{_OCTETS}"')
# path-value = *av-octet, av-octet = any CHAR except CTLs or ";"
# However, a browser takes a path that does not begin with a slash for none at all.
_PATH: Final = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")
# domain-value = <subdomain>; a name of digits and dots alone would be an address, which is none.
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)(?=.*[A-Za-z])[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*"
)

_SHARED: Final = ("public", "private", "s-maxage")

SECURE_PREFIX: Final = "__Secure-"
HOST_PREFIX: Final = "__Host-"
_HTTP_PREFIXES: Final = ("__http-", "__host-http-")
SECURE_PREFIXES: Final = ("__secure-", "__host-", "__http-")


def parse_cookies(field: str) -> dict[str, str]:
    """Return the cookies of a `Cookie` field by their names, as they are: nothing is unquoted.

    Of several with one name the first counts, which is the one with the longest path (6265bis section
    5.8.3). What has no name is left out. The text is that of an `environ`, a character for each byte.
    """
    cookies: dict[str, str] = {}
    for pair in field.split(";"):
        name, equals, value = pair.partition("=")
        name = name.strip(" \t")
        if equals and name and name not in cookies:
            cookies[name] = value.strip(" \t")
    return cookies


def find_cookie(field: str, name: str) -> str | None:
    """Return the value of one cookie of a `Cookie` field, as `parse_cookies` does; None without it."""
    return parse_cookies(field).get(name) if name in field else None


def set_cookie(
    name: str,
    value: str,
    *,
    max_age: int | None = None,
    expires: float | None = None,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,
    http_only: bool = False,
    same_site: SameSite | None = None,
    partitioned: bool = False,
) -> str:
    """Return the value of a `Set-Cookie` field (6265bis section 4.1).

    `max_age` is in seconds, 0 or less removes the cookie; `expires` is in seconds since the epoch.
    Without both the cookie goes when the browser is closed. Without `path` it is for the directory of
    the request, without `domain` for this host alone.

    Raises:
        ValueError: the field would be malformed, or browsers would drop the cookie; it says why.
    """
    _check_pair(name, value)
    _check_prefix(name, path, domain, secure, http_only)
    parts = [f"{name}={value}"]
    if max_age is not None:
        if type(max_age) is not int:  # browsers ignore an age that is no whole number
            raise ValueError(
                f"cookie {name}: max_age is a whole number of seconds, not {max_age!r}"
            )
        parts.append(f"Max-Age={max(max_age, 0)}")
    if expires is not None:
        # A browser ignores a year before 1601 (6265 section 5.1.1), and would keep the cookie.
        parts.append(f"Expires={http_date(max(int(expires), 0)).decode()}")
    if domain is not None:
        parts.append(f"Domain={_checked_domain(domain)}")
    if path is not None:
        parts.append(f"Path={_checked_path(path)}")
    if same_site is not None:
        if same_site not in get_args(SameSite):
            raise ValueError(f"SameSite is Strict, Lax or None, not {same_site!r}")
        if same_site == "None" and not secure:
            raise ValueError(f"cookie {name}: browsers drop SameSite=None without Secure")
        parts.append(f"SameSite={same_site}")
    if partitioned and not secure:
        raise ValueError(f"cookie {name}: browsers drop Partitioned without Secure")
    flags = (("Secure", secure), ("HttpOnly", http_only), ("Partitioned", partitioned))
    return "; ".join([*parts, *(flag for flag, is_set in flags if is_set)])


def removed_cookie(
    name: str,
    *,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,
    http_only: bool = False,
    same_site: SameSite | None = None,
    partitioned: bool = False,
) -> str:
    """Return the value of a `Set-Cookie` field that removes a cookie.

    It has to have the attributes of the one that is removed: a browser tells cookies apart by name,
    domain, path and partition, and drops what breaks the rules of its prefix here, too.

    Raises:
        ValueError: as `set_cookie` does.
    """
    return set_cookie(
        name,
        "",
        max_age=0,
        expires=0,
        path=path,
        domain=domain,
        secure=secure,
        http_only=http_only,
        same_site=same_site,
        partitioned=partitioned,
    )


def with_cookie(headers: Headers, cookie: str) -> Headers:
    """Return the fields of a response with a `Set-Cookie`, which no shared cache may store."""
    return [*unshared(headers), ("Set-Cookie", cookie)]


def unshared(headers: Headers) -> Headers:
    """Return the fields of a response that no shared cache may store.

    A cache that keeps one visitor's cookie hands it to the next (RFC 9111 section 7.3). Without
    Cache-Control the response gets `no-store`; otherwise what is there becomes `private`.
    """
    value = get(headers, "cache-control")
    if value is None:
        return [*headers, ("Cache-Control", "no-store")]
    told = {member: member.partition("=")[0].strip().lower() for member in members(value)}
    # Private with a list of fields is for those fields alone (RFC 9111 section 5.2.2.7).
    if "no-store" in told.values() or "private" in [member.lower() for member in told]:
        return headers
    kept = [member for member, name in told.items() if name not in _SHARED]
    private = ", ".join(["private", *kept])
    return replaced(headers, "Cache-Control", private)


def _check_pair(name: str, value: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no name of a cookie: letters, digits and !#$%&'*+-.^_`|~")
    if not isinstance(value, str):
        raise TypeError(f"the value of cookie {name} is a text, not {value!r}")
    if _VALUE.fullmatch(value) is None:
        raise ValueError(
            f"the value of cookie {name} has a character that no cookie may have (white space, quotes,"
            " commas, semicolons, backslashes and all beyond ASCII): encode it, such as with base64"
        )
    if len(name) + len(value) > LONGEST_COOKIE:
        raise ValueError(
            f"cookie {name} has {len(name) + len(value):,} bytes with its name; browsers keep"
            f" {LONGEST_COOKIE:,} at most"
        )


def _check_prefix(
    name: str, path: str | None, domain: str | None, secure: bool, http_only: bool
) -> None:
    """Hold a cookie to what its name promises (6265bis section 4.1.3), in any case."""
    lower = name.lower()
    if lower.startswith(SECURE_PREFIXES) and not secure:
        raise ValueError(f"cookie {name}: the prefix demands Secure")
    if lower.startswith(HOST_PREFIX.lower()) and (path != "/" or domain is not None):
        raise ValueError(f"cookie {name}: the prefix demands Path=/ and no Domain")
    if lower.startswith(_HTTP_PREFIXES) and not http_only:
        raise ValueError(f"cookie {name}: the prefix demands HttpOnly")


def _checked_domain(domain: str) -> str:
    name = domain.removeprefix(".")  # which browsers ignore
    if _DOMAIN.fullmatch(name) is None:
        raise ValueError(f"{domain!r} is no domain of a cookie: a name of a host, without a port")
    return name.lower()


def _checked_path(path: str) -> str:
    if _PATH.fullmatch(path) is None or len(path) > LONGEST_ATTRIBUTE:
        raise ValueError(
            f"{path!r} is no path of a cookie: it begins with a slash, has no semicolon and nothing"
            f" beyond ASCII, and {LONGEST_ATTRIBUTE:,} bytes at most"
        )
    return path
