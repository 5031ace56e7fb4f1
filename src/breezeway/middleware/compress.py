"""`Compress`: responses compressed as the client likes it best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from breezeway.middleware.compress_codings import Coding, Encoder, make_codings
from breezeway.middleware.compress_types import TYPES, Types
from breezeway.middleware.response_filter import Response
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

_NEVER: Final = frozenset(("204", "205", "206", "304"))

_OF_ONE_CODING: Final = (
    "content-length",
    "accept-ranges",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
)
"""Fields that say something about the bytes as the application has them (RFC 9530 for the digests)."""


class Compress:
    """Compresses responses with zstd, brotli or gzip.

    The client's Accept-Encoding decides with its weights, then the order of `codings` (RFC 9110 sections
    8.4 and 12.5.3). A whole response is sent whole, with its new Content-Length. A block of a streamed
    response is flushed, so that the client can read it at once. Where another client would get another
    coding, Vary says so. A strong ETag becomes weak, as the bytes differ from coding to coding (RFC 9110
    section 8.8.1); a 304 has the tag that the client has asked with.

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
        self.codings = make_codings(codings, levels or {})
        if type(minimum) is not int or minimum < 0:
            raise ValueError(f"minimum must be a number of bytes, not {minimum!r}")
        self.minimum = minimum
        self._cross_site = bool(cross_site)
        self._is_worth_it = lru_cache(MEMO_ENTRIES)(Types(types).have)
        self._choose = lru_cache(MEMO_ENTRIES)(self._choose_coding)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        encoding: _Encoding | None = None
        started = False

        def start(status: str, headers: Headers, exc_info: object = None) -> object:
            nonlocal encoding, started
            coding = self._coding_of(environ, status, headers)
            if coding is not None:
                headers = fields.with_vary(headers, "Accept-Encoding")
            elif status[:3] == "304":
                headers = _revalidated(environ, headers)
            if encoding is None:
                if started or coding is None or coding == IDENTITY:
                    started = True
                    if exc_info is None:
                        return start_response(status, headers)
                    return start_response(status, headers, exc_info)  # type: ignore[arg-type]
                encoding = _Encoding(self, environ, start_response)
            encoding.choose(coding)
            return encoding.response.start_response(status, headers, exc_info)

        returned = self.application(environ, start)  # type: ignore[arg-type]
        if encoding is None:
            if started:
                return returned
            encoding = _Encoding(self, environ, start_response)
        encoding.look(returned)
        return encoding.response.returned(returned)

    def _coding_of(self, environ: WSGIEnvironment, status: str, headers: Headers) -> str | None:
        """Return the coding for a response; None when it would go as it is to any client."""
        is_worth_it = False
        for name, value in headers:
            name = name.lower()
            if name == "content-type":
                if not self._is_worth_it(value):
                    return None
                is_worth_it = True
            elif name == "content-length":
                if value.isdecimal() and int(value) < self.minimum:
                    return None
            elif name in ("content-encoding", "content-range") or (
                name == "cache-control" and "no-transform" in value.lower()
            ):
                return None
        if not is_worth_it or status[0] == "1" or status[:3] in _NEVER:
            return None
        if environ.get(SWITCH) is False:
            return None
        accepted = environ.get("HTTP_ACCEPT_ENCODING")
        if not accepted or (not self._cross_site and _is_of_another_site(environ)):
            return IDENTITY
        if len(accepted) > LONGEST_IN_MEMO:
            return self._choose_coding(accepted)
        return self._choose(accepted)

    def _choose_coding(self, accepted: str) -> str:
        return choose_coding(accepted, tuple(self.codings))


class _Encoding:
    """One response on its way through a coding."""

    __slots__ = (
        "_blocks",
        "_coding",
        "_encoder",
        "_flushes",
        "_is_head",
        "_is_whole",
        "_name",
        "_piece",
        "_wrapper",
        "response",
    )

    def __init__(
        self, piece: Compress, environ: WSGIEnvironment, start_response: StartResponse
    ) -> None:
        self.response = Response(environ, start_response, self)
        self._piece = piece
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"
        self._wrapper = environ.get("wsgi.file_wrapper")
        self._name: str | None = None
        self._coding: Coding | None = None
        self._encoder: Encoder | None = None
        self._blocks: list[bytes] = []
        self._is_whole = False
        self._flushes = True

    def choose(self, coding: str | None) -> None:
        """Take this coding for the head that comes next."""
        self._name = coding

    def look(self, returned: Iterable[bytes]) -> None:
        """See what the application has returned: a whole response, blocks, or a file."""
        self._is_whole = type(returned) is list or type(returned) is tuple
        self._flushes = type(returned) is not self._wrapper  # nobody waits for the next block

    def start(self, status: str, headers: Headers, length: int | None) -> Headers | None:
        """Return the fields of the compressed response."""
        coding = self._piece.codings.get(self._name or IDENTITY)
        if coding is None or (length is not None and length < self._piece.minimum):
            return None
        self._coding = coding
        if not self._is_whole and not self._is_head:
            self._encoder = coding.encoder()
        assert self._name is not None
        headers = fields.weakened(fields.without(headers, *_OF_ONE_CODING))
        headers.append(("Content-Encoding", self._name))
        return headers

    def block(self, block: bytes) -> bytes:
        """Compress a block, or keep it until all are there."""
        if self._encoder is not None:
            return self._encoder.block(block, self._flushes) if block else b""
        if not self._is_head:
            self._blocks.append(block)
        return b""

    def end(self) -> bytes:
        """Compress what is whole; end what is streamed."""
        if self._encoder is not None:
            return self._encoder.end()
        if self._is_head:
            return b""
        assert self._coding is not None
        blocks = self._blocks
        return self._coding.whole(blocks[0] if len(blocks) == 1 else b"".join(blocks))


def _is_of_another_site(environ: WSGIEnvironment) -> bool:
    """Whether a page of another site asks with a user's credentials, and no click of the user does.

    It takes thousands of requests to find a secret out, and as many clicks.
    """
    if environ.get("HTTP_SEC_FETCH_SITE") != "cross-site":
        return False
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
    return fields.with_vary(fields.weakened(headers), "Accept-Encoding")
