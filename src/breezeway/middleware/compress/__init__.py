"""`Compress`: responses compressed as the client likes it best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.compress.codings import make_codings
from breezeway.middleware.compress.encoding import Encoding
from breezeway.middleware.compress.types import TYPES, Types
from breezeway.middleware.option_checks import flag, whole
from breezeway.middleware.stack import unset
from breezeway.semantics import fields
from breezeway.semantics.fields import Headers
from breezeway.semantics.negotiation import IDENTITY, choose_coding
from breezeway.semantics.validators import entity_tags

MINIMUM_BYTES: Final = 500
"""Below, the fields of the head and one packet of the network outweigh what is gained."""

MEMO_ENTRIES: Final = 256
"""Values of Accept-Encoding, and of Content-Type: there are few of either."""

LONGEST_IN_MEMO: Final = 200
"""Characters of an Accept-Encoding; no browser's has 40."""

SWITCH: Final = "breezeway.compress"
"""An application sets this key of the environ to False when a response shall go as it is."""

_VARY: Final = ("Vary", "Accept-Encoding")

_NEVER: Final = frozenset(("204", "205", "206", "304"))

_ENCODED: Final = frozenset(("content-encoding", "content-range"))


class Compress:
    """Compresses responses with zstd, brotli or gzip.

    The client's Accept-Encoding decides with its weights, then the order of `codings` (RFC 9110 sections
    8.4 and 12.5.3). A whole response is sent whole, with its new Content-Length. A block of a streamed
    response is flushed, so that the client can read it at once. Where another client would get another
    coding, Vary says so. A strong ETag becomes weak, as the bytes differ from coding to coding (RFC 9110
    section 8.8.1); a 304 has the tag that the client has asked with. Who wants the rest of a content by
    its date (If-Range), and takes a coding, gets the whole: the date is the same for all codings.

    Left alone are responses that are encoded already, parts (206), those with `no-transform` in
    Cache-Control (RFC 9111 section 5.2.2.6), small ones, and those of types that do not get smaller.

    The attack to know is BREACH: whoever sees the length of compressed pages, and can make a victim's
    browser ask for pages that repeat a guess beside a secret, finds the secret out. The requests have to
    come from a page of the attacker's. So what is asked for by another site with the user's cookies or
    password is not compressed (`cross_site`), and an application can leave out any response: with
    `Cache-Control: no-transform`, or with `environ["breezeway.compress"] = False`.
    """

    def __init__(
        self,
        application: WSGIApplication = unset,
        *,
        codings: Sequence[str] | None = None,
        levels: Mapping[str, int] | None = None,
        minimum: int = MINIMUM_BYTES,
        types: Sequence[str] = TYPES,
        cross_site: bool = False,
    ) -> None:
        """Choose how, and what.

        `codings` are names of `zstd`, `br` and `gzip`, the one to be preferred first. Without it, they
        are those in this order whose package is installed. `levels` has the level of a coding: gzip 1 to
        9 (6 if it is not there), br 0 to 11 (4), zstd 1 to 22 (3). A response of fewer than `minimum`
        bytes (500) goes as it is. `types` are media types, with one `*` for anything at the beginning or
        the end; the default has text, JSON, JavaScript, XML, SVG, WebAssembly and fonts. `cross_site` is
        whether a response is compressed, too, when a page of another site asks for it with the user's
        cookies or password (no).

        Raises:
            ValueError: an option is not as it must be, or a package that is asked for is not installed.
        """
        self.application = application
        self.codings = make_codings(codings, {} if levels is None else levels)
        self.minimum = whole("minimum", minimum, 0, unit="bytes")
        self._least = str(minimum)  # compared as text, which takes a third of the time
        self._digits = len(self._least)
        self._cross_site = flag("cross_site", cross_site)
        self._types = Types(types)
        self._known: dict[str, bool] = {}
        self._choose = lru_cache(MEMO_ENTRIES)(self._choose_coding)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        accepted = environ.get("HTTP_ACCEPT_ENCODING")
        if not accepted or (
            environ.get("HTTP_SEC_FETCH_SITE") == "cross-site"
            and not self._cross_site
            and _is_sent_with_credentials(environ)
        ):
            return self._as_it_is(environ, start_response)
        if (
            "HTTP_IF_RANGE" in environ
            and '"' not in environ["HTTP_IF_RANGE"]
            and self._coding_for(accepted) is not None
        ):
            # A date is the same for all codings: the rest of the content as it is would be put behind
            # the beginning of a compressed one.
            del environ["HTTP_IF_RANGE"]
            environ.pop("HTTP_RANGE", None)
        encoding: Encoding | None = None
        started = False

        def start(status: str, headers: Headers, exc_info: object = None) -> object:
            nonlocal encoding, started
            coding = None
            varying = self._varying(status, headers)
            if varying is not None:
                headers = varying
                if environ.get(SWITCH) is not False:
                    coding = self._coding_for(accepted)
            elif status[0] == "3" and status[:3] == "304":
                headers = _revalidated(environ, headers)
            if encoding is None:
                if started or coding is None:
                    started = True
                    if exc_info is None:
                        return start_response(status, headers)
                    return start_response(status, headers, exc_info)  # type: ignore[arg-type]
                encoding = Encoding(environ, start_response, self.minimum)
            encoding.choose(coding, self.codings)
            return encoding.response.start_response(status, headers, exc_info)

        returned = self.application(environ, start)  # type: ignore[arg-type]
        if encoding is None:
            if started:
                return returned
            encoding = Encoding(environ, start_response, self.minimum)
        encoding.look(returned)
        return encoding.response.returned(returned)

    def _as_it_is(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer somebody who gets no coding: others may."""

        def start(status: str, headers: Headers, exc_info: object = None) -> object:
            varying = self._varying(status, headers)
            if varying is not None:
                headers = varying
            elif status[0] == "3" and status[:3] == "304":
                headers = _revalidated(environ, headers)
            if exc_info is None:
                return start_response(status, headers)
            return start_response(status, headers, exc_info)  # type: ignore[arg-type]

        return self.application(environ, start)  # type: ignore[arg-type]

    def _varying(self, status: str, headers: Headers) -> Headers | None:
        """Return the fields with Vary; None when no client would get this response compressed."""
        is_worth_it: bool | None = False
        has_vary = False
        for name, value in headers:
            name = name.lower()
            if name == "content-type":
                is_worth_it = self._known.get(value)
                if is_worth_it is None:
                    is_worth_it = self._look_at_type(value)
                if not is_worth_it:
                    return None
            elif name == "content-length":
                digits = len(value)
                if digits < self._digits or (digits == self._digits and value < self._least):
                    return None
            elif name == "vary":
                has_vary = True
            elif name in _ENCODED or (name == "cache-control" and "no-transform" in value.lower()):
                return None
        if not is_worth_it or status[:3] in _NEVER:
            return None
        return fields.with_vary(headers, _VARY[1]) if has_vary else [*headers, _VARY]

    def _look_at_type(self, content_type: str) -> bool:
        """Whether a type gets smaller; remember that."""
        found = self._types.have(content_type)
        if len(self._known) < MEMO_ENTRIES:
            self._known[content_type] = found
        return found

    def _coding_for(self, accepted: str) -> str | None:
        """Return the coding for a client; None if it takes none."""
        choose = self._choose_coding if len(accepted) > LONGEST_IN_MEMO else self._choose
        coding = choose(accepted)
        return None if coding == IDENTITY else coding

    def _choose_coding(self, accepted: str) -> str:
        return choose_coding(accepted, tuple(self.codings))


def _is_sent_with_credentials(environ: WSGIEnvironment) -> bool:
    """Whether a browser has added a user's credentials to a request, which is not a click of the user.

    It takes thousands of requests to find a secret out, and as many clicks.
    """
    if environ.get("HTTP_SEC_FETCH_USER") == "?1" and (
        environ.get("HTTP_SEC_FETCH_DEST") == "document"
    ):
        return False
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    # A browser adds no bearer token of itself: who asks with one knows it.
    is_added = bool(authorization) and authorization[:7].lower() != "bearer "
    return is_added or "HTTP_COOKIE" in environ


def _revalidated(environ: WSGIEnvironment, headers: Headers) -> Headers:
    """Give a 304 the weak tag that the client asked with, so that its caches know what is meant."""
    asked = environ.get("HTTP_IF_NONE_MATCH")
    tag = fields.get(headers, "etag")
    if asked is None or tag is None or f"W/{tag}" not in entity_tags(asked):
        return headers
    return fields.with_vary(fields.weakened(headers), _VARY[1])
