"""What Breezeway has set itself to reach, as data, and whether a run has found it reached.

A target is never lowered to fit a figure. KB and MB are 1,000 and 1,000,000 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from peers import OBSERVED, OURS, PEERS
from results import Results
from scenarios import IDEAL_SLEEP_RATE, Scenario

ALL = tuple(peer.name for peer in PEERS if peer.name != OURS and not peer.variant)
FAST = ("fastwsgi", "bjoern")
MIDDLE = ("granian", "uwsgi")
SLOW = ("gunicorn-gthread", "gunicorn-sync", "waitress")

OBSERVING = 0.12
"""The share of bare hello's rate that access log and metrics may cost together."""


@dataclass(frozen=True)
class Target:
    """A figure of a scenario and its bound; with `against`, the ratio to each of these servers."""

    scenario: str
    figure: str
    bound: float
    at_least: bool = True
    against: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Verdict:
    """A target and what was found: `measured` is `None` when nothing was."""

    target: Target
    measured: float | None
    worst_peer: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        if self.measured is None:
            return False
        if self.target.at_least:
            return self.measured >= self.target.bound
        return self.measured <= self.target.bound

    @property
    def word(self) -> str:
        """Say it in a word or two."""
        return "not measured" if self.measured is None else "met" if self.met else "NOT MET"


def _small(scenario: str, what: str) -> tuple[Target, ...]:
    return (
        Target(scenario, "rate", 1.0, against=FAST, text=f"{what}: rate, fastwsgi and bjoern"),
        Target(scenario, "rate", 1.4, against=MIDDLE, text=f"{what}: rate, granian and uWSGI"),
        Target(scenario, "rate", 8.0, against=SLOW, text=f"{what}: rate, gunicorn and waitress"),
    )


TARGETS: tuple[Target, ...] = (
    *_small("bare", "bare hello"),
    *_small("browser", "browser hello"),
    *_small("post", "POST 1 KB"),
    Target("browser", "user_us", 4.0, at_least=False, text="browser hello: user us/request"),
    Target("logged", "user_us", 5.5, at_least=False, text="the same with access log: user us"),
    Target(
        "observed",
        "rate",
        1 / (1 - OBSERVING),
        at_least=False,
        against=(OBSERVED,),
        text="bare hello: rate, without access log and metrics",
    ),
    Target("large", "rate", 1.0, against=ALL, text="100 KB: rate, the best"),
    Target("blocks", "rate", 1.5, against=("granian",), text="ten blocks: rate, granian"),
    Target("flask", "rate", 0.97, against=ALL, text="Flask: rate, the best"),
    Target("sleep", "rate", 0.93 * IDEAL_SLEEP_RATE, text="5 ms sleep: requests/s"),
    Target("sleep", "cpu_us", 1.0, at_least=False, against=ALL, text="5 ms sleep: CPU, the lowest"),
    Target("beside-cpu", "rate", 4.0, against=("granian",), text="beside CPU: rate, granian"),
    Target("beside-sleep", "rate", 1.2, against=("granian",), text="beside sleep: rate, granian"),
    Target("start", "start_ms", 150.0, at_least=False, text="start to first answer: ms"),
    Target("start", "worker_rss", 20e6, at_least=False, text="idle worker: RSS in bytes"),
    Target("idle", "per_connection", 8e3, at_least=False, text="idle connection: bytes"),
    Target("soak", "errors", 0.0, at_least=False, text="256 connections: errors"),
    Target("soak", "growth", 1e6, at_least=False, text="256 connections: growth in bytes"),
    Target("burn", "longest_ms", 100.0, at_least=False, text="beside a 2 s burn: longest wait, ms"),
)


def judge(results: Results, scenarios: list[Scenario]) -> list[Verdict]:
    """Return a verdict on every target of these scenarios."""
    names = {scenario.name for scenario in scenarios}
    return [_judge(target, results) for target in TARGETS if target.scenario in names]


def _judge(target: Target, results: Results) -> Verdict:
    ours = results.ranked(target.scenario).get(OURS)
    if ours is None:
        return Verdict(target, None)
    if not target.against:
        return Verdict(target, ours.median(target.figure))
    ratios = {
        peer: ratio
        for peer in target.against
        if (ratio := results.ratio(target.scenario, target.figure, OURS, peer)) is not None
    }
    if not ratios:
        return Verdict(target, None)
    choose = min if target.at_least else max
    worst = choose(ratios, key=lambda name: ratios[name])
    return Verdict(target, ratios[worst], worst)
