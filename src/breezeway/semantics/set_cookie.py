"""Reading `Set-Cookie` as a user agent does (RFC 6265 section 5, and its revision, called 6265bis here)."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from typing import Final

from breezeway.semantics.cookies import LONGEST_ATTRIBUTE, LONGEST_COOKIE

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")
_SAME_SITE: Final = {"strict": "Strict", "lax": "Lax", "none": "None"}
_ATTRIBUTES: Final = frozenset(["expires", "max-age", "domain", "path", "samesite"])
_FLAGS: Final = frozenset(["secure", "httponly", "partitioned"])

# delimiter = %x09 / %x20-2F / %x3B-40 / %x5B-60 / %x7B-7E               6265 section 5.1.1
_DELIMITERS: Final = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY: Final = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR: Final = re.compile(r"([0-9]{2,4})(?![0-9])")
_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)

_FIRST_YEAR: Final = 1601


@dataclass(frozen=True, slots=True)
class SetCookie:
    """What one `Set-Cookie` field asks for; attributes that it does not have are None or false."""

    name: str
    value: str
    expires: int | None = None
    """Seconds since the epoch."""
    max_age: int | None = None
    """Seconds; 0 or less removes the cookie."""
    domain: str | None = None
    """In lower case, without a dot in front."""
    path: str | None = None
    """Begins with a slash; None stands for the directory of the request."""
    secure: bool = False
    http_only: bool = False
    same_site: str | None = None
    """Strict, Lax or None, the text; None for no attribute and for one with another value."""
    partitioned: bool = False


def parse_set_cookie(field: str) -> SetCookie:
    """Read a field (6265bis section 5.6); of an attribute that is there twice the last counts.

    Raises:
        ValueError: a user agent drops it; it says why.
    """
    if _CONTROL.search(field):
        raise ValueError("there is a control character in it")
    pair, *parts = field.split(";")
    name, equals, value = pair.partition("=")
    name, value = name.strip(" \t"), value.strip(" \t")
    if not equals or not name:
        raise ValueError("it has no name")
    if len(name) + len(value) > LONGEST_COOKIE:
        raise ValueError(f"name and value have more than {LONGEST_COOKIE:,} bytes")
    attributes, flags = _attributes(parts)
    same_site = _SAME_SITE.get(attributes.get("samesite", "").lower())
    cookie = SetCookie(
        name,
        value,
        expires=parse_cookie_date(attributes.get("expires", "")),
        max_age=_max_age(attributes.get("max-age", "")),
        domain=attributes.get("domain", "").removeprefix(".").lower() or None,
        path=attributes["path"] if attributes.get("path", "").startswith("/") else None,
        secure="secure" in flags,
        http_only="httponly" in flags,
        same_site=same_site,
        partitioned="partitioned" in flags,
    )
    _check(cookie)
    return cookie


def _attributes(parts: list[str]) -> tuple[dict[str, str], set[str]]:
    attributes: dict[str, str] = {}
    flags: set[str] = set()
    for part in parts:
        name, _, value = part.partition("=")
        name, value = name.strip(" \t").lower(), value.strip(" \t")
        if name in _FLAGS:
            flags.add(name)
        elif name in _ATTRIBUTES and len(value) <= LONGEST_ATTRIBUTE:
            attributes[name] = value
    return attributes, flags


def _max_age(value: str) -> int | None:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None
    return int(value)


def _check(cookie: SetCookie) -> None:
    """Hold a cookie to what its name and attributes promise (6265bis sections 5.6 and 5.7)."""
    lower = cookie.name.lower()
    if cookie.same_site == "None" and not cookie.secure:
        raise ValueError("it has SameSite=None without Secure")
    if cookie.partitioned and not cookie.secure:
        raise ValueError("it has Partitioned without Secure")
    if lower.startswith(("__secure-", "__host-", "__http-")) and not cookie.secure:
        raise ValueError("its prefix demands Secure")
    if lower.startswith("__host-") and (cookie.path != "/" or cookie.domain is not None):
        raise ValueError("its prefix demands Path=/ and no Domain")
    if lower.startswith(("__http-", "__host-http-")) and not cookie.http_only:
        raise ValueError("its prefix demands HttpOnly")


def parse_cookie_date(text: str) -> int | None:
    """Read the date of `Expires`, which may be of many forms (6265 section 5.1.1).

    Return seconds since the epoch, None for what is no date.
    """
    clock = day = month = year = None
    for token in filter(None, _DELIMITERS.split(text)):
        if clock is None and (match := _TIME.match(token)):
            clock = tuple(map(int, match.groups()))
        elif day is None and (match := _DAY.match(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.match(token)):
            year = int(match[1])
    if clock is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    hour, minute, second = clock
    if year < _FIRST_YEAR or hour > 23 or minute > 59 or second > 59:
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def domain_matches(host: str, domain: str) -> bool:
    """Tell whether a host is a domain or lies below it (6265 section 5.1.3); both in lower case."""
    if host == domain:
        return True
    return host.endswith(f".{domain}") and not is_address(host)


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, of which no part is a domain."""
    return _ADDRESS.fullmatch(host) is not None


def default_path(path: str) -> str:
    """Return the path of a cookie that has none, from that of its request (6265 section 5.1.4)."""
    directory = path.rpartition("/")[0]
    return directory if directory.startswith("/") else "/"


def path_matches(path: str, cookie_path: str) -> bool:
    """Tell whether the path of a request is that of a cookie or lies below it (6265 section 5.1.4)."""
    if not path.startswith(cookie_path):
        return False
    return len(path) == len(cookie_path) or cookie_path[-1] == "/" or path[len(cookie_path)] == "/"
