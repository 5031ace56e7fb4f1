"""Conditional, beside werkzeug and Django."""

from __future__ import annotations

import hashlib
import io
from typing import Any

from case import Application, Case, hello

PAGE = b"<p>Some words of a page, and more of them.</p>\n" * 200
DOCUMENT = PAGE * 10
HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(PAGE)))]


def page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with a page of 9 KB."""
    start_response("200 OK", HEADERS[:])
    return [PAGE]


def file(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer with a file of 94 KB in memory that has a tag."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("ETag", '"a"')])
    return environ["wsgi.file_wrapper"](io.BytesIO(DOCUMENT))


class Wrapper:
    """What a server without sendfile does."""

    def __init__(self, filelike: Any, block_size: int = 65536) -> None:
        self.filelike = filelike
        self.block_size = block_size
        self.close = filelike.close

    def __iter__(self) -> Any:
        return iter(lambda: self.filelike.read(self.block_size), b"")


def _werkzeug(content: bytes, *, conditional: bool, tag: str = "") -> Application:
    """Answer as an application on werkzeug does, which asks for it at each response."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        from werkzeug.wrappers import Response

        response = Response(content, content_type="text/html; charset=utf-8")
        if tag:
            response.set_etag(tag)
        if conditional:
            if not tag:
                response.add_etag()
            response.make_conditional(environ, accept_ranges=True, complete_length=len(content))
        return response(environ, start_response)

    return application


def _django(content: bytes, *, conditional: bool) -> Application:
    """Answer as Django's handler does around its middleware, without the rest of it."""
    from django.conf import settings

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"])
    from django.core.handlers.wsgi import WSGIRequest
    from django.http import HttpRequest, HttpResponse
    from django.middleware.http import ConditionalGetMiddleware

    def view(request: HttpRequest) -> HttpResponse:
        response = HttpResponse(content)
        response["Content-Length"] = str(len(content))
        return response

    handler = ConditionalGetMiddleware(view) if conditional else view

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        response = handler(WSGIRequest(environ))
        status = f"{response.status_code} {response.reason_phrase}"
        start_response(status, list(response.items()))
        return response

    return application


def cases() -> list[Case]:
    """Return the cases."""
    from breezeway.middleware import Conditional

    tag = f'"{hashlib.sha256(PAGE).hexdigest()[:32]}"'
    sha1, md5 = hashlib.sha1(PAGE).hexdigest(), hashlib.md5(PAGE).hexdigest()
    asked = {"HTTP_IF_NONE_MATCH": f'{tag}, "{sha1}", "{md5}"'}
    post = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "0"}
    part = {"HTTP_RANGE": "bytes=100-199", "wsgi.file_wrapper": Wrapper}

    def case(what: str, content: bytes, **more: Any) -> list[Case]:
        return [
            Case(
                "conditional",
                what,
                Conditional,
                "werkzeug",
                lambda app: _werkzeug(content, conditional=True),
                peer_application=_werkzeug(content, conditional=False),
                **more,
            ),
            Case(
                "conditional",
                what,
                Conditional,
                "Django",
                lambda app: _django(content, conditional=True),
                peer_application=_django(content, conditional=False),
                **more,
            ),
        ]

    hello_content = b"Hello there\n"
    return [
        Case("conditional", "idle", Conditional, environ=post),
        *case("tag of hello", hello_content, application=hello),
        *case("tag of 9 KB", PAGE, application=page),
        *case("304 for 9 KB", PAGE, application=page, environ=asked, expect=""),
        Case(
            "conditional",
            "range of a file",
            Conditional,
            "werkzeug",
            lambda app: _werkzeug(DOCUMENT, conditional=True, tag="a"),
            application=file,
            peer_application=_werkzeug(DOCUMENT, conditional=False, tag="a"),
            environ=part,
            expect="206",
        ),
    ]
