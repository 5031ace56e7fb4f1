"""Csrf beside Django's CsrfViewMiddleware."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import django
from case import Application, Case, hello
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token

from breezeway.middleware import Csrf

SECRET = "a secret of the bench, long enough"
DJANGO = "Django CsrfViewMiddleware"


def django_application(*, wrapped: bool = False, token: bool = False) -> Application:
    """Make what Django does around one view, with the middleware or without."""

    def view(request: WSGIRequest) -> HttpResponse:
        return HttpResponse(get_token(request) if token and wrapped else b"Hello there\n")

    def checked(request: WSGIRequest) -> HttpResponse:
        return middleware.process_view(request, view, (), {}) or view(request)

    middleware = CsrfViewMiddleware(checked)
    handler = middleware if wrapped else view

    def called(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = handler(WSGIRequest(environ))
        headers = [
            *response.items(),
            *(("Set-Cookie", m.OutputString()) for m in response.cookies.values()),
        ]
        start_response(f"{response.status_code} -", headers)
        return [response.content]

    return called


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with a token, if there is one to be had."""
    give = environ.get("breezeway.csrf_token")
    body = give().encode() if give else b"Hello there\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def first_answer(application: Application, **more: str) -> tuple[str, str]:
    """Return the cookie that an application sets with a page, and the token in the page."""
    heads: list[list[tuple[str, str]]] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "443",
        "HTTP_HOST": "shop.example",
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        **more,
    }
    blocks = application(environ, lambda status, headers: heads.append(headers))
    body = b"".join(blocks).decode()
    cookie = next(value for name, value in heads[0] if name == "Set-Cookie")
    return cookie.partition(";")[0], body


def cases() -> list[Case]:
    """Return the cases of this piece."""
    if not settings.configured:
        settings.configure()
    settings.SECRET_KEY, settings.ALLOWED_HOSTS = SECRET, ["*"]
    django.setup()

    def ours(app: Application) -> Application:
        return Csrf(app, secret=SECRET)  # type: ignore[arg-type, return-value]

    def case(what: str, application: Application, environ: dict[str, str], *, token: bool) -> Case:
        return Case(
            "csrf",
            what,
            ours,
            DJANGO,
            lambda app: django_application(wrapped=True, token=token),
            application=application,
            peer_application=django_application(),
            environ=environ,
        )

    cookie, token = first_answer(ours(page))
    django_cookie, django_token = first_answer(django_application(wrapped=True, token=True))
    cookies = {"HTTP_COOKIE": f"theme=dark; {cookie}; {django_cookie}"}
    post = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "0", **cookies}
    site = "https://shop.example"
    # Django wants its token in any case; ours is taken by Sec-Fetch-Site, or by its own.
    modern = {"HTTP_ORIGIN": site, "HTTP_SEC_FETCH_SITE": "same-origin"}
    with_token = {**post, "HTTP_X_CSRF_TOKEN": token, "HTTP_X_CSRFTOKEN": django_token}
    django_token_only = {**post, **modern, "HTTP_X_CSRFTOKEN": django_token}
    old = {**with_token, "HTTP_SEC_FETCH_SITE": "", "HTTP_REFERER": f"{site}/"}
    settings.CSRF_HEADER_NAME = "HTTP_X_CSRFTOKEN"
    return [
        case("idle", hello, {}, token=False),
        case("a form of this site", hello, django_token_only, token=False),
        case("a form of an old browser", hello, old, token=False),
        case("a page with a token", page, cookies, token=True),
    ]
