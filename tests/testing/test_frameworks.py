"""The client of applications of other frameworks."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import MakeClient


def test_flask(make: MakeClient) -> None:
    """Forms, files, flashed cookies and redirects of Flask."""
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)
    app.secret_key = "secret"
    app.testing = True

    @app.post("/login")
    def login() -> Any:
        flask.session["user"] = flask.request.form["user"]
        return flask.redirect("/")

    @app.get("/")
    def home() -> Any:
        return {"user": flask.session.get("user")}

    @app.post("/upload")
    def upload() -> Any:
        file = flask.request.files["file"]
        return f"{file.filename} {file.mimetype} {len(file.read())}"

    @app.get("/fail")
    def fail() -> Any:
        raise LookupError("of the view")

    client = make(app, lint=True, follow_redirects=True)
    response = client.post("/login", data={"user": "bob"})
    assert response.json() == {"user": "bob"}
    assert [each.status for each in response.history] == [302]
    files = {"file": ("ä.txt", "text")}
    assert client.post("/upload", files=files).text == "ä.txt text/plain 4"
    with pytest.raises(LookupError, match="of the view"):
        client.get("/fail")
