"""MoinMoin, a wiki of some 60,000 lines that nobody here wrote, served by the command line."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.frameworks.serving import serving

# What an administrator writes. Moin changes logging and warnings for its whole process, so that it
# gets one of its own.
WIKI = """\
from pathlib import Path

from moin.app import create_app_ext
from moin.config import IndexStorageConfig
from moin.config.default import DefaultConfig
from moin.storage import create_simple_mapping
from moin.utils import get_xstatic_module_path_map

HERE = Path(__file__).parent
HERE.joinpath("wiki").mkdir()


class Config(DefaultConfig):
    wikiconfig_dir = str(HERE)
    instance_dir = str(HERE / "wiki")
    data_dir = str(HERE / "wiki" / "data")
    wiki_local_dir = str(HERE / "local")
    index_storage = IndexStorageConfig("FileStorage", (str(HERE / "wiki" / "index"),), {})
    interwikiname = siteid = "Test"
    interwiki_map = {"Test": "http://127.0.0.1/", "Self": "http://127.0.0.1/"}
    default_root = "FrontPage"
    email_tracebacks = False
    create_backend = True
    serve_files = get_xstatic_module_path_map(["font_awesome", "pygments"])
    namespace_mapping, backend_mapping, acl_mapping = create_simple_mapping(
        f"stores:fs:{data_dir}/%(backend)s/%(kind)s"
    )


application = create_app_ext(flask_config_dict={"SECRET_KEY": "frameworks"}, moin_config_class=Config)
"""

WIKI_TEXT = "text/x.moin.wiki;charset=utf-8"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a wiki that has no page yet."""
    directory = tmp_path_factory.mktemp("moin")
    directory.joinpath("wiki_app.py").write_text(WIKI)
    with serving("breezeway", "wiki_app", "--bind", "127.0.0.1:0", directory=directory) as url:
        yield url


def edit(client: requests.Session, url: str, name: str, content: Any) -> requests.Response:
    """Fill in the form of an item's editor, as a browser sends it, and save.

    `content` is the text of a page, or a file as `requests` takes it.
    """
    kind = WIKI_TEXT if isinstance(content, str) else content[2]
    form = client.get(f"{url}/+modify/{name}?contenttype={kind}&itemtype=default")
    fields = dict(re.findall(r'<input type="text" name="([^"]+)" value="([^"]*)"', form.text))
    assert fields["meta_form_name"] == name
    files: dict[str, Any] = {key: (None, value) for key, value in fields.items()}
    if isinstance(content, str):
        files["content_form_data_text"] = (None, content)
    else:
        files["content_form_data_file"] = content
    return client.post(form.url, files=files)


def test_front_page_and_edit(url: str, client: requests.Session) -> None:
    """The front page is not there, is written, is shown, and is changed."""
    missing = client.get(f"{url}/")
    assert (missing.status_code, missing.url) == (404, f"{url}/FrontPage")
    assert "Create new item" in missing.text
    saved = edit(client, url, "FrontPage", "= Grüße =\nA '''first''' version.")
    assert (saved.status_code, saved.url) == (200, f"{url}/FrontPage")
    assert "<strong>first</strong>" in saved.text
    edit(client, url, "FrontPage", "= Grüße =\nA '''second''' version.")
    shown = client.get(f"{url}/")
    assert shown.status_code == 200
    assert re.search("<h1[^>]*>Grüße", shown.text)
    assert "<strong>second</strong>" in shown.text
    links = re.findall(r"\"(/\+show/\+[^\"]+)\"", client.get(f"{url}/+history/FrontPage").text)
    assert any("<strong>first</strong>" in client.get(url + link).text for link in links)


def test_upload(url: str, client: requests.Session) -> None:
    """A file becomes an item and is served as it was."""
    content = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4096
    assert edit(client, url, "Bild.png", ("Bild.png", content, "image/png")).ok
    got = client.get(f"{url}/+get/Bild.png")
    assert got.headers["Content-Type"] == "image/png"
    assert got.content == content


def test_assets(url: str, client: requests.Session) -> None:
    """The styles and scripts that a page names are there."""
    page = client.get(f"{url}/+index").text
    paths = set(re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js|svg|png))(?:\?[^"]*)?"', page))
    assert len(paths) >= 4
    for path in paths:
        response = client.get(url + path)
        assert response.status_code == 200, path
        assert len(response.content) == int(response.headers["Content-Length"])


def test_index_and_search(url: str, client: requests.Session) -> None:
    """A page that was written is listed, and found by its words."""
    edit(client, url, "Notes", "an unmistakable word")
    assert 'href="/Notes"' in client.get(f"{url}/+index").text
    found = client.get(f"{url}/+search/", params={"q": "unmistakable"})
    assert found.status_code == 200
    assert "Notes" in found.text


def test_feed(url: str, client: requests.Session) -> None:
    """The feed of changes is XML."""
    response = client.get(f"{url}/+feed/atom")
    assert response.status_code == 200
    assert response.text.startswith("<?xml")
