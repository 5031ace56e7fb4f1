"""What a proxy forwards is served as the proxy saw it, or refused; `make differential` has more of it."""

from __future__ import annotations

import pytest

from .inputs import corpus, smuggling
from .proxies import Envoy, EnvoyStreaming, Proxy, need
from .through import send_through

pytestmark = pytest.mark.once

EVERY = 32
"""One of so many inputs is sent."""


@pytest.mark.parametrize("kind", [Envoy, EnvoyStreaming], ids=lambda kind: kind.name)
def test_behind_envoy(kind: type[Proxy]) -> None:
    """RFC 9112 section 11.2: Envoy and Breezeway read the same requests."""
    need(kind)
    passages = send_through(kind, [*corpus(), *smuggling()][::EVERY])
    assert not [passage for passage in passages if passage.complaints]
    assert sum(passage.accepted for passage in passages) > len(passages) / 10
