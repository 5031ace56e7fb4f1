"""Numbers as a report writes them: three digits, a unit, and no exponent."""

import pytest

from breezeway.report import wording


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (0.0, "0"),
        (0.000_004, "<0.001"),
        (0.0123, "0.0123"),
        (99.94, "99.9"),
        (99.96, "100"),
        (1234.5, "1,234"),
    ],
)
def test_numbers(value, written):
    """Counts and rates: a request in three days is a rate, too."""
    assert wording.number(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (999_600_000, "1 GB"),
        (1_234_000_000_000_000, "1,234 TB"),
    ],
)
def test_sizes(value, written):
    """Also where rounding makes a fourth digit."""
    assert wording.size(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.000_9994, "999 us"), (0.9994, "999 ms"), (999.4, "999 s"), (999.6, "16 min 40 s")],
)
def test_seconds(value, written):
    """Durations, likewise."""
    assert wording.seconds(value) == written
