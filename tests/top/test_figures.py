"""Numbers, durations and curves as they are shown."""

import math

import pytest

from breezeway.top import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.4, "0.4"),
        (1.996, "2"),
        (9.94, "9.9"),
        (9.96, "10"),
        (12.4, "12"),
        (12_345.6, "12,346"),
        (999_999, "999,999"),
        (1_234_567, "1.23M"),
    ],
)
def test_number(value, text):
    """A rate has as many digits as one can tell apart."""
    assert figures.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (812, "812"), (1228, "1.2K"), (34 * 1024**2, "34M"), (5 * 1024**5, "5120T")],
)
def test_size(value, text):
    """Bytes have a prefix."""
    assert figures.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0000854, "85µs"),
        (0.00125, "1.25ms"),
        (0.0125, "12.5ms"),
        (0.125, "125ms"),
        (0.9996, "1.00s"),
        (1.25, "1.25s"),
        (125, "125s"),
        (math.nan, "-"),
    ],
)
def test_seconds(value, text):
    """A duration has three digits."""
    assert figures.seconds(value) == text


class TestCurve:
    def test_heights(self):
        """The highest is a full block, what is not zero can be seen, what is missing is not."""
        assert figures.curve([0, 1, 400, 800, math.nan, 100], 6) == " ▁▄█ ▁"

    def test_newest_is_on_the_right(self):
        """There are as many columns as wanted, the newest in the last one."""
        assert figures.curve([8, 1, 8], 2) == "▁█"
        assert figures.curve([8], 4) == "   █"
        assert figures.curve([], 3) == "   "
        assert figures.curve([1, 2], 0) == ""

    def test_several_lines(self):
        """A graph grows from the bottom."""
        assert figures.graph([1, 2, 4], 3, 2) == ["  █", "▄██"]


def test_bar():
    """A bar is full to its share; a little is not nothing."""
    assert [*map(len, figures.bar(0.5, 10))] == [5, 5]
    assert [*map(len, figures.bar(0.001, 10))] == [1, 9]
    assert [*map(len, figures.bar(0, 10))] == [0, 10]
    assert [*map(len, figures.bar(1.7, 10))] == [10, 0]
