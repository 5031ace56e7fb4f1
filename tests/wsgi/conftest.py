"""What every test of PEP 3333 starts from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from breezeway.gateway import failure
from breezeway.observe.throttle import Throttle

from ..live import Live, serving

Play = Callable[[Any], None]


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """Run one server with default settings for the module."""
    with serving() as running:
        yield running


@pytest.fixture(params=["bare", "validated"])
def play(
    live: Live, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Iterator[Play]:
    """Serve an application as it is, and within wsgiref.validate, which has to find nothing.

    What it finds it raises, so that the answer is 500; an iterable that was not closed it reports
    on standard error.
    """

    def serve(application: Any) -> None:
        live.play(validator(application) if request.param == "validated" else application)

    yield serve
    assert "without being closed" not in capsys.readouterr().err


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each failure told as if it were the first of its kind: they are limited in rate."""
    monkeypatch.setattr(failure, "throttle", Throttle(failure.logger))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Capture everything that the server logs."""
    caplog.set_level(logging.DEBUG, "breezeway")
    return caplog
