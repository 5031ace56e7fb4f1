"""The demo's WSGI application: from a path to the handler that answers it.

A handler takes the environ and returns an `Answer`, or raises `RefusedError`. `application` alone
calls start_response, and gives every answer the same guard headers.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from breezeway.demo import failures, live, request, upload
from breezeway.demo.render import (
    Answer,
    RefusedError,
    fill,
    packaged,
    page,
    path_of,
    plain,
    root_of,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

# Everything comes from this origin, and no script or style stands in a page: an escaping that was
# forgotten somewhere could still not run anything.
GUARDS = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
]

READ = ("GET", "HEAD")


class Route(NamedTuple):
    """A handler and the methods that it takes."""

    handler: Callable[[WSGIEnvironment], Answer]
    methods: tuple[str, ...] = READ


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request (PEP 3333)."""
    try:
        answer = dispatch(environ)
    except RefusedError as refused:
        answer = refusal(environ, refused)
    start_response(answer.status, answer.headers + GUARDS)
    if environ["REQUEST_METHOD"] == "HEAD":
        close = getattr(answer.body, "close", None)
        if close:
            close()
        return []
    return answer.body


def dispatch(environ: WSGIEnvironment) -> Answer:
    """Call the handler of the request's path."""
    route = ROUTES.get(path_of(environ))
    if route is None:
        raise RefusedError("404 Not Found", "There is no page at this address.")
    if environ["REQUEST_METHOD"] not in route.methods:
        return not_allowed(route.methods)
    return route.handler(environ)


def not_allowed(methods: tuple[str, ...]) -> Answer:
    """Return the 405 that names the methods there are (RFC 9110, section 15.5.6)."""
    allow = ", ".join(methods)
    answer = plain(f"This address takes {allow}.", status="405 Method Not Allowed")
    answer.headers.append(("Allow", allow))
    return answer


def refusal(environ: WSGIEnvironment, refused: RefusedError) -> Answer:
    """Return the page of a refused request."""
    main = fill(
        "refused", status=text(refused.status), why=text(refused.why), root=root_of(environ)
    )
    return page(environ, refused.status, main, status=refused.status)


def shown(name: str, title: str) -> Route:
    """Return the route of a page that takes nothing from the request."""

    def show(environ: WSGIEnvironment) -> Answer:
        return page(environ, title, fill(name, root=root_of(environ)))

    return Route(show)


def asset(name: str, content_type: str) -> Route:
    """Return the route of a packaged file that pages refer to."""

    @cache
    def content() -> bytes:
        return packaged("pages", name).read_bytes()

    def serve(_environ: WSGIEnvironment) -> Answer:
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(content()))),
            ("Cache-Control", "no-cache"),
        ]
        return Answer("200 OK", headers, [content()])

    return Route(serve)


ROUTES = {
    "/": Route(request.start),
    "/request": Route(request.table),
    "/upload": Route(upload.form, (*READ, "POST")),
    "/stream": shown("stream", "A streamed response"),
    "/stream/blocks": Route(live.blocks),
    "/download": shown("download", "A file download"),
    "/download/hello.py": Route(live.hello),
    "/download/zeros.bin": Route(live.zeros),
    "/error": shown("error", "When the application fails"),
    "/error/before": Route(failures.before),
    "/error/during": Route(failures.during),
    "/error/short": Route(failures.short),
    "/slow": shown("slow", "A slow request beside fast ones"),
    "/slow/answer": Route(live.slow),
    "/slow/ping": Route(live.ping),
    "/demo.css": asset("demo.css", "text/css; charset=utf-8"),
    "/demo.js": asset("demo.js", "text/javascript; charset=utf-8"),
    "/mark.svg": asset("mark.svg", "image/svg+xml"),
    "/favicon.ico": asset("mark.svg", "image/svg+xml"),
}
