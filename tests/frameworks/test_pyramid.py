"""Pyramid on the live server, in the test's process and under `pserve` from an ini file."""

import hashlib
from pathlib import Path
from types import ModuleType

import pytest
import requests

from tests.frameworks.conftest import Serve
from tests.frameworks.serving import serving

# Pyramid and WebOb import them while they are there.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated"),
    pytest.mark.filterwarnings("ignore:Deprecated call to .pkg_resources:DeprecationWarning"),
]

BLOCK = bytes(range(256)) * 256

INI = """\
[app:main]
use = call:tests.frameworks.pyramid_app:make_app

[server:main]
use = egg:breezeway
listen = 127.0.0.1:0
threads = 3
root-path = /prefix
"""


@pytest.fixture(scope="module")
def app() -> ModuleType:
    """Return the module of the application, imported where the mark above holds."""
    from tests.frameworks import pyramid_app

    return pyramid_app


@pytest.fixture(scope="module")
def url(serve: Serve, app: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Serve the application."""
    directory = tmp_path_factory.mktemp("pyramid") / "static"
    directory.mkdir()
    (directory / "a.bin").write_bytes(BLOCK)
    (directory.parent / "secret").touch()
    return serve(app.make_app({}, static=str(directory)))


def test_view(url: str, client: requests.Session) -> None:
    """A route takes its part of the path, and links lead back to this server."""
    response = client.get(f"{url}/greet/gr%C3%BCn", params={"q": "<ü>"})
    assert response.json() == {"name": "grün", "q": "<ü>", "link": f"{url}/greet/other"}


def test_upload(url: str, client: requests.Session) -> None:
    """Files and fields arrive."""
    files = {"f": ("ä.bin", BLOCK * 20, "image/png")}
    response = client.post(f"{url}/upload", data={"note": "ü"}, files=files)
    digest = hashlib.sha256(BLOCK * 20).hexdigest()
    assert response.json() == {"note": "ü", "filename": "ä.bin", "sha256": digest}


@pytest.mark.parametrize("chunked", [False, True])
def test_body(url: str, client: requests.Session, *, chunked: bool) -> None:
    """A body arrives whole, with a length and in chunks."""
    data = (BLOCK for _ in range(20)) if chunked else BLOCK * 20
    assert client.put(f"{url}/body", data=data).content == BLOCK * 20


def test_session(url: str, client: requests.Session) -> None:
    """A session lives in its cookie."""
    assert [client.get(f"{url}/count").text for _ in range(2)] == ["1", "2"]


def test_static_view(url: str, client: requests.Session) -> None:
    """A static view sends files, answers conditions, and lets nobody out of its directory."""
    whole = client.get(f"{url}/static/a.bin")
    assert whole.content == BLOCK
    since = {"If-Modified-Since": whole.headers["Last-Modified"]}
    assert client.get(f"{url}/static/a.bin", headers=since).status_code == 304
    head = client.head(f"{url}/static/a.bin")
    assert (head.headers["Content-Length"], head.content) == (str(len(BLOCK)), b"")
    assert client.get(f"{url}/static/%2e%2e/secret").status_code == 404


def test_stream(url: str, app: ModuleType) -> None:
    """Each block arrives before the next one is made."""
    app.streamed.check(f"{url}/stream")


def test_errors(url: str, client: requests.Session) -> None:
    """What Pyramid does not answer is the server's 500, and tells nothing."""
    assert client.get(f"{url}/nowhere").status_code == 404
    assert client.get(f"{url}/forbidden").status_code == 403
    failed = client.get(f"{url}/fail")
    assert failed.status_code == 500
    assert "asked" not in failed.text
    assert client.get(f"{url}/count").status_code == 200


def test_pserve(tmp_path: Path, client: requests.Session) -> None:
    """An ini file that says `use = egg:breezeway` is served, and SIGTERM ends it in good order."""
    (tmp_path / "app.ini").write_text(INI)
    with serving("pyramid.scripts.pserve", "app.ini", directory=tmp_path) as url:
        response = client.get(f"{url}/prefix/greet/a")
        assert response.json()["link"] == f"{url}/prefix/greet/other"
