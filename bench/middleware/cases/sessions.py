"""Sessions beside Flask's sessions in cookies, and Django's in cookies and in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import django
from case import Application, Case, hello
from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from flask import Flask
from flask import session as flask_session

from breezeway.middleware import Sessions

SECRET = "a secret of the bench, long enough"
ENGINES = "django.contrib.sessions.backends"

Use = Callable[[MutableMapping[str, Any]], object]


def read(session: MutableMapping[str, Any]) -> object:
    """Look at who it is."""
    return session.get("user")


def write(session: MutableMapping[str, Any]) -> object:
    """Change a value, and have something to begin with."""
    session["user"] = 5
    session["cart"] = ["socks", "shoes"]
    session["count"] = session.get("count", 0) + 1
    return None


def nothing(session: MutableMapping[str, Any]) -> object:
    """Leave it alone."""
    return None


def application_of(use: Use) -> Application:
    """Make an application that uses its session, if there is one."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        session = environ.get("breezeway.session")
        if session is not None:
            use(session)
        return hello(environ, start_response)

    return hello if use is nothing else application


def flask_application(use: Use, *, sessions: bool = False) -> Application:
    """Make a Flask application with one route, with sessions or without."""
    flask = Flask(__name__)
    if sessions:
        flask.secret_key = SECRET

    @flask.route("/")
    def view() -> str:
        if sessions:
            use(flask_session)
        return "Hello there\n"

    return flask.wsgi_app


def django_application(use: Use, *, sessions: bool = False) -> Application:
    """Make what Django does around one view, with the middleware for sessions or without."""

    def view(request: WSGIRequest) -> HttpResponse:
        if sessions:
            use(request.session)
        return HttpResponse(b"Hello there\n")

    handler = SessionMiddleware(view) if sessions else view

    def called(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = handler(WSGIRequest(environ))
        cookies = [("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values()]
        start_response(f"{response.status_code} -", [*response.items(), *cookies])
        return [response.content]

    return called


def cookie_of(application: Application) -> str:
    """Return the cookie that an application sets."""
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
        "wsgi.errors": io.StringIO(),
        "wsgi.multiprocess": False,
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    for _ in application(environ, lambda status, headers, *rest: heads.append(headers)):
        pass
    cookie = next(value for name, value in heads[0] if name == "Set-Cookie")
    return cookie.partition(";")[0]


def cases() -> list[Case]:
    """Return the cases of this piece."""
    if not settings.configured:
        settings.configure()
    settings.SECRET_KEY, settings.ALLOWED_HOSTS = SECRET, ["*"]
    django.setup()

    def case(what: str, use: Use, peer: str, **options: Any) -> Case:
        def ours(app: Application) -> Application:
            return made

        make = flask_application if peer == "Flask" else django_application
        if peer != "Flask":
            engine = "signed_cookies" if "cookies" in peer else "cache"
            settings.SESSION_ENGINE = f"{ENGINES}.{engine}"
        made = Sessions(application_of(use), **options)
        theirs = make(use, sessions=True)
        writer = Sessions(application_of(write), **options)
        writer._backing = made._backing
        cookies = f"theme=dark; {cookie_of(writer)}; {cookie_of(make(write, sessions=True))}"
        return Case(
            "sessions",
            what,
            ours,  # type: ignore[arg-type]
            peer,
            lambda app: theirs,
            application=application_of(use),
            peer_application=make(use),
            environ={} if use is nothing else {"HTTP_COOKIE": cookies},
        )

    signed = {"secret": SECRET}
    memory = {"store": "memory"}
    return [
        case("idle", nothing, "Flask", **signed),
        case("idle", nothing, "Django, signed cookies", **signed),
        case("a signed cookie read", read, "Flask", **signed),
        case("a signed cookie read", read, "Django, signed cookies", **signed),
        case("a signed cookie changed", write, "Flask", **signed),
        case("a signed cookie changed", write, "Django, signed cookies", **signed),
        case("memory read", read, "Django, cache in memory", **memory),
        case("memory changed", write, "Django, cache in memory", **memory),
    ]
