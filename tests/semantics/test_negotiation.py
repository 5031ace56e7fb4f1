"""Accept-Encoding and Accept: weights, wildcards, and what is malformed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.negotiation import choose_coding, choose_type, qualities

ALL = ("br", "zstd", "gzip")


@pytest.mark.parametrize(
    ("field", "codings", "expected"),
    [
        (None, ALL, "identity"),
        ("", ALL, "identity"),
        ("gzip", ALL, "gzip"),
        ("gzip, deflate, br, zstd", ALL, "br"),
        ("gzip, deflate", ("br",), "identity"),
        ("GZIP", ALL, "gzip"),
        ("x-gzip", ALL, "gzip"),
        ("gzip;q=0", ALL, "identity"),
        ("gzip;q=0.0", ALL, "identity"),
        ("gzip;q=0.000", ALL, "identity"),
        ("gzip;q=0.001", ALL, "gzip"),
        ("br;q=0.5, gzip;q=0.8", ALL, "gzip"),
        ("br;q=0.5, gzip;q=0.5", ALL, "br"),
        ("gzip;q=0.5, identity", ALL, "identity"),
        ("gzip;q=0.5, identity;q=0.5", ALL, "gzip"),
        ("gzip, identity;q=0", ALL, "gzip"),
        ("identity;q=0", ALL, "identity"),
        ("*", ALL, "br"),
        ("*;q=0", ALL, "identity"),
        ("*;q=0.5, br;q=0", ALL, "zstd"),
        ("gzip;q=0, *", ("gzip",), "identity"),
        ("identity;q=0, *;q=0", ALL, "identity"),
        ("gzip;q=0.5, *;q=0.7", ALL, "br"),
        ("gzip ; q=1 , br\t;\tq=0.9", ALL, "gzip"),
        ("gzip;q=2", ALL, "identity"),
        ("gzip;q=1.5", ALL, "identity"),
        ("gzip;q=0.0001", ALL, "identity"),
        ("gzip;q=", ALL, "identity"),
        ("gzip;q=nan", ALL, "identity"),
        ("gzip;level=9", ALL, "identity"),
        ("gzip gzip", ALL, "identity"),
        (";q=1, gzip", ALL, "gzip"),
        ("gzip", (), "identity"),
    ],
)
def test_choice(field: str | None, codings: tuple[str, ...], expected: str) -> None:
    """The client's weights come first, then the server's order; nothing with q=0 is sent."""
    assert choose_coding(field, codings) == expected


def test_last_one_counts() -> None:
    """A coding that comes twice has the later weight."""
    assert qualities("gzip;q=0, gzip;q=0.5") == {"gzip": 0.5}


weights = st.sampled_from(["", ";q=0", ";q=0.3", ";q=1"])
members = st.builds("{}{}".format, st.sampled_from([*ALL, "identity", "*", "deflate"]), weights)


@given(st.lists(members, unique_by=lambda member: member.partition(";")[0]))
def test_never_what_is_refused(listed: list[str]) -> None:
    """Against a look at each coding: what comes is acceptable, and nothing acceptable is better."""
    weight = {member.partition(";")[0]: float(member.partition("=")[2] or 1) for member in listed}
    worth = {each: weight.get(each, weight.get("*", 0.0)) for each in (*ALL, "identity")}
    chosen = choose_coding(", ".join(listed), ALL)
    assert worth[chosen] == max(worth.values())
    if chosen != "identity":
        assert worth[chosen] > 0


@given(st.text("gzip;q=0.1, *br", max_size=40))
def test_any_text(field: str) -> None:
    """Whatever comes, the choice is one of the codings."""
    assert choose_coding(field, ALL) in (*ALL, "identity")


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PAGES = ("text/plain", "application/json", "text/html")


@pytest.mark.parametrize(
    ("field", "types", "expected"),
    [
        (None, PAGES, "text/plain"),
        ("", PAGES, "text/plain"),
        (None, (), None),
        ("*/*", PAGES, "text/plain"),
        (BROWSER, PAGES, "text/html"),
        ("application/json", PAGES, "application/json"),
        ("Application/JSON", PAGES, "application/json"),
        (
            "application/json, text/plain, */*",
            ("text/html", "application/json"),
            "application/json",
        ),
        ("image/png", PAGES, None),
        ("text/*", PAGES, "text/plain"),
        ("text/*;q=0.5, text/html", PAGES, "text/html"),
        ("text/*, text/plain;q=0.1", PAGES, "text/html"),
        ("*/*, text/plain;q=0", PAGES, "application/json"),
        ("text/plain;q=0", ("text/plain",), None),
        ("*/*;q=0", PAGES, None),
        ("*/*;q=0, text/html;q=0.001", PAGES, "text/html"),
        ("text/*;q=0, */*;q=0.1", PAGES, "application/json"),
        # Order says nothing, and neither does how often.
        ("*/*;q=0.8, text/html", PAGES, "text/html"),
        # The example of RFC 9110 section 12.5.1.
        ("text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed", PAGES, "text/plain"),
        (
            "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4,"
            " */*;q=0.5",
            ("text/plain;format=fixed", "image/jpeg", "text/html;level=3"),
            "image/jpeg",
        ),
        ("text/html;level=1", ("text/html",), None),
        ("text/html;level=1", ("text/html;level=2", "text/html;level=1"), "text/html;level=1"),
        ("text/html", ("text/html; charset=utf-8",), "text/html; charset=utf-8"),
        ('text/html;charset="UTF-8"', ("text/html; charset=utf-8",), "text/html; charset=utf-8"),
        ('text/html;a="b\\"c,d;q=0", image/png', ("image/png",), "image/png"),
        ('text/html;a="x,y";q=0, */*', ('text/html;a="x,y"', "text/html"), "text/html"),
        ("text/html;q=0.5;ext=1, text/plain;q=0.4", PAGES, "text/html"),
        ("text/html ; q=0.5 , text/plain;Q=0.4", PAGES, "text/html"),
        ("text/html;;q=0.5, text/plain;q=0.6", PAGES, "text/plain"),
        # What is malformed is not there.
        ("*", PAGES, "text/plain"),
        ("*/html", PAGES, "text/plain"),
        ("text", PAGES, "text/plain"),
        ("text/html;q=2, text/plain;q=0.1", PAGES, "text/plain"),
        ("text/html;q=nan, image/png", PAGES, None),
        ("text/html junk, application/json;q=0.1", PAGES, "application/json"),
        (",,, ,application/json,", PAGES, "application/json"),
    ],
)
def test_type(field: str | None, types: tuple[str, ...], expected: str | None) -> None:
    """Weights of the most specific range, then how precisely, then the server's order."""
    assert choose_type(field, types) == expected


def test_type_that_is_none() -> None:
    """A type that nobody can ask for is the caller's fault."""
    with pytest.raises(ValueError, match="no media type"):
        choose_type("*/*", ["html"])


@given(st.text('tex/html*;q=0.1, "\\', max_size=60))
def test_any_accept(field: str) -> None:
    """Whatever comes, the choice is one of the types or none."""
    assert choose_type(field, ["text/html", "text/x"]) in ("text/html", "text/x", None)
