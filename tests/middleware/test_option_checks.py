"""Checks of options: what is taken, and what is told."""

from __future__ import annotations

from typing import Any

import pytest

from breezeway.middleware.option_checks import flag, listed, prefixes, tables, texts, whole


def test_listed() -> None:
    """A text is no list."""
    assert listed("codings", ("br", "gzip")) == ["br", "gzip"]
    for value in ("gzip", 5, [5]):
        with pytest.raises(ValueError, match="codings must be a list of texts"):
            listed("codings", value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "found"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), (("a",), ["a"]), ([], []), (iter("ab"), ["a", "b"])],
)
def test_texts(value: Any, found: list[str]) -> None:
    """A text is a list of one."""
    assert texts("hosts", value) == found


@pytest.mark.parametrize("value", [5, None, b"a", {"a": 1}, ["a", 5], [b"a"]])
def test_no_texts(value: Any) -> None:
    """The option is named."""
    with pytest.raises(ValueError, match="hosts must be a list of texts"):
        texts("hosts", value)


def test_prefixes() -> None:
    """A prefix that would never cover anything is told."""
    assert prefixes("exempt", "/a") == ["/a"]
    for value in ("a", ["/a", ""]):
        with pytest.raises(ValueError, match=r"exempt: '[a]?' must begin with a slash"):
            prefixes("exempt", value)
    with pytest.raises(ValueError, match="paths: 'a' must begin with a slash"):
        [*tables("paths", {"a": {}}, {})]


def test_flag() -> None:
    """Nothing but a truth value is one."""
    assert (flag("on", True), flag("on", False)) == (True, False)
    for value in (1, "yes", None):
        with pytest.raises(ValueError, match="on must be true or false"):
            flag("on", value)  # type: ignore[arg-type]


def test_whole() -> None:
    """The bounds belong to it; a truth value is no number."""
    assert [whole("port", value, 1, 3) for value in (1, 2, 3)] == [1, 2, 3]
    assert whole("age", 10**9, 0) == 10**9
    for value in (0, 4, True, 1.0, "1", None):
        with pytest.raises(ValueError, match="port must be a number, from 1 to 3"):
            whole("port", value, 1, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="age must be a number of seconds, at least 0, not -1"):
        whole("age", -1, 0, unit="seconds")


def test_tables() -> None:
    """What a table does not name is as above."""
    known = {"a": 1, "b": 2}
    assert [*tables("paths", {"/x": {"b": 3}, "/y": {}}, known)] == [
        ("/x", {"a": 1, "b": 3}),
        ("/y", known),
    ]
    assert [*tables("paths", None, known)] == []
    for value in (5, {"/x": 5}, {"/x": {"c": 1}}):
        with pytest.raises(ValueError, match="paths"):
            [*tables("paths", value, known)]  # type: ignore[arg-type]
