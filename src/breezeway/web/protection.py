"""`Protection`: the middleware that an `App` has around it by default, at the cost of what it does.

`Security` adds the same fields to nearly every response, and `Csrf` lets every GET pass. A piece of
middleware costs a closure and a call for each request; so the fields are asked of `Security` once, when
the application is made, and `Csrf` is called only for requests that it may refuse or has something for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from functools import cached_property
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.semantics.fields import Headers

Options = bool | Mapping[str, Any]

SAFE: Final = frozenset(["GET", "HEAD", "OPTIONS", "TRACE"])  # RFC 9110 section 9.2.1

CHANGING: Final = ("paths", "override")
"""Options of `Security` with which its fields are not the same for all responses."""

CSRF: Final[Mapping[str, Any]] = {"unmarked": "allow"}
"""What no browser has sent passes: programs have no cookies that somebody else could make them send. The
browsers that do not say where a request comes from, from before 2020, have SameSite=Lax of the session."""


class Protection:
    """What is around an application: `Security`, outside of `Sessions`, outside of `Csrf`."""

    def __init__(
        self,
        application: WSGIApplication,
        refused: WSGIApplication,
        security: Options,
        csrf: Options,
        sessions: Mapping[str, Any] | None,
    ) -> None:
        """Make what the options ask for; raise ValueError if they cannot be.

        `application` answers what passes, and `refused` what `Csrf` refuses.
        """
        self._application = application
        self._refused = refused
        self._csrf = csrf
        self._sessions = sessions
        self._security = _piece("Security", security, {})
        has_tokens = isinstance(csrf, Mapping) and bool(csrf.get("secret"))
        self._changes = isinstance(security, Mapping) and (
            any(security.get(option) for option in CHANGING) or "{nonce}" in repr(security)
        )
        self.is_always: Final = has_tokens or sessions is not None or self._changes
        """Whether each request has to go through it."""
        self.checks: Final = csrf is not False
        """Whether there is anything to go through for requests that are not safe."""
        self.fields: Final = self._fields("http")
        """Of responses to requests that do not go through it."""
        self.https_fields: Final = self._fields("https")
        if csrf is not True or self.is_always:
            _ = self.around  # so that a bad option is told now

    @cached_property
    def around(self) -> WSGIApplication:
        """The application with all of it; to import `Csrf` takes a tenth of a start, so not before."""
        around = self._application
        for name, options, defaults in (
            ("Csrf", self._csrf, CSRF),
            ("Sessions", False if self._sessions is None else self._sessions, {}),
        ):
            piece = _piece(name, options, defaults)
            if piece is not None:
                piece.application = around
                if name == "Csrf":
                    piece.refused = self._refused
                around = piece
        return around if self._security is None else self._secured(around)

    def secured(self, application: WSGIApplication, fields: object) -> WSGIApplication:
        """Put the fields on what another application answers, if there are any to add."""
        return self._secured(application) if fields else application

    def _secured(self, application: WSGIApplication) -> WSGIApplication:
        piece = copy(self._security)
        piece.application = application
        found: WSGIApplication = piece
        return found

    def _fields(self, scheme: str) -> tuple[tuple[str, str], ...]:
        if self._security is None or self._changes:
            return ()
        found: Headers = []

        def start(status: str, headers: Headers, exc_info: Any = None, /) -> Any:
            found.extend(headers)

        environ: WSGIEnvironment = {"wsgi.url_scheme": scheme, "PATH_INFO": "/"}
        self._secured(_nothing)(environ, start)
        return tuple(found)


def _nothing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return []


def _piece(name: str, options: Any, defaults: Mapping[str, Any]) -> Any:
    """Make a piece of middleware; None if it is not wanted."""
    if options is False:
        return None
    if options is not True and not isinstance(options, Mapping):
        raise ValueError(
            f"{name.lower()} must be true, false or a table of options of {name}, not {options!r}"
        )
    from breezeway import middleware

    piece = getattr(middleware, name)
    given = {} if options is True else options
    known = piece.__init__.__kwdefaults__
    for option in given:
        if option not in known:
            raise ValueError(
                f"{name.lower()}: {name} has no option {option!r}, but {', '.join(known)}"
            )
    return piece(**{**defaults, **given})
