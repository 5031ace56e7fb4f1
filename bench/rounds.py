"""All measurements in order: in each round of a scenario every server has its turn.

A measurement that other work on the machine disturbed is made again, a few times and within a
bound for the whole run; the least disturbed one counts, whatever it says.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from environment import Installed
from measure import RefusedError, measure
from peers import OURS, Peer
from results import Outcome, Results, Sample
from scenarios import Kind, Scenario

QUIET = 0.05  # share of a core that other work may take before a measurement is made again
ATTEMPTS = 3  # for one measurement
REPEATS = 0.5  # of all measurements; on a machine that is never quiet more would not help
OVERHEAD = 2.0  # seconds around a measurement, for the first estimate of the time left
FIXED = {Kind.START: 1.0, Kind.IDLE: 11.0, Kind.SOAK: 33.0, Kind.BURN: 4.0}  # seconds, about
BRIEF = {
    Kind.START: ("start_ms", "ms to the first answer"),
    Kind.IDLE: ("per_connection", "bytes for a connection"),
    Kind.SOAK: ("rate", "/s"),
    Kind.BURN: ("longest_ms", "ms longest wait"),
}


@dataclass(frozen=True)
class Turn:
    """One measurement that is to be made."""

    scenario: Scenario
    peer: Peer
    round: int
    rounds: int


def turns(
    scenarios: list[Scenario], peers: list[Peer], installed: Installed, rounds: int
) -> Iterator[Turn]:
    """Yield the turns of all servers that are installed."""
    for scenario in scenarios:
        count = min(rounds, scenario.most_rounds)
        for number in range(1, count + 1):
            for peer in peers:
                if takes_part(peer, scenario) and not installed.reason(peer):
                    yield Turn(scenario, peer, number, count)


def takes_part(peer: Peer, scenario: Scenario) -> bool:
    """Say whether the scenario is for this server."""
    if peer.variant:
        return scenario.variants
    return peer.name == OURS or not scenario.only_ours


class Rounds:
    """Takes the turns, fills the results, and says how it goes."""

    def __init__(self, executables: Path, seconds: int, results: Results, *, repeat: bool) -> None:
        self._executables = executables
        self._seconds = seconds
        self._results = results
        self._repeat = repeat
        self._repeats = 0

    def take(self, turns: list[Turn]) -> None:
        """Take all turns, but those of servers that were refused in the scenario."""
        self._repeats = int(len(turns) * REPEATS) if self._repeat else 0
        began = time.monotonic()
        ahead, behind = sum(map(self._estimate, turns)), 0.0
        for number, turn in enumerate(turns, 1):
            outcome = self._results.outcome(turn.scenario.name, turn.peer.name)
            ahead -= self._estimate(turn)
            if outcome.refusal:
                continue
            said = self._measure(turn, outcome)
            behind += self._estimate(turn)
            left = ahead * (time.monotonic() - began) / behind
            print(
                f"[{number:3}/{len(turns)}, {left / 60:4.1f} min left] {turn.scenario.name:12} "
                f"{turn.round}/{turn.rounds}  {turn.peer.name:17}{said}",
                flush=True,
            )

    def _measure(self, turn: Turn, outcome: Outcome) -> str:
        """Measure until it was quiet, keep the quietest sample, and say what came out."""
        for _ in range(ATTEMPTS):
            try:
                sample, outcome.remarks = measure(
                    turn.scenario, turn.peer, self._executables, self._seconds
                )
            except RefusedError as refusal:
                outcome.refusal = str(refusal)
                return outcome.refusal
            best = outcome.samples.setdefault(turn.round, sample)
            if sample.get("other_work", 0.0) < best.get("other_work", 0.0):
                outcome.samples[turn.round] = sample
            if sample.get("other_work", 0.0) <= QUIET or self._repeats <= 0:
                break
            self._repeats -= 1
        return _brief(turn.scenario, outcome.samples[turn.round])

    def _estimate(self, turn: Turn) -> float:
        """Guess how long a turn takes; only the proportions matter after the first few."""
        return FIXED.get(turn.scenario.kind, self._seconds + OVERHEAD)


def _brief(scenario: Scenario, sample: Sample) -> str:
    """Say the one figure that tells how a measurement went."""
    if scenario.kind is not Kind.LOAD:
        figure, unit = BRIEF[scenario.kind]
        return f"{sample[figure]:10,.0f} {unit}"
    text = f"{sample['rate']:10,.0f}/s"
    if scenario.cpu_per_request:
        text += f"  {sample['user_us']:6.1f} + {sample['kernel_us']:.1f} us"
    if sample["other_work"] > QUIET:
        text += f"  (disturbed: {sample['other_work']:.0%})"
    return text
