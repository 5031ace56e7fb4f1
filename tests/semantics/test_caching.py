"""The rules of caching, one by one; whole stories are in tests/corpus/cache."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.caching import (
    LONGEST_SECONDS,
    Rules,
    Settings,
    Verdict,
    cache_key,
    covers_error,
    freshened,
    initial_age,
    invalidated_keys,
    judge,
    parse_date,
    parse_directives,
    parse_targeted,
    read_wishes,
    seconds,
    storage_rules,
    url_key,
    variant,
    vary_names,
)

NOW = 1_800_000_000.0
RULES = Rules(10, False, False, 0, 0, (), ())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {}),
        ("no-store", {"no-store": None}),
        ("Max-Age=5, PUBLIC", {"max-age": "5", "public": None}),
        ('max-age="5"', {"max-age": "5"}),
        (",, max-age=1,", {"max-age": "1"}),
        ('private="Set-Cookie, A", max-age=1', {"private": "Set-Cookie, A", "max-age": "1"}),
        ('no-cache="a", no-cache="b"', {"no-cache": "a, b"}),
        ('no-cache="a", no-cache', {"no-cache": None}),
        ('no-cache, no-cache="a"', {"no-cache": None}),
        ('note="a\\"b, no-store"', {"note": 'a"b, no-store'}),
        ('private=""', {"private": None}),
        ('private ="a"', {"private": None}),
        ("private=a", {"private": "a"}),
        ("max-age =5", {"max-age": " =5"}),
        ('note="open, no-store', {"note": '="open, no-store', "no-store": None}),
        ("=5, public", {"public": None}),
    ],
)
def test_directives(value, expected):
    """Cache-Control is read by its grammar; what is malformed is no number and hides nothing."""
    assert parse_directives(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("max-age=60, private", {"max-age": "60", "private": None}),
        ("max-age=60;ext=1, must-revalidate;a;b=?0", {"max-age": "60", "must-revalidate": None}),
        ("no-store=?0, max-age=1", {"max-age": "1"}),
        ('private="a"', {"private": "a"}),
        ("", None),
        ("Max-Age=60", None),
        ("max-age=60,&", None),
        ('max-age="60"', None),
        ("max-age=-60", None),
        ("max-age", None),
        ("max-age = 60", None),
    ],
)
def test_targeted_fields(value, expected):
    """A targeted field is a structured field: one slip, and all of it is ignored."""
    assert parse_targeted(value) == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("007", 7),
        ("-1", 0),
        ("1.5", 0),
        ("\u0661", 0),
        ("2147483648", LONGEST_SECONDS),
        ("9" * 5000, LONGEST_SECONDS),
        ("0" * 5000 + "9", 9),
    ],
)
def test_seconds(text, number):
    """Delta-seconds are ASCII digits, with an end."""
    assert seconds(text) == number


def test_wishes():
    """The directives of a request are read."""
    wishes = read_wishes("no-cache, max-age=0, max-stale, min-fresh=5, only-if-cached")
    assert wishes == (False, True, True, 0, 5, LONGEST_SECONDS, 0)
    assert read_wishes("max-stale=7, stale-if-error=9, no-store") == (
        True,
        False,
        False,
        None,
        0,
        7,
        9,
    )


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, []),
        (200, [("Last-Modified", "Wed, 01 Jan 2020 00:00:00 GMT")]),
        (200, [("Cache-Control", "max-age=0")]),
        (200, [("Cache-Control", "no-cache")]),
        (200, [("Cache-Control", "no-cache, max-age=5")]),
        (200, [("Cache-Control", "public")]),
        (199, [("Cache-Control", "max-age=5")]),
        (206, [("Cache-Control", "max-age=5")]),
        (304, [("Cache-Control", "max-age=5")]),
        (200, [("Cache-Control", "max-age=5"), ("Vary", "a, *")]),
        (200, [("Cache-Control", "max-age=5"), ("Vary", ",".join(f"f{n}" for n in range(17)))]),
        (200, [("CACHE-CONTROL", "max-age=5"), ("cache-control", "NO-STORE")]),
        (200, [("Cache-Control", "max-age=5"), ("SET-COOKIE", "a=b")]),
        (200, [("Cache-Control", 'max-age=5, x="')]),
    ],
)
def test_not_stored(status, headers):
    """What is forbidden, says nothing, or would be of no use is not stored."""
    assert storage_rules(status, headers, Settings(), NOW) is None


@pytest.mark.parametrize(
    ("fields", "lifetime"),
    [
        ({"Cache-Control": "max-age=5"}, 5),
        ({"Cache-Control": "public", "ETag": '"a"'}, 0),
        ({"Cache-Control": "max-age=0", "Last-Modified": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0),
        ({"Cache-Control": "max-age=0, stale-while-revalidate=5"}, 0),
        ({"Cache-Control": "max-age=0, stale-if-error=5"}, 0),
        ({"Expires": "Fri, 15 Jan 2027 08:00:09 GMT"}, 9),
        ({"Expires": "Fri, 15 Jan 2027 07:00:00 GMT", "ETag": '"a"'}, 0),
        ({"Expires": "0", "ETag": '"a"'}, 0),
        ({"Expires": "Fri, 15 Jan 2027 08:00:09 GMT", "Edge-Control": "public", "ETag": '"a"'}, 0),
        ({"Cache-Control": "max-age=5", "Edge-Control": "max-age=9"}, 9),
        ({"Date": "Fri, 15 Jan 2027 08:00:00 GMT"}, None),
    ],
)
def test_lifetime(fields, lifetime):
    """The first that says something counts, and what is stale at once is stored if it is of use."""
    rules = storage_rules(200, [*fields.items()], Settings(("edge-control",), 0.1), NOW)
    assert (None if rules is None else rules.lifetime) == lifetime


def test_what_is_strict():
    """What a shared cache has to revalidate when it is stale no request can have so."""
    for value in ("max-age=5, must-revalidate", "max-age=5, proxy-revalidate", "s-maxage=5"):
        assert storage_rules(200, [("Cache-Control", value)], Settings(), NOW).strict, value
    assert not storage_rules(200, [("Cache-Control", "max-age=5")], Settings(), NOW).strict


def test_a_cookie_that_is_not_stored_does_not_forbid_the_rest():
    """`private` may name the very field, and then the response is stored without it."""
    headers = [("Cache-Control", 'private="Set-Cookie", max-age=5'), ("Set-Cookie", "a=b")]
    rules = storage_rules(200, headers, Settings(), NOW)
    assert rules is not None
    assert rules.hidden == ("set-cookie",)


def test_defaults_of_the_operator_stop_where_the_response_says_otherwise():
    """What must be revalidated is, whatever the operator sets."""
    settings = Settings((), 0.0, 60, 70)
    for value, expected in (
        ("max-age=5", (60, 70)),
        ("max-age=5, stale-if-error=1", (60, 1)),
        ("max-age=5, stale-while-revalidate=0", (0, 70)),
        ("s-maxage=5", (0, 0)),
        ("s-maxage=5, stale-while-revalidate=9", (9, 0)),
        ("max-age=5, must-revalidate, stale-if-error=9", (0, 0)),
        ("no-cache", (0, 0)),
    ):
        rules = storage_rules(200, [("Cache-Control", value), ("ETag", '"a"')], settings, NOW)
        assert (rules.stale_while_revalidate, rules.stale_if_error) == expected, value


@pytest.mark.parametrize(
    ("changes", "age", "wishes", "verdict"),
    [
        ({}, 9.9, "", Verdict.USE),
        ({}, 10, "", Verdict.VALIDATE),
        ({}, 5, "min-fresh=5", Verdict.USE),
        ({}, 5, "min-fresh=6", Verdict.VALIDATE),
        ({}, 5, "max-age=5", Verdict.USE),
        ({}, 5.1, "max-age=5", Verdict.VALIDATE),
        ({}, 15, "max-stale=5", Verdict.USE),
        ({}, 16, "max-stale=5", Verdict.VALIDATE),
        ({}, 10**9, "max-stale", Verdict.USE),
        ({"strict": True}, 15, "max-stale", Verdict.VALIDATE),
        ({"revalidate": True}, 0, "max-stale", Verdict.VALIDATE),
        ({"stale_while_revalidate": 5}, 14.9, "", Verdict.REFRESH),
        ({"stale_while_revalidate": 5}, 15, "", Verdict.VALIDATE),
        ({"stale_while_revalidate": 5}, 11, "no-cache", Verdict.VALIDATE),
        ({"stale_while_revalidate": 5}, 11, "min-fresh=1", Verdict.VALIDATE),
        ({}, 11, "min-fresh=1, max-stale", Verdict.VALIDATE),
    ],
)
def test_judge(changes, age, wishes, verdict):
    """Age, lifetime and wishes decide, at their edges too."""
    assert judge(RULES._replace(**changes), age, read_wishes(wishes)) is verdict


def test_errors_are_covered_within_a_window_alone():
    """Without a window there is no cover, not even for what is fresh."""
    assert not covers_error(RULES, 5)
    windowed = RULES._replace(stale_if_error=5)
    assert covers_error(windowed, 14.9)
    assert not covers_error(windowed, 15)
    assert not covers_error(windowed._replace(revalidate=True), 1)


def test_request_asks_for_cover():
    """A request may widen the window, but not that of what must be revalidated."""
    wishes = read_wishes("stale-if-error=9")
    assert covers_error(RULES, 18.9, wishes)
    assert not covers_error(RULES, 19, wishes)
    assert not covers_error(RULES._replace(strict=True), 12, wishes)


def test_heuristic_has_an_end():
    """A part of the time since the last change, and a day at most (RFC 9111 section 4.2.2)."""
    settings = Settings(heuristic=0.1)
    for year, lifetime in (("2027", 100), ("2017", 86_400)):
        headers = [
            ("Date", "Fri, 15 Jan 2027 08:16:40 GMT"),
            ("Last-Modified", f"Fri, 15 Jan {year} 08:00:00 GMT"),
        ]
        rules = storage_rules(200, headers, settings, NOW)
        assert rules is not None
        assert rules.lifetime == lifetime


def test_vary_and_variants():
    """A missing field is not an empty one, and long values become short keys."""
    assert vary_names("B, a,b , A") == ("a", "b")
    assert vary_names(" *") is None
    assert vary_names("") == ()
    assert len(vary_names(",".join(f"f{number}" for number in range(16)))) == 16
    assert variant({}, ("foo",)) != variant({"HTTP_FOO": ""}, ("foo",))
    assert variant({"HTTP_FOO": "-"}, ("foo",)) != variant({}, ("foo",))
    assert variant({"CONTENT_TYPE": "a"}, ("content-type",)) == "+a"
    assert variant({"HTTP_ACCEPT_LANGUAGE": " DE , en"}, ("accept-language",)) == "+de,en"
    long = variant({"HTTP_COOKIE": "a" * 5000}, ("cookie",))
    assert len(long) < 100
    assert long != variant({"HTTP_COOKIE": "a" * 5001}, ("cookie",))


def test_values_cannot_move_from_one_field_to_another():
    """The parts of a key cannot run into one another."""
    one = variant({"HTTP_A": "1", "HTTP_B": "2"}, ("a", "b"))
    assert one != variant({"HTTP_A": "1+2"}, ("a", "b"))
    assert variant({"HTTP_A": "1"}, ("a", "b")) != variant({"HTTP_B": "1"}, ("a", "b"))


def test_case_within_quotes_is_kept():
    """In a list such as Accept it says nothing, but within quotes."""
    one, other = ({"HTTP_ACCEPT": f'a/b;c="{text}"'} for text in ("d", "D"))
    assert variant(one, ("accept",)) != variant(other, ("accept",))


def environ(**changes):
    """Make what a key is made of."""
    return {
        "wsgi.url_scheme": "https",
        "HTTP_HOST": "Shop.example",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a",
        "QUERY_STRING": "b=1",
        "SERVER_NAME": "server",
        "SERVER_PORT": "8443",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "https://shop.example/a?b=1"),
        ({}, "HTTPS://user@SHOP.example:443/a?b=1#part"),
        ({"SCRIPT_NAME": "/a", "PATH_INFO": ""}, "https://shop.example/a?b=1"),
        ({"PATH_INFO": "", "QUERY_STRING": ""}, "https://shop.example"),
        ({"HTTP_HOST": "shop.example:8443"}, "https://shop.example:8443/a?b=1"),
        ({"HTTP_HOST": ""}, "https://server:8443/a?b=1"),
        ({"HTTP_HOST": "[::1]:443"}, "https://[::1]/a?b=1"),
        ({"wsgi.url_scheme": "http", "HTTP_HOST": "a:80"}, "http://a/a?b=1"),
        ({"PATH_INFO": "/caf\u00c3\u00a9"}, "https://shop.example/caf%C3%A9?b=1"),
        ({"PATH_INFO": "/a?b"}, "https://shop.example/a%3Fb?b=1"),
    ],
)
def test_keys_of_requests_and_urls_agree(changes, url):
    """A URL that somebody writes has the key of the request for it."""
    assert cache_key(environ(**changes)) == url_key(url)


@pytest.mark.parametrize(
    "changes",
    [
        {"wsgi.url_scheme": "http"},
        {"HTTP_HOST": "shop.example:80"},
        {"HTTP_HOST": "other.example"},
        {"PATH_INFO": "/A"},
        {"QUERY_STRING": ""},
        {"PATH_INFO": "/a\nb=1", "QUERY_STRING": ""},
        {"PATH_INFO": "/a?b=1", "QUERY_STRING": ""},
    ],
)
def test_other_urls_have_other_keys(changes):
    """No part of a URL can pose as another."""
    assert cache_key(environ(**changes)) != cache_key(environ())


@pytest.mark.parametrize("url", ["/a", "ftp://a/b", "http:///a", "shop.example/a"])
def test_what_is_no_url_has_no_key(url):
    """An absolute URL is wanted."""
    with pytest.raises(ValueError, match="is not a URL"):
        url_key(url)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/kept", "https://shop.example/kept"),
        ("kept", "https://shop.example/kept"),
        ("?x=1", "https://shop.example/a?x=1"),
        ("https://SHOP.example:443/kept#part", "https://shop.example/kept"),
        ("http://shop.example/kept", None),
        ("https://shop.example:444/kept", None),
        ("https://other.example/kept", None),
        ("//other.example/kept", None),
        ("https://[/kept", None),
        ("mailto:a@b", None),
    ],
)
def test_invalidation_stays_with_the_origin(location, url):
    """A Location of the same origin goes with the URL; one of another does not."""
    keys = invalidated_keys(environ(), [("LOCATION", location)])
    assert keys == [cache_key(environ()), *([url_key(url)] if url else [])]
    assert invalidated_keys(environ(), [("Link", location)]) == [cache_key(environ())]


def test_age():
    """The larger one of what Date and what Age say, and the time that it took."""
    assert initial_age([], NOW, NOW) == 0
    assert initial_age([], NOW - 5, NOW) == 5
    assert initial_age([("Age", "3")], NOW, NOW - 5) == 3
    assert initial_age([("Age", "7")], NOW - 5, NOW) == 12
    assert initial_age([("Date", "Fri, 15 Jan 2027 07:59:00 GMT")], NOW, NOW) == 60
    assert initial_age([("Date", "Fri, 15 Jan 2027 09:00:00 GMT")], NOW, NOW) == 0
    assert initial_age([("Date", "never"), ("Age", "x")], NOW, NOW) == 0


def test_freshened():
    """All lines of a field go, and what frames the content stays."""
    stored = [("A", "1"), ("a", "2"), ("Content-Length", "5"), ("B", "3")]
    update = [("A", "9"), ("Content-Length", "0"), ("Connection", "c"), ("C", "x"), ("Age", "9")]
    assert freshened(stored, update) == [("Content-Length", "5"), ("B", "3"), ("A", "9")]


def test_dates_of_any_case():
    """Letters in any case are read, and nothing is made up."""
    assert parse_date("fri, 15 jan 2027 08:00:00 gmt") == NOW
    assert parse_date("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert parse_date("0") is None


PIECES = [
    *(
        "max-age",
        "s-maxage",
        "no-cache",
        "private",
        "public",
        "=",
        '"',
        ",",
        ";",
        " ",
        "\\",
        "5",
        "-",
    ),
    *(
        "a",
        "?1",
        "*",
        "\t",
        "\x00",
        "\xfc",
        "%0a",
        "/",
        "//",
        ":",
        "[",
        "]",
        "?",
        "#",
        "http",
        "test",
    ),
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.integers(100, 599))
def test_any_text_is_read(text, status):
    """Whatever stands in a field or a URL, there is a decision and no failure."""
    settings = Settings(("cdn-cache-control",), 0.1, 5, 5)
    names = (
        "Cache-Control",
        "CDN-Cache-Control",
        "Vary",
        "Expires",
        "Date",
        "Age",
        "Last-Modified",
    )
    for fields in ([(name, text) for name in names], [("Cache-Control", f"max-age=5, {text}")]):
        rules = storage_rules(status, fields, settings, NOW)
        assert rules is None or rules.lifetime >= 0
        assert initial_age(fields, NOW, NOW) >= 0
    judge(RULES, 5, read_wishes(text))
    assert invalidated_keys(environ(PATH_INFO=f"/{text}"), [("Location", text)])
    freshened([("A", text)], [("Connection", text)])
    variant({"HTTP_A": text}, vary_names(text) or ("a",))
