"""Compare Breezeway with other WSGI servers: `python3 bench/run.py --help`, and README.md here."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import chart
import environment
import peers
import report
import rounds
import scenarios
from measure import allow_open_files
from peers import Peer
from results import Results
from scenarios import Scenario
from server import cores, pin_clients
from targets import judge

HERE = Path(__file__).parent
RESULTS = HERE / "results"
CHART = HERE.parent / "docs" / "bench.svg"
ROUNDS = 5
SECONDS = 3


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
    results = _results(chosen_scenarios, chosen_peers, installed)
    turns = list(rounds.turns(chosen_scenarios, chosen_peers, installed, options.rounds))
    runner = rounds.Rounds(installed.bin, options.seconds, results, repeat=not options.quick)
    whole = True
    try:
        runner.take(turns)
    except KeyboardInterrupt:
        print("\nStopped; this is what was measured so far.")
        whole = False
    facts = report.machine(installed.facts, options.rounds, options.seconds, results)
    _tell(chosen_scenarios, results)
    if results.other_work() > rounds.QUIET:
        print(f"\nOther work took {results.other_work():.0%} of a core: compare CPU time.")
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


def _results(
    chosen_scenarios: list[Scenario], chosen_peers: list[Peer], installed: environment.Installed
) -> Results:
    """Return results in which only those servers stand that are not available."""
    results = Results()
    for scenario in chosen_scenarios:
        for peer in chosen_peers:
            if rounds.takes_part(peer, scenario) and (reason := installed.reason(peer)):
                results.outcome(scenario.name, peer.name).refusal = f"not available: {reason}"
    return results


def _list() -> None:
    for scenario in scenarios.SCENARIOS:
        print(f"{scenario.name:14}{scenario.title}")
    print("\n" + ", ".join(peer.name for peer in peers.PEERS))


def _tell(chosen: list[Scenario], results: Results) -> None:
    for scenario in chosen:
        print(f"\n{scenario.title}\n{report.plain(report.table(scenario, results))}")
    if verdicts := judge(results, chosen):
        print(f"\nTargets\n{report.plain(report.target_rows(verdicts))}")


def _subtitle(facts: report.Facts) -> str:
    python, seconds = facts["python"], facts["seconds for each measurement"]
    count = facts["rounds"]
    return f"CPython {python}, wrk on the other core, median of {count} rounds of {seconds} s"


if __name__ == "__main__":
    sys.exit(main())
