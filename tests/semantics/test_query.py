"""Names and values of queries and forms."""

from urllib.parse import parse_qsl

import pytest

from breezeway.semantics.query import TooManyPairsError, pairs


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a", [("a", "")]),
        ("=b", [("", "b")]),
        ("a=b=c", [("a", "b=c")]),
        ("&&a=1&", [("a", "1")]),
        ("a+b=c%2Bd", [("a b", "c+d")]),
        ("%C3%A9=%e2%82%ac", [("é", "€")]),
        ("a=%E9", [("a", "\ufffd")]),
        ("a=%", [("a", "%")]),
        ("a=%zz%4", [("a", "%zz%4")]),
        ("a=\xc3\xa9", [("a", "é")]),
        ("a=\xe9", [("a", "\ufffd")]),
        ("a=1;b=2", [("a", "1;b=2")]),
    ],
)
def test_read(text, found):
    """As browsers do it."""
    assert pairs(text) == found
    if "\xe9" not in text and "\xc3" not in text:
        assert parse_qsl(text, keep_blank_values=True) == found


@pytest.mark.parametrize("text", ["a=%E9", "%E9=a", "a=\xe9", "a=1&b=%C3"])
def test_strict(text):
    """In forms what is not UTF-8 is refused."""
    with pytest.raises(UnicodeDecodeError):
        pairs(text, errors="strict")


def test_bound():
    """As many as the bound, and not one more; empty ones do not count."""
    assert len(pairs("a=1&b=2", 2)) == 2
    assert len(pairs("a=1&b=2&", 2)) == 2
    assert len(pairs("&&a=1&&&&b=2&", 2)) == 2
    assert pairs("&" * 1000 + "a", 1) == [("a", "")]
    assert pairs("", 0) == pairs("&", 0) == []
    with pytest.raises(TooManyPairsError):
        pairs("a=1&b=2&c", 2)
    with pytest.raises(TooManyPairsError):
        pairs("a", 0)
    with pytest.raises(TooManyPairsError):
        pairs("a&" * 1_000_000, 1000)
