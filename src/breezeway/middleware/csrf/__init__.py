"""`Csrf`: refuses requests that another site has made a visitor's browser send."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.csrf.form import token_in_form
from breezeway.middleware.csrf.token import CookieToken, CookieTokens, SessionToken
from breezeway.middleware.stack import unset
from breezeway.semantics.hosts import parse_host
from breezeway.semantics.origins import NULL, Origins
from breezeway.semantics.protected_paths import ProtectedPaths, checked_list

KEY: Final = "breezeway.csrf_token"

DEFAULT_FORM_BYTES: Final = 64 * 1024
"""Of a form, from its beginning, in which a token is looked for; held in memory meanwhile."""

_SAFE: Final = frozenset(["GET", "HEAD", "OPTIONS", "TRACE"])  # RFC 9110 section 9.2.1
_OWN: Final = frozenset(["same-origin", "none"])
_PORTS: Final = {"http": "80", "https": "443"}

REFUSAL: Final = (
    "This request does not come from a page of this site. Load the page anew and try again."
)

log = logging.getLogger("breezeway.middleware")


class Csrf:
    """Refuse what another site has made a browser send with this site's cookies (403).

    The browser says where a request comes from, in fields that no page can set. In this order:

    1. GET, HEAD, OPTIONS and TRACE pass: they must change nothing (RFC 9110 section 9.2.1).
    2. `Sec-Fetch-Site` (Fetch Metadata; all browsers since 2023, over https): `same-origin` passes, so
       does `none`, which is the visitor's own doing; `same-site` and `cross-site` are refused.
    3. Without it `Origin` (RFC 6454 section 7): it has to be the host that was asked for, and not plain
       http when the request came over https.
    4. With neither, or with `Origin: null`, it is an old browser or no browser. Then there has to be a
       token that a page of this site has given: `environ["breezeway.csrf_token"]()`, sent back as
       `X-CSRF-Token` or as a field of a form. It is bound to the session where `Sessions` is outside of
       this piece, and to a cookie otherwise, signed with `secret` (OWASP: signed double submit). It looks
       different each time, so that compression gives nothing of it away (BREACH).

    Origins of `trusted_origins` pass at 2 and 3. The reason of each refusal is in the log.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        trusted_origins: Iterable[str] = (),
        exempt: Iterable[str] = (),
        unmarked: str = "token",
        secret: str | Iterable[str] = (),
        cookie_name: str = "csrf",
        secure: bool | str = "auto",
        form_field: str = "csrf_token",
        form_bytes: int = DEFAULT_FORM_BYTES,
    ) -> None:
        """Take the options.

        `trusted_origins`: other origins that may send requests, such as `https://pay.example.org` or
        `https://*.example.org`. `exempt`: prefixes of the path where nothing is checked, below where
        the piece is mounted: for what is called by programs, with other credentials than cookies.
        `unmarked`: what becomes of a request with neither Sec-Fetch-Site nor Origin: `token` demands a
        token, `allow` lets it pass. `secret`: for tokens where there is no session, 16 characters or
        more; a list has the newest first. Without it and without a session there are no tokens, and who
        needs one is refused. `cookie_name`: of the cookie for that; over https it gets `__Host-` in front.
        `secure`: of that cookie: true, false, or `auto`: as wsgi.url_scheme is. `form_field`: the name of
        the field of a form. `form_bytes`: how long an urlencoded form may be to have a token looked for in
        it, and how far from the beginning of one with files that is done.

        Raises:
            ValueError: an option is not as described.
        """
        self.application = application
        self.refused: WSGIApplication = _refused
        """What answers a request that is refused; another WSGI application may stand in its place."""
        origins = checked_list("trusted_origins", trusted_origins)
        if NULL in origins:
            raise ValueError("trusted_origins: any page can pose as null, in a sandboxed frame")
        self._trusted = Origins(origins)
        self._checked = ProtectedPaths(["/"], exempt)
        if unmarked not in ("token", "allow"):
            raise ValueError(f"unmarked is 'token' or 'allow', not {unmarked!r}")
        self._allows = unmarked == "allow"
        self._tokens = CookieTokens(secret, cookie_name, secure)
        if not isinstance(form_field, str) or not form_field:
            raise ValueError(f"form_field is the name of a field, not {form_field!r}")
        self._field = form_field
        if isinstance(form_bytes, bool) or not isinstance(form_bytes, int) or form_bytes < 0:
            raise ValueError(f"form_bytes is a number of bytes, not {form_bytes!r}")
        self._form_bytes = form_bytes

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Refuse a request of another site, or call the application."""
        token: SessionToken | CookieToken
        if "breezeway.session" in environ:
            environ[KEY] = token = SessionToken(environ["breezeway.session"])
        else:
            environ[KEY] = token = CookieToken(self._tokens, environ, start_response)
            if self._tokens.keys:
                start_response = token.start_response
        method = environ["REQUEST_METHOD"]
        if method not in _SAFE and environ.get("PATH_INFO", "") in self._checked:
            why = self._fault(environ, token)
            if why:
                log.warning("%s %.200r was refused: %s", method, environ.get("PATH_INFO", ""), why)
                return self.refused(environ, start_response)
        return self.application(environ, start_response)

    def _fault(self, environ: WSGIEnvironment, token: SessionToken | CookieToken) -> str:
        """Say why a request is refused; nothing if it is not."""
        site = environ.get("HTTP_SEC_FETCH_SITE")
        if site in _OWN:
            return ""
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and origin in self._trusted:
            return ""
        if site:
            return f"Sec-Fetch-Site is {site[:50]!r}, Origin is {_shown(origin)}"
        if origin and origin != NULL:
            if _is_own(origin, environ):
                return ""
            return f"Origin is {_shown(origin)}, Host is {_shown(environ.get('HTTP_HOST'))}"
        if self._allows and not origin:
            return ""
        given = environ.get("HTTP_X_CSRF_TOKEN")
        if not given:
            given = token_in_form(environ, self._field, self._form_bytes)
        if given is None:
            return (
                "it has neither Sec-Fetch-Site nor an Origin, and no token, neither as X-CSRF-Token nor"
                f" as {self._field} in the first {self._form_bytes} bytes of a form"
            )
        return "" if token.matches(given) else "its token is not the one of this visitor"


def _refused(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return answer(environ, start_response, "403 Forbidden", REFUSAL)


def _is_own(origin: str, environ: WSGIEnvironment) -> bool:
    """Whether an origin is the host that was asked for.

    The host alone does not say which scheme it was asked by. When the server knows of https, http is
    another origin: somebody on the way may have made that page.
    """
    scheme, _, rest = origin.partition("://")
    default = _PORTS.get(scheme)
    if default is None or (scheme == "http" and environ["wsgi.url_scheme"] == "https"):
        return False
    try:
        theirs, ours = parse_host(rest), parse_host(environ.get("HTTP_HOST", ""))
    except ValueError:
        return False
    same_port = (theirs.port or default) == (ours.port or default)
    return theirs.name == ours.name and same_port


def _shown(value: Any) -> str:
    return "not there" if value is None else repr(value[:100])
