"""What a shared cache may store, reuse and must ask for again (RFC 9111), as pure functions.

A response is read once, by `storage_rules`, into a few numbers, `Rules`; what is done with it later
follows from these, its age and the wishes of a request: `judge`. Ages and lifetimes are in seconds,
points in time in seconds since the epoch. Where a field cannot be read, what follows is the careful
choice: not stored, or stale.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from breezeway.semantics.dates import http_date, parse_http_date
from breezeway.semantics.fields import Headers, get, members, without

Directives = dict[str, str | None]
"""The directives of a field, names in lower case; None stands for no argument."""

LONGEST_SECONDS: Final = 2**31
"""RFC 9111 section 1.2.2: whatever is longer counts as this, which is 68 years."""

LONGEST_HEURISTIC: Final = 24 * 60 * 60
"""RFC 9111 section 4.2.2 wants care beyond a day."""

MOST_VARY_NAMES: Final = 16
"""A response that depends on more fields than that has as many variants as there are clients."""

KEPT_NAMES: Final = 256
"""Vary fields, as tuples, whose keys in an environ are kept; a site has a handful."""

LONGEST_VARIANT: Final = 128
"""Characters; a longer key of a variant becomes a digest."""

_WITH_NAMES: Final = ("private", "no-cache")
"""Directives that may name fields, and are then about those alone."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

ERRORS: Final = frozenset({500, 502, 503, 504})
"""RFC 5861 section 4: the statuses that are an error for `stale-if-error`."""

_UNDERSTOOD: Final = frozenset(map(int, HTTPStatus))
_HEURISTIC_STATUSES: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
"""RFC 9110 section 15.1, without 206."""

_READ: Final = frozenset(
    {"cache-control", "date", "etag", "expires", "last-modified", "set-cookie", "vary"}
)

# RFC 9111 section 3.1, and the fields for one connection of RFC 9110 section 7.6.1
_NEVER_STORED: Final = (
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info"),
    *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    "age",
)

# RFC 9111 section 3.2: what says how the stored content is to be read stays as it was stored
_NEVER_UPDATED: Final = (*_NEVER_STORED, "content-encoding", "content-length", "content-range")

_LISTS: Final = frozenset({"accept", "accept-charset", "accept-encoding", "accept-language"})
"""Fields in which case and white space say nothing, as everybody knows."""

# cache-directive = token [ "=" ( token / quoted-string ) ]                RFC 9111 section 5.2
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ARGUMENT: Final = re.compile(r'=(?:([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)|"((?:[^"\\]|\\.)*)")')
_ESCAPED: Final = re.compile(r"\\(.)")
_BALANCED: Final = re.compile(r'(?:[^"]|"(?:[^"\\]|\\.)*")*')

# dict-member = key [ "=" item ] *( ";" parameter )                        RFC 9651 section 3.2
_BARE: Final = (
    r'(?:-?[0-9]{1,15}(?:\.[0-9]{1,3})?|"(?:[ !#-\[\]-~]|\\["\\])*"|\?[01]'
    r"|[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*)"
)
_KEY: Final = r"[a-z*][a-z0-9_\-.*]*"
_MEMBER: Final = re.compile(rf"({_KEY})(?:=({_BARE}))?(?: *; *{_KEY}(?:={_BARE})?)*")


# --- Directives ----------------------------------------------------------------------------------


def parse_directives(value: str) -> Directives:
    """Read a Cache-Control field (RFC 9111 section 5.2).

    Of a directive that is there twice the first counts, but `private` and `no-cache` for all the
    names of fields they have together. Something that opens a quote and does not close it could hide
    anything: it counts as `no-store`.
    """
    found: Directives = {}
    for member in members(value):
        token = _TOKEN.match(member)
        if token is None:
            continue
        name, argument = token[0].lower(), _argument(member[token.end() :])
        if name in _WITH_NAMES:
            if not argument or argument[0] in " \t=":  # nothing named, or malformed: all is meant
                argument = None
            elif found.get(name) is not None:
                argument = f"{found[name]}, {argument}"
            if name not in found or found[name] is not None:
                found[name] = argument
        else:
            found.setdefault(name, argument)
    if '"' in value and _BALANCED.fullmatch(value) is None:
        found["no-store"] = None
    return found


def _argument(text: str) -> str | None:
    """Return an argument without its quotes; what is malformed as it is, so that it is no number."""
    if not text:
        return None
    match = _ARGUMENT.fullmatch(text)
    if match is None:
        return text
    return match[1] if match[1] is not None else _ESCAPED.sub(r"\1", match[2])


def parse_targeted(value: str) -> Directives | None:
    """Read a targeted field such as CDN-Cache-Control (RFC 9213 section 2.1), a structured field.

    None stands for one that is empty or malformed, and is to be ignored.
    """
    found: Directives = {}
    for member in members(value):
        match = _MEMBER.fullmatch(member)
        if match is None:
            return None
        name, argument = match.groups()
        if name in ("max-age", "s-maxage") and not (argument or "").isdigit():
            return None
        if argument != "?0":
            plain = None if argument in (None, "?1") else argument.strip('"')
            found[name] = plain
    return found or None


def seconds(argument: str | None) -> int:
    """Read delta-seconds (RFC 9111 section 1.2.2); what is none is 0, and so stale."""
    if argument is None or not (argument.isascii() and argument.isdigit()):
        return 0
    digits = argument.lstrip("0")
    return min(int(digits or "0"), LONGEST_SECONDS) if len(digits) <= 10 else LONGEST_SECONDS


class Wishes(NamedTuple):
    """What a request says about caching (RFC 9111 section 5.2.1, RFC 5861 section 4)."""

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: int | None = None
    min_fresh: int = 0
    max_stale: int = 0
    stale_if_error: int = 0


NO_WISHES: Final = Wishes()


def read_wishes(cache_control: str) -> Wishes:
    """Read the Cache-Control field of a request."""
    found = parse_directives(cache_control)
    max_stale = 0
    if "max-stale" in found:
        argument = found["max-stale"]
        max_stale = LONGEST_SECONDS if argument is None else seconds(argument)
    return Wishes(
        "no-store" in found,
        "no-cache" in found,
        "only-if-cached" in found,
        seconds(found["max-age"]) if "max-age" in found else None,
        seconds(found.get("min-fresh")),
        max_stale,
        seconds(found.get("stale-if-error")),
    )


# --- Storing -------------------------------------------------------------------------------------


class Settings(NamedTuple):
    """What the operator of a cache adds to what responses say."""

    targeted: tuple[str, ...] = ()
    """Targeted fields in lower case, the first that is there governs (RFC 9213 section 2.2)."""
    heuristic: float = 0.0
    """The part of the time since Last-Modified for which a response is fresh that does not say."""
    stale_while_revalidate: int = 0
    stale_if_error: int = 0


class Rules(NamedTuple):
    """How a stored response may be reused."""

    lifetime: int
    """For how long it is fresh."""
    revalidate: bool
    """It has to be revalidated each time (`no-cache`)."""
    strict: bool
    """A request cannot have it stale (RFC 9111 section 4.2.4)."""
    stale_while_revalidate: int
    stale_if_error: int
    vary: tuple[str, ...]
    """The fields of the request that select it, in lower case and in order."""
    hidden: tuple[str, ...]
    """The fields that are not stored, by their name in `private` or `no-cache`."""


def storage_rules(
    status: int, headers: Headers, settings: Settings, now: float, *, authorized: bool = False
) -> Rules | None:
    """Decide whether a shared cache may store a response to GET (RFC 9111 section 3), and wants to.

    `authorized` says that the request had an Authorization field. None: it is not stored. Beyond the
    RFC, a response is not stored that says nothing of caching, and one that sets a cookie without
    being `public` (section 7.3).
    """
    picked: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in _READ or lower in settings.targeted:
            picked[lower] = f"{picked[lower]}, {value}" if lower in picked else value
    if not picked:
        return None
    found = _governing(picked, settings)
    if not _may_store(status, found, authorized):
        return None
    hidden = tuple(
        name.lower() for directive in _WITH_NAMES for name in members(found.get(directive) or "")
    )
    if "set-cookie" in picked and "public" not in found and "set-cookie" not in hidden:
        return None
    vary = vary_names(picked["vary"]) if "vary" in picked else ()
    lifetime = _lifetime(status, found, picked, settings, now)
    if vary is None or lifetime is None:
        return None
    revalidate = "no-cache" in found and found["no-cache"] is None
    while_revalidate, if_error = _stale_windows(found, settings, revalidate)
    if revalidate or not lifetime:
        useful = "etag" in picked or "last-modified" in picked or while_revalidate or if_error
        if not useful:
            return None
    strict = not found.keys().isdisjoint({"must-revalidate", "proxy-revalidate", "s-maxage"})
    return Rules(lifetime, revalidate, strict, while_revalidate, if_error, vary, hidden)


def _governing(picked: dict[str, str], settings: Settings) -> Directives:
    """Return the directives that count; a targeted field also does away with Expires."""
    for name in settings.targeted:
        found = parse_targeted(picked[name]) if name in picked else None
        if found is not None:
            picked.pop("expires", None)
            return found
    return parse_directives(picked["cache-control"]) if "cache-control" in picked else {}


def _may_store(status: int, found: Directives, authorized: bool) -> bool:
    if status < 200 or status in (206, 304):
        return False
    if "must-understand" in found:  # RFC 9111 section 5.2.2.3: then no-store is not for us
        if status not in _UNDERSTOOD:
            return False
    elif "no-store" in found:
        return False
    if "private" in found and found["private"] is None:
        return False
    # RFC 9111 section 3.5
    return not authorized or not found.keys().isdisjoint({"public", "s-maxage", "must-revalidate"})


def _lifetime(
    status: int, found: Directives, picked: dict[str, str], settings: Settings, now: float
) -> int | None:
    """Return how long a response is fresh (RFC 9111 section 4.2.1); None if it says nothing at all."""
    if "s-maxage" in found:
        return seconds(found["s-maxage"])
    if "max-age" in found:
        return seconds(found["max-age"])
    date = parse_date(picked.get("date", ""))
    made = now if date is None else date
    if "expires" in picked:
        expires = parse_date(picked["expires"])
        return 0 if expires is None else min(max(0, int(expires - made)), LONGEST_SECONDS)
    modified = parse_date(picked.get("last-modified", ""))
    if settings.heuristic and modified is not None:
        if status in _HEURISTIC_STATUSES or "public" in found:
            return min(max(0, int((made - modified) * settings.heuristic)), LONGEST_HEURISTIC)
        return None
    return 0 if "public" in found or "no-cache" in found else None


def _stale_windows(found: Directives, settings: Settings, revalidate: bool) -> tuple[int, int]:
    """Return how long it may be served stale: during a revalidation, and after an error (RFC 5861).

    However, `s-maxage`, which has the meaning of `proxy-revalidate` (RFC 9111 section 5.2.2.10), only
    forbids what the response does not ask for itself: that is what the two are used for together.
    """
    if revalidate or "must-revalidate" in found or "proxy-revalidate" in found:
        return 0, 0
    defaults = (0, 0) if "s-maxage" in found else settings[2:]
    names = ("stale-while-revalidate", "stale-if-error")
    first, second = (
        seconds(found[name]) if name in found else default
        for name, default in zip(names, defaults, strict=True)
    )
    return first, second


def parse_date(text: str) -> int | None:
    """Read a date as RFC 9111 section 4.2 wants it: in any case of letters."""
    return parse_http_date(text) or parse_http_date(text.title().replace("Gmt", "GMT"))


def stored_headers(headers: Headers, rules: Rules, now: float) -> Headers:
    """Return the fields that are stored (RFC 9111 section 3.1), with a Date (RFC 9110 section 6.6.1)."""
    named = [name.lower() for name in members(get(headers, "connection") or "")]
    kept = without(headers, *_NEVER_STORED, *rules.hidden, *named)
    if parse_date(get(kept, "date") or "") is None:
        kept = [*without(kept, "date"), ("Date", http_date(now).decode())]
    return kept


def freshened(stored: Headers, update: Headers) -> Headers:
    """Return the stored fields with those of a 304 in place of theirs (RFC 9111 section 3.2)."""
    named = [name.lower() for name in members(get(update, "connection") or "")]
    fresh = without(update, *_NEVER_UPDATED, *named)
    return [*without(stored, *(name.lower() for name, _ in fresh)), *fresh]


def initial_age(headers: Headers, asked: float, received: float) -> float:
    """Return the age of a response when it came (RFC 9111 section 4.2.3)."""
    date = parse_date(get(headers, "date") or "")
    apparent = 0.0 if date is None else max(0.0, received - date)
    said = members(get(headers, "age") or "")
    told = seconds(said[0].partition(";")[0]) if said else 0
    return max(apparent, told + max(0.0, received - asked))


# --- Reusing -------------------------------------------------------------------------------------


class Verdict(Enum):
    """What may be done with a stored response."""

    USE = "use it"
    REFRESH = "use it, and ask for it anew meanwhile"
    VALIDATE = "ask whether it still holds"


def judge(rules: Rules, age: float, wishes: Wishes = NO_WISHES) -> Verdict:
    """Decide whether a stored response of this age may answer a request (RFC 9111 section 4)."""
    if rules.revalidate or wishes.no_cache:
        return Verdict.VALIDATE
    if wishes.max_age is not None and age > wishes.max_age:
        return Verdict.VALIDATE
    left = rules.lifetime - age
    if left > 0 and left >= wishes.min_fresh:
        return Verdict.USE
    if left > 0 or wishes.min_fresh:
        return Verdict.VALIDATE
    if not rules.strict and -left <= wishes.max_stale and wishes.max_stale:
        return Verdict.USE
    return Verdict.REFRESH if -left < rules.stale_while_revalidate else Verdict.VALIDATE


def covers_error(rules: Rules, age: float, wishes: Wishes = NO_WISHES) -> bool:
    """Whether a stored response may stand in for an error (RFC 5861 section 4)."""
    if rules.revalidate:
        return False
    window = rules.stale_if_error
    if not rules.strict:
        window = max(window, wishes.stale_if_error)
    return window > 0 and age - rules.lifetime < window


# --- Keys ----------------------------------------------------------------------------------------


def vary_names(value: str) -> tuple[str, ...] | None:
    """Read a Vary field; None if no request can be known to select the response (section 4.1)."""
    names = {name.lower() for name in members(value)}
    return None if "*" in names or len(names) > MOST_VARY_NAMES else tuple(sorted(names))


def variant(environ: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return a key for what a request has in these fields (RFC 9111 section 4.1)."""
    values = []
    for name, key in _keys(names):
        value = environ.get(key)
        if value is None:
            values.append("-")
        elif name in _LISTS and '"' not in value:
            values.append("+" + value.replace(" ", "").replace("\t", "").lower())
        else:
            values.append("+" + value.strip(" \t"))
    text = "\n".join(values)
    if len(text) <= LONGEST_VARIANT:
        return text
    return "#" + sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@lru_cache(KEPT_NAMES)
def _keys(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return each name with its key in an environ."""
    keys = [name.upper().replace("-", "_") for name in names]
    return tuple(
        (name, key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
        for name, key in zip(names, keys, strict=True)
    )


def cache_key(environ: Mapping[str, Any]) -> str:
    """Return the key of the URL of a request: method apart, what RFC 9111 section 2 has.

    No part but the last can have a line break in it, so no two URLs have the same key.
    """
    scheme = environ["wsgi.url_scheme"]
    try:
        path = environ["SCRIPT_NAME"] + environ["PATH_INFO"] or "/"
        query, host = environ["QUERY_STRING"], environ["HTTP_HOST"]
    except KeyError:  # PEP 3333 lets a server leave them out when they are empty
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "") or "/"
        query, host = environ.get("QUERY_STRING", ""), environ.get("HTTP_HOST", "")
    if not host:
        host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    if ":" in host:
        host = host.removesuffix(":443" if scheme == "https" else ":80")
    return f"{scheme}\n{host.lower()}\n{query}\n{path}"


def url_key(url: str) -> str:
    """Return the key of an absolute URL.

    Raises:
        ValueError: it is no URL of http or https with a host.
    """
    scheme, host, path, query, _ = urlsplit(url)
    if scheme.lower() not in ("http", "https") or not host:
        raise ValueError(f"{url!r} is not a URL such as https://shop.example/page")
    return cache_key(
        {
            "wsgi.url_scheme": scheme.lower(),
            "HTTP_HOST": host.rpartition("@")[2],
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
        }
    )


def invalidated_keys(environ: Mapping[str, Any], headers: Headers) -> list[str]:
    """Return the keys of what a successful unsafe request has made invalid (RFC 9111 section 4.4).

    A Location and a Content-Location are among them if they have the origin of the request: others
    could be made to lose what is stored for them.
    """
    own = cache_key(environ)
    keys = [own]
    for name, target in headers:
        if name.lower() not in ("location", "content-location"):
            continue
        scheme, host, query, path = own.split("\n", 3)
        try:
            key = url_key(urljoin(f"{scheme}://{host}{_quoted(path)}?{query}", target))
        except ValueError:
            continue
        if key.split("\n", 2)[:2] == [scheme, host]:
            keys.append(key)
    return keys


def _quoted(path: str) -> str:
    """Quote what would end a path; the rest is unquoted again at once."""
    return path.replace("%", "%25").replace("?", "%3F").replace("#", "%23").replace(";", "%3B")
