"""`Response`: status, fields and content; a WSGI application by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.semantics.cookies import SameSite, removed_cookie, set_cookie, with_cookie
from breezeway.web.errors import phrase
from breezeway.web.headers import ResponseHeaders

HTML: Final = "text/html; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"

WITHOUT_CONTENT: Final = (204, 304)

STATUS: Final = {code: f"{code} {phrase(code)}" for code in range(200, 600)}

Fields = Iterable[tuple[str, str]] | Mapping[str, str]


class Response:
    """A response: `return Response("hi")(environ, start_response)` works on any WSGI server.

    The content is a text, which is sent as UTF-8, bytes, or an iterable of bytes, which is sent block by
    block and closed at the end.
    """

    __slots__ = ("_on_close", "content", "headers", "status")

    def __init__(
        self,
        content: str | bytes | Iterable[bytes] = b"",
        status: int = 200,
        headers: Fields = (),
        *,
        content_type: str = HTML,
    ) -> None:
        """`headers` may have a Content-Type of their own, which counts.

        Raises:
            ValueError: the status is none from 200 to 599, or a header cannot be one.
        """
        if status not in STATUS:
            raise ValueError(f"a response has a status from 200 to 599, not {status!r}")
        self.status = status
        self.headers = ResponseHeaders(headers) if headers else ResponseHeaders()
        self.content: bytes | Iterable[bytes] = (
            content.encode() if isinstance(content, str) else content
        )
        if status not in WITHOUT_CONTENT and (not headers or "content-type" not in self.headers):
            self.headers.fields.append(("Content-Type", content_type))
        self._on_close: list[Callable[[], object]] | None = None

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        http_only: bool = True,
        same_site: SameSite = "Lax",
        partitioned: bool = False,
    ) -> None:
        """Add a cookie (RFC 6265bis); `max_age` is in seconds, None until the browser ends.

        Raises:
            ValueError: no browser would keep it.
        """
        cookie = set_cookie(
            name,
            value,
            max_age=max_age,
            path=path,
            domain=domain,
            secure=secure,
            http_only=http_only,
            same_site=same_site,
            partitioned=partitioned,
        )
        self.headers.fields = with_cookie(self.headers.fields, cookie)

    def delete_cookie(self, name: str, *, path: str = "/", domain: str | None = None) -> None:
        """Take a cookie back."""
        cookie = removed_cookie(name, path=path, domain=domain)
        self.headers.fields = with_cookie(self.headers.fields, cookie)

    def on_close(self, function: Callable[[], object]) -> None:
        """Call a function when the response is over: sent, failed or given up."""
        if self._on_close is None:
            self._on_close = []
        self._on_close.append(function)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send the response."""
        return self.send(environ, start_response, ())

    def send(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        defaults: Iterable[tuple[str, str]],
    ) -> Iterable[bytes]:
        """Send the response, and with it those of the fields `defaults` that it has not itself."""
        content = self.content
        fields = self.headers.fields
        fields = merged(fields, defaults) if defaults else fields[:]
        if type(content) is bytes:
            if self.status not in WITHOUT_CONTENT:
                fields.append(("Content-Length", str(len(content))))
            start_response(STATUS[self.status], fields)
            blocks: Any = [content]
            if environ["REQUEST_METHOD"] == "HEAD" or not content:
                blocks = []
        else:
            start_response(STATUS[self.status], fields)
            blocks = content
            if environ["REQUEST_METHOD"] == "HEAD" or self.status in WITHOUT_CONTENT:
                getattr(content, "close", lambda: None)()
                blocks = []
        if self._on_close:
            from breezeway.middleware.closing import ClosingIterator

            return ClosingIterator(blocks, self._close)
        return blocks  # type: ignore[no-any-return]

    def _close(self) -> None:
        for function in self._on_close or ():
            function()

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


def json_response(
    value: Any, status: int = 200, headers: Fields = (), *, default: Any = None
) -> Response:
    """Return a response with a value as JSON.

    Dataclasses, dates and times (ISO 8601), UUIDs, decimals (as texts), enums, sets and paths are
    written, too; `default` is asked for what is none of that.
    """
    return Response(dumps(value, default), status, headers, content_type=JSON)


def merged(
    fields: list[tuple[str, str]], defaults: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return the fields, and those of the defaults whose names are not among them."""
    if len(fields) == 1 and fields[0][0] == "Content-Type":  # most responses; it is no default
        return [*fields, *defaults]
    names = {name.lower() for name, _ in fields}
    return [*fields, *(field for field in defaults if field[0].lower() not in names)]


def dumps(value: Any, default: Any = None) -> bytes:
    """Write a value as JSON in UTF-8.

    Raises:
        TypeError, ValueError: JSON has no form for it.
    """
    if default is None:
        return _encode(value).encode()
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), default=default, allow_nan=False
    ).encode()


def plain(value: Any) -> Any:
    """Write what JSON has no form for in a form that it has.

    Raises:
        TypeError: there is none.
    """
    from breezeway.web.plain import plain as write

    return write(value)


_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=plain, check_circular=False
)

_encode: Callable[[Any], str] = _ENCODER.encode
_make: Final[Any] = getattr(json.encoder, "c_make_encoder", None)
_quote: Final[Any] = getattr(json.encoder, "c_encode_basestring", None)
if _make is not None and _quote is not None:
    # JSONEncoder.encode makes a C encoder for each value, which takes longer than a small value does.
    # Without a table for circles one can be shared by all threads; a circle is a RecursionError.
    _blocks: Final[Any] = _make(None, plain, _quote, None, ":", ",", False, False, False)
    _encode = lambda value: "".join(_blocks(value, 0))  # noqa: E731
