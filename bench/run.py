"""Compare Breezeway with other WSGI servers: `python3 bench/run.py --help`, and README.md here."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import chart
import environment
import peers
import report
import scenarios
from measure import RefusedError, allow_open_files, measure
from peers import OURS, Peer
from results import Results
from scenarios import Kind, Scenario
from server import cores, pin_clients
from targets import judge

HERE = Path(__file__).parent
RESULTS = HERE / "results"
CHART = HERE.parent / "docs" / "bench.svg"
ROUNDS = 5
SECONDS = 3
QUIET = 0.03  # share of the server's core that other work may take before we warn
OVERHEAD = 2.0  # seconds around a measurement, for the first estimate of the time left


@dataclass(frozen=True)
class Turn:
    """One measurement that is to be made."""

    scenario: Scenario
    peer: Peer
    round: int
    rounds: int


def main() -> int:
    options = _parse()
    if options.list:
        _list()
        return 0
    chosen_scenarios = scenarios.choose(options.scenario)
    chosen_peers = peers.choose(options.peer)
    allow_open_files()
    installed = environment.prepare(peers.PEERS, fresh=options.fresh)
    pin_clients()
    if len(set(cores())) == 1:
        print("There is one core only: server and clients share it, so compare with care.")
    results = Results()
    turns = list(_turns(chosen_scenarios, chosen_peers, installed, results, options.rounds))
    whole = True
    try:
        _measure_all(turns, installed.bin, options.seconds, results)
    except KeyboardInterrupt:
        print("\nStopped; this is what was measured so far.")
        whole = False
    facts = report.machine(installed.facts, options.rounds, options.seconds, results)
    _tell(chosen_scenarios, results)
    if results.other_work() > QUIET:
        print(
            f"\nOther work took {results.other_work():.0%} of the server's core: compare CPU time."
        )
    report.write(RESULTS, chosen_scenarios, results, facts)
    picture = chart.draw(chosen_scenarios, results, _subtitle(facts))
    (RESULTS / "latest.svg").write_text(picture)
    if whole and not (options.quick or options.scenario or options.peer):
        CHART.write_text(picture)
    print(f"\nWritten to {os.path.relpath(RESULTS)}: latest.md, latest.json, latest.svg")
    return 0 if whole else 130


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare Breezeway with other WSGI servers.")
    add = parser.add_argument
    add("--scenario", action="append", default=[], metavar="NAME", help="only this; repeatable")
    add("--peer", action="append", default=[], metavar="NAME", help="only this; repeatable")
    add("--rounds", type=int, default=ROUNDS, help=f"rounds over all servers ({ROUNDS})")
    add("--seconds", type=int, default=SECONDS, help=f"for each measurement ({SECONDS})")
    add("--quick", action="store_true", help="one round of one second: a look, not a result")
    add("--soak", action="store_true", help="only: 256 connections for 30 s; hello beside a burn")
    add("--fresh", action="store_true", help="make the environment anew")
    add("--list", action="store_true", help="list scenarios and servers")
    options = parser.parse_args()
    if options.quick:
        options.rounds = options.seconds = 1
    if options.soak:
        options.scenario = ["soak", "burn"]
    if min(options.rounds, options.seconds) < 1:
        parser.error("--rounds and --seconds are at least 1")
    return options


def _list() -> None:
    for scenario in scenarios.SCENARIOS:
        print(f"{scenario.name:14}{scenario.title}")
    print("\n" + ", ".join(peer.name for peer in peers.PEERS))


def _turns(
    chosen: list[Scenario],
    candidates: list[Peer],
    installed: environment.Installed,
    results: Results,
    rounds: int,
) -> Iterator[Turn]:
    """Yield all measurements in order: in each round of a scenario every server has its turn."""
    for scenario in chosen:
        taking_part = []
        for peer in candidates:
            if scenario.only_ours and peer.name != OURS:
                continue
            if reason := installed.reason(peer):
                refusal = f"not available: {reason}"
                results.outcome(scenario.name, peer.name).refusal = refusal
            else:
                taking_part.append(peer)
        count = min(rounds, scenario.most_rounds)
        for number in range(1, count + 1):
            for peer in taking_part:
                yield Turn(scenario, peer, number, count)


def _measure_all(turns: list[Turn], executables: Path, seconds: int, results: Results) -> None:
    """Take the turns, skipping servers that were refused, and say how it goes."""
    began = time.monotonic()
    ahead = sum(_estimate(turn, seconds) for turn in turns)
    behind = 0.0
    for number, turn in enumerate(turns, 1):
        outcome = results.outcome(turn.scenario.name, turn.peer.name)
        estimate = _estimate(turn, seconds)
        if not outcome.refusal:
            try:
                sample, outcome.remarks = measure(turn.scenario, turn.peer, executables, seconds)
                outcome.samples[turn.round] = sample
                said = _brief(turn.scenario, sample)
            except RefusedError as refusal:
                outcome.refusal = said = str(refusal)
            behind += estimate
            speed = (time.monotonic() - began) / behind
            left = time.strftime("%H:%M:%S", time.gmtime(max(0.0, ahead - behind) * speed))
            print(
                f"[{number:3}/{len(turns)}, {left} left] {turn.scenario.name:12} "
                f"{turn.round}/{turn.rounds}  {turn.peer.name:17}{said}",
                flush=True,
            )
        else:
            ahead -= estimate


def _estimate(turn: Turn, seconds: int) -> float:
    """Guess how long a turn takes; only the proportions matter after the first few."""
    fixed = {Kind.START: 1.0, Kind.IDLE: 11.0, Kind.SOAK: 33.0, Kind.BURN: 4.0}
    return fixed.get(turn.scenario.kind, seconds + OVERHEAD)


def _brief(scenario: Scenario, sample: dict[str, float]) -> str:
    """Say the one figure that tells how a measurement went."""
    if scenario.kind is Kind.LOAD:
        text = f"{sample['rate']:10,.0f}/s"
        if scenario.cpu_per_request:
            text += f"  {sample['user_us']:6.1f} + {sample['kernel_us']:.1f} us"
        return text
    key = {
        Kind.START: "start_ms",
        Kind.IDLE: "per_connection",
        Kind.SOAK: "rate",
        Kind.BURN: "longest_ms",
    }[scenario.kind]
    return f"{sample[key]:10,.0f} {key}"


def _tell(chosen: list[Scenario], results: Results) -> None:
    for scenario in chosen:
        print(f"\n{scenario.title}\n{report.plain(report.table(scenario, results))}")
    if verdicts := judge(results, chosen):
        print(f"\nTargets\n{report.plain(report.target_rows(verdicts))}")


def _subtitle(facts: report.Facts) -> str:
    rounds, seconds = facts["rounds"], facts["seconds for each measurement"]
    python = facts["python"]
    return f"CPython {python}, wrk on the other core, median of {rounds} rounds of {seconds} s"


if __name__ == "__main__":
    sys.exit(main())
