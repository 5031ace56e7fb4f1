"""Accept-Encoding: weights, wildcards, and what is malformed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.negotiation import choose_coding, qualities

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
