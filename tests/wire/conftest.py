"""What every test on the wire starts from."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from breezeway.observe import throttle
from breezeway.worker.poller import PollPoller, best_poller

from .. import live as servers
from ..live import Live, serving


@pytest.fixture(
    scope="module", params=[best_poller, PollPoller], ids=["best", "poll"], autouse=True
)
def poller(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test on this system's best poller and on the one for every system."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servers, "make_poller", request.param)
        yield


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """Run one server with default settings for the module."""
    with serving() as running:
        yield running


@pytest.fixture
def log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """Capture everything that the server logs, and let it log more than a quiet server does."""
    monkeypatch.setattr(throttle, "LINES", sys.maxsize)
    caplog.set_level(logging.DEBUG, "breezeway")
    return caplog
