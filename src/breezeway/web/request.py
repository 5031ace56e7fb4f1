"""`Request`: what a client has asked for, read from an environ when it is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from wsgiref.types import WSGIEnvironment

from breezeway.semantics import query as _query
from breezeway.semantics.cookies import parse_cookies
from breezeway.semantics.negotiation import choose_type
from breezeway.web.errors import BadRequest, ContentTooLarge, UnsupportedMediaType
from breezeway.web.headers import RequestHeaders
from breezeway.web.values import Values

BODY_BYTES: Final = 1 << 20
"""Of a body that is read into memory, 1 MiB: as much JSON as a form of a page will ever be."""

READ_BYTES: Final = 1 << 16
"""Of a body without a length, at a time."""

_UNSET: Final[Any] = object()


class Request:
    """A request, over the environ of any WSGI server.

    Nothing is parsed before it is asked for, and then once. Who the client is, and over which scheme and
    host it asks, is what the server says (REMOTE_ADDR, wsgi.url_scheme, HTTP_HOST): fields that proxies
    set are the business of the server or of `ProxyHeaders`, for anybody can send them.
    """

    __slots__ = (
        "_body",
        "_cookies",
        "_form",
        "_json",
        "_query",
        "app",
        "environ",
        "host_values",
        "path_values",
        "route",
        "state",
    )

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.environ = environ
        self.path_values: Mapping[str, Any] = {}
        """What the route has found in the path, by name."""
        self.host_values: Mapping[str, str] = {}
        """What the host of a group has found, by name."""
        self.route: Any = None
        """The route that answers, if it is an `App` that asks."""
        self.app: Any = None
        """The `App` that answers."""
        self._query: Any = _UNSET
        self._cookies: Any = _UNSET
        self._body: Any = _UNSET
        self._json: Any = _UNSET
        self._form: Any = _UNSET

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
    def scheme(self) -> str:
        """`http` or `https`."""
        scheme: str = self.environ["wsgi.url_scheme"]
        return scheme

    @property
    def host(self) -> str:
        """Host and port as the client named them; the server's, if it did not."""
        environ = self.environ
        host = environ.get("HTTP_HOST")
        if host:
            return str(host)
        name, port = environ["SERVER_NAME"], environ["SERVER_PORT"]
        usual = {"http": "80", "https": "443"}.get(environ["wsgi.url_scheme"])
        return str(name) if port == usual else f"{name}:{port}"

    @property
    def url(self) -> str:
        """The whole URL, percent-encoded (PEP 3333, "URL Reconstruction")."""
        from wsgiref.util import request_uri

        return request_uri(self.environ)

    @property
    def query(self) -> Values[str]:
        """Names and values of the query.

        Raises:
            BadRequest: there are more than a thousand.
        """
        if self._query is _UNSET:
            text = self.environ.get("QUERY_STRING", "")
            self._query = Values(self._pairs(text) if text else [])
        found: Values[str] = self._query
        return found

    def _pairs(self, text: str) -> list[tuple[str, str]]:
        try:
            return _query.pairs(text)
        except _query.TooManyPairsError as error:
            raise BadRequest(str(error)) from None

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

    @property
    def client(self) -> str:
        """The address of the client; empty for a unix socket."""
        address: str = self.environ.get("REMOTE_ADDR", "")
        return address

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

    def accepts(self, *types: str) -> str | None:
        """Choose among media types, the best first, by Accept; None if the client takes none."""
        return choose_type(self.environ.get("HTTP_ACCEPT"), types)

    # --- the body -----------------------------------------------------------------------------------

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case, without parameters; empty if it is not told."""
        value: str = self.environ.get("CONTENT_TYPE", "")
        return value.partition(";")[0].strip().lower()

    @property
    def content_length(self) -> int | None:
        """The length of the body in bytes; None if nobody knows it before it is read."""
        value = self.environ.get("CONTENT_LENGTH")
        if not value:
            return None if self.environ.get("wsgi.input_terminated") else 0
        if not (value.isascii() and value.isdigit()):
            raise BadRequest("Content-Length is not a number")
        return int(value)

    @property
    def stream(self) -> Any:
        """`wsgi.input`, to read a large body in pieces."""
        return self.environ["wsgi.input"]

    def read(self, most: int = BODY_BYTES) -> bytes:
        """Read the whole body, once; it is kept for further calls.

        Raises:
            ContentTooLarge: it has more bytes than `most`.
            BadRequest: it was cut short.
        """
        if self._body is _UNSET:
            self._body = self._read(most)
        body: bytes = self._body
        if len(body) > most:
            raise ContentTooLarge(f"the body has more than {most} bytes")
        return body

    def _read(self, most: int) -> bytes:
        length = self.content_length
        stream = self.stream
        if length is None:
            pieces, size = [], 0
            while size <= most and (piece := stream.read(min(READ_BYTES, most + 1 - size))):
                pieces.append(piece)
                size += len(piece)
            return b"".join(pieces)
        if length > most:
            raise ContentTooLarge(f"the body has more than {most} bytes")
        body: bytes = stream.read(length) if length else b""
        if len(body) < length:
            raise BadRequest("the body was cut short")
        return body

    @property
    def body(self) -> bytes:
        """The whole body, of 1 MiB at most; `read` takes another bound."""
        return self.read()

    @property
    def text(self) -> str:
        """The whole body as UTF-8 text.

        Raises:
            BadRequest: it is not UTF-8.
        """
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            raise BadRequest("the body is not UTF-8 text") from None

    def json(self) -> Any:
        """Return what the body says as JSON.

        Raises:
            UnsupportedMediaType: the body is of another type than `application/json` or `...+json`.
            BadRequest: it is not JSON (RFC 8259).
            ContentTooLarge: it is too large.
        """
        if self._json is _UNSET:
            kind = self.content_type
            if kind != "application/json" and not (
                kind.startswith("application/") and kind.endswith("+json")
            ):
                raise UnsupportedMediaType(
                    "the body must be application/json", [("Accept-Post", "application/json")]
                )
            try:
                self._json = json.loads(self.body, parse_constant=_refuse_constant)
            except (ValueError, RecursionError) as error:
                raise BadRequest(f"the body is not JSON: {error}") from None
        return self._json

    def form(self) -> Values[str]:
        """Return the fields of a form, of 1 MiB at most.

        Raises:
            UnsupportedMediaType: the body is no form.
            BadRequest, ContentTooLarge: it is malformed, or too large.
        """
        if self._form is _UNSET:
            if self.content_type != "application/x-www-form-urlencoded":
                raise UnsupportedMediaType("the body must be a form")
            self._form = Values(self._pairs(self.body.decode("latin-1")))
        found: Values[str] = self._form
        return found

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path!r}>"


def decoded(text: str) -> str:
    """Decode a text of an environ, a character for each byte, as UTF-8; U+FFFD for what is not."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
