"""`Response`: status, fields and content; a WSGI application by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import datetime
from typing import Any, Final, cast
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.semantics.cookies import (
    SECURE_PREFIXES,
    SameSite,
    removed_cookie,
    set_cookie,
    with_cookie,
)
from breezeway.semantics.fields import without
from breezeway.web.errors import phrase
from breezeway.web.headers import ResponseHeaders
from breezeway.web.headers import checked as checked_field
from breezeway.web.json_encoding import dumps as dumps
from breezeway.web.json_encoding import plain as plain
from breezeway.web.stream import Blocks, as_bytes, checked, close

HTML: Final = "text/html; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"

_TYPES: Final = frozenset([HTML, TEXT, JSON])

WITHOUT_CONTENT: Final = (204, 205, 304)

STATUS: Final = {code: f"{code} {phrase(code)}" for code in range(200, 600)}

Fields = Iterable[tuple[str, str]] | Mapping[str, str]
Content = str | bytes | Iterable[str | bytes]


class Response:
    """A response: `return Response("hi")(environ, start_response)` works on any WSGI server.

    The content is a text, which is sent as UTF-8, bytes, or an iterable of both, which is sent block by
    block. Whatever becomes of the response, an iterable that has a `close` is closed at its end: sent,
    failed, given up by the client, or never asked for.
    """

    __slots__ = ("_later", "_status", "content", "headers")

    def __init__(
        self,
        content: Content = b"",
        status: int | str = 200,
        headers: Fields = (),
        *,
        content_type: str = HTML,
    ) -> None:
        """`status` is a number, or one with a phrase of its own, such as `"404 No Such Page"`.

        `headers` may have a Content-Type of their own, which counts; an empty `content_type` sends
        none. A text is UTF-8, and a `content_type` of text says so.

        Raises:
            ValueError: the status is none from 200 to 599, or a header cannot be one.
            TypeError: the content is none.
        """
        if type(status) is not int:
            status = status_of(status)
        elif status not in STATUS:
            raise ValueError(f"a response has a status from 200 to 599, not {status!r}")
        self._status: int = status
        self.headers = ResponseHeaders(headers)
        if content_type not in _TYPES:
            content_type = _checked_type(content_type, content)
        kind = type(content)
        self.content: Any = (
            content
            if kind is bytes
            else content.encode()  # type: ignore[union-attr]
            if kind is str or isinstance(content, str)
            else checked(content)
        )
        """Bytes, or an iterable of texts and bytes."""
        if content_type and (not headers or "content-type" not in self.headers):
            self.headers.fields.append(("Content-Type", content_type))
        self._later: _Later | None = None

    @property
    def status(self) -> int:
        """The code; what is set may have a phrase of its own, as at the beginning."""
        return self._status

    @status.setter
    def status(self, status: int | str) -> None:
        self._status = status_of(status)

    # --- cookies ------------------------------------------------------------------------------------

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        expires: datetime | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool | None = None,
        http_only: bool = True,
        same_site: SameSite | None = "Lax",
        partitioned: bool = False,
    ) -> None:
        """Add a cookie (RFC 6265bis); `max_age` is in seconds, None until the browser ends.

        `secure` None: if the name has a prefix that demands it, such as `__Host-`.

        Raises:
            ValueError: no browser would keep it.
        """
        cookie = set_cookie(
            name,
            value,
            max_age=max_age,
            expires=None if expires is None else _seconds(expires),
            path=path,
            domain=domain,
            secure=_demands_secure(name) if secure is None else secure,
            http_only=http_only,
            same_site=same_site,
            partitioned=partitioned,
        )
        self.headers.fields = with_cookie(self.headers.fields, cookie)

    def delete_cookie(
        self,
        name: str,
        *,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool | None = None,
        partitioned: bool = False,
    ) -> None:
        """Take a cookie back; it is told by its name, path and domain, and whether it is partitioned."""
        cookie = removed_cookie(
            name,
            path=path,
            domain=domain,
            secure=_demands_secure(name) or partitioned if secure is None else secure,
            http_only=True,
            partitioned=partitioned,
        )
        self.headers.fields = with_cookie(self.headers.fields, cookie)

    # --- validators ---------------------------------------------------------------------------------

    def conditional(
        self, etag: str = "", modified: datetime | None = None, *, weak: bool = False
    ) -> Response:
        """Name the version of the content, and let a client that has it be told so (RFC 9110 section 13).

        `etag` is a text that is another one for each version, with or without quotes; without it and
        without `modified`, an ETag that is there stays, or one is made of the content. A GET or HEAD whose
        preconditions fail gets 304, or 412, in place of the response. Returns the response.

        Raises:
            ValueError: the tag cannot be one, `modified` has no time zone, or there is neither, and the
                content is not known before it is sent.
        """
        from breezeway.web.conditional import tag_of, told_date

        if etag or (modified is None and "etag" not in self.headers):
            self.headers["ETag"] = tag_of(etag, self.content, weak=weak)
        if modified is not None:
            self.headers["Last-Modified"] = told_date(modified)
        self._for_later().conditional = True
        return self

    # --- the end ------------------------------------------------------------------------------------

    def on_close(self, function: Callable[[], object]) -> None:
        """Call a function when the response is over: sent, failed or given up."""
        self._for_later().functions.append(function)

    def close(self) -> None:
        """End a response that is not sent: close what it has, and call the functions of `on_close`."""
        try:
            close(self.content)
        finally:
            self._ended()

    def _for_later(self) -> _Later:
        if self._later is None:
            self._later = _Later()
        return self._later

    def _ended(self) -> None:
        if self._later is not None:
            self._later.call()

    # --- sending ------------------------------------------------------------------------------------

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
        content, status, fields = self.content, self._status, self.headers.fields
        if (
            type(content) is not bytes
            or self._later is not None
            or status in WITHOUT_CONTENT
            or type(status) is not int
            or len(fields) != 1
            or fields[0][0] != "Content-Type"
        ):
            return self._sent(environ, start_response, defaults)
        # Nearly all of them; the longer way would do the same.
        fields = [*fields, *defaults, ("Content-Length", str(len(content)))]
        start_response(STATUS[status], fields)
        return [] if environ["REQUEST_METHOD"] == "HEAD" or not content else [content]

    def _sent(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        defaults: Iterable[tuple[str, str]],
    ) -> Iterable[bytes]:
        is_silent = environ["REQUEST_METHOD"] == "HEAD"
        try:
            status, fields, content = self._planned(environ)
            if isinstance(content, str):  # that a hook has put in place of another
                content = content.encode()
            if isinstance(content, list | tuple):
                content = [as_bytes(block) for block in content]
            if status in WITHOUT_CONTENT:
                is_silent = True
                fields = fields_without_content(status, fields)
            elif type(content) is bytes or type(content) is list:
                content = [content] if type(content) is bytes and content else [*content]
                size = str(sum(map(len, content)))
                fields = [*without(fields, "content-length"), ("Content-Length", size)]
            start_response(line_of(status), merged(fields, defaults))
            if is_silent:
                close(content)
        except BaseException:
            self.close()
            raise
        return self._finished([] if is_silent else _blocks(content, environ), environ)

    def _finished(self, blocks: Iterable[bytes], environ: WSGIEnvironment) -> Iterable[bytes]:
        """Have the functions of `on_close` called after the blocks."""
        if self._later is None or not self._later.functions:
            return blocks
        from breezeway.middleware.closing import closing

        return closing(blocks, environ, self._ended)

    def _planned(self, environ: WSGIEnvironment) -> tuple[int, list[tuple[str, str]], Any]:
        """Return status, fields and content, by what the client has already."""
        fields = self.headers.fields
        if self._later is not None and self._later.conditional and self.status == 200:
            from breezeway.web.conditional import planned

            found = planned(environ, fields)
            if found is not None:
                close(self.content)
                return found
        return self.status, fields, self.content

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {line_of(self.status)}>"


def fields_without_content(status: int, fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the fields of a response whose status is one of `WITHOUT_CONTENT`."""
    if status == 205:  # which says that nothing follows (RFC 9110 section 15.3.6)
        return [*without(fields, "content-length"), ("Content-Length", "0")]
    return without(fields, "content-type", "content-length")


def copied(response: Response) -> Response:
    """Return a response with the same content, whose status, fields and end are its own."""
    if type(response) is Response:  # half a microsecond; `copy` takes six
        made = Response.__new__(Response)
        made.content = response.content
        made._status = response._status
    else:
        made = copy(response)
    made.headers = ResponseHeaders()
    made.headers.fields = response.headers.fields[:]
    later = response._later
    made._later = None if later is None else later.copied()
    return made


def merged(
    fields: list[tuple[str, str]], defaults: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return the fields, and those of the defaults whose names are not among them."""
    if not defaults:
        return fields[:]
    names = {name.lower() for name, _ in fields}
    return [*fields, *(field for field in defaults if field[0].lower() not in names)]


class _Later:
    """What few responses have."""

    __slots__ = ("conditional", "functions")

    def __init__(self) -> None:
        self.conditional = False
        self.functions: list[Callable[[], object]] = []

    def copied(self) -> _Later:
        """Return the same for another response."""
        made = _Later()
        made.conditional = self.conditional
        made.functions = self.functions[:]
        return made

    def call(self) -> None:
        """Call the functions in their order, each once, whatever becomes of the others."""
        from contextlib import ExitStack

        functions, self.functions = self.functions, []
        with ExitStack() as stack:
            for function in reversed(functions):
                stack.callback(function)


def _blocks(content: Any, environ: WSGIEnvironment) -> Iterable[bytes]:
    """Return what to give the server; its own file wrapper goes back as it is, for sendfile(2)."""
    if type(content) is list:
        return content
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(content, wrapper):
        return cast("Iterable[bytes]", content)
    return Blocks(content)


def _demands_secure(name: str) -> bool:
    return name.lower().startswith(SECURE_PREFIXES)


def _seconds(time: datetime) -> float:
    if time.tzinfo is None:
        raise ValueError(f"a time without a time zone can be any: {time}")
    return time.timestamp()


def _checked_type(content_type: str, content: Any) -> str:
    """Return a Content-Type that can be one; that of a text says that it is UTF-8."""
    checked_field("Content-Type", content_type)
    is_text = content_type[:5].lower() == "text/" and not isinstance(content, bytes)
    if is_text and "charset" not in content_type.lower():
        return f"{content_type}; charset=utf-8"
    return content_type


# --- status ----------------------------------------------------------------------------------------------


class Status(int):
    """A status with a phrase of its own."""

    line: str
    """Both, as start_response takes them."""


def status_of(status: Any) -> int:
    """Return the status that a number, a member of HTTPStatus or a text such as `404 Gone Fishing` says.

    Raises:
        ValueError: it is none from 200 to 599, or the phrase cannot be one.
    """
    if isinstance(status, str):
        code, _, own = status.partition(" ")
        if code.isascii() and code.isdigit() and len(code) == 3 and int(code) in STATUS:
            checked_field("Status", status)
            if not own.strip():
                return int(code)
            made = Status(code)
            made.line = status
            return made
    elif isinstance(status, int) and status in STATUS:
        return status if isinstance(status, Status) else int(status)
    raise ValueError(f"a response has a status from 200 to 599, not {status!r}")


def line_of(status: int) -> str:
    """Return code and phrase."""
    return status.line if isinstance(status, Status) else STATUS[status]


# --- makers ----------------------------------------------------------------------------------------------


def text_response(content: Content, status: int | str = 200, headers: Fields = ()) -> Response:
    """Return a response with plain text."""
    return Response(content, status, headers, content_type=TEXT)


def json_response(
    value: Any,
    status: int | str = 200,
    headers: Fields = (),
    *,
    default: Callable[[Any], Any] | None = None,
) -> Response:
    """Return a response with a value as JSON, written by `dumps`."""
    return Response(dumps(value, default), status, headers, content_type=JSON)
