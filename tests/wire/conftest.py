"""What every test on the wire starts from."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from ..live import Live, serving


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """Run one server with default settings for the module."""
    with serving() as running:
        yield running


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Capture everything that the server logs."""
    caplog.set_level(logging.DEBUG, "breezeway")
    return caplog
