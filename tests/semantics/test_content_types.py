"""Content types by extension."""

from __future__ import annotations

import mimetypes

import pytest

from breezeway.semantics.content_types import content_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("A.CSS", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("app.mjs", "text/javascript; charset=utf-8"),
        ("app.js.map", "application/json"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
        ("a.tar.gz", "application/gzip"),
        ("a", "application/octet-stream"),
        ("a.", "application/octet-stream"),
        (".css", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("a.html\u00e9", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_types(name: str, expected: str) -> None:
    """The table is used whatever the case; text is UTF-8."""
    assert content_type(name) == expected


def test_does_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's own table says changes nothing."""
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_: ("text/x-machine", None))
    mimetypes.add_type("text/x-machine", ".css")
    try:
        assert content_type("a.css") == "text/css; charset=utf-8"
    finally:
        mimetypes.init()
