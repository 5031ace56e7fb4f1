"""Bottle on the live server: routes, uploads, static files, generators."""

import hashlib
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import bottle
import pytest
import requests

from tests.frameworks.conftest import Serve
from tests.frameworks.streamed import Streamed

BLOCK = bytes(range(256)) * 256

streamed = Streamed()


def make_app(directory: Path) -> bottle.Bottle:
    """Return the application; it serves the files in `directory`."""
    app = bottle.Bottle()

    @app.get("/greet/<name>")
    def greet(name: str) -> str:
        bottle.response.set_cookie("seen", name, secret="frameworks", path="/")
        return bottle.template("Hello {{name}}, {{q}}", name=name, q=bottle.request.query.q)

    @app.get("/seen")
    def seen() -> str:
        return str(bottle.request.get_cookie("seen", secret="frameworks"))

    @app.post("/upload")
    def upload() -> dict[str, Any]:
        found = {"note": bottle.request.forms.getunicode("note")}
        with bottle.request.body:  # Bottle leaves its files open, of which CPython 3.14 warns
            for name, upload in bottle.request.files.items():
                with upload.file as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                found[name] = [upload.raw_filename, digest]
        return found

    @app.put("/echo")
    def echo() -> Any:
        return bottle.request.body

    @app.get("/static/<path:path>")
    def static(path: str) -> bottle.HTTPResponse:
        return bottle.static_file(path, root=str(directory))

    @app.get("/generator")
    def generator() -> Iterator[str]:
        yield ""
        for number in range(3):
            yield f"ü{number}"

    @app.get("/stream")
    def stream() -> Iterator[bytes]:
        yield from streamed.blocks()

    @app.get("/fail")
    def fail() -> None:
        raise RuntimeError("as it was asked to")

    @app.get("/away")
    def away() -> None:
        bottle.redirect("/seen")

    return app


@pytest.fixture(scope="module")
def url(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Serve the application."""
    directory = tmp_path_factory.mktemp("bottle")
    (directory / "a.bin").write_bytes(BLOCK)
    (directory / "ä.txt").write_text("grüß", "utf-8")
    return serve(make_app(directory))


def test_routes(url: str, client: requests.Session) -> None:
    """A route takes its part of the path; the template, the query."""
    response = client.get(f"{url}/greet/world", params={"q": "<b>"})
    assert response.text == "Hello world, &lt;b&gt;"
    assert client.get(f"{url}/seen").text == "world"


def test_redirect(url: str, client: requests.Session) -> None:
    """A redirect names this server."""
    response = client.get(f"{url}/away", allow_redirects=False)
    assert response.status_code == 303
    assert response.headers["Location"] == f"{url}/seen"


def test_upload(url: str, client: requests.Session) -> None:
    """Files and fields arrive."""
    files = {"f": ("a.bin", BLOCK * 20, "image/png")}
    response = client.post(f"{url}/upload", data={"note": "ü"}, files=files)
    digest = hashlib.sha256(BLOCK * 20).hexdigest()
    assert response.json() == {"f": ["a.bin", digest], "note": "ü"}


@pytest.mark.parametrize("chunked", [False, True])
def test_body(url: str, client: requests.Session, *, chunked: bool) -> None:
    """A body arrives whole, with a length and in chunks, and goes back as a file."""
    data = (BLOCK for _ in range(5)) if chunked else BLOCK * 5
    assert client.put(f"{url}/echo", data=data).content == BLOCK * 5


def test_static_file(url: str, client: requests.Session) -> None:
    """A static file answers HEAD, ranges and conditions; what is outside is not there."""
    whole = client.get(f"{url}/static/a.bin")
    assert whole.content == BLOCK
    assert client.get(f"{url}/static/ä.txt").content == "grüß".encode()
    head = client.head(f"{url}/static/a.bin")
    assert (head.headers["Content-Length"], head.content) == (str(len(BLOCK)), b"")
    part = client.get(f"{url}/static/a.bin", headers={"Range": "bytes=0-0"})
    assert (part.status_code, part.content) == (206, BLOCK[:1])
    later = {"If-Modified-Since": formatdate(usegmt=True)}
    assert client.get(f"{url}/static/a.bin", headers=later).status_code == 304
    assert client.get(f"{url}/static/%2e%2e/%2e%2e/etc/passwd").status_code in (403, 404)


def test_generator(url: str, client: requests.Session) -> None:
    """A generator's text arrives in order, and empty blocks do no harm."""
    assert client.get(f"{url}/generator").content == "ü0ü1ü2".encode()


def test_stream(url: str) -> None:
    """Each block arrives before the next one is made."""
    streamed.check(f"{url}/stream")


def test_errors(url: str, client: requests.Session) -> None:
    """Errors are answered by the framework, and the connection goes on."""
    assert client.get(f"{url}/nowhere").status_code == 404
    assert client.get(f"{url}/fail").status_code == 500
    assert client.get(f"{url}/seen").status_code == 200
