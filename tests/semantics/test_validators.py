"""Preconditions: a table, and an oracle that goes by the steps of RFC 9110 section 13.2.2."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.dates import http_date
from breezeway.semantics.validators import (
    Validators,
    entity_tags,
    matches,
    precondition,
    range_applies,
)

MODIFIED = 1_000_000_000
NOW = MODIFIED + 1000.0
THERE = Validators('"a"', MODIFIED)
BEFORE, AT, AFTER = (http_date(MODIFIED + step).decode() for step in (-1, 0, 1))


def environ(method: str = "GET", **fields: str) -> dict[str, Any]:
    """Return an environ with these fields: `if_match` is If-Match."""
    found = {f"HTTP_{name.upper()}": value for name, value in fields.items()}
    return {"REQUEST_METHOD": method, **found}


@pytest.mark.parametrize(
    ("fields", "get", "put"),
    [
        ({}, None, None),
        ({"if_match": '"a"'}, None, None),
        ({"if_match": '"b"'}, 412, 412),
        ({"if_match": '"b", "a"'}, None, None),
        ({"if_match": "*"}, None, None),
        ({"if_match": 'W/"a"'}, 412, 412),
        ({"if_match": "a"}, 412, 412),
        ({"if_match": ""}, 412, 412),
        ({"if_none_match": '"a"'}, 304, 412),
        ({"if_none_match": 'W/"a"'}, 304, 412),
        ({"if_none_match": '"b"'}, None, None),
        ({"if_none_match": '"b", W/"a" ,"c"'}, 304, 412),
        ({"if_none_match": "*"}, 304, 412),
        ({"if_none_match": "a"}, None, None),
        ({"if_modified_since": AT}, 304, None),
        ({"if_modified_since": AFTER}, 304, None),
        ({"if_modified_since": BEFORE}, None, None),
        ({"if_modified_since": f"{AT}, {AT}"}, None, None),
        ({"if_modified_since": "yesterday"}, None, None),
        ({"if_unmodified_since": AT}, None, None),
        ({"if_unmodified_since": AFTER}, None, None),
        ({"if_unmodified_since": BEFORE}, 412, 412),
        ({"if_unmodified_since": "yesterday"}, None, None),
        # a tag makes the date of the same kind unheard
        ({"if_none_match": '"b"', "if_modified_since": AT}, None, None),
        ({"if_none_match": '"a"', "if_modified_since": BEFORE}, 304, 412),
        ({"if_match": '"a"', "if_unmodified_since": BEFORE}, None, None),
        # what protects the client's change comes before what saves a transfer
        ({"if_match": '"b"', "if_none_match": '"a"'}, 412, 412),
        ({"if_unmodified_since": BEFORE, "if_none_match": '"a"'}, 412, 412),
        ({"if_match": '"a"', "if_none_match": '"a"'}, 304, 412),
        ({"if_match": '"a"', "if_modified_since": AT}, 304, None),
    ],
)
def test_preconditions(fields: dict[str, str], get: int | None, put: int | None) -> None:
    """Each precondition alone and in company; HEAD is as GET."""
    assert precondition(environ("GET", **fields), THERE) == get
    assert precondition(environ("HEAD", **fields), THERE) == get
    assert precondition(environ("PUT", **fields), THERE) == put


def test_without_validators() -> None:
    """Where there is no tag and no date, only `*` finds something."""
    nothing = Validators(None, None)
    assert precondition(environ(if_match='"a"'), nothing) == 412
    assert precondition(environ(if_match="*"), nothing) is None
    assert precondition(environ(if_none_match='"a"'), nothing) is None
    assert precondition(environ(if_none_match="*"), nothing) == 304
    assert precondition(environ(if_modified_since=AT), nothing) is None
    assert precondition(environ(if_unmodified_since=BEFORE), nothing) is None


def test_weak_tag_of_the_server() -> None:
    """A weak tag matches weakly only."""
    assert matches('"a"', 'W/"a"', strong=False)
    assert not matches('"a"', 'W/"a"', strong=True)
    assert not matches('W/"a"', 'W/"a"', strong=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"a"', ['"a"']),
        ('"a","b"', ['"a"', '"b"']),
        (' , "a" ,, W/"b"\t, ', ['"a"', 'W/"b"']),
        ('"a,b", "c"', ['"a,b"', '"c"']),
        ('""', ['""']),
        ('"!#~\x80\xff"', ['"!#~\x80\xff"']),
        ('"\x7f"', []),
        ("", []),
        ('"a" "b"', []),
        ('"a', []),
        ('"a"b', []),
        ('w/"a"', []),
        ('W/ "a"', []),
        ('"a b"', []),
        ('*, "a"', []),
    ],
)
def test_entity_tags(value: str, expected: list[str]) -> None:
    """Lists of entity tags; one that is not well-formed is none."""
    assert entity_tags(value) == expected


@pytest.mark.parametrize(
    ("value", "applies"),
    [
        ('"a"', True),
        ('"b"', False),
        ('W/"a"', False),
        ('"a", "b"', False),
        (AT, True),
        (BEFORE, False),
        (AFTER, False),
        ("yesterday", False),
        ("", False),
        ("*", False),
    ],
)
def test_if_range(value: str, applies: bool) -> None:
    """A range is sent when the tag is the same, by strong comparison, or the very date."""
    assert range_applies(environ(if_range=value), THERE, NOW) is applies


def test_if_range_without_the_validator() -> None:
    """A weak tag, and a version of which there is no date, are never the same for sure."""
    assert not range_applies(environ(if_range='W/"a"'), Validators('W/"a"', None), NOW)
    for value in ("yesterday", AT, '"a"'):
        assert not range_applies(environ(if_range=value), Validators(None, None), NOW)


def test_if_range_is_missing() -> None:
    """Without If-Range a range is always sent."""
    assert range_applies(environ(), THERE, NOW)


def test_date_of_this_second_is_weak() -> None:
    """A file that was modified in this second may be modified again (section 8.8.2.2)."""
    assert not range_applies(environ(if_range=AT), THERE, MODIFIED + 0.5)
    assert range_applies(environ(if_range=AT), THERE, MODIFIED + 1.0)


def by_the_steps(method: str, fields: dict[str, str]) -> int | None:
    """Do what section 13.2.2 says, word by word, for the tag "a"."""
    strong = {'"a"', "*"}
    weak = {'"a"', 'W/"a"', "*"}
    past = {BEFORE}
    step_3 = False
    if "if_match" in fields:
        if fields["if_match"] in strong:
            step_3 = True
        else:
            return 412
    if not step_3 and "if_match" not in fields and "if_unmodified_since" in fields:
        if fields["if_unmodified_since"] in past:
            return 412
        step_3 = True
    if "if_none_match" in fields:
        if fields["if_none_match"] in weak:
            return 304 if method in ("GET", "HEAD") else 412
        return None
    if method in ("GET", "HEAD") and "if_modified_since" in fields:
        return None if fields["if_modified_since"] in past else 304
    return None


tags = st.sampled_from(['"a"', 'W/"a"', '"b"', "*"])
dates = st.sampled_from([BEFORE, AT, AFTER])


@given(
    st.sampled_from(["GET", "HEAD", "PUT", "DELETE"]),
    st.fixed_dictionaries(
        {},
        optional={
            "if_match": tags,
            "if_none_match": tags,
            "if_modified_since": dates,
            "if_unmodified_since": dates,
        },
    ),
)
def test_against_the_steps(method: str, fields: dict[str, str]) -> None:
    """Any combination of preconditions is decided as the RFC's steps say."""
    assert precondition(environ(method, **fields), THERE) == by_the_steps(method, fields)


@given(st.text('",W/* abc\t\xe9', max_size=30))
def test_any_list(value: str) -> None:
    """Whatever comes, what is found are entity tags that stand in it."""
    for tag in entity_tags(value):
        assert tag in value
        assert tag.removeprefix("W/").count('"') == 2
