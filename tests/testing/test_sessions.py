"""The session of a client: read and changed by the test, through the application's own piece."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from breezeway.middleware import RequestId, Sessions, stack
from breezeway.testing import Client
from breezeway.web import App, Request

from .conftest import MakeClient

SECRET = "a secret of the test, long enough"


def site(environ: Any, start_response: Any) -> list[bytes]:
    """Show the session, count the visit, end it at /out."""
    session = environ["breezeway.session"]
    if environ["PATH_INFO"] == "/out":
        session.clear()
    else:
        session["visits"] = session.get("visits", 0) + 1
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(dict(session)).encode()]


@pytest.fixture(params=["cookie", "memory", "sqlite"])
def application(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """Make a site whose sessions are in each of the stores."""
    store = request.param
    if store == "cookie":
        piece = Sessions(secret=SECRET)
    else:
        piece = Sessions(store=f"sqlite:{tmp_path}/db" if store == "sqlite" else store)
    yield stack(site, RequestId(), piece)
    piece.close()


def test_read_and_changed(make: MakeClient, application: Any) -> None:
    """What the test sets the application sees, and the other way."""
    client = make(application)
    with client.session() as session:
        assert dict(session) == {}
        session["user"] = 1
    assert client.get("/").json() == {"user": 1, "visits": 1}
    with client.session() as session:
        assert session["visits"] == 1
        session["visits"] = 41
        del session["user"]
    assert client.get("/").json() == {"visits": 42}
    client.get("/out")
    with client.session() as session:
        assert dict(session) == {}
    assert len(client.cookies) == 0


def test_only_looked_at(make: MakeClient, application: Any) -> None:
    """A look changes nothing, and neither does a test that fails."""
    client = make(application)
    with client.session() as session:
        assert "user" not in session
    assert len(client.cookies) == 0
    with contextlib.suppress(LookupError), client.session() as session:
        session["user"] = 1
        raise LookupError
    assert client.get("/").json() == {"visits": 1}


def test_of_each_client(application: Any) -> None:
    """Each client is a visitor of its own."""
    one, two = Client(application), Client(application)
    with one.session() as session:
        session["user"] = 1
    assert two.get("/").json() == {"visits": 1}
    assert one.get("/").json() == {"user": 1, "visits": 1}


def test_secure_cookies() -> None:
    """Over https the cookie has its prefix."""
    piece = Sessions(site, secret=SECRET, name="visit")
    client = Client(piece, base_url="https://example.org", lint=True)
    with client.session() as session:
        session["user"] = 1
    assert client.get("/").json()["user"] == 1
    cookie = client.cookies.find("__Host-visit")
    assert cookie is not None
    assert cookie.http_only


@pytest.mark.parametrize("is_option", [True, False])
def test_found_in_an_app(is_option: bool) -> None:
    """The piece is found within an App, and within `wsgi_app`, where frameworks have it."""
    app = App(sessions={"store": "memory"} if is_option else None)

    @app.get("/")
    def home(request: Request) -> Any:
        return dict(request.environ["breezeway.session"])

    if not is_option:
        app.wsgi_app = Sessions(app.wsgi_app, store="memory")
    client = Client(app)
    with client.session() as session:
        session["user"] = 1
    assert client.get("/").json() == {"user": 1}


def test_named(make: MakeClient) -> None:
    """Where it cannot be found it can be named."""
    piece = Sessions(site, store="memory")
    hidden = make(lambda environ, start_response: piece(environ, start_response))
    with pytest.raises(LookupError, match="sessions=piece"), hidden.session():
        pass
    client = make(lambda environ, start_response: piece(environ, start_response), sessions=piece)
    with client.session() as session:
        session["user"] = 1
    assert client.get("/").json()["user"] == 1


def test_cookie_that_is_dropped() -> None:
    """A session that no browser would keep is none that a test can set."""
    client = Client(Sessions(site, secret=SECRET, secure=True))
    with pytest.raises(ValueError, match="not over https"), client.session() as session:
        session["user"] = 1
