"""Names with a hash of the content in them, and names that only look so."""

from __future__ import annotations

import hashlib

import pytest

from breezeway.semantics.fingerprints import is_fingerprinted


@pytest.mark.parametrize(
    "name",
    [
        "style.3f2a9c1b.css",
        "style.3f2a9c1b7d04.css",
        "style.dead1bee.css",
        "base.0b7d1f2e3c4a.min.css",
        "main-0d1f84e2a7.js",
        "application-908e25f4bf641868d8683022a5b62f54.css",
        "main.3f2a9c1b.js.map",
        "index-BkX3_9aZ.js",
        "vendor-D-a8Xk2Q.js",
        "index-abC12dEf.js",
        "index-a1_2Bcde.js",
        "main-5K7QXNJL.js",
        "chunk-2RV6DXHQ.js",
        "chunk-AB23CDEF.js",
        "font.name.55835483c304.woff2",
    ],
)
def test_hashes(name: str) -> None:
    """The styles of Django, webpack, Rails, Vite, esbuild."""
    assert is_fingerprinted(name)


@pytest.mark.parametrize(
    "name",
    [
        "style.css",
        "jquery-3.7.1.min.js",
        "jquery-migrated.js",
        "report-20240101.pdf",
        "report.20240101.pdf",
        "photo-20240101.123456.jpg",
        "log-24-01-02.txt",
        "setup-Win32Api.exe",
        "guide-Version2.html",
        "store-MyApp2Go.js",
        "notes-1g2h3i4j.txt",
        "PLAN-A1B8C9D0.pdf",
        "my-Template.js",
        "notes-VERSION2.txt",
        "README-CHANGES1.txt",
        "phone-iPhone12.png",
        "effaced.deadbeef.css",
        "effaced.deadbee1.css",
        "word-feedface.css",
        "3f2a9c1b.css",
        ".3f2a9c1b.css",
        "style.3f2a9c1.css",
        "style.3F2A9C1B.css",
        "style3f2a9c1b.css",
        "3f2a9c1b7d04",
        "style-3f2a9c1b",
        "",
    ],
)
def test_no_hashes(name: str) -> None:
    """Words, dates and versions: kept for a year they would do harm."""
    assert not is_fingerprinted(name)


def test_of_all_of_django_s_names_nearly_all_are_found() -> None:
    """Of hashes of twelve hexadecimal digits, more than 98 of 100 are seen."""
    names = [
        f"app.{hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()[:12]}.css"
        for number in range(1000)
    ]
    assert sum(map(is_fingerprinted, names)) > 980
