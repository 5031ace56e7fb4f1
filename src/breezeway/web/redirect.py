r"""Redirects that lead nowhere else: to paths of this site, unless it is said otherwise.

A redirect to wherever a query says is how mails that look like ours lead to pages that do not (CWE-601).
What a browser makes of a Location is the URL Standard, which is not what it looks like: `//host` and
`/\host` are other hosts, tabs and line feeds are taken out wherever they stand.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.semantics.fields import replaced
from breezeway.semantics.hosts import parse_host
from breezeway.semantics.origins import Origins
from breezeway.web.errors import BadRequest, phrase
from breezeway.web.response import TEXT, Fields, Response
from breezeway.web.urls import encoded, root

log = logging.getLogger("breezeway.web")

STATUSES: Final = (301, 302, 303, 307, 308)

_PATH: Final = re.compile(r"/(?![/\\])|\?")
"""How what is of this site begins: a path, but not `//` nor with a backslash, or a query alone."""

_NEVER: Final = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
"""What a browser takes out or reads as a slash, and what has no UTF-8."""

_URL: Final = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)

_PORTS: Final = {"http": "80", "https": "443"}

URL_SAFE: Final = "%/?#[]!$&'()*+,;=:@-._~"
"""What RFC 3986 section 2.2 lets stand in a URL, and the percent sign of what is encoded already."""


class OpenRedirect(BadRequest, ValueError):
    """A redirect would lead to where nobody has said that it may.

    In an `App` it is a 400, for it is what came with the request in nearly all cases.
    """


class Redirect(Response):
    """A response that leads to another URL; `redirect` makes one."""

    __slots__ = ("_from_root",)

    def __init__(
        self, location: str, status: int, headers: Fields = (), *, from_root: bool = False
    ) -> None:
        """`location` is checked already."""
        super().__init__(f"{phrase(status)}\n", status, headers, content_type=TEXT)
        self.headers["Location"] = location
        self._from_root = from_root

    def send(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        defaults: Iterable[tuple[str, str]],
    ) -> Iterable[bytes]:
        """Send the response."""
        return self._sent(environ, start_response, defaults)

    def _planned(self, environ: WSGIEnvironment) -> tuple[int, list[tuple[str, str]], Any]:
        status, fields, content = super()._planned(environ)
        location = self.headers.get("location", "")
        if location.startswith("/") and not self._from_root:
            fields = replaced(fields, "Location", below(environ, location))
        return status, fields, content


def redirect(
    url: str,
    status: int = 303,
    headers: Fields = (),
    *,
    external: bool = False,
    allow: Iterable[str] = (),
    from_root: bool = False,
) -> Redirect:
    """Return a redirect to a path of this application, such as `/notes/5?page=2` or `?page=2`.

    A path counts from where the application is mounted (SCRIPT_NAME), unless it has that in front
    already, as those of `request.url_for` have; with `from_root` it counts from the root of the host.

    303 lets the browser GET the URL, whatever the method was: what to do after a form. 307 and 308 keep
    the method and the body; 301 and 308 are kept by browsers for good.

    `allow` are origins that it may lead to as well, such as `https://pay.example.org` or
    `https://*.example.org`; `external` lets it lead to any http or https URL. Never say that of a URL
    that came with a request.

    Raises:
        OpenRedirect: the URL leads to somewhere else, or can be read in two ways.
        ValueError: the status is none of a redirect.
    """
    if status not in STATUSES:
        raise ValueError(f"a redirect has a status of {STATUSES}, not {status!r}")
    if not isinstance(url, str):
        raise TypeError(f"a URL is a text, not {url!r}")
    if not is_local(url):
        _check(url, external, allow)
    return Redirect(quote(url, safe=URL_SAFE), status, headers, from_root=from_root)


def is_local(url: str) -> bool:
    """Whether a text is a path of this site, with a query perhaps, or a query alone."""
    return _PATH.match(url) is not None and not _NEVER.search(url)


def local_path(url: str | None, otherwise: str = "/") -> str:
    """Return a URL that came with a request if it is one of this site, and else `otherwise`.

    For `?next=` of a log-in: `redirect(local_path(request.query.get("next")))`.
    """
    return url if url is not None and is_local(url) else otherwise


def below(environ: WSGIEnvironment, path: str) -> str:
    """Return a path from the root of the host, of one from where the application is mounted."""
    here = encoded(root(environ))
    if not here or path == here or path.startswith((f"{here}/", f"{here}?", f"{here}#")):
        return path
    return f"{here}{path}"


def _check(url: str, external: bool, allow: Iterable[str]) -> None:
    """Raise OpenRedirect, unless it is a plain http or https URL that may be led to."""
    shown = repr(url[:200])
    found = _URL.fullmatch(url)
    if found is None or _NEVER.search(url):
        raise OpenRedirect(f"{shown} is no path of this site: that begins with one slash")
    scheme, authority = found[1].lower(), found[2]
    try:
        host = parse_host(authority)  # no name and password: https://example.org@evil.example
    except ValueError:
        raise OpenRedirect(f"{shown} has no plain host") from None
    if not host.name:
        raise OpenRedirect(f"{shown} has no host")
    port = f":{host.port}" if host.port and host.port != _PORTS[scheme] else ""
    if not external and f"{scheme}://{host.name}{port}" not in Origins(allow):
        log.warning(
            "a redirect to %s was refused: where it is meant, name its origin, redirect(url, allow=[...]),"
            " or say external=True of a URL that is your own",
            shown,
        )
        raise OpenRedirect(f"{shown} is another site, to which nobody has said that it may lead")
