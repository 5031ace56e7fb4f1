"""Middleware in breezeway.toml: the examples of the pages, and one served by the command line."""

from __future__ import annotations

import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from breezeway import wrapping
from breezeway.config import sources

from ..process.server import serving

PAGES = Path(__file__).parents[2] / "docs" / "middleware"
BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(match[1], id=f"{path.name}:{path.read_text()[: match.start()].count(chr(10)) + 1}")
    for path in sorted(PAGES.glob("*.md"))
    for match in BLOCK.finditer(path.read_text(encoding="utf-8"))
    if "[[middleware]]" in match[1]
]

FILES = {
    "errors/500.html": "<p>$id</p>",
    "static/manifest.json": "{}",
    "public/site.css": "",
    "dist/index.html": "",
    "log/access.log": "",
}
"""What the examples name, below the working directory."""


def hello(environ: Any, start_response: Any) -> Any:
    """Answer."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each table of a page makes a piece, as it stands there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = set(sys.modules)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "middleware.py").write_text(
        "class Audit:\n    def __init__(self, application, path): self.__call__ = application\n"
        "    def __call__(self, environ, start_response): return []\n"
    )
    (tmp_path / "breezeway.toml").write_text(example, encoding="utf-8")
    resolved = sources.resolve({}, {}, str(tmp_path))
    assert resolved.middleware
    assert callable(wrapping.wrap(hello, resolved.middleware, str(tmp_path)))
    for name in {"shop", "shop.middleware"} - before:  # other tests have a module of that name
        sys.modules.pop(name, None)


def test_served(tmp_path: Path) -> None:
    """The command line puts the tables around the application, and a reload reads them again."""
    settings = tmp_path / "breezeway.toml"
    table = '[[middleware]]\nuse = "Security"\nframe_options = "{}"\n'
    settings.write_text(table.format("DENY"))
    with serving(tmp_path, workers=1) as server:
        assert frame_options(server.url) == "DENY"
        settings.write_text(table.format("SAMEORIGIN"))
        server.ask("reload")
        assert frame_options(server.url) == "SAMEORIGIN"


def frame_options(url: str) -> str | None:
    """Ask for a page; return the field."""
    with urllib.request.urlopen(url) as response:
        found: str | None = response.headers["X-Frame-Options"]
        return found
