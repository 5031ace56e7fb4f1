"""Patterns of paths: what they match, what they make, and that the two are inverses."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.web.pattern import Converter, parse_pattern
from breezeway.web.router import Router


def values_of(pattern: str, path: str) -> dict[str, Any] | None:
    """Return the values that a pattern finds in a decoded path; None if it does not match."""
    parsed = parse_pattern(pattern)
    router: Router[str] = Router()
    router.add(parsed, "GET", "it")
    found = router.find(path)
    return None if found is None else dict(zip(parsed.names, found[1], strict=True))


@pytest.mark.parametrize(
    ("pattern", "path", "values"),
    [
        ("/", "/", {}),
        ("/a", "/a", {}),
        ("/a", "/a/", None),
        ("/a/", "/a", None),
        ("/a", "/A", None),
        ("/a", "a", None),
        ("/a", "evil/a", None),
        ("/{x}", "/b", {"x": "b"}),
        ("/{x}", "/", None),
        ("/{x}", "//", None),
        ("/{x}/", "/b/", {"x": "b"}),
        ("/{x:int}", "/042", {"x": 42}),
        ("/{x:int}", "/-1", None),
        ("/{x:int}", "/+1", None),
        ("/{x:int}", "/٣", None),
        ("/{x:int}", "/1_0", None),
        ("/{x:int}", "/" + "9" * 18, {"x": 10**18 - 1}),
        ("/{x:int}", "/" + "9" * 19, None),
        ("/{x:float}", "/1.5", {"x": 1.5}),
        ("/{x:float}", "/-2", {"x": -2.0}),
        ("/{x:float}", "/nan", None),
        ("/{x:float}", "/1e5", None),
        ("/{x:uuid}", "/{12345678123456781234567812345678}--", None),
        ("/{x:path}", "/a/b/", {"x": "a/b/"}),
        ("/{x:path}", "/", None),
        ("/f/{x:path}", "/f/a//b", {"x": "a//b"}),
        ("/f/{x:path}", "/f//etc/passwd", None),
        ("/f/{x:path}", "/f/../etc/passwd", None),
        ("/f/{x:path}", "/f/a/..", None),
        ("/f/{x:path}", "/f/./a", None),
        ("/f/{x:path}", "/f/.a/..b/...", {"x": ".a/..b/..."}),
        ("/f/{x}", "/f/..", None),
        ("/f/{x}", "/f/.", None),
        ("/f/{x}/y", "/f/../y", None),
        ("/f/v{x}", "/f/v..", None),
        ("/f/{x}", "/f/...", {"x": "..."}),
        ("/{name}.{kind}", "/a.b.c", {"name": "a", "kind": "b.c"}),
        ("/{name}.{kind}", "/.c", None),
        ("/{name}.{kind}", "/a.", None),
        ("/{a}-{b}-x", "/1-2-3-x", {"a": "1", "b": "2-3"}),
        ("/v{n:int}", "/v7", {"n": 7}),
        ("/@{user}", "/@bob", {"user": "bob"}),
        ("/café/{x}", "/café/ß", {"x": "ß"}),
        ("/{x}", "/a\nb", {"x": "a\nb"}),
    ],
)
def test_matches(pattern: str, path: str, values: dict[str, Any] | None) -> None:
    """A pattern matches whole paths, segment by segment."""
    assert values_of(pattern, path) == values


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("a", "begins with a slash"),
        ("", "begins with a slash"),
        ("//a", "two slashes"),
        ("/a//b", "two slashes"),
        ("/{", "brace"),
        ("/{x", "brace"),
        ("/x}", "brace"),
        ("/{1x}", "brace"),
        ("/{x:}", "brace"),
        ("/{x}/{x}", "twice"),
        ("/{x:nothing}", "there are int, uuid"),
        ("/{x}{y}", "nothing stands between"),
        ("/{x:path}/a", "takes the rest"),
        ("/{x:path}.txt", "shares its segment"),
        ("/a/../b", "every client takes out"),
        ("/.", "every client takes out"),
        ("/a?b", "no path has"),
        ("/a#b", "no path has"),
        ("/caf%C3%A9", "no path has"),
        ("/a\\b", "no path has"),
        ("/<int:x>", "in braces"),
        ("/a-<x>", "in braces"),
    ],
)
def test_is_refused(pattern: str, says: str) -> None:
    """What cannot match, or would in ways that nobody means, is no pattern."""
    with pytest.raises(ValueError, match=says):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "values", "path"),
    [
        ("/{x}", {"x": "a b"}, "/a%20b"),
        ("/{x}", {"x": "ß?#%"}, "/%C3%9F%3F%23%25"),
        ("/{x}", {"x": 7}, "/7"),
        ("/{x:int}", {"x": 7}, "/7"),
        ("/{x:path}", {"x": "a/b c"}, "/a/b%20c"),
        ("/café", {}, "/caf%C3%A9"),
        ("/{a}-{b}", {"a": "x", "b": "y-z"}, "/x-y-z"),
        ("/{x:float}", {"x": 1.5}, "/1.5"),
        ("/{x:float}", {"x": -0.00001}, "/-0.00001"),
        ("/{x:float}", {"x": 1e16}, "/10000000000000000"),
    ],
)
def test_makes(pattern: str, values: dict[str, Any], path: str) -> None:
    """Values become a path, percent-encoded."""
    assert parse_pattern(pattern).path(values) == path


@pytest.mark.parametrize(
    ("pattern", "values", "says"),
    [
        ("/{x}", {}, "needs a value for 'x'"),
        ("/{x}", {"x": ""}, "must be a text"),
        ("/{x}", {"x": None}, "must be a text"),
        ("/{x}", {"x": "a/b"}, "slash"),
        ("/{x}", {"x": ".."}, "taken out"),
        ("/{x}", {"x": "."}, "taken out"),
        ("/{x:path}", {"x": "a/../b"}, "taken out"),
        ("/{x:path}", {"x": "/evil.example"}, "does not match"),
        ("/{x:int}", {"x": -1}, "whole number"),
        ("/{x:int}", {"x": True}, "whole number"),
        ("/{x:int}", {"x": "7"}, "whole number"),
        ("/{x:int}", {"x": 10**18}, "does not match"),
        ("/{x:float}", {"x": float("inf")}, "does not match"),
        ("/{x:float}", {"x": float("nan")}, "does not match"),
        ("/{x:float}", {"x": 1e-30}, "does not match"),
        ("/{x:uuid}", {"x": "no"}, "does not match"),
        ("/{a}-{b}", {"a": "x-y", "b": "z"}, "does not match"),
    ],
)
def test_makes_no_path_that_leads_elsewhere(
    pattern: str, values: dict[str, Any], says: str
) -> None:
    """A value that would be read as another one, or not at all, is refused."""
    with pytest.raises(ValueError, match=says):
        parse_pattern(pattern).path(values)


CONVERTED = {
    "int": st.integers(0, 10**18 - 1),
    "float": st.floats(-1000, 1000).map(lambda number: round(number, 3)),
    "uuid": st.uuids(),
    "str": st.text(min_size=1),
    "path": st.text(min_size=1),
}
LITERALS = st.text(st.sampled_from("ab-.é ~"), min_size=1, max_size=3)


@st.composite
def patterns(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Make a pattern and values for it."""
    pieces, values = [], {}
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["plain", "int", "float", "uuid", "str", "two"]))
        if kind == "plain":
            pieces.append(draw(LITERALS))
        elif kind == "two":
            pieces.append(f"{{a{number}}}{draw(LITERALS)}{{b{number}:int}}")
            values[f"a{number}"] = draw(CONVERTED["str"])
            values[f"b{number}"] = draw(CONVERTED["int"])
        else:
            pieces.append(f"{{v{number}:{kind}}}")
            values[f"v{number}"] = draw(CONVERTED[kind])
    if draw(st.booleans()):
        pieces.append("{rest:path}")
        values["rest"] = draw(CONVERTED["path"])
    return "/" + "/".join(pieces), values


@given(patterns())
def test_path_and_find_are_inverses(case: tuple[str, dict[str, Any]]) -> None:
    """The path that is made of values leads to these values again, or is not made."""
    text, values = case
    try:
        pattern = parse_pattern(text)
        path = pattern.path(values)
    except ValueError:
        return
    assert path.isascii()
    assert not path.startswith("//")
    found = values_of(text, unquote(path))
    assert found == values


@given(st.text(st.sampled_from("/ab1.-{}:int é\\%"), max_size=20), st.text(max_size=30))
def test_any_text_is_refused_or_matched(pattern: str, path: str) -> None:
    """No pattern and no path leads to anything but an answer."""
    try:
        parse_pattern(pattern)
    except ValueError:
        return
    values_of(pattern, path)


def test_many_variables_in_a_segment_take_no_time() -> None:
    """A long segment that does not match is done in one pass: no regular expression tries all splits."""
    pattern = "/" + "-".join(f"{{v{number}}}" for number in range(9)) + "-end"
    assert values_of(pattern, "/" + "-" * 200_000) is None
    assert values_of(pattern, "/" + "a-" * 100_000) is None


def test_converters_of_ones_own() -> None:
    """A converter says what it matches, what that becomes, and how it is written."""

    def even(text: str) -> int:
        if not text.isdigit() or int(text) % 2:
            raise ValueError
        return int(text)

    converters = {"even": Converter(even, lambda number: str(number), rank=5)}
    pattern = parse_pattern("/{n:even}", converters)
    assert pattern.path({"n": 4}) == "/4"
    with pytest.raises(ValueError, match="does not match"):
        pattern.path({"n": 3})
    pattern = parse_pattern("/{x:all}", {"all": Converter(str, is_rest=True)})
    with pytest.raises(ValueError, match="names a host"):
        pattern.path({"x": "/evil.example"})


def test_uuid_both_ways() -> None:
    """A UUID is one in a path as well."""
    value = uuid.UUID("00000000-0000-4000-8000-00000000ABCD")
    path = parse_pattern("/{x:uuid}").path({"x": value})
    assert values_of("/{x:uuid}", path) == {"x": value}
    assert values_of("/{x:uuid}", path.upper()) == {"x": value}
