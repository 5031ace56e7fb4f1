"""The corpus is sound: what a slip of the pen in a case would hide."""

from __future__ import annotations

from . import cases


def test_subjects_on_both_sides() -> None:
    """Each side has cases, and a subject with valid ones has invalid ones too."""
    good = {case.name.partition("/")[0] for case in cases.valid()}
    bad = {case.name.partition("/")[0] for case in cases.invalid()}
    assert len(good) > 10
    assert good <= bad


def test_repeats_are_filled_in() -> None:
    """No request holds the name of a repeat in place of the repeated text."""
    for case in [*cases.valid(), *cases.invalid()]:
        for name in (b"{LONG}", b"{FIELDS}", b"{BODY}", b"{CHUNKS}", b"{TRAILERS}", b"{COOKIE}"):
            assert name not in case.request, case.name


def test_statuses_are_refusals() -> None:
    """An invalid case expects a status of the 4xx or 5xx class."""
    for case in cases.invalid():
        assert case.statuses, case.name
        assert all(400 <= status <= 599 for status in case.statuses), case.name


def test_requests_differ() -> None:
    """No two cases send the same bytes, which would be a copy left unedited."""
    seen: dict[bytes, str] = {}
    for case in [*cases.valid(), *cases.invalid()]:
        assert case.request not in seen, (case.name, seen[case.request])
        seen[case.request] = case.name
