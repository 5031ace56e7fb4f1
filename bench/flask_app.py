"""The Flask application of the bench, in a module of its own: the others must not import Flask."""

from __future__ import annotations

import flask

app = flask.Flask(__name__)


@app.get("/")
def hello() -> flask.Response:
    """Answer the same 14 bytes as `apps.hello`."""
    return flask.Response(b"Hello, world!\n", mimetype="text/plain")
