"""Security beside flask-talisman and Django's SecurityMiddleware."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import django
from case import Application, Case
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.middleware.security import SecurityMiddleware
from flask import Flask
from flask_talisman import Talisman

from breezeway.middleware import Security

POLICY = "default-src 'self'; script-src 'nonce-{nonce}'"


def flask_application(**options: Any) -> Application:
    """Make a Flask application with one route, and Talisman around it if it has options."""
    flask = Flask(__name__)
    flask.route("/")(lambda: "Hello there\n")
    if options:
        Talisman(flask, force_https=False, session_cookie_secure=False, **options)
    return flask.wsgi_app


def django_application(*, wrapped: bool = False) -> Application:
    """Make what Django does around one view, with the middleware or without."""

    def view(request: WSGIRequest) -> HttpResponse:
        return HttpResponse(b"Hello there\n")

    handler = SecurityMiddleware(view) if wrapped else view

    def called(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = handler(WSGIRequest(environ))
        start_response(f"{response.status_code} -", [*response.items()])
        return [response.content]

    return called


def cases() -> list[Case]:
    """Return the cases of this piece."""
    if not settings.configured:
        settings.configure()
    settings.SECURE_HSTS_SECONDS, settings.ALLOWED_HOSTS = 3600, ["*"]
    django.setup()
    talisman = {"content_security_policy": {"default-src": "'self'"}, "feature_policy": {}}
    nonced = {
        "content_security_policy": {"default-src": "'self'", "script-src": "'self'"},
        "content_security_policy_nonce_in": ["script-src"],
    }
    return [
        Case(
            "security",
            "idle",
            Security,
            "Django SecurityMiddleware",
            lambda app: django_application(wrapped=True),
            peer_application=django_application(),
        ),
        Case(
            "security",
            "HSTS and a policy",
            lambda app: Security(app, hsts=3600, csp="default-src 'self'"),
            "flask-talisman",
            lambda app: flask_application(**talisman),
            peer_application=flask_application(),
        ),
        Case(
            "security",
            "a policy with a nonce",
            lambda app: Security(app, hsts=3600, csp=POLICY),
            "flask-talisman",
            lambda app: flask_application(**nonced),
            peer_application=flask_application(),
        ),
    ]
