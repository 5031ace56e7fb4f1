"""The same client, in the process and over a live server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from breezeway.testing import Client

MakeClient = Callable[..., Client]


@pytest.fixture(params=["in-process", "live"])
def make(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """Make clients of an application, which are closed at the end."""
    with ExitStack() as stack:

        def made(application: Any, **options: Any) -> Client:
            kind = Client if request.param == "in-process" else Client.live
            client = kind(application, **options)
            return stack.enter_context(client)

        yield made
