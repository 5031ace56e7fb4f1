"""Whatever an option is given that a file of settings can hold: a piece is made, or ValueError says why."""

from __future__ import annotations

import datetime
import inspect
import math
from pathlib import Path
from typing import Any

import pytest

from breezeway import middleware

from .test_pieces import ALONE

VALUES: tuple[Any, ...] = (
    *(0, -1, 1, 2**63 - 1, True, False, 1.5, -1.5, math.nan, math.inf, datetime.date(2026, 1, 1)),
    *("", "x", "/x", "\x00", "\n", "é", "*"),
    *([], [1], [1.5], [True], [""], ["x"], ["\x00"], ["/x"], [[1]], [{}]),
    *({}, {"x": 1}, {"x": "y"}, {"": ""}, {"/x": {}}, {"/x": {"x": 1}}),
    *({"/x": 1}, {"/x": [1]}, {"/x": "1"}, {"/x": True}, {"a": {"b": {}}}),
)

NEEDED: dict[str, dict[str, Any]] = {
    "AllowedHosts": {"hosts": ["a"]},
    "Bandwidth": {"rate": 1000},
    "BasicAuth": {"users": {"a": "b"}},
    "BearerAuth": {"tokens": ["x" * 16]},
    "HttpsRedirect": {"hosts": ["a"]},
    "Profiler": {"every": 1, "directory": "profiles"},
    "ProxyHeaders": {"trusted_proxies": ["::1"]},
    "RateLimit": {"limits": "1/second"},
    "Sessions": {"store": "memory"},
    "Static": {"directory": "."},
    "Throttle": {"requests": 1},
}
"""The options without which a piece is not made."""


@pytest.mark.parametrize("piece", sorted({*middleware.PIECES} - ALONE))
def test_wrong_values(piece: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other exception comes out, which would be a traceback at the start of a server."""
    monkeypatch.chdir(tmp_path)
    made = getattr(middleware, piece)
    refused = 0
    for option in inspect.signature(made).parameters:
        for value in VALUES if option != "application" else ():
            try:
                made(**{**NEEDED.get(piece, {}), option: value})
            except ValueError as error:
                refused += bool(str(error))
            except Exception as error:
                raise AssertionError(f"{option}={value!r}: {error!r}") from error
    assert refused


@pytest.mark.parametrize(
    ("piece", "option", "value", "told"),
    [
        ("AccessLog", "file", 1, "file must be a path, not 1"),
        ("AccessLog", "file", "a\x00b", r"file must be a path, not 'a\\x00b'"),
        ("AccessLog", "logger", True, "logger must be the name of a logger, or one, not True"),
        ("AccessLog", "skip", "/x", "skip must be a list of texts, not '/x'"),
        ("AccessLog", "skip", [1], "skip must be a list of texts; 1 is none"),
        ("BodyLimit", "paths", 5, "paths must be a table of bounds by prefix, not 5"),
        ("BodyLimit", "paths", {"x": 1}, "paths: 'x' must begin with a slash"),
        ("BodyLimit", "paths", {"/x": "1"}, "paths: '/x' must be a number of bytes, .* not '1'"),
        ("Errors", "page", 1, "page must be a path, not 1"),
        ("Metrics", "directory", True, "directory must be a path, not True"),
        ("Metrics", "networks", ["x"], "networks: 'x' is not a network"),
        ("OpenTelemetry", "redact", [1], "redact must be a list of texts; 1 is none"),
        ("Profiler", "directory", 5, "directory must be a path, not 5"),
        ("Profiler", "networks", "x", "networks must be a list of texts, not 'x'"),
        ("Timing", "networks", [1], "networks must be a list of texts; 1 is none"),
    ],
)
def test_what_is_told(piece: str, option: str, value: Any, told: str) -> None:
    """The message names the option and what was given."""
    with pytest.raises(ValueError, match=told):
        getattr(middleware, piece)(**{**NEEDED.get(piece, {}), option: value})
