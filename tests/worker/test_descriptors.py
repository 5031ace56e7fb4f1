"""The limit on open files: raised for the connections, or the connections are fewer."""

from __future__ import annotations

import logging
import resource

import pytest

from breezeway.worker import descriptors
from breezeway.worker.descriptors import RESERVE, connections, warn_if_few


class System:
    """A system with a limit on open files."""

    RLIMIT_NOFILE, RLIM_INFINITY = resource.RLIMIT_NOFILE, resource.RLIM_INFINITY

    def __init__(self, soft: int, hard: int, *, obstinate: bool = False) -> None:
        self.limits = soft, hard
        self.obstinate = obstinate

    def getrlimit(self, _: int) -> tuple[int, int]:
        """Tell the limits."""
        return self.limits

    def setrlimit(self, _: int, limits: tuple[int, int]) -> None:
        """Change the limits."""
        if self.obstinate:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


WANTED = 10_000
ENOUGH = WANTED + RESERVE


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "allowed"),
    [
        (1024, 524_288, ENOUGH, WANTED),
        (1024, resource.RLIM_INFINITY, ENOUGH, WANTED),
        (ENOUGH, ENOUGH, ENOUGH, WANTED),
        (50_000, 524_288, 50_000, WANTED),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, WANTED),
        (1024, 4096, 4096, 4096 - RESERVE),
        (256, 1024, 1024, 512),
        (1024, ENOUGH - 1, ENOUGH - 1, WANTED - 1),
    ],
)
def test_limit_is_raised_as_far_as_needed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int, allowed: int
) -> None:
    """The soft limit goes up as far as needed; what the hard one does not allow, is not had."""
    system = System(soft, hard)
    monkeypatch.setattr(descriptors, "resource", system)
    assert connections(WANTED) == allowed
    assert system.limits == (raised, hard)
    assert connections(WANTED) == allowed


def test_limit_that_cannot_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system may refuse although its hard limit would allow it."""
    monkeypatch.setattr(
        descriptors, "resource", System(256, resource.RLIM_INFINITY, obstinate=True)
    )
    assert connections(WANTED) == 128


def test_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Too low a limit is told once, with the numbers and what to do; else nothing is."""
    caplog.set_level(logging.WARNING, "breezeway")
    monkeypatch.setattr(descriptors, "resource", System(1024, 4096))
    warn_if_few(1000)
    assert not caplog.records
    warn_if_few(WANTED)
    (record,) = caplog.records
    text = record.getMessage()
    for each in ("only 3096", "10000", "4096", "11000", "ulimit -n", "LimitNOFILE", "--limit-conn"):
        assert each in text
