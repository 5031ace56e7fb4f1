"""URLs: encoded once, and the same in the process and over a live server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breezeway.testing import Client
from breezeway.testing.urls import checked_base, encoded, origin, redirected, resolved

from .applications import echo

TOLD = ("PATH_INFO", "QUERY_STRING", "REQUEST_URI", "REQUEST_METHOD")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.fixture(scope="module")
def live() -> Iterator[Client]:
    """Make a client of a live server."""
    with Client.live(echo) as client:
        yield client


@given(TEXT, st.text(alphabet="ä /?&=+%#", max_size=9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_both_ways(live: Client, path: str, query: str) -> None:
    """Any text is a path, and the application is told the same of it both ways."""
    found = [client.get(f"/{path}", params=query).json() for client in (Client(echo), live)]
    assert [found[0][key] for key in TOLD] == [found[1][key] for key in TOLD]


@given(TEXT)
def test_encoded_once(text: str) -> None:
    """What is encoded stays as it is."""
    once = encoded(f"http://localhost/{text}")
    assert once.isascii()
    assert encoded(once) == once


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("http://a/b/c", "d", "http://a/b/d"),
        ("http://a/b/c?x", "?y", "http://a/b/c?y"),
        ("http://a/b/c", "//d", "http://d/"),
        ("http://a/b/c#f", "/d", "http://a/d#f"),
        ("http://a/b/c#f", "/d#g", "http://a/d#g"),
        ("http://a/b", "/ü".encode().decode("latin-1"), "http://a/%C3%BC"),
        ("http://a/b", "", "http://a/b"),
    ],
)
def test_redirected(url: str, location: str, target: str) -> None:
    """Location is relative to the URL that has answered."""
    assert redirected(url, location) == target


def test_origin() -> None:
    """Ports that are usual are the same as none; case does not count."""
    assert origin("HTTP://A:80/x") == origin("http://a") == ("http", "a", 80)
    assert origin("https://a") == ("https", "a", 443)


def test_base() -> None:
    """A base ends without a slash; a path is below it, with or without one."""
    base = checked_base("HTTP://localhost/ä/")
    assert base == "http://localhost/%C3%A4"
    assert resolved(base, "x", None) == resolved(base, "/x", None) == f"{base}/x"
    assert resolved(base, "", None) == base
    with pytest.raises(ValueError, match="no URL"):
        resolved(base, "ftp://x/", None)
