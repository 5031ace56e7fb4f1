"""`Request`: what a client has asked for, read from an environ when it is needed."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from breezeway.web.body import UNREAD, BodyStream, Content, content_length, content_of
from breezeway.web.errors import BadRequest, ContentTooLarge, HTTPError, UnsupportedMediaType
from breezeway.web.request_head import RequestHead
from breezeway.web.request_head import decoded as decoded
from breezeway.web.urls import PATH_SAFE as PATH_SAFE

if TYPE_CHECKING:
    from breezeway.semantics.media_types import MediaType
    from breezeway.web.forms import FormData
    from breezeway.web.limits import Limits
    from breezeway.web.uploads import Upload
    from breezeway.web.values import Values

_UNSET: Final[Any] = object()

log = logging.getLogger("breezeway.web")


class Request(RequestHead):
    """A request, over the environ of any WSGI server.

    Nothing is parsed before it is asked for, and then once. Who the client is, and over which scheme and
    host it asks, is what the server says (REMOTE_ADDR, wsgi.url_scheme, HTTP_HOST): fields that proxies
    set are the business of the server or of `ProxyHeaders`, for anybody can send them.

    What is malformed is an error that becomes an answer: `BadRequest`, `ContentTooLarge` or
    `UnsupportedMediaType`.
    """

    # The defaults stand on the class: most requests need few of these.
    holds_files: bool = False
    """Whether there are files of a form, which `close` deletes."""

    _media_type: Any = _UNSET
    _form: FormData | None = None

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
    def has_body(self) -> bool:
        """Whether there is a body of a byte at least, of whatever type; it is not read.

        Raises:
            BadRequest, HTTPError: as those of `content_length`.
        """
        return not content_of(self.environ).is_empty()

    @property
    def stream(self) -> BodyStream:
        """The body, to be read in pieces, however large it is; it is not kept."""
        return content_of(self.environ).stream

    def read(self, most: int | None = None) -> bytes:
        """Read the whole body, of `limits.body_bytes` unless `most` says more or less; it is kept.

        Raises:
            ContentTooLarge: it has more bytes.
            BadRequest: it was cut short.
        """
        if most is None:
            most = self.limits.body_bytes
        content = content_of(self.environ)
        if content.body is None:
            length = self.content_length
            if length is not None and length > most:
                raise ContentTooLarge(f"the body has more than {most} bytes")
            stream = content.unread()
            try:
                body = stream.read(most + 1 if length is None else length)
                if len(body) > most:
                    raise ContentTooLarge(f"the body has more than {most} bytes")
            except HTTPError as error:
                raise content.failed(error)
            content.body = body
        if len(content.body) > most:
            raise ContentTooLarge(f"the body has more than {most} bytes")
        return content.body

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
        content = content_of(self.environ)
        if content.json is UNREAD:
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
            except RecursionError:
                raise BadRequest("the body is JSON that is nested too deeply") from None
            except ValueError as error:
                says = str(error).partition(";")[0]  # after it there is advice for programmers
                raise BadRequest(f"the body is not JSON: {says}") from None
            content.json = value
        return content.json

    def form(self, limits: Limits | None = None) -> FormData:
        """Return the fields of a form, and its `files`.

        `limits` stand for those of the request. The files are deleted when the response is over.

        Raises:
            UnsupportedMediaType: the body is no form.
            BadRequest: it is malformed.
            ContentTooLarge: there is too much of something.
            HTTPError: 507, the files cannot be kept, such as on a disk that is full; 503, there is no
                descriptor left for them.
        """
        content = content_of(self.environ)
        if content.form is None:
            if content.failure is not None:
                raise content.failure
            try:
                content.form = self._read_form(content, limits or self.limits)
            except HTTPError as error:
                raise content.failed(error)
            except OSError as error:
                raise content.failed(self._without_room(error)) from error
        form: FormData = content.form
        self._form, self.holds_files = form, form.is_spooled
        return form

    @property
    def files(self) -> Values[Upload]:
        """The files of the form."""
        return self.form().files

    def _read_form(self, content: Content, limits: Limits) -> FormData:
        from breezeway.web import forms

        media_type = self.media_type
        if media_type is not None and media_type.name == forms.URLENCODED:
            if not media_type.is_utf_8:
                raise UnsupportedMediaType("a form must be UTF-8")
            return forms.read_urlencoded(self.read(limits.body_bytes), limits)
        if media_type is None or media_type.name != forms.MULTIPART:
            if not self.has_body:  # what the type says of it counts for nothing
                return forms.FormData([], [])
            types = f"{forms.URLENCODED}, {forms.MULTIPART}"
            raise UnsupportedMediaType("the body must be a form", [("Accept-Post", types)])
        boundary = forms.boundary_of(media_type)
        if content.body is not None:
            import io

            stream = BodyStream(io.BytesIO(content.body), len(content.body))
            return forms.read_multipart(stream, boundary, limits)
        most, length = forms.most_bytes(limits), self.content_length
        if length is not None and length > most:
            raise ContentTooLarge(f"the form has more than {most} bytes")
        return forms.read_multipart(content.unread(), boundary, limits)

    def _without_room(self, error: OSError) -> HTTPError:
        """Log why the files of a form cannot be kept; return what the client is told (RFC 4918 11.5)."""
        from breezeway.beneath import status_for

        why = error.strerror or error
        log.error("%s %.200r: cannot keep the files of a form: %s", self.method, self.path, why)
        if status_for(error)[:3] == "503":
            return HTTPError(503, "try again in a moment", [("Retry-After", "1")])
        return HTTPError(507, "there is no room for the files of the form")

    def close(self) -> None:
        """Delete the files of the form; an `App` does that when the response is over."""
        if self._form is not None:
            self._form.close()


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError(f"{text[:20]} is beyond all numbers")
    return value
