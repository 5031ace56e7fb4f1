"""Dates of HTTP (RFC 9110 section 5.6.7)."""

from __future__ import annotations

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(timestamp: float) -> bytes:
    """Format seconds since the epoch as an IMF-fixdate, whatever the locale is."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(timestamp)
    text = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} GMT"
    return text.encode("ascii")
