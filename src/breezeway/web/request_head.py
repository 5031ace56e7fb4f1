"""`RequestHead`: what the environ of a request says before its body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from wsgiref.types import WSGIEnvironment

from breezeway.semantics import query as _query
from breezeway.semantics.cookies import parse_cookies
from breezeway.semantics.negotiation import choose_type
from breezeway.web.errors import BadRequest
from breezeway.web.headers import RequestHeaders
from breezeway.web.limits import DEFAULT, Limits
from breezeway.web.urls import encoded, encoded_query, host, raw_path, root
from breezeway.web.values import Values

if TYPE_CHECKING:
    from datetime import datetime

    from breezeway.semantics.authorization import Credentials
    from breezeway.semantics.ranges import Range
    from breezeway.semantics.validators import Validators

_UNSET: Final[Any] = object()

_NOTHING: Final[Mapping[str, Any]] = {}


class RequestHead:
    """All of a request but its body; nothing is parsed before it is asked for, and then once."""

    # Most requests need few of these: the defaults stand on the class.
    path_names: Sequence[str] = ()
    """The names of what the route has found in the path."""
    path_parts: Sequence[Any] = ()
    """What it has found, in the same order."""
    host_values: Mapping[str, str] = _NOTHING
    """What the host of a group has found, by name."""
    route: Any = None
    """The route that answers, if it is an `App` that asks."""
    app: Any = None
    """The `App` that answers."""

    _limits: Limits | None = None
    _query: Any = _UNSET
    _cookies: Any = _UNSET

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.environ = environ

    # --- what is asked for --------------------------------------------------------------------------

    @property
    def path_values(self) -> Mapping[str, Any]:
        """What the route has found in the path, by name."""
        return dict(zip(self.path_names, self.path_parts, strict=True))

    @path_values.setter
    def path_values(self, values: Mapping[str, Any]) -> None:
        self.path_names, self.path_parts = tuple(values), tuple(values.values())

    def url_for(self, name: str, /, **values: Any) -> str:
        """Return the path of a route of the `App` that answers, from the root of the host.

        Raises:
            ValueError: there is no route of this name, or a value does not fit.
        """
        return f"{encoded(root(self.environ))}{self.app.url_for(name, **values)}"

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
        return decoded(root(self.environ))

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
        return f"{self.scheme}://{self.host}{encoded(root(self.environ))}"

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
    def cookies(self) -> Values[str]:
        """The cookies by name, as they are: nothing is unquoted."""
        if self._cookies is _UNSET:
            cookies = parse_cookies(self.environ.get("HTTP_COOKIE", ""))
            self._cookies = Values([*cookies.items()])
        found: Values[str] = self._cookies
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
            raise RuntimeError(
                "there are no sessions: make them with App(sessions=...), or put"
                " breezeway.middleware.Sessions around"
            )
        return session

    # --- what would suit ----------------------------------------------------------------------------

    def accepts(self, *types: str) -> str | None:
        """Choose among media types, the best first, by Accept; None if the client takes none.

        Raises:
            ValueError: one is no media type, such as `json`.
        """
        for each in types:
            if "/" not in each:  # also of a client that takes anything, as that of a test
                raise ValueError(f"{each!r} is no media type")
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

        `etag` is that of what is there, with or without quotes; `modified` a time, or seconds since the
        epoch. Returns 304 or 412, the status of the answer, or None: go on.

        Raises:
            ValueError: the tag cannot be one.
        """
        from breezeway.semantics.validators import precondition

        return precondition(self.environ, _validators(etag, modified))

    def ranges(
        self, size: int, etag: str | None = None, modified: datetime | float | None = None
    ) -> list[Range] | None:
        """Return the ranges of `size` bytes that are asked for (RFC 9110 section 14).

        None: send the whole; an empty list: 416. A GET alone has ranges, and If-Range has to allow them.
        `etag` and `modified` are those of `precondition`.
        """
        value = self.environ.get("HTTP_RANGE")
        if value is None or self.method != "GET":
            return None
        import time

        from breezeway.semantics.ranges import requested
        from breezeway.semantics.validators import range_applies

        validators = _validators(etag, modified)
        return (
            requested(value, size) if range_applies(self.environ, validators, time.time()) else None
        )

    def _tags(self, key: str) -> list[str] | None:
        from breezeway.semantics.validators import entity_tags

        value = self.environ.get(key)
        if value is None:
            return None
        return ["*"] if value.strip(" \t") == "*" else entity_tags(value)

    @property
    def limits(self) -> Limits:
        """How much is taken: of the request itself, of its route, of the app, or what is usual."""
        found = self._limits or getattr(self.route, "limits", None)
        return found or getattr(self.app, "limits", None) or DEFAULT

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path!r}>"


def decoded(text: str) -> str:
    """Decode a text of an environ, a character for each byte, as UTF-8; U+FFFD for what is not."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


def _date(value: str | None) -> datetime | None:
    from datetime import timedelta

    from breezeway.semantics.dates import EPOCH, parse_http_date

    seconds = parse_http_date(value) if value else None
    try:
        return None if seconds is None else EPOCH + timedelta(seconds=seconds)
    except OverflowError:  # the leap second after the last one of the year 9999
        return None


def _validators(etag: str | None, modified: datetime | float | None) -> Validators:
    from breezeway.semantics.validators import Validators
    from breezeway.web.conditional import quoted

    if modified is not None and not isinstance(modified, int | float):
        modified = modified.timestamp()
    tag = None if etag is None else quoted(etag)
    return Validators(tag, None if modified is None else int(modified))
