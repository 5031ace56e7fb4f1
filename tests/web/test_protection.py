"""What is around an `App` for its safety, and what of the application is there for what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from breezeway.web import App, Group

from ..middleware.calling import call

FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@pytest.mark.parametrize("sessions", [None, {"store": "memory"}])
def test_what_csrf_refuses_is_answered_by_the_application(sessions: Any) -> None:
    """Its page for 403 is shown, by the innermost group, and hooks see it; but those that come before."""
    app, group = App(sessions=sessions), Group("/shop")
    trace: list[Any] = []
    for each in (app, group):
        each.before(lambda request: trace.append("before"))
        each.after(lambda request, response: trace.append(response.status))
        each.teardown(lambda request: trace.append(request.path_values))
    app.error(403)(lambda request, error: f"app: {error.detail}")
    group.error(403)(lambda request, error: f"shop: {error.detail}")
    group.post("/{id:int}", name="buy")(lambda id: trace.append("handler"))
    app.post("/", name="x")(lambda: trace.append("handler"))
    app.include(group)
    refused = call(app, "/shop/5", "POST", FOREIGN, b"x")
    assert (refused.code, refused["x-frame-options"]) == (403, "SAMEORIGIN")
    assert refused.body.startswith(b"shop: This request does not come from a page of this site")
    assert trace == [403, 403, {"id": 5}, {"id": 5}]
    assert call(app, "/", "POST", FOREIGN, b"x").body.startswith(b"app: This")
    assert call(app, "/nothing", "POST", FOREIGN, b"x").code == 403
    plain = App()
    plain.post("/", name="x")(lambda: "done")
    problem = call(plain, "/", "POST", {**FOREIGN, "Accept": "application/json"}, b"x")
    assert (problem.code, problem["content-type"]) == (403, "application/json")
