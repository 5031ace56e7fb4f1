"""Cookies: what a request has, and what a browser would keep."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.cookies import (
    find_cookie,
    parse_cookies,
    removed_cookie,
    set_cookie,
    with_cookie,
)

NAMES = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=20)
VALUES = st.text([chr(c) for c in range(0x21, 0x7F) if chr(c) not in '",;\\'], max_size=40)

LONG_DOMAIN = ".".join(["x" * 63] * 3 + ["y" * 61])
"""253 characters, as many as there may be, in four labels."""


@pytest.mark.parametrize(
    ("field", "cookies"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1;b=2", {"a": "1", "b": "2"}),
        (" a = 1 ;\tb\t=\t2", {"a": "1", "b": "2"}),
        ("a=1; a=2", {"a": "1"}),
        ("a=", {"a": ""}),
        ("a=b=c==", {"a": "b=c=="}),
        ('a="x y"', {"a": '"x y"'}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        ("a", {}),
        ("=a", {}),
        ("=__Host-a=b", {}),
        (";;; ;a=1;;", {"a": "1"}),
        ("a=1, b=2", {"a": "1, b=2"}),
        ("$Version=1; a=1", {"$Version": "1", "a": "1"}),
        ("a=\xc3\xa4", {"a": "\xc3\xa4"}),
    ],
)
def test_parse(field: str, cookies: dict[str, str]) -> None:
    """Cookies are taken apart as browsers put them together."""
    assert parse_cookies(field) == cookies
    for name in {*cookies, "a", "zz"}:
        assert find_cookie(field, name) == cookies.get(name)


@given(st.text(st.characters(max_codepoint=255)))
def test_nothing_breaks_it(field: str) -> None:
    """Any text can be parsed; what is found stood there."""
    for name, value in parse_cookies(field).items():
        assert name in field
        assert value in field
        assert find_cookie(field, name) == value


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_back_again(cookies: dict[str, str]) -> None:
    """What was set comes back."""
    made = [set_cookie(f"c{name}", value) for name, value in cookies.items()]
    field = "; ".join(cookie.partition(";")[0] for cookie in made)
    assert parse_cookies(field) == {f"c{name}": value for name, value in cookies.items()}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "a=b; Path=/"),
        ({"path": None}, "a=b"),
        ({"max_age": 60}, "a=b; Max-Age=60; Path=/"),
        ({"max_age": -1}, "a=b; Max-Age=0; Path=/"),
        ({"expires": 0}, "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"),
        ({"expires": -(10**11)}, "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"),
        ({"domain": ".Example.org", "path": "/x y"}, "a=b; Domain=example.org; Path=/x y"),
        ({"expires": 784111777.9, "path": None}, "a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT"),
        ({"domain": "localhost", "path": "/ :<~"}, "a=b; Domain=localhost; Path=/ :<~"),
        ({"domain": LONG_DOMAIN, "path": None}, f"a=b; Domain={LONG_DOMAIN}"),
        ({"same_site": "Strict", "path": None}, "a=b; SameSite=Strict"),
        (
            {"secure": True, "http_only": True, "same_site": "None", "partitioned": True},
            "a=b; Path=/; SameSite=None; Secure; HttpOnly; Partitioned",
        ),
    ],
)
def test_set(options: Any, expected: str) -> None:
    """Each attribute is written as the grammar has it."""
    assert set_cookie("a", "b", **options) == expected


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("__Secure-a", {"secure": True, "domain": "example.org", "path": "/x"}),
        ("__Host-a", {"secure": True}),
        ("__Http-a", {"secure": True, "http_only": True, "path": "/x"}),
        ("__Host-Http-a", {"secure": True, "http_only": True}),
        ('"', None),
        ("", None),
        ("a b", None),
        ("a=", None),
        ("\xe4", None),
        ("a\n", None),
        ("__Secure-a", None),
        ("__secure-a", None),
        ("__Host-a", None),
        ("__Host-a", {"secure": True, "path": "/x", "bad": True}),
        ("__HOST-a", {"secure": True, "path": None, "bad": True}),
        ("__Host-a", {"secure": True, "domain": "example.org", "bad": True}),
        ("__Http-a", {"secure": True, "bad": True}),
        ("__Host-Http-a", {"secure": True, "bad": True}),
        ("__Host-Http-a", {"secure": True, "http_only": True, "path": "/x", "bad": True}),
    ],
)
def test_names_and_prefixes(name: str, options: Any) -> None:
    """A name that promises something is held to it, in any case."""
    options = dict(options or {"bad": True})
    if not options.pop("bad", False):
        assert set_cookie(name, "b", **options)
        return
    with pytest.raises(ValueError, match="cookie"):
        set_cookie(name, "b", **options)


@pytest.mark.parametrize(
    "value", ["a b", 'a"b', "a,b", "a;b", "a\\b", "\xe4", "a\r\nSet-Cookie: c=d", "\0", '"a', "b\n"]
)
def test_bad_values(value: str) -> None:
    """What would be read as something else, or split the field, is refused."""
    with pytest.raises(ValueError, match="cookie a has a character"):
        set_cookie("a", value)


def test_value_is_a_text() -> None:
    """A number is none, as a header made of one is not; the message names the cookie."""
    with pytest.raises(TypeError, match="the value of cookie a is a text, not 5"):
        set_cookie("a", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        *({"domain": domain} for domain in ("", ".", "192.0.2.1", "[::1]", "a..b", "a:80", "a;b")),
        *({"domain": domain} for domain in ("a b", "a/b", "x" * 64, "a.\n", "\xe4.de")),
        *({"domain": domain} for domain in (f"{LONG_DOMAIN}x", "x." + "y" * 64, "1.2")),
        *({"path": path} for path in ("", "x", "/;", "/\n", "/\xe4", "/" + "x" * 1024)),
        *({"path": path} for path in ("/\x1f", "/\x7f")),
        *({"max_age": age} for age in (1.5, True, "60", float("nan"))),
        {"same_site": "lax"},
        {"same_site": "None"},
        {"partitioned": True},
    ],
)
def test_bad_attributes(options: Any) -> None:
    """An attribute that browsers would ignore, or drop the cookie for, is refused."""
    with pytest.raises(ValueError, match=r"cookie|SameSite"):
        set_cookie("a", "b", **options)


def test_longest() -> None:
    """The bound of the browsers is the bound here, name included."""
    assert set_cookie("abcd", "x" * 4092)
    with pytest.raises(ValueError, match=r"4,097 bytes .* 4,096 at most"):
        set_cookie("abcd", "x" * 4093)


def test_removed() -> None:
    """A cookie is removed by one with its attributes."""
    assert removed_cookie("__Host-a", secure=True, http_only=True, same_site="Lax") == (
        "__Host-a=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; SameSite=Lax; Secure;"
        " HttpOnly"
    )


@given(NAMES, VALUES)
def test_others_read_it(name: str, value: str) -> None:
    """The standard library's parser of Set-Cookie agrees on value and attributes."""
    name = f"n{name}"
    field = set_cookie(name, value, max_age=5, path="/p", secure=True, same_site="Lax")
    assert SimpleCookie(field)[name].value == value
    assert SimpleCookie(field)[name]["max-age"] == "5"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "no-store"),
        ("no-store", "no-store"),
        ("No-Store, max-age=0", "No-Store, max-age=0"),
        ("max-age=5, Private", "max-age=5, Private"),
        ("public, max-age=5, s-maxage=9", "private, max-age=5"),
        ('private="x, y", no-cache', "private, no-cache"),
        ("no-cache", "private, no-cache"),
        ("", "private"),
    ],
)
def test_no_shared_cache_keeps_it(before: str | None, after: str) -> None:
    """A response with a cookie is for one visitor."""
    headers = [("A", "b")] + ([] if before is None else [("cache-control", before)])
    found = with_cookie(headers, "c=d")
    assert found[0] == ("A", "b")
    assert found[-1] == ("Set-Cookie", "c=d")
    assert [value for name, value in found if name.lower() == "cache-control"] == [after]
