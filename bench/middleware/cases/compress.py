"""Compress: beside flask-compress, Django's and Starlette's, each at the same coding and level."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import django
import flask
from case import Application, Case, hello
from django.conf import settings
from django.http import HttpResponse
from django.middleware.gzip import GZipMiddleware as DjangoGzip
from flask_compress import Compress as FlaskCompress
from starlette.middleware.gzip import GZipMiddleware as StarletteGzip

from breezeway.middleware import Compress

PAGE = json.dumps(
    [{"id": n, "name": f"n{n * 7919 % 1000}", "square": n * n} for n in range(300)]
).encode()
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(PAGE)))]
ZSTD, BROTLI, GZIP = ({"HTTP_ACCEPT_ENCODING": name} for name in ("zstd", "br", "gzip"))


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer with 14 KB of JSON."""
    start_response("200 OK", HEADERS[:])
    return [PAGE]


def flask_application(*, compressed: bool, content: bytes = PAGE) -> Application:
    """Make a Flask application that answers the same, with or without flask-compress."""
    app = flask.Flask(__name__)
    app.config["COMPRESS_EVALUATE_CONDITIONAL_REQUEST"] = False  # no work of ours

    @app.get("/")
    def index() -> flask.Response:
        kind = "application/json" if content is PAGE else "text/plain"
        return flask.Response(content, content_type=kind)

    if compressed:
        FlaskCompress(app)
    return app.wsgi_app


def with_flask(_: Application) -> Application:
    return flask_application(compressed=True)


def hello_with_flask(_: Application) -> Application:
    return flask_application(compressed=True, content=b"Hello there\n")


def django_view(request: Any) -> HttpResponse:
    """Answer the same."""
    return HttpResponse(PAGE, content_type="application/json")


class _Request:
    """What GZipMiddleware looks at of a request."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.META = environ


def as_wsgi(view: Any) -> Application:
    """Call a view of Django with nothing around it but what is measured."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        response = view(_Request(environ))
        start_response("200 OK", list(response.items()))
        return [response.content]

    return application


def with_django(_: Application) -> Application:
    return as_wsgi(DjangoGzip(django_view))


async def asgi_page(scope: Any, receive: Any, send: Any) -> None:
    """Answer the same."""
    headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})


def as_wsgi_from_asgi(application: Any) -> Application:
    """Drive an ASGI application that never waits, without an event loop."""

    async def send(message: Any) -> None:
        pass

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        accepted = environ["HTTP_ACCEPT_ENCODING"].encode()
        scope = {"type": "http", "headers": [(b"accept-encoding", accepted)]}
        coroutine = application(scope, None, send)
        try:
            coroutine.send(None)
        except StopIteration:
            pass
        start_response("200 OK", [])
        return []

    return wsgi


def with_starlette(_: Application) -> Application:
    return as_wsgi_from_asgi(StarletteGzip(asgi_page, compresslevel=6))


def cases() -> list[Case]:
    """Return what is measured."""
    if not settings.configured:
        settings.configure()
        django.setup()
    bare_flask = flask_application(compressed=False)
    bare_hello = flask_application(compressed=False, content=b"Hello there\n")
    return [
        Case("compress", "idle", Compress, "flask-compress", hello_with_flask, hello, bare_hello),
        Case(
            "compress",
            "no Accept-Encoding",
            Compress,
            "flask-compress",
            with_flask,
            page,
            bare_flask,
            environ={"HTTP_ACCEPT_ENCODING": ""},
        ),
        *(
            Case(
                "compress",
                f"14 KB of JSON, {name}",
                Compress,
                "flask-compress",
                with_flask,
                page,
                bare_flask,
                environ=environ,
            )
            for name, environ in (("zstd 3", ZSTD), ("br 4", BROTLI), ("gzip 6", GZIP))
        ),
        Case(
            "compress",
            "14 KB of JSON, gzip 6",
            Compress,
            "Django",
            with_django,
            page,
            as_wsgi(django_view),
            environ=GZIP,
        ),
        Case(
            "compress",
            "14 KB of JSON, gzip 6",
            Compress,
            "Starlette",
            with_starlette,
            page,
            as_wsgi_from_asgi(asgi_page),
            environ=GZIP,
        ),
    ]
