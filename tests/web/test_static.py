"""Static files of an App, by their URLs."""

from __future__ import annotations

import json
import os

import pytest

from breezeway.web import App, Request, add_static, static_url

from ..middleware.calling import call, make_environ


@pytest.fixture
def public(tmp_path):
    """Make a directory with one file."""
    (tmp_path / "site.css").write_text("body {}")
    return tmp_path


def make(public, **options) -> App:
    """Make an application with that directory."""
    app = App()

    @app.get("/")
    def home(request: Request) -> str:
        return static_url(request, "site.css")

    add_static(app, public, **options)
    return app


def test_files(public):
    """Files are served beside the routes."""
    app = make(public)
    assert call(app, "/static/site.css").body == b"body {}"
    assert call(app, "/").body == b"/static/site.css"
    assert call(app, "/static/none.css").code == 404


def test_below_a_path(public):
    """URLs have where the application is mounted."""
    assert call(make(public), "/", SCRIPT_NAME="/shop").body == b"/shop/static/site.css"
    # A script never comes from another host, wherever a server says that the application is.
    assert call(make(public), "/", SCRIPT_NAME="//shop").body == b"/shop/static/site.css"


def test_fingerprints(public):
    """With a manifest the URL has the fingerprint, and browsers keep the file."""
    (public / "site.3f2a9c1b7d04.css").write_text("body {}")
    files = {"site.css": {"name": "site.3f2a9c1b7d04.css"}}
    (public / "breezeway-manifest.json").write_text(json.dumps({"version": 1, "files": files}))
    app = make(public, prefix="/assets")
    url = call(app, "/").body.decode()
    assert url == "/assets/site.3f2a9c1b7d04.css"
    assert "immutable" in str(call(app, url)["cache-control"])


def test_wrong(public):
    """What is not there is told."""
    with pytest.raises(ValueError, match=rf"'nowhere' is not there: {os.getcwd()}/nowhere"):
        add_static(App(), "nowhere")
    with pytest.raises(ValueError, match="is not there"):
        add_static(App(), public / "none")
    with pytest.raises(RuntimeError, match="no static files"):
        static_url(Request(make_environ()), "site.css")
