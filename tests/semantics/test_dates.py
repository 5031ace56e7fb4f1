"""HTTP-dates: written in one form, read in three."""

from __future__ import annotations

import email.utils
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.semantics.dates import http_date, parse_http_date

MOMENT = 784111777
"""The example of RFC 9110 section 5.6.7: Sun, 06 Nov 1994 08:49:37 GMT."""


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Mon, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_three_forms(text: str) -> None:
    """All forms of RFC 9110 are read; the day of the week is nobody's business."""
    assert parse_http_date(text) == MOMENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:4::37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
    ],
)
def test_anything_else_is_no_date(text: str) -> None:
    """What is in none of the forms is None, and never an error."""
    assert parse_http_date(text) is None


@given(st.integers(-(10**10), 2 * 10**11))
def test_reads_what_it_writes(moment: int) -> None:
    """A date that was written is read as the same second, as the standard library writes it."""
    text = http_date(moment).decode()
    assert parse_http_date(text) == moment
    assert text == email.utils.formatdate(moment, usegmt=True)


def test_machine_of_another_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates of HTTP are in GMT, whatever the time of the machine is."""
    monkeypatch.setenv("TZ", "EST5EDT")
    time.tzset()
    try:
        assert parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == MOMENT
        assert http_date(MOMENT) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_small_time_t(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it matter how far the time of the machine goes: on 32 bits often until 2038."""

    def ends(*_: object) -> None:
        raise OverflowError("timestamp out of range for platform time_t")

    monkeypatch.setattr(time, "gmtime", ends)
    assert http_date(2**32) == b"Sun, 07 Feb 2106 06:28:16 GMT"


def test_years_of_two_digits() -> None:
    """A year of two digits lies at most 50 years ahead (RFC 9110 section 5.6.7)."""
    this_year = time.gmtime().tm_year
    for distance in range(-49, 51):
        year = this_year + distance
        found = parse_http_date(f"Sunday, 06-Nov-{year % 100:02} 08:49:37 GMT")
        assert found is not None
        assert time.gmtime(found).tm_year == year
