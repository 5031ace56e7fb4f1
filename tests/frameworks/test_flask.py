"""Flask on the live server: forms, uploads, streams, sessions, errors."""

import hashlib
import io
from typing import Any

import flask
import pytest
import requests

from tests.frameworks.conftest import Serve
from tests.frameworks.streamed import Streamed

BLOCK = bytes(range(256)) * 256

app = flask.Flask(__name__)
app.secret_key = "frameworks"
streams = {"whole": Streamed(), "abandoned": Streamed()}


@app.route("/form", methods=["GET", "POST"])
def form() -> Any:
    """Show a form with its own address, or what was filled in."""
    if flask.request.method == "POST":
        return flask.request.form.to_dict(flat=False)
    return flask.render_template_string(
        "<form method=post action='{{ url_for('form', _external=True) }}'>{{ '<&>' }}</form>"
    )


@app.post("/upload")
def upload() -> Any:
    """Describe the uploaded files."""
    return {
        name: [file.filename, file.mimetype, hashlib.sha256(file.read()).hexdigest()]
        for name, file in flask.request.files.items()
    }


@app.put("/echo")
def echo() -> Any:
    """Return the body."""
    return flask.Response(flask.request.get_data(), mimetype="application/octet-stream")


@app.get("/stream/<name>")
def stream(name: str) -> Any:
    """Stream blocks."""
    blocks = flask.stream_with_context(streams[name].blocks())
    return flask.Response(blocks, mimetype="text/plain")


@app.get("/count")
def count() -> Any:
    """Count the visits of this session."""
    flask.session["count"] = flask.session.get("count", 0) + 1
    return str(flask.session["count"])


@app.get("/facts/<path:rest>")
def facts(rest: str) -> Any:
    """Tell what Flask makes of the request."""
    request = flask.request
    return [rest, request.args.to_dict(), request.remote_addr, request.host_url, request.scheme]


@app.get("/file")
def file() -> Any:
    """Send a file that knows conditions and ranges."""
    content = io.BytesIO(BLOCK)
    return flask.send_file(content, "application/octet-stream", etag="v1", conditional=True)


@app.get("/fail")
def fail() -> Any:
    """Raise."""
    raise RuntimeError("as it was asked to")


@app.errorhandler(404)
def not_found(_error: Exception) -> Any:
    """Answer for a page that is not there."""
    return "no such page", 404


@pytest.fixture(scope="module")
def url(serve: Serve) -> str:
    """Serve the application."""
    return serve(app)


def test_form(url: str, client: requests.Session) -> None:
    """A form's page knows its own address, and what is filled in arrives."""
    page = client.get(f"{url}/form")
    assert page.text == f"<form method=post action='{url}/form'>&lt;&amp;&gt;</form>"
    fields = {"name": ["Grüße"], "many": ["1", "2 & 3"], "empty": [""]}
    assert client.post(f"{url}/form", data=fields).json() == fields


@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
def test_upload(url: str, client: requests.Session, size: int) -> None:
    """Files arrive unharmed, however large."""
    content = (BLOCK * 46)[:size]
    files = {
        "a": ("ä.bin", content, "image/png"),
        "b": ("b.txt", b"\r\n--x\r\n", "text/plain"),
    }
    assert client.post(f"{url}/upload", files=files).json() == {
        "a": ["ä.bin", "image/png", hashlib.sha256(content).hexdigest()],
        "b": ["b.txt", "text/plain", hashlib.sha256(b"\r\n--x\r\n").hexdigest()],
    }


def test_chunked_upload(url: str, client: requests.Session) -> None:
    """A body without a length arrives whole."""
    response = client.put(f"{url}/echo", data=(BLOCK for _ in range(20)))
    assert response.content == BLOCK * 20


def test_empty_chunked_upload(url: str, client: requests.Session) -> None:
    """A chunked body may be empty, and the connection goes on."""
    assert client.put(f"{url}/echo", data=iter(())).content == b""
    assert client.get(f"{url}/count").status_code == 200


def test_stream(url: str) -> None:
    """Each block arrives before the next one is made."""
    streams["whole"].check(f"{url}/stream/whole")


def test_stream_abandoned(url: str) -> None:
    """The generator is closed when the client leaves."""
    streams["abandoned"].abandon(f"{url}/stream/abandoned")


def test_session(url: str, client: requests.Session) -> None:
    """A session lives in its cookie."""
    assert [client.get(f"{url}/count").text for _ in range(3)] == ["1", "2", "3"]
    client.cookies.clear()
    assert client.get(f"{url}/count").text == "1"


def test_request(url: str, client: requests.Session) -> None:
    """Path, query, client and host are those of the request."""
    response = client.get(f"{url}/facts/a%2Fb%20ü/", params={"q": "1 & ü"})
    assert response.json() == ["a/b ü/", {"q": "1 & ü"}, "127.0.0.1", f"{url}/", "http"]


def test_file(url: str, client: requests.Session) -> None:
    """A sent file answers conditions, ranges and HEAD."""
    assert client.get(f"{url}/file").content == BLOCK
    part = client.get(f"{url}/file", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, BLOCK[10:20])
    unchanged = client.get(f"{url}/file", headers={"If-None-Match": '"v1"'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = client.head(f"{url}/file")
    assert head.headers["Content-Length"] == str(len(BLOCK))
    assert head.content == b""


def test_error_pages(url: str, client: requests.Session) -> None:
    """An error is answered with the framework's own page, and the connection goes on."""
    missing = client.get(f"{url}/nowhere")
    assert (missing.status_code, missing.text) == (404, "no such page")
    failed = client.get(f"{url}/fail")
    assert failed.status_code == 500
    assert "asked" not in failed.text
    assert client.post(f"{url}/fail").status_code == 405
    assert client.get(f"{url}/count").text == "1"
