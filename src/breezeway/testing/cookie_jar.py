"""`CookieJar`: the cookies that a client has got, and which of them go with a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from breezeway.semantics.cookies import SameSite, set_cookie
from breezeway.semantics.set_cookie import (
    SetCookie,
    default_path,
    domain_matches,
    is_address,
    parse_set_cookie,
    path_matches,
)

DEFAULT_URL: Final = "http://localhost/"


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie in a jar."""

    name: str
    value: str
    domain: str
    """In lower case."""
    path: str
    host_only: bool
    """It goes to `domain` alone, and to no host below it."""
    expires: float | None
    """Seconds since the epoch; None until the browser is closed, which a test never does."""
    created: int
    """A number that grows with each new cookie of the jar."""
    secure: bool
    http_only: bool
    same_site: str | None
    partitioned: bool


class CookieJar:
    """Cookies by the rules of RFC 6265 section 5, with the prefixes and checks of its revision.

    Domain, path, Secure and expiry decide what goes where. HttpOnly and SameSite are kept to be looked
    at, and decide nothing: there are no scripts here and no other sites, each request is one that the
    user has typed. There is no list of public suffixes: a domain without a dot is refused in its place.

    A cookie that a browser would drop is dropped, and `refused` says why.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, url: str = DEFAULT_URL) -> None:
        """`clock` returns the seconds since the epoch; `url` is what `set` and `remove` go by."""
        self._clock = clock
        self._url = url
        self._cookies: dict[tuple[str, str, str], Cookie] = {}
        self._number = 0
        self.refused: list[tuple[str, str]] = []
        """Fields that were dropped, each with the reason."""

    # --- what a client does -------------------------------------------------------------------------

    def receive(self, url: str, fields: Iterable[str]) -> None:
        """Take the values of the Set-Cookie fields of a response to a request for `url`."""
        for field in fields:
            try:
                self._store(url, parse_set_cookie(field))
            except ValueError as error:
                self.refused.append((field, str(error)))

    def sent_to(self, url: str) -> list[Cookie]:
        """Return the cookies that go with a request, in the order in which they are sent."""
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path or "/"
        found = [
            cookie
            for cookie in self
            if (host == cookie.domain if cookie.host_only else domain_matches(host, cookie.domain))
            and path_matches(path, cookie.path)
            and (parts.scheme == "https" or not cookie.secure)
        ]
        return sorted(found, key=lambda cookie: (-len(cookie.path), cookie.created))

    def _store(self, url: str, got: SetCookie) -> None:
        """Keep, replace or remove a cookie (6265bis section 5.7); raise ValueError if it is refused."""
        parts = urlsplit(url)
        host, is_secure = parts.hostname or "", parts.scheme == "https"
        if got.secure and not is_secure:
            raise ValueError("it is Secure, and the request was not over https")
        domain = self._domain(host, got.domain)
        path = got.path or default_path(parts.path)
        if not is_secure and any(
            cookie.secure
            and cookie.name == got.name
            and (domain_matches(cookie.domain, domain) or domain_matches(domain, cookie.domain))
            and path_matches(path, cookie.path)
            for cookie in self
        ):
            raise ValueError("there is a Secure cookie of its name, and the request was over http")
        key = (domain, path, got.name)
        now = self._clock()
        expires: float | None = got.expires
        if got.max_age is not None:
            expires = now + got.max_age
        old = self._cookies.get(key)
        if expires is not None and expires <= now:
            self._cookies.pop(key, None)
            return
        self._number += 1
        self._cookies[key] = Cookie(
            got.name,
            got.value,
            domain,
            path,
            got.domain is None or is_address(host),
            expires,
            self._number if old is None else old.created,
            got.secure,
            got.http_only,
            got.same_site,
            got.partitioned,
        )

    @staticmethod
    def _domain(host: str, domain: str | None) -> str:
        if domain is None or domain == host:
            return host
        if "." not in domain:
            raise ValueError(f"no site may set a cookie for all of {domain!r}")
        if not domain_matches(host, domain):
            raise ValueError(f"its domain is {domain!r}, and it came from {host!r}")
        return domain

    # --- what a test does ---------------------------------------------------------------------------

    def set(
        self,
        name: str,
        value: str,
        *,
        url: str = "",
        max_age: int | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        http_only: bool = False,
        same_site: SameSite | None = None,
    ) -> None:
        """Put a cookie in, as if a response to `url` had; without it, one of the client's `base_url`.

        Raises:
            ValueError: a browser would not keep it.
        """
        field = set_cookie(
            name,
            value,
            max_age=max_age,
            path=path,
            domain=domain,
            secure=secure,
            http_only=http_only,
            same_site=same_site,
        )
        self._store(url or self._url, parse_set_cookie(field))

    def remove(self, name: str) -> None:
        """Take all cookies of a name out.

        Raises:
            KeyError: there is none.
        """
        found = [key for key in self._cookies if key[2] == name]
        if not found:
            raise KeyError(name)
        for key in found:
            del self._cookies[key]

    def clear(self) -> None:
        """Take all cookies out."""
        self._cookies.clear()

    def find(self, name: str) -> Cookie | None:
        """Return the cookie of a name, with all that is known of it; of several the newest."""
        found = [cookie for cookie in self if cookie.name == name]
        return max(found, key=lambda cookie: cookie.created, default=None)

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of a cookie."""
        cookie = self.find(name)
        return default if cookie is None else cookie.value

    def __getitem__(self, name: str) -> str:
        cookie = self.find(name)
        if cookie is None:
            raise KeyError(name)
        return cookie.value

    def __contains__(self, name: object) -> bool:
        return any(cookie.name == name for cookie in self)

    def __iter__(self) -> Iterator[Cookie]:
        """Iterate over the cookies that have not expired."""
        now = self._clock()
        return iter([c for c in [*self._cookies.values()] if c.expires is None or c.expires > now])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"CookieJar({', '.join(f'{cookie.name}={cookie.value}' for cookie in self)})"
