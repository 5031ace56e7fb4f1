"""The corpus on the protocol layer itself: whole, in pieces of every kind, and with more behind it."""

from __future__ import annotations

import pytest

from ..corpus import cases
from .outcome import Outcome, at, one_by_one, outcome

SPLIT_BYTES = 500
"""Longer cases are not split at every position: it takes time and shows nothing new."""

AFTER = b"GET /after HTTP/1.1\r\nHost: test\r\n\r\n"

VALID = cases.valid()
INVALID = cases.invalid()


def _name(case: cases.Valid | cases.Invalid) -> str:
    return case.name


def _as_expected(got: Outcome, case: cases.Valid) -> None:
    assert got.refused == 0
    assert got.complete
    assert len(got.requests) == len(case.requests)
    for served, expected in zip(got.requests, case.requests, strict=True):
        assert {key: served.environ.get(key) for key in expected.environ} == expected.environ
        assert not served.environ.keys() & set(expected.absent)
        assert served.body == expected.body
        assert ("breezeway.trailers" in served.environ) == (expected.trailers is not None)


def _refused(got: Outcome, case: cases.Invalid) -> None:
    if case.ends:
        assert not got.complete
        assert got.refused in {0, *case.statuses}
    else:
        assert got.refused in case.statuses
    assert len(got.requests) == case.answered


@pytest.mark.parametrize("case", VALID, ids=_name)
def test_valid(case: cases.Valid) -> None:
    """A good request is understood as the case says, whole and byte by byte."""
    _as_expected(outcome([case.request]), case)
    _as_expected(outcome(one_by_one(case.request)), case)


@pytest.mark.parametrize("case", VALID, ids=_name)
def test_valid_split(case: cases.Valid) -> None:
    """A good request is understood as the case says wherever it is split."""
    for cut in range(1, min(len(case.request), SPLIT_BYTES)):
        _as_expected(outcome(at(case.request, [cut])), case)


@pytest.mark.parametrize("case", VALID, ids=_name)
def test_valid_with_trailing_data(case: cases.Valid) -> None:
    """What follows in the same bytes is the next request, or is ignored after the last."""
    got = outcome([case.request + AFTER])
    assert got.refused == 0
    assert len(got.requests) == len(case.requests) + case.persists
    assert outcome(one_by_one(case.request + AFTER)) == got


@pytest.mark.parametrize("case", INVALID, ids=_name)
def test_invalid(case: cases.Invalid) -> None:
    """A bad request is refused with the status of the case, whole and byte by byte."""
    _refused(outcome([case.request]), case)
    _refused(outcome(one_by_one(case.request)), case)


@pytest.mark.parametrize("case", INVALID, ids=_name)
def test_invalid_split(case: cases.Invalid) -> None:
    """A bad request is refused with the status of the case wherever it is split."""
    for cut in range(1, min(len(case.request), SPLIT_BYTES)):
        _refused(outcome(at(case.request, [cut])), case)


@pytest.mark.parametrize("case", [case for case in INVALID if not case.ends], ids=_name)
def test_invalid_with_trailing_data(case: cases.Invalid) -> None:
    """What follows a bad request is never served."""
    _refused(outcome([case.request + AFTER]), case)
