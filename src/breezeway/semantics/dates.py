"""Dates of HTTP (RFC 9110 section 5.6.7)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Final

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""To add to: where the system's time_t has 32 bits, its own functions go no further than 2038."""


def http_date(timestamp: float) -> bytes:
    """Format seconds since the epoch as an IMF-fixdate, whatever the locale is."""
    at = EPOCH + timedelta(seconds=timestamp)
    day = f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year}"
    return f"{day} {at.hour:02}:{at.minute:02}:{at.second:02} GMT".encode("ascii")


_HTTP_DATE = re.compile(
    r"""
      (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),[ ]                         # IMF-fixdate
        (?P<day>\d\d)[ ](?P<month>[A-Z][a-z]{2})[ ](?P<year>\d{4})[ ](?P<time>[\d:]{8})[ ]GMT
    | (?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,[ ]              # RFC 850
        (?P<day2>\d\d)-(?P<month2>[A-Z][a-z]{2})-(?P<year2>\d\d)[ ](?P<time2>[\d:]{8})[ ]GMT
    | (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[ ]                          # asctime
        (?P<month3>[A-Z][a-z]{2})[ ](?P<day3>[ \d]\d)[ ](?P<time3>[\d:]{8})[ ](?P<year3>\d{4})
    """,
    re.VERBOSE | re.ASCII,
)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)", re.ASCII)

_FUTURE_YEARS = 50
"""RFC 9110 section 5.6.7: a year of two digits lies no further in the future than this."""


def parse_http_date(text: str) -> int | None:
    """Read an HTTP-date in any of its three forms; return seconds since the epoch.

    None stands for what is no date. The day of the week is not compared with the date.
    """
    match = _HTTP_DATE.fullmatch(text)
    if match is None:
        return None
    day, month, year, clock = (
        match[name] or match[f"{name}2"] or match[f"{name}3"]
        for name in ("day", "month", "year", "time")
    )
    parts = _CLOCK.fullmatch(clock)
    if parts is None or month not in _MONTHS:
        return None
    full_year = int(year) if len(year) > 2 else _full_year(int(year))
    number = _MONTHS.index(month) + 1
    hour, minute, second = map(int, parts.groups())
    try:
        moment = datetime(full_year, number, int(day), hour, minute, tzinfo=UTC)
    except ValueError:  # there is no such day
        return None
    return int(moment.timestamp()) + second  # which may be the 60th


def _full_year(year: int) -> int:
    """Complete a year of two digits (RFC 9110 section 5.6.7)."""
    this_year = time.gmtime().tm_year
    full = this_year - this_year % 100 + year
    return full - 100 if full > this_year + _FUTURE_YEARS else full
