"""`Request`: what a client has asked for, read from an environ when it is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from wsgiref.types import WSGIEnvironment

from breezeway.semantics import query as _query
from breezeway.semantics.cookies import parse_cookies
from breezeway.semantics.negotiation import choose_type
from breezeway.web.body import BodyStream, content_length
from breezeway.web.errors import BadRequest, ContentTooLarge, HTTPError, UnsupportedMediaType
from breezeway.web.headers import RequestHeaders
from breezeway.web.limits import DEFAULT, Limits
from breezeway.web.urls import PATH_SAFE as PATH_SAFE
from breezeway.web.urls import encoded, encoded_query, host, raw_path
from breezeway.web.values import Values

if TYPE_CHECKING:
    from datetime import datetime

    from breezeway.semantics.authorization import Credentials
    from breezeway.semantics.media_types import MediaType
    from breezeway.semantics.ranges import Range
    from breezeway.web.forms import FormData
    from breezeway.web.uploads import Upload

_UNSET: Final[Any] = object()

_NOTHING: Final[Mapping[str, Any]] = {}


class Request:
    """A request, over the environ of any WSGI server.

    Nothing is parsed before it is asked for, and then once. Who the client is, and over which scheme and
    host it asks, is what the server says (REMOTE_ADDR, wsgi.url_scheme, HTTP_HOST): fields that proxies
    set are the business of the server or of `ProxyHeaders`, for anybody can send them.

    What is malformed is an error that becomes an answer: `BadRequest`, `ContentTooLarge` or
    `UnsupportedMediaType`.
    """

    # Most requests need few of these: the defaults stand on the class.
    path_values: Mapping[str, Any] = _NOTHING
    """What the route has found in the path, by name."""
    host_values: Mapping[str, str] = _NOTHING
    """What the host of a group has found, by name."""
    route: Any = None
    """The route that answers, if it is an `App` that asks."""
    app: Any = None
    """The `App` that answers."""
    holds_files: bool = False
    """Whether there are files of a form, which `close` deletes."""

    _limits: Limits | None = None
    _query: Any = _UNSET
    _cookies: Any = _UNSET
    _media_type: Any = _UNSET
    _stream: BodyStream | None = None
    _failure: HTTPError | None = None
    """Why the body cannot be read: it is read once."""
    _body: Any = _UNSET
    _json: Any = _UNSET
    _form: Any = _UNSET

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.environ = environ

    # --- what is asked for --------------------------------------------------------------------------

    @property
    def method(self) -> str:
        """The method, such as `GET`."""
        method: str = self.environ["REQUEST_METHOD"]
        return method

    @property
    def path(self) -> str:
        """The path below where the application is mounted, decoded as UTF-8, with a slash at least."""
        return decoded(self.environ.get("PATH_INFO", "")) or "/"

    @property
    def root_path(self) -> str:
        """Where the application is mounted: empty, or a path without a slash at its end."""
        return decoded(self.environ.get("SCRIPT_NAME", ""))

    @property
    def raw_path(self) -> str:
        """The whole path, percent-encoded: as the client has sent it, where the server tells."""
        return raw_path(self.environ)

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        scheme: str = self.environ["wsgi.url_scheme"]
        return scheme

    @property
    def is_secure(self) -> bool:
        """Whether the request came over https."""
        return self.scheme == "https"

    @property
    def host(self) -> str:
        """Host and port as the client named them; the server's, if it did not.

        Raises:
            BadRequest: it is neither a name nor an address.
        """
        return host(self.environ)

    @property
    def base_url(self) -> str:
        """The URL at which the application is mounted, without a slash at its end.

        Raises:
            BadRequest: the host is malformed.
        """
        return f"{self.scheme}://{self.host}{encoded(self.environ.get('SCRIPT_NAME', ''))}"

    @property
    def url(self) -> str:
        """The whole URL, percent-encoded (PEP 3333, "URL Reconstruction").

        Raises:
            BadRequest: the host is malformed.
        """
        path = encoded(self.environ.get("PATH_INFO", ""))
        query = f"?{self.query_string}" if self.query_string else ""
        return f"{self.base_url}{path}{query}"

    @property
    def query_string(self) -> str:
        """The query, percent-encoded, without the question mark."""
        return encoded_query(self.environ.get("QUERY_STRING", ""))

    @property
    def query(self) -> Values[str]:
        """Names and values of the query; what is not UTF-8 is U+FFFD, as in browsers.

        Raises:
            BadRequest: there are more than `limits.fields`.
        """
        if self._query is _UNSET:
            text = self.environ.get("QUERY_STRING", "")
            try:
                # A single one is under any bound, and most queries are one.
                pairs = _query.pairs(text, self.limits.fields if "&" in text else 1) if text else []
            except _query.TooManyPairsError as error:
                raise BadRequest(f"the query has {error}") from None
            self._query = Values(pairs)
        found: Values[str] = self._query
        return found

    @property
    def headers(self) -> RequestHeaders:
        """The fields, by their names in any case."""
        return RequestHeaders(self.environ)

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by name, as they are: nothing is unquoted."""
        if self._cookies is _UNSET:
            self._cookies = parse_cookies(self.environ.get("HTTP_COOKIE", ""))
        found: Mapping[str, str] = self._cookies
        return found

    # --- who asks -----------------------------------------------------------------------------------

    @property
    def client(self) -> str:
        """The address of the client; empty for a unix socket."""
        address: str = self.environ.get("REMOTE_ADDR", "")
        return address

    @property
    def remote_user(self) -> str | None:
        """Who the server, `BasicAuth` or `BearerAuth` has found the client to be."""
        name = self.environ.get("REMOTE_USER")
        return decoded(name) if name else None

    @property
    def authorization(self) -> Credentials | None:
        """What Authorization says, which nobody has checked: `.scheme`, `.basic`, `.bearer`.

        None if it is not there or malformed.
        """
        from breezeway.semantics.authorization import parse_credentials

        return parse_credentials(self.environ.get("HTTP_AUTHORIZATION", ""))

    @property
    def session(self) -> Any:
        """The session of `breezeway.middleware.Sessions`.

        Raises:
            RuntimeError: there is none around.
        """
        session = self.environ.get("breezeway.session")
        if session is None:
            raise RuntimeError("there are no sessions: put breezeway.middleware.Sessions around")
        return session

    # --- what would suit ----------------------------------------------------------------------------

    def accepts(self, *types: str) -> str | None:
        """Choose among media types, the best first, by Accept; None if the client takes none."""
        return choose_type(self.environ.get("HTTP_ACCEPT"), types)

    def accepts_language(self, *tags: str) -> str | None:
        """Choose among language tags by Accept-Language (RFC 4647 section 3.4); None if none suits."""
        from breezeway.semantics.languages import choose_language

        return choose_language(self.environ.get("HTTP_ACCEPT_LANGUAGE"), tags)

    @property
    def if_match(self) -> list[str] | None:
        """The entity tags of If-Match, quotes included, or `*`; none if it is malformed."""
        return self._tags("HTTP_IF_MATCH")

    @property
    def if_none_match(self) -> list[str] | None:
        """The entity tags of If-None-Match, quotes included, or `*`; none if it is malformed."""
        return self._tags("HTTP_IF_NONE_MATCH")

    @property
    def if_modified_since(self) -> datetime | None:
        """When the client has got what it has, in UTC; None also for what is no date."""
        return _date(self.environ.get("HTTP_IF_MODIFIED_SINCE"))

    @property
    def if_unmodified_since(self) -> datetime | None:
        """What the client takes to be the last change, in UTC; None also for what is no date."""
        return _date(self.environ.get("HTTP_IF_UNMODIFIED_SINCE"))

    @property
    def if_range(self) -> str | datetime | None:
        """The entity tag or the date of If-Range; None also for what is neither."""
        from breezeway.semantics.validators import entity_tags

        value = self.environ.get("HTTP_IF_RANGE", "")
        tags = entity_tags(value) if value.endswith('"') else []
        return tags[0] if len(tags) == 1 else _date(value)

    def precondition(
        self, etag: str | None = None, modified: datetime | float | None = None
    ) -> int | None:
        """Compare the conditions of the request with what is there (RFC 9110 section 13.2.2).

        `etag` is with its quotes; `modified` a time, or seconds since the epoch. Returns 304 or 412, the
        status of the answer, or None: go on.
        """
        from breezeway.semantics.validators import Validators, precondition

        return precondition(self.environ, Validators(etag, _seconds(modified)))

    def ranges(
        self, size: int, etag: str | None = None, modified: datetime | float | None = None
    ) -> list[Range] | None:
        """Return the ranges of `size` bytes that are asked for (RFC 9110 section 14).

        None: send the whole; an empty list: 416. A GET alone has ranges, and If-Range has to allow them.
        """
        value = self.environ.get("HTTP_RANGE")
        if value is None or self.method != "GET":
            return None
        import time

        from breezeway.semantics.ranges import requested
        from breezeway.semantics.validators import Validators, range_applies

        validators = Validators(etag, _seconds(modified))
        return (
            requested(value, size) if range_applies(self.environ, validators, time.time()) else None
        )

    def _tags(self, key: str) -> list[str] | None:
        from breezeway.semantics.validators import entity_tags

        value = self.environ.get(key)
        if value is None:
            return None
        return ["*"] if value.strip(" \t") == "*" else entity_tags(value)

    # --- the body -----------------------------------------------------------------------------------

    @property
    def limits(self) -> Limits:
        """How much is taken: of the request itself, of its route, of the app, or what is usual."""
        found = self._limits or getattr(self.route, "limits", None)
        return found or getattr(self.app, "limits", None) or DEFAULT

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case, without parameters; empty if it is not told."""
        value: str = self.environ.get("CONTENT_TYPE", "")
        return value.partition(";")[0].strip(" \t").lower()

    @property
    def media_type(self) -> MediaType | None:
        """The media type of the body with its `parameters`; None if it is not told.

        Raises:
            BadRequest: it is malformed.
        """
        if self._media_type is _UNSET:
            from breezeway.semantics.media_types import parse_media_type

            value = self.environ.get("CONTENT_TYPE")
            try:
                self._media_type = parse_media_type(value) if value else None
            except ValueError:
                raise BadRequest("Content-Type is malformed") from None
        found: MediaType | None = self._media_type
        return found

    @property
    def content_length(self) -> int | None:
        """The length of the body in bytes; None if nobody knows it before it is read.

        Raises:
            BadRequest: it is not a number.
            HTTPError: 411, the server does not tell where the body ends.
        """
        return content_length(self.environ)

    @property
    def stream(self) -> BodyStream:
        """The body, to be read in pieces, however large it is; it is not kept."""
        if self._stream is None:
            self._stream = BodyStream(self.environ["wsgi.input"], self.content_length)
        return self._stream

    def _unread(self) -> BodyStream:
        if self._failure is not None:
            raise self._failure
        stream = self.stream
        if stream.taken:
            raise RuntimeError("the body has been read already, as a stream or a form")
        return stream

    def read(self, most: int | None = None) -> bytes:
        """Read the whole body, of `limits.body_bytes` unless `most` says more or less; it is kept.

        Raises:
            ContentTooLarge: it has more bytes.
            BadRequest: it was cut short.
        """
        if most is None:
            most = self.limits.body_bytes
        if self._body is _UNSET:
            length = self.content_length
            if length is not None and length > most:
                raise ContentTooLarge(f"the body has more than {most} bytes")
            stream = self._unread()
            try:
                body = stream.read(most + 1 if length is None else length)
                if len(body) > most:
                    raise ContentTooLarge(f"the body has more than {most} bytes")
            except HTTPError as error:
                self._failure = error
                raise
            self._body = body
        if len(self._body) > most:
            raise ContentTooLarge(f"the body has more than {most} bytes")
        found: bytes = self._body
        return found

    @property
    def body(self) -> bytes:
        """The whole body, of `limits.body_bytes` at most; `read` takes another bound."""
        return self.read()

    @property
    def text(self) -> str:
        """The whole body as UTF-8 text.

        Raises:
            UnsupportedMediaType: its Content-Type has another charset.
            BadRequest: it is not UTF-8.
            ContentTooLarge: it is too large.
        """
        return self._text(self.media_type, None)

    def _text(self, media_type: MediaType | None, most: int | None) -> str:
        if media_type is not None and not media_type.is_utf_8:
            raise UnsupportedMediaType("the body must be UTF-8")
        try:
            return self.read(most).decode()
        except UnicodeDecodeError:
            raise BadRequest("the body is not UTF-8") from None

    def json(self, most: int | None = None) -> Any:
        """Return what the body says as JSON, of `limits.body_bytes` unless `most` says more or less.

        Raises:
            UnsupportedMediaType: the body is of another type than `application/json` or `...+json`.
            BadRequest: it is not JSON (RFC 8259), or says what cannot be sent on: half of a character,
                a number beyond all bounds.
            ContentTooLarge: it is too large.
        """
        if self._json is _UNSET:
            media_type = self.media_type
            if media_type is None or not media_type.is_json:
                raise UnsupportedMediaType(
                    "the body must be application/json", [("Accept-Post", "application/json")]
                )
            text = self._text(media_type, most)
            try:
                value = json.loads(text, parse_constant=_refused, parse_float=_finite)
                if "\\ud" in text or "\\uD" in text:
                    json.dumps(value, ensure_ascii=False).encode()  # fails for half a pair
            except UnicodeEncodeError:
                raise BadRequest("the body has half of a character (a lone surrogate)") from None
            except (ValueError, RecursionError) as error:
                raise BadRequest(f"the body is not JSON: {error}") from None
            self._json = value
        return self._json

    def form(self, limits: Limits | None = None) -> FormData:
        """Return the fields of a form, and its `files`.

        `limits` stand for those of the request. The files are deleted when the response is over.

        Raises:
            UnsupportedMediaType: the body is no form.
            BadRequest: it is malformed.
            ContentTooLarge: there is too much of something.
        """
        if self._form is _UNSET:
            if self._failure is not None:
                raise self._failure
            try:
                self._form = self._read_form(limits or self.limits)
            except HTTPError as error:
                self._failure = error
                raise
            self.holds_files = self._form.is_spooled
        found: FormData = self._form
        return found

    @property
    def files(self) -> Values[Upload]:
        """The files of the form."""
        return self.form().files

    def _read_form(self, limits: Limits) -> FormData:
        from breezeway.web import forms

        media_type = self.media_type
        if media_type is None and self.content_length == 0:
            return forms.FormData([], [])
        if media_type is not None and media_type.name == forms.URLENCODED:
            if not media_type.is_utf_8:
                raise UnsupportedMediaType("a form must be UTF-8")
            return forms.read_urlencoded(self.read(limits.body_bytes), limits)
        if media_type is None or media_type.name != forms.MULTIPART:
            types = f"{forms.URLENCODED}, {forms.MULTIPART}"
            raise UnsupportedMediaType("the body must be a form", [("Accept-Post", types)])
        boundary = forms.boundary_of(media_type)
        if self._body is not _UNSET:
            import io

            stream = BodyStream(io.BytesIO(self._body), len(self._body))
            return forms.read_multipart(stream, boundary, limits)
        most, length = forms.most_bytes(limits), self.content_length
        if length is not None and length > most:
            raise ContentTooLarge(f"the form has more than {most} bytes")
        return forms.read_multipart(self._unread(), boundary, limits)

    def close(self) -> None:
        """Delete the files of the form; an `App` does that when the response is over."""
        if self.holds_files:
            self._form.close()

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path!r}>"


def decoded(text: str) -> str:
    """Decode a text of an environ, a character for each byte, as UTF-8; U+FFFD for what is not."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError(f"{text[:20]} is beyond all numbers")
    return value


def _date(value: str | None) -> datetime | None:
    from datetime import UTC, datetime

    from breezeway.semantics.dates import parse_http_date

    seconds = parse_http_date(value) if value else None
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _seconds(modified: datetime | float | None) -> int | None:
    if modified is None:
        return None
    return int(modified if isinstance(modified, int | float) else modified.timestamp())
