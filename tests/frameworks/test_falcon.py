"""Falcon on the live server: JSON, streams, uploads."""

import hashlib
from typing import Any

import falcon
import falcon.media
import pytest
import requests

from tests.frameworks.conftest import Serve
from tests.frameworks.streamed import Streamed

BLOCK = bytes(range(256)) * 256


class Things:
    """JSON in and out."""

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Tell what was asked."""
        response.media = {"name": name, "q": request.get_param_as_list("q"), "host": request.host}

    def on_put(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Return the document; refuse one that has the wrong name."""
        document = request.get_media()
        if document["name"] != name:
            raise falcon.HTTPUnprocessableEntity(title="wrong name")
        response.status = falcon.HTTP_201
        response.location = request.uri
        response.media = document

    def on_delete(self, _request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Answer without a body."""
        response.status = falcon.HTTP_204


class Bodies:
    """Bodies as streams."""

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Tell the checksum of a body that has a length, or of one that has none."""
        source = request.bounded_stream if request.content_length else request.stream
        response.text = hashlib.sha256(source.read()).hexdigest()


class Uploads:
    """Multipart forms."""

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Describe each part."""
        response.media = [
            [part.name, part.filename, hashlib.sha256(part.stream.read()).hexdigest()]
            for part in request.get_media()
        ]


class Stream:
    """Streamed responses."""

    def __init__(self) -> None:
        self.streamed = Streamed()

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        """Stream blocks."""
        response.content_type = falcon.MEDIA_TEXT
        response.stream = self.streamed.blocks()


class Failing:
    """An application error."""

    def on_get(self, _request: falcon.Request, _response: falcon.Response) -> None:
        """Raise."""
        raise RuntimeError("as it was asked to")


stream = Stream()


def make_app() -> Any:
    """Return the application."""
    app = falcon.App()
    app.add_route("/things/{name}", Things())
    app.add_route("/bodies", Bodies())
    app.add_route("/uploads", Uploads())
    app.add_route("/stream", stream)
    app.add_route("/failing", Failing())
    return app


@pytest.fixture(scope="module")
def url(serve: Serve) -> str:
    """Serve the application."""
    return serve(make_app())


def test_json(url: str, client: requests.Session) -> None:
    """Documents go in and come out."""
    got = client.get(f"{url}/things/gr%C3%BCn", params={"q": ["1", "ü"]})
    assert got.json() == {"name": "grün", "q": ["1", "ü"], "host": "127.0.0.1"}
    document = {"name": "a", "of": [1, None, "ß"]}
    created = client.put(f"{url}/things/a", json=document)
    assert (created.status_code, created.json()) == (201, document)
    assert created.headers["Location"] == f"{url}/things/a"
    assert client.put(f"{url}/things/b", json=document).status_code == 422
    gone = client.delete(f"{url}/things/a")
    assert (gone.status_code, gone.content) == (204, b"")


def test_bad_json(url: str, client: requests.Session) -> None:
    """A document that is none is the client's mistake."""
    json = {"Content-Type": "application/json"}
    assert client.put(f"{url}/things/a", data=b"{", headers=json).status_code == 400
    assert client.put(f"{url}/things/a", data=b"", headers=json).status_code == 400


def test_chunked_json(url: str, client: requests.Session) -> None:
    """A document that comes in chunks is read to its end."""
    json = {"Content-Type": "application/json"}
    response = client.put(f"{url}/things/a", data=iter([b'{"na', b'me": "a"}']), headers=json)
    assert response.json() == {"name": "a"}


@pytest.mark.parametrize("chunked", [False, True])
def test_body(url: str, client: requests.Session, *, chunked: bool) -> None:
    """A body arrives whole, with a length and in chunks."""
    data = (BLOCK for _ in range(20)) if chunked else BLOCK * 20
    response = client.post(f"{url}/bodies", data=data)
    assert response.text == hashlib.sha256(BLOCK * 20).hexdigest()


def test_upload(url: str, client: requests.Session) -> None:
    """The parts of a form arrive, files and fields."""
    files = {"f": ("a.bin", BLOCK * 10, "image/png")}
    response = client.post(f"{url}/uploads", data={"note": "ü"}, files=files)
    assert response.json() == [
        ["note", None, hashlib.sha256("ü".encode()).hexdigest()],
        ["f", "a.bin", hashlib.sha256(BLOCK * 10).hexdigest()],
    ]


def test_stream(url: str) -> None:
    """Each block arrives before the next one is made."""
    stream.streamed.check(f"{url}/stream")


def test_errors(url: str, client: requests.Session) -> None:
    """Errors are answered by the framework, and the connection goes on."""
    assert client.get(f"{url}/nowhere").status_code == 404
    assert client.post(f"{url}/things/a").status_code == 405
    failed = client.get(f"{url}/failing")
    assert failed.status_code == 500
    assert "asked" not in failed.text
    assert client.get(f"{url}/things/a").status_code == 200
