"""Cors beside flask-cors and Starlette's CORSMiddleware."""

from __future__ import annotations

from typing import Any

from asgi import as_wsgi
from asgi import hello as asgi_hello
from case import Application, Case
from flask import Flask
from flask_cors import CORS
from starlette.middleware.cors import CORSMiddleware

from breezeway.middleware import Cors

SHOP = "https://shop.example"
PREFLIGHT = {
    "REQUEST_METHOD": "OPTIONS",
    "HTTP_ORIGIN": SHOP,
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT",
    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "content-type,x-token",
}


def flask_application(*, cors: bool = False) -> Application:
    """Make a Flask application with one route."""
    flask = Flask(__name__)
    flask.route("/", methods=["GET", "PUT"])(lambda: "Hello there\n")
    if cors:
        CORS(flask, origins=[SHOP], supports_credentials=True, allow_headers=["X-Token"])
    return flask.wsgi_app


def cases() -> list[Case]:
    """Return the cases of this piece."""
    options = {"origins": [SHOP], "credentials": True, "methods": ["PUT"], "headers": ["X-Token"]}
    starlette: dict[str, Any] = {
        "allow_origins": [SHOP],
        "allow_credentials": True,
        "allow_methods": ["PUT"],
        "allow_headers": ["X-Token"],
    }

    def case(what: str, environ: dict[str, str], peer: str, expect: str = "20") -> Case:
        is_flask = peer == "flask-cors"
        return Case(
            "cors",
            what,
            lambda app: Cors(app, **options),
            peer,
            (lambda app: flask_application(cors=True))
            if is_flask
            else lambda app: as_wsgi(CORSMiddleware(asgi_hello, **starlette)),
            peer_application=flask_application() if is_flask else as_wsgi(asgi_hello),
            environ=environ,
            expect=expect,
        )

    return [
        case(what, environ, peer)
        for what, environ in (
            ("idle", {}),
            ("a request of an origin", {"HTTP_ORIGIN": SHOP}),
            ("a preflight", PREFLIGHT),
        )
        for peer in ("flask-cors", "Starlette CORSMiddleware")
    ]
