"""`Cors`: pages of other origins may use this application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.answer import answer
from breezeway.middleware.cors.rule import Rule
from breezeway.middleware.option_checks import tables
from breezeway.middleware.stack import unset
from breezeway.semantics.fields import Headers, with_vary
from breezeway.semantics.path_prefixes import PathTable

MAX_AGE_SECONDS: Final = 600
"""How long browsers keep a permission. They have limits of their own: Chrome 7,200, Firefox 86,400."""

_OWN: Final = frozenset(
    [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-expose-headers",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-allow-private-network",
        "access-control-max-age",
    ]
)
"""What this piece alone decides: two such fields of one name would make a browser refuse."""

_TOUCHED: Final = _OWN | {"vary"}


class Cors:
    """Say which pages of other origins may read responses, and send what a form could not.

    The need: a page of `https://shop.example` fetches from `https://api.example`, and its browser wants
    the permission of the latter (the CORS protocol of the Fetch standard; RFC 6454 for origins). The
    attack: a permission for too many, such as an origin that is reflected whoever it is, or a pattern
    that also matches `https://shop.example.evil.test`, lets any page read what the user may read.

    A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered here. All else goes
    to the application, and its response gets the fields, also a 404 or 500 of it. It is the browser
    that refuses: a request from another origin does reach the application. For that there is `Csrf`.

    Unless every origin is let in, each response has `Vary: Origin`, also without an Origin, so that no
    cache gives one origin the permission of another. The application's own fields of the CORS protocol
    are taken away: the rules here are the only ones.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        origins: str | Iterable[str] = (),
        credentials: bool = False,
        methods: str | Iterable[str] = ("GET", "HEAD", "POST"),
        headers: str | Iterable[str] = (),
        expose: str | Iterable[str] = (),
        max_age: int = MAX_AGE_SECONDS,
        private_network: bool = False,
        paths: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Take the rules; a text does where a list of one would.

        `origins`: who is let in, none by default. `https://shop.example` is that one, with a port if
        it is not that of the scheme; `https://*.shop.example` all below it and not itself;
        `http://localhost:*` any port; `*` everybody, without credentials. `null` is anybody who wants
        to be, and is only taken without credentials.
        `credentials`: whether cookies and HTTP authentication are let through.
        `methods`: of requests, in capitals; `*` is any. GET, HEAD and POST by default.
        `headers`: names of request fields beyond Accept, Accept-Language, Content-Language and
        Content-Type, which always may be sent; `*` is any.
        `expose`: names of response fields that scripts may read; `*` is any, without credentials.
        `max_age`: seconds for which a browser may keep the answer to a preflight, 600 by default; 0 is
        for once.
        `private_network`: whether a site of the public network may ask a server of a private one. Only
        browsers that ask with Access-Control-Request-Private-Network look at that: Chrome 104 to 141.
        `paths`: a table of these options for each prefix of the path; the longest prefix counts, and
        what its table does not name is as above. `origins = []` lets nobody in there. Nor is anybody
        let in where a path can be read in two ways, such as `//x`, and the rules for these differ.

        Raises:
            ValueError: a value is not one of these.
        """
        self.application = application
        options: dict[str, Any] = {
            "origins": origins,
            "credentials": credentials,
            "methods": methods,
            "headers": headers,
            "expose": expose,
            "max_age": max_age,
            "private_network": private_network,
        }
        self._rule: Final = Rule(**options)
        rules = {prefix: Rule(**table) for prefix, table in tables("paths", paths, options)}
        self._paths: Final = PathTable(rules) if rules else None
        self._closed: Final = Rule(**{**options, "origins": ()})

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a preflight, or let the application answer."""
        rule = self._rule
        if self._paths is not None:
            rule = self._paths.agreed(environ.get("PATH_INFO", ""), rule, self._closed)
        origin = environ.get("HTTP_ORIGIN")
        if (
            origin is not None
            and environ["REQUEST_METHOD"] == "OPTIONS"
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        ):
            return _preflight(rule, origin, environ, start_response)
        fields = rule.idle if origin is None else rule.fields(origin)
        varies = rule.varies

        def start(
            status: str, headers: Headers, exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            for name, _ in headers:
                if name.lower() in _TOUCHED:
                    headers = _replaced(headers, fields, varies)
                    break
            else:
                headers = [*headers, *fields]
            return start_response(status, headers, exc_info)

        return self.application(environ, start)


def _replaced(headers: Headers, fields: Iterable[tuple[str, str]], varies: bool) -> Headers:
    """Put our fields in place of the application's, beside what it varies on itself."""
    headers = [field for field in headers if field[0].lower() not in _OWN]
    headers += [field for field in fields if field[0] != "Vary"]
    return with_vary(headers, "Origin") if varies else headers


def _preflight(
    rule: Rule, origin: str, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    fields = rule.preflight(origin, environ)
    if not rule.allows(origin):
        # With a word of it, for whoever looks into the browser's network log.
        return answer(environ, start_response, "403 Forbidden", "the origin is not allowed", fields)
    start_response("204 No Content", fields)
    return []
