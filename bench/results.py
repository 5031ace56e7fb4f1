"""What a run has found so far, and the few questions that tables, chart and targets ask of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from peers import OURS

Sample = dict[str, float]


@dataclass
class Outcome:
    """One server in one scenario: a sample for each round, or why it is not ranked."""

    samples: dict[int, Sample] = field(default_factory=dict)
    refusal: str = ""
    remarks: list[str] = field(default_factory=list)

    @property
    def ranked(self) -> bool:
        """Whether its figures count."""
        return bool(self.samples) and not self.refusal

    def median(self, figure: str) -> float:
        """Return the median of a figure over the rounds."""
        return median(sample[figure] for sample in self.samples.values())


class Results:
    """Outcomes by scenario and server."""

    def __init__(self) -> None:
        self.outcomes: dict[str, dict[str, Outcome]] = {}

    def outcome(self, scenario: str, peer: str) -> Outcome:
        """Return the outcome, a new one if there is none."""
        return self.outcomes.setdefault(scenario, {}).setdefault(peer, Outcome())

    def ranked(self, scenario: str) -> dict[str, Outcome]:
        """Return the outcomes that count in a scenario."""
        found = self.outcomes.get(scenario, {})
        return {name: outcome for name, outcome in found.items() if outcome.ranked}

    def best_peer(self, scenario: str, figure: str, *, largest: bool = True) -> str:
        """Return the name of the best server that is not ours, or nothing."""
        peers = {n: o.median(figure) for n, o in self.ranked(scenario).items() if n != OURS}
        choose = max if largest else min
        return choose(peers, key=lambda name: peers[name]) if peers else ""

    def ratio(self, scenario: str, figure: str, ours: str, theirs: str) -> float | None:
        """Return the median over the rounds of ours / theirs; `None` if there is nothing to divide.

        Each round's quotient is of two measurements a minute apart, so that a machine whose speed
        drifts bends it less than it bends the quotient of two medians.
        """
        ranked = self.ranked(scenario)
        if ours not in ranked or theirs not in ranked:
            return None
        a, b = ranked[ours].samples, ranked[theirs].samples
        quotients = [a[n][figure] / b[n][figure] for n in a if n in b and b[n][figure]]
        return median(quotients) if quotients else None

    def other_work(self) -> float:
        """Return the median share of a core that went to neither server nor clients."""
        shares = [
            sample["other_work"]
            for outcomes in self.outcomes.values()
            for outcome in outcomes.values()
            for sample in outcome.samples.values()
            if "other_work" in sample
        ]
        return median(shares) if shares else 0.0
