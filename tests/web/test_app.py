"""App: from a request to a handler and back."""

from __future__ import annotations

import json
from typing import Any

from breezeway.web import App

from ..middleware.calling import call


def make() -> App:
    """Make a small application."""
    app = App()

    @app.get("/users/{id:int}")
    def user(id: int, name: str = "nobody") -> Any:
        return {"id": id, "name": name}

    return app


def test_arguments_by_annotation() -> None:
    """A variable of the path and a name of the query become arguments; the result is JSON."""
    result = call(make(), "/users/42?name=bob")
    assert (result.code, result["content-type"]) == (200, "application/json")
    assert json.loads(result.body) == {"id": 42, "name": "bob"}


def test_not_there() -> None:
    """What no route answers is 404; another method 405 with Allow."""
    assert call(make(), "/users/x").code == 404
    result = call(make(), "/users/1", "POST", body=b"x")
    assert (result.code, result["allow"]) == (405, "GET, HEAD, OPTIONS")
