"""What is around an `App` for its safety, and what of the application is there for what it refuses."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest

from breezeway.middleware import Sessions
from breezeway.testing.sessions import sessions_of
from breezeway.web import App, Form, Group, Upload, csrf_field

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


def test_token_in_a_form_with_files() -> None:
    """A browser that says nothing of where a request comes from sends a file with a token before it."""
    pytest.importorskip("multipart")
    app = App(csrf={"unmarked": "token", "secret": "s" * 32})
    app.get("/", name="page")(lambda request: csrf_field(request))

    @app.post("/")
    def save(file: Upload, note: Annotated[str, Form()]) -> Any:
        return {"size": file.size, "note": note}

    page = call(app, "/")
    token = page.body.decode().split('value="')[1].removesuffix('">')
    cookie = (page["set-cookie"] or "").partition(";")[0]
    for given, code in ((token, 200), ("x" * 86, 403)):
        form = multipart({"csrf_token": given, "note": "n"}, b"f" * 300_000)
        fields = {"Cookie": cookie, "Content-Type": "multipart/form-data; boundary=b"}
        result = call(app, "/", "POST", fields, form)
        assert result.code == code
        assert code == 403 or json.loads(result.body) == {"size": 300_000, "note": "n"}


def multipart(values: dict[str, str], file: bytes) -> bytes:
    """Make a form with a file at its end."""
    head = "--b\r\nContent-Disposition: form-data; name="
    texts = "".join(f'{head}"{name}"\r\n\r\n{value}\r\n' for name, value in values.items())
    last = f'{head}"file"; filename="a"\r\n\r\n'
    return texts.encode() + last.encode() + file + b"\r\n--b--\r\n"


def test_protected() -> None:
    """The pieces around can be found, such as the sessions for a test of an application."""

    def names(app: App) -> list[str]:
        found, piece = [], app.protected
        while piece is not None:
            found.append(type(piece).__name__)
            piece = getattr(piece, "application", None)
        return found

    everything = App(sessions={"store": "memory"})
    assert names(everything) == ["Security", "Sessions", "Csrf", "method"]
    assert names(App(security=False, csrf=False)) == ["method"]
    assert isinstance(sessions_of(everything), Sessions)
