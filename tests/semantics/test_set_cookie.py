"""Reading Set-Cookie as a user agent does."""

from __future__ import annotations

import calendar
from datetime import datetime
from http.cookiejar import http2time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.cookies import set_cookie
from breezeway.semantics.set_cookie import (
    SetCookie,
    default_path,
    domain_matches,
    is_address,
    parse_cookie_date,
    parse_set_cookie,
    path_matches,
)


class TestParsing:
    @pytest.mark.parametrize(
        ("field", "cookie"),
        [
            ("a=b", SetCookie("a", "b")),
            (" a = b ; ", SetCookie("a", "b")),
            ('a="b c"', SetCookie("a", '"b c"')),
            ("a=b=c", SetCookie("a", "b=c")),
            ("a=", SetCookie("a", "")),
            ("a=b; PATH=/x; path=/y", SetCookie("a", "b", path="/y")),
            ("a=b; Path=x", SetCookie("a", "b")),
            ("a=b; Path=/x; Path=y", SetCookie("a", "b")),
            ("a=b; Domain=.Example.ORG", SetCookie("a", "b", domain="example.org")),
            ("a=b; Domain=", SetCookie("a", "b")),
            ("a=b; Max-Age=60", SetCookie("a", "b", max_age=60)),
            ("a=b; Max-Age=-1", SetCookie("a", "b", max_age=-1)),
            ("a=b; Max-Age=+1; max-age", SetCookie("a", "b")),
            ("a=b; Max-Age=²", SetCookie("a", "b")),
            ("a=b; Expires=Thu, 01 Jan 1970 00:00:09 GMT", SetCookie("a", "b", expires=9)),
            ("a=b; Expires=tomorrow", SetCookie("a", "b")),
            ("a=b; secure=no;HttpOnly", SetCookie("a", "b", secure=True, http_only=True)),
            ("a=b; SameSite=lax", SetCookie("a", "b", same_site="Lax")),
            ("a=b; SameSite=any; x=y", SetCookie("a", "b")),
            (f"a=b; Path=/{'x' * 1024}", SetCookie("a", "b")),
        ],
    )
    def test_read(self, field: str, cookie: SetCookie) -> None:
        """What browsers make of it."""
        assert parse_set_cookie(field) == cookie

    @pytest.mark.parametrize(
        ("field", "why"),
        [
            ("", "no name"),
            ("a", "no name"),
            ("=b", "no name"),
            ("; a=b", "no name"),
            ("a=b\x00c", "control"),
            (f"a={'x' * 4096}", "4,096"),
            ("a=b; SameSite=None", "without Secure"),
            ("a=b; Partitioned", "without Secure"),
            ("__Secure-a=b", "Secure"),
            ("__HOST-a=b; Secure", "Path=/"),
            ("__Host-a=b; Secure; Path=/; Domain=example.org", "no Domain"),
            ("__Http-a=b; Secure", "HttpOnly"),
            ("__Host-Http-a=b; Secure; Path=/", "HttpOnly"),
        ],
    )
    def test_refused(self, field: str, why: str) -> None:
        """What browsers drop, and why."""
        with pytest.raises(ValueError, match=why):
            parse_set_cookie(field)

    @given(st.text(max_size=60))
    def test_anything(self, field: str) -> None:
        """Any text is read or refused."""
        try:
            assert parse_set_cookie(field).name
        except ValueError:
            pass

    def test_reads_what_is_written(self) -> None:
        """What `set_cookie` writes comes back."""
        field = set_cookie(
            "a", "b", max_age=5, expires=9, path="/p", domain="Example.org", secure=True,
            http_only=True, same_site="None", partitioned=True,
        )  # fmt: skip
        assert parse_set_cookie(field) == SetCookie(
            "a", "b", 9, 5, "example.org", "/p", True, True, "None", True
        )


class TestDates:
    @pytest.mark.parametrize(
        ("text", "when"),
        [
            ("Sun, 06 Nov 1994 08:49:37 GMT", (1994, 11, 6, 8, 49, 37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", (1994, 11, 6, 8, 49, 37)),
            ("Sun Nov  6 08:49:37 1994", (1994, 11, 6, 8, 49, 37)),
            ("Wed, 09-Jun-2021 1:2:3", (2021, 6, 9, 1, 2, 3)),
            ("1 june 69 00:00:00", (2069, 6, 1, 0, 0, 0)),
            ("1 june 70 00:00:00", (1970, 6, 1, 0, 0, 0)),
        ],
    )
    def test_forms(self, text: str, when: tuple[int, ...]) -> None:
        """Dates of every form that was ever sent."""
        assert parse_cookie_date(text) == calendar.timegm(when)

    @pytest.mark.parametrize(
        "text",
        ["", "now", "32 Jan 2000 00:00:00", "30 Feb 2000 00:00:00", "1 Jan 1600 00:00:00",
         "1 Jan 2000 24:00:00", "1 Jan 2000 00:60:00", "1 Jan 2000 00:00", "Jan 2000 00:00:00",
         "1 Jan 2000 00:00:60", "1 2000 00:00:00", "1 Jan 00:00:00", "1 Jan 100 00:00:00",
         "1 Jan 20000 00:00:00", "1 Jan 2000 000:00:00", "1 Jan 2000 00:00:000"],
    )  # fmt: skip
    def test_none(self, text: str) -> None:
        """What is no date."""
        assert parse_cookie_date(text) is None

    @given(st.datetimes(min_value=datetime(1970, 1, 1)))
    def test_as_the_standard_library(self, when: datetime) -> None:
        """A date of Netscape's form is read as `http.cookiejar` reads it."""
        text = f"{when:%a, %d-%b-%Y %H:%M:%S} GMT"
        assert parse_cookie_date(text) == http2time(text)


@pytest.mark.parametrize(
    ("host", "domain", "matches"),
    [
        ("example.org", "example.org", True),
        ("a.b.example.org", "example.org", True),
        ("badexample.org", "example.org", False),
        ("example.org", "a.example.org", False),
        ("1.2.3.4", "3.4", False),
        ("::1", "::1", True),
    ],
)
def test_domains(host: str, domain: str, matches: bool) -> None:
    """A domain has the hosts below it; an address has none."""
    assert domain_matches(host, domain) is matches


def test_addresses() -> None:
    """Addresses of both kinds."""
    assert [is_address(host) for host in ("1.2.3.4", "::1", "a.b", "1.b")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("path", "directory"),
    [("", "/"), ("x", "/"), ("/", "/"), ("/a", "/"), ("/a/b", "/a"), ("/a/b/", "/a/b")],
)
def test_default_path(path: str, directory: str) -> None:
    """A cookie without a path is for the directory of its request."""
    assert default_path(path) == directory


@pytest.mark.parametrize(
    ("path", "cookie_path", "matches"),
    [
        ("/", "/", True),
        ("/a", "/", True),
        ("/a", "/a", True),
        ("/a/b", "/a", True),
        ("/a/b", "/a/", True),
        ("/ab", "/a", False),
        ("/a", "/a/", False),
    ],
)
def test_paths(path: str, cookie_path: str, matches: bool) -> None:
    """A path has what lies below it."""
    assert path_matches(path, cookie_path) is matches
