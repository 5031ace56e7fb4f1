"""A plain Werkzeug application on the live server: conditions, wrapped files, bodies as streams."""

import hashlib
import io
from pathlib import Path

import pytest
import requests
from werkzeug.http import generate_etag
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import wrap_file

from tests.frameworks.conftest import Serve
from tests.frameworks.streamed import Streamed

CONTENT = bytes(range(256)) * 8192

streamed = Streamed()


def digest(request: Request) -> Response:
    """Read the body in blocks; tell how long it is and its checksum."""
    checksum = hashlib.sha256()
    size = 0
    while block := request.stream.read(10_000):
        checksum.update(block)
        size += len(block)
    return Response(f"{size} {checksum.hexdigest()}")


def lines(request: Request) -> Response:
    """Read the body by lines."""
    return Response("|".join(repr(line) for line in request.stream))


def unread(_request: Request) -> Response:
    """Leave the body alone."""
    return Response("not read")


def conditional(request: Request) -> Response:
    """Answer If-None-Match and ranges."""
    response = Response(CONTENT, mimetype="application/octet-stream")
    response.set_etag(generate_etag(CONTENT))
    return response.make_conditional(request, accept_ranges=True, complete_length=len(CONTENT))


def stream(_request: Request) -> Response:
    """Stream blocks."""
    return Response(streamed.blocks(), mimetype="text/plain")


def addresses(request: Request) -> Response:
    """Return a cookie and the addresses as Werkzeug sees them."""
    response = Response(f"{request.root_url} {request.path} {request.access_route}")
    response.set_cookie("a", "ü;")
    response.set_cookie("b", "2")
    return response


def make_app(path: Path) -> object:
    """Return the application; it sends the file at `path`."""

    def wrapped(request: Request) -> Response:
        """Send a real file through wsgi.file_wrapper."""
        file = wrap_file(request.environ, path.open("rb"))
        return Response(file, mimetype="application/octet-stream", direct_passthrough=True)

    def wrapped_memory(request: Request) -> Response:
        """Send a file that has no descriptor through wsgi.file_wrapper."""
        file = wrap_file(request.environ, io.BytesIO(CONTENT))
        return Response(file, mimetype="application/octet-stream", direct_passthrough=True)

    views = [
        digest,
        lines,
        unread,
        conditional,
        stream,
        addresses,
        wrapped,
        wrapped_memory,
    ]
    by_path = {f"/{view.__name__}": view for view in views}

    @Request.application
    def application(request: Request) -> Response:
        return by_path[request.path](request)

    return application


@pytest.fixture(scope="module")
def url(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Serve the application."""
    path = tmp_path_factory.mktemp("werkzeug") / "content.bin"
    path.write_bytes(CONTENT)
    return serve(make_app(path))


@pytest.mark.parametrize("headers", [{}, {"Expect": "100-continue"}])
@pytest.mark.parametrize("chunked", [False, True])
def test_body_as_stream(
    url: str, client: requests.Session, *, chunked: bool, headers: dict[str, str]
) -> None:
    """A large body arrives whole, with a length and in chunks, at once and when asked for."""
    data = (CONTENT[i : i + 50_000] for i in range(0, len(CONTENT), 50_000))
    response = client.post(f"{url}/digest", data=data if chunked else CONTENT, headers=headers)
    assert response.text == f"{len(CONTENT)} {hashlib.sha256(CONTENT).hexdigest()}"


@pytest.mark.parametrize("chunked", [False, True])
def test_body_by_lines(url: str, client: requests.Session, *, chunked: bool) -> None:
    """A body is cut into lines as a file is, wherever the chunks are cut."""
    data = [b"one\ntw", b"o\r\n", b"\n", b"end"]
    response = client.post(f"{url}/lines", data=iter(data) if chunked else b"".join(data))
    assert response.text == r"b'one\n'|b'two\r\n'|b'\n'|b'end'"


@pytest.mark.parametrize("chunked", [False, True])
def test_body_unread(url: str, client: requests.Session, *, chunked: bool) -> None:
    """A body that the application leaves alone does not spoil the next request."""
    for _ in range(2):
        data = iter([CONTENT[:5000]]) if chunked else CONTENT[:5000]
        assert client.post(f"{url}/unread", data=data).text == "not read"


def test_conditional(url: str, client: requests.Session) -> None:
    """Conditions and ranges are answered with 304, 206 and 416."""
    whole = client.get(f"{url}/conditional")
    assert whole.content == CONTENT
    unchanged = client.get(f"{url}/conditional", headers={"If-None-Match": whole.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    part = client.get(f"{url}/conditional", headers={"Range": "bytes=-5"})
    assert (part.status_code, part.content) == (206, CONTENT[-5:])
    beyond = client.get(f"{url}/conditional", headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize("path", ["/wrapped", "/wrapped_memory"])
def test_wrap_file(url: str, client: requests.Session, path: str) -> None:
    """A file in wsgi.file_wrapper arrives whole, with and without a descriptor."""
    for _ in range(2):
        assert client.get(url + path).content == CONTENT


def test_stream(url: str) -> None:
    """Each block arrives before the next one is made."""
    streamed.check(f"{url}/stream")


def test_cookies_and_addresses(url: str, client: requests.Session) -> None:
    """Several cookies can be set at once, and the addresses are the client's and the server's."""
    response = client.get(f"{url}/addresses")
    assert response.text == f"{url}/ /addresses ImmutableList(['127.0.0.1'])"
    assert set(response.cookies.keys()) == {"a", "b"}
