"""The tree of routes: which counts of several, and that none is missed."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.web.pattern import parse_pattern
from breezeway.web.router import ConflictError, Router


def made(*patterns: str) -> Router[str]:
    """Make a router whose endpoints are the patterns."""
    router: Router[str] = Router()
    for pattern in patterns:
        router.add(parse_pattern(pattern), "GET", pattern)
    return router


def found(router: Router[str], path: str) -> str | None:
    """Return the pattern that counts for a path."""
    result = router.find(path)
    return None if result is None else result[0].endpoints["GET"]


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["/{x}", "/me"], "/me", "/me"),
        (["/{x}", "/{n:int}"], "/7", "/{n:int}"),
        (["/{x}", "/{n:int}"], "/a", "/{x}"),
        (["/{x:path}", "/{x}"], "/a", "/{x}"),
        (["/{x:path}", "/{x}"], "/a/b", "/{x:path}"),
        (["/{x}", "/{x}.json"], "/a.json", "/{x}.json"),
        (["/{x}.json", "/{x}.min.json"], "/a.min.json", "/{x}.min.json"),
        (["/a{x}", "/{x}a"], "/aba", "/{x}a"),  # of equals, that which comes first in the alphabet
        (["/{x}-{n:int}", "/{n:int}-{x}"], "/1-2", "/{n:int}-{x}"),
        (["/{f:float}", "/{n:int}"], "/7", "/{n:int}"),
        (["/{f:float}", "/{n:int}"], "/7.0", "/{f:float}"),
        # What was tried in vain is taken back.
        (["/a/b/c", "/{x}/b/d"], "/a/b/d", "/{x}/b/d"),
        (["/a/{x}/c", "/{y}/b/d"], "/a/b/d", "/{y}/b/d"),
        (["/{n:int}/a", "/{x}/b"], "/7/b", "/{x}/b"),
        (["/a/{x}/c", "/a/{y:path}"], "/a/b/d", "/a/{y:path}"),
        (["/a/{x}/c", "/{y:path}"], "/a/b/d", "/{y:path}"),
        (["/a/", "/{y:path}"], "/a", "/{y:path}"),
        (["/a/{x}"], "/a", None),
        (["/a/{x}"], "/a/b/c", None),
    ],
)
def test_which_counts(patterns: list[str], path: str, expected: str | None) -> None:
    """Plain text counts before variables, and narrow variables before wide ones, in any order."""
    for order in itertools.permutations(patterns):
        assert found(made(*order), path) == expected


SEGMENTS = ["a", "b", "{x}", "{n:int}", "{x}-{y}"]


@given(
    st.sets(st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4).map(tuple), max_size=12),
    st.lists(st.sampled_from(["a", "b", "7", "c", "a-b", ""]), min_size=1, max_size=4),
)
def test_finds_one_if_any_matches(patterns: set[Any], segments: list[str]) -> None:
    """The tree finds a route exactly if one of the patterns by itself does."""
    texts = {
        "/"
        + "/".join(f"{part[:-1]}{at}}}" if part == "{x}" else part for at, part in enumerate(each))
        for each in patterns
        if sum(part in ("{x}-{y}", "{n:int}") for part in each) <= 1
    }
    path = "/" + "/".join(segments)
    alone = [text for text in texts if found(made(text), path)]
    router = made(*texts)
    counts = found(router, path)
    assert (counts in alone) if alone else counts is None
    everything = [leaf.endpoints["GET"] for leaf, _ in router.find_all(path)]
    assert sorted(everything) == sorted(alone)
    assert everything[:1] == [each for each in [counts] if each]


def test_conflicts() -> None:
    """Two routes that answer the same are told, whatever their variables are called."""
    router = made("/{x}/{n:int}")
    with pytest.raises(ConflictError, match=r"GET /\{y\}/\{m:int\} is there twice .*/\{x\}"):
        router.add(parse_pattern("/{y}/{m:int}"), "GET", "other")
    router.add(parse_pattern("/{y}/{m:int}"), "POST", "other")


def test_mounts_come_last() -> None:
    """What is mounted answers where no route below it does, before variables further up."""
    router = made("/{x:path}", "/admin/health", "/{a}/{b}")
    router.mount(parse_pattern("/admin"), lambda environ, start_response: [])
    for path in ("/admin", "/admin/", "/admin/users", "/admin/health/x"):
        result = router.find(path)
        assert result is not None
        assert result[0].mounted is not None, path
    assert found(router, "/admin/health") == "/admin/health"
    assert found(router, "/admins/x") == "/{a}/{b}"
    with pytest.raises(ConflictError):
        router.mount(parse_pattern("/admin"), lambda environ, start_response: [])


def test_routes_are_added_while_others_look() -> None:
    """Looking for a route never fails while routes are added."""
    router = made("/{x}/start")
    failures = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            if found(router, "/a/start") != "/{x}/start":
                failures.append("missed")

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(500):
        router.add(parse_pattern(f"/{{x}}-{number}/{{y}}"), "GET", str(number))
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
