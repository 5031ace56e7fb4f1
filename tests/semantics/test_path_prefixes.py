"""Tables by the prefix of a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.path_prefixes import PathTable, mount_point, readings, tidied


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/", "-"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api/x", "api"),
        ("/apis", "-"),
        ("/api/v1", "v1"),
        ("/api/v1/x", "v1"),
        ("/api/v10", "api"),
        ("/below", "-"),
        ("/below/", "below"),
        ("/below/x", "below"),
        ("//api", "-"),
        ("/API", "-"),
        ("*", "-"),
        ("", "-"),
    ],
)
def test_longest_prefix(path: str, value: str) -> None:
    """The longest prefix that covers whole segments counts."""
    table = PathTable({"/api": "api", "/api/v1": "v1", "/below/": "below"})
    assert table.get(path, "-") == value


def test_root_covers_all() -> None:
    """A slash is the prefix of every path."""
    table = PathTable({"/": 1, "/a": 2})
    assert [table.get(path, 0) for path in ("/", "/x", "/a", "/a/b")] == [1, 1, 2, 2]


@pytest.mark.parametrize("prefix", ["", "api", " /api", 5])
def test_prefix_begins_with_a_slash(prefix: str) -> None:
    """Another would never cover anything."""
    with pytest.raises(ValueError, match="slash"):
        PathTable({prefix: 1})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", {"/"}),
        ("", {"/"}),
        ("*", {"/*"}),
        ("/a/b/", {"/a/b/"}),
        ("a", {"/a"}),
        ("../a", {"/../a", "/a"}),
        ("//a", {"//a", "/a"}),
        ("/.a", {"/.a"}),
        ("/a/..b", {"/a/..b"}),
        ("/x/./a", {"/x/./a", "/x/a"}),
        ("/x/../a", {"/x/../a", "/a"}),
        ("/x//../a", {"/x//../a", "/x/../a", "/x/a", "/a"}),
        ("/x//b/../..//a", {"/x//b/../..//a", "/x/b/../../a", "/x//a", "/x/a", "/a"}),
    ],
)
def test_readings(path: str, expected: set[str]) -> None:
    """All that applications make of slashes and dots."""
    found = readings(path)
    assert (set(found), len(found)) == (expected, len(expected))
    assert tidied(path) in expected
    assert readings(tidied(path)) == [tidied(path)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a;b=c", {"/a;b=c", "/a"}),
        ("/x/..;/a", {"/x/..;/a", "/x/../a", "/a"}),
        ("/x;/;y/a", {"/x;/;y/a", "/x//a", "/x/a"}),
        ("x;/a", {"/x;/a", "/x/a"}),
    ],
)
def test_parameters(path: str, expected: set[str]) -> None:
    """Some servers take parameters off a segment before they look at it."""
    assert set(readings(path)) == expected


def test_agreed() -> None:
    """Where the readings of a path differ in their value there is a doubt."""
    table = PathTable({"/api": 1, "/open": 2})
    paths = (
        "/api",
        "//api",
        "/api//x",
        "/api/./x",
        "/open/../api",
        "//x",
        "x",
        "api",
        "/open/..;/x",
    )
    assert [table.agreed(path, 0, -1) for path in paths] == [1, -1, 1, 1, -1, 0, 0, 1, -1]


PATHS = st.text(alphabet="/ab", max_size=8).map(lambda text: f"/{text}")


@given(st.lists(PATHS, unique=True, max_size=6), PATHS)
def test_as_said(prefixes: list[str], path: str) -> None:
    """The table finds what trying all of them finds."""
    covering = [
        prefix
        for prefix in prefixes
        if path == prefix or path.startswith(prefix if prefix.endswith("/") else f"{prefix}/")
    ]
    expected = max(covering, key=len, default="")
    assert PathTable({prefix: prefix for prefix in prefixes}).get(path, "") == expected


@pytest.mark.parametrize(
    ("script_name", "mounted"),
    [("", ""), ("/", ""), ("/a", "/a"), ("/a/", "/a"), ("//a/b//", "/a/b"), ("a", "/a")],
)
def test_mount_point(script_name: str, mounted: str) -> None:
    """One slash in front, none at the end, whatever a server has made of it."""
    assert mount_point(script_name) == mounted
