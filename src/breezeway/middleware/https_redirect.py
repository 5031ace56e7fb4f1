"""`HttpsRedirect`: the same request, please, over https."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.allowed_hosts import read_hosts, refusal
from breezeway.middleware.answer import answer
from breezeway.middleware.option_checks import prefixes, whole
from breezeway.middleware.stack import unset
from breezeway.semantics.environ_keys import UNBELIEVED
from breezeway.semantics.hosts import MOST_PORT, parse_host
from breezeway.semantics.path_prefixes import PathTable

ACME_PATH: Final = "/.well-known/acme-challenge"
"""Where a certificate authority looks for its challenge, over http (RFC 8555 section 8.3)."""

HTTPS_PORT: Final = 443
"""Which no URL has to name (RFC 9110 section 4.2.2)."""

# pchar and "/" (RFC 3986 section 3.3), and what a query has beyond (section 3.4), percent signs too
_PATH_CHARACTERS: Final = "/:@!$&'()*+,;=~"
_QUERY_CHARACTERS: Final = "/?:@!$&'()*+,;=~%[]|^`{}"

_TARGET: Final = re.compile(r"/[!-~]*")

log = logging.getLogger("breezeway.middleware")


class HttpsRedirect:
    """Send requests that came over http to https.

    The need: whoever types a name comes over http. The attack: who sits in between reads and changes
    all of it; with `hsts` of `Security` browsers do not come over http a second time. And the Location
    is made of the Host field, so that field is checked first: a redirect to a forged one, kept by a
    cache, would send others there.

    GET and HEAD are sent on with 301, which everything that speaks HTTP follows, other methods with
    308, since after a 301 many clients go on with a GET and lose the body (RFC 9110 sections 15.4.2
    and 15.4.9). A host that is none is 400, another one 421, as with `AllowedHosts`.

    How the request came is what `wsgi.url_scheme` says, nothing else. Behind a proxy that ends TLS,
    that is http until the proxy is trusted (`ProxyHeaders`, or `--trusted-proxies` of the server), and
    a browser goes round in circles. The log says so once when a field of the request hints at it.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        hosts: str | Iterable[str] = (),
        port: int = HTTPS_PORT,
        exempt: str | Iterable[str] = (),
    ) -> None:
        """Take the hosts; a text does where a list of one would.

        `hosts`: those to which requests are sent, at least one, as in `AllowedHosts`.
        `port`: of https as clients reach it, 443 by default.
        `exempt`: prefixes of paths that are answered over http, such as `/health`; none by default.
        The challenges of certificate authorities, `/.well-known/acme-challenge/`, always are.

        Raises:
            ValueError: a host or a prefix is malformed, there is no host, or the port is none.
        """
        self.application = application
        self._hosts: Final = read_hosts(hosts)
        whole("port", port, 1, MOST_PORT)
        self._port: Final = "" if port == HTTPS_PORT else f":{port}"
        paths = [*prefixes("exempt", exempt), f"{ACME_PATH}/"]
        self._exempt: Final = PathTable(dict.fromkeys(paths, True))
        self._has_hinted = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Redirect a request, or let the application answer."""
        if environ["wsgi.url_scheme"] == "https":
            return self.application(environ, start_response)
        if self._exempt.agreed(environ.get("PATH_INFO", ""), False, False):
            return self.application(environ, start_response)
        host = environ.get("HTTP_HOST", "")
        if host not in self._hosts:
            return refusal(host, environ, start_response)
        if not self._has_hinted:
            self._hint(environ)
        location = f"https://{parse_host(host).name}{self._port}{_target(environ)}"
        is_safe = environ["REQUEST_METHOD"] in ("GET", "HEAD")
        status = "301 Moved Permanently" if is_safe else "308 Permanent Redirect"
        fields = [("Location", location)]
        return answer(environ, start_response, status, f"It is at {location}", fields)

    def _hint(self, environ: WSGIEnvironment) -> None:
        """Say once if this is likely to go round in circles."""
        told = environ.get("HTTP_X_FORWARDED_PROTO", "") + environ.get("HTTP_FORWARDED", "")
        if UNBELIEVED in environ or "https" in told.lower():
            self._has_hinted = True
            log.warning(
                "redirecting to https a request of %s, which speaks as a proxy that nobody believes:"
                " if it is one of yours, trust it with ProxyHeaders or --trusted-proxies, or clients"
                " that are on https go round in circles",
                environ.get("REMOTE_ADDR") or "a client on a unix socket",
            )


def _target(environ: WSGIEnvironment) -> str:
    """Return path and query as the client has sent them, or an equivalent.

    The path of the environ is decoded, so that `%2F` is a slash in it. Many servers tell the raw
    target besides; it counts if it says the same, which it does not after a rewrite.
    """
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
    if _TARGET.fullmatch(raw) and unquote(raw.partition("?")[0], "latin-1") == path:
        return str(raw.partition("#")[0])
    if not path.startswith("/"):
        path = f"/{path}" if path != "*" else "/"
    target = quote(path, _PATH_CHARACTERS, "latin-1")
    query = environ.get("QUERY_STRING", "")
    return f"{target}?{quote(query, _QUERY_CHARACTERS, 'latin-1')}" if query else target
