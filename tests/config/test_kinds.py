"""What a setting's value can be, as text and as a value of Python."""

import pytest

from breezeway.config import cpus, kinds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("1k", 1024),
        ("256K", 256 * 1024),
        ("256KiB", 256 * 1024),
        ("10mib", 10 * 1024**2),
        ("10 MiB", 10 * 1024**2),
        ("1G", 1024**3),
        (" 2GiB ", 2 * 1024**3),
    ],
)
def test_size_is_read(text, size):
    """Sizes take units, powers of 1024 in any case."""
    assert kinds.parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "k", "-1", "+1", "1.5M", "10MB", "10kB", "1_000", "1TiB", "٣"]
)
def test_bad_size_is_refused(text):
    """What is no size, or means 1000 to one reader and 1024 to another, is refused."""
    with pytest.raises(ValueError, match="is not a size"):
        kinds.parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("30s", 30), ("500ms", 0.5), ("2m", 120), ("1.5 h", 5400), ("0", 0), ("2M", 120)],
)
def test_duration_is_read(text, seconds):
    """Durations take units; a bare number is seconds."""
    assert kinds.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "inf", "nan", "1e3", ".5", "1m30s"])
def test_bad_duration_is_refused(text):
    """What is no duration is refused."""
    with pytest.raises(ValueError, match="is not a duration"):
        kinds.parse_duration(text)


@pytest.mark.parametrize(("text", "mode"), [("660", 0o660), ("0660", 0o660), ("0o600", 0o600)])
def test_mode_is_octal(text, mode):
    """A file mode is octal, with or without its prefix."""
    assert kinds.parse_mode(text) == mode


@pytest.mark.parametrize("text", ["", "rw", "888", "-660", "0x1ff"])
def test_bad_mode_is_refused(text):
    """What is not octal is refused."""
    with pytest.raises(ValueError, match="is not an octal mode"):
        kinds.parse_mode(text)


@pytest.mark.parametrize("text", ["", "-1", "1.0", "0x10", "1k", "eight"])
def test_bad_count_is_refused(text):
    """A count is a whole number, not negative."""
    with pytest.raises(ValueError, match="is not a whole number"):
        kinds.parse_count(text)


def test_workers():
    """A number of workers, or one for each CPU."""
    assert kinds.parse_workers("3") == 3
    assert kinds.parse_workers("AUTO") == cpus.available()
    with pytest.raises(ValueError, match="'many' is neither a whole number nor 'auto'"):
        kinds.parse_workers("many")


def test_auto_on_a_large_machine(monkeypatch):
    """`auto` is never more than there can be."""
    monkeypatch.setattr(cpus, "available", lambda: 256)
    assert kinds.parse_workers("auto") == 128


@pytest.mark.parametrize("size", [0, 1, 1000, 1024, 1536, 256 * 1024, 3 * 1024**2, 1024**3])
def test_size_is_shown_as_it_is_read(size):
    """What the help shows of a size reads back as the same size."""
    assert kinds.parse_size(kinds.show_size(size)) == size


@pytest.mark.parametrize("seconds", [0, 0.001, 0.25, 1, 1.5, 65.0, 3600])
def test_duration_is_shown_as_it_is_read(seconds):
    """What the help shows of a duration reads back as the same duration."""
    assert kinds.parse_duration(kinds.show_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (kinds.TEXT, ["", "x"], [None, 1, b"x"]),
        (kinds.COUNT, [0, 8], [True, 8.0, "8", None]),
        (kinds.SIZE, [0, 8], [False, 8.0, "8k"]),
        (kinds.DURATION, [0, 8, 0.5], [True, "8s", float("inf"), float("nan"), None]),
        (kinds.SWITCH, [True, False], [0, 1, "on", None]),
    ],
)
def test_values_of_python_are_checked(kind, good, bad):
    """Each kind knows its own values: a bool is no number, infinity is no duration."""
    assert all(kind.accepts(value) for value in good)
    assert not any(kind.accepts(value) for value in bad)
