"""Attack a server and see what holds: `python bench/attack --help`, and docs/attacks.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

BENCH = Path(__file__).parent.parent
sys.path[0] = str(BENCH)  # this file was found by its directory: the package is one level up

import peers  # noqa: E402
import report  # noqa: E402
from attack import hostile, innocent, scenarios, stage, table  # noqa: E402
from attack.scenarios import Scenario  # noqa: E402
from measure import allow_open_files  # noqa: E402
from server import cores, free_port, pin_clients  # noqa: E402

APP = "attack.app:app"
RESULTS = BENCH / "results"
SECONDS = 4
PEERS = ("gunicorn-gthread", "waitress", "granian")
THREADS = 8
CONNECTIONS = 6000  # what a peer is told that it may have to keep


def main() -> int:
    options = _parse()
    if options.innocent:
        port, path, seconds, scheme = options.innocent
        print(json.dumps(innocent.one_shots(int(port), path, float(seconds), scheme)))
        return 0
    if options.hostile:
        name, port, limit = options.hostile
        scenario = scenarios.named(name)
        nice = 0 if scenario.measures else hostile.NICE
        tally = hostile.run(scenario.attack, int(port), float(limit), nice)
        print(json.dumps(asdict(tally)))
        return 0
    chosen = scenarios.choose(options.only)
    if options.list:
        print("\n".join(f"{scenario.name:24}{scenario.title}" for scenario in chosen))
        return 0
    allow_open_files()
    pin_clients()
    results = _run(chosen, _servers(with_peers=options.peers), options.seconds)
    several = options.peers
    print("\n" + report.plain(table.rows(results, servers=several)))
    table.write(RESULTS, results, _facts(options.seconds))
    print(f"\nWritten to {os.path.relpath(RESULTS)}: attack.md, attack.json")
    return any(not outcome.holds for _, outcome in results if outcome.server == peers.OURS)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Attack a server and see what holds.")
    add = parser.add_argument
    add("--only", action="append", default=[], metavar="NAME", help="only attacks named so")
    add("--seconds", type=int, default=SECONDS, help=f"of each measurement ({SECONDS})")
    add("--peers", action="store_true", help=f"attack {', '.join(PEERS)}, too")
    add("--list", action="store_true", help="list the attacks")
    add("--hostile", nargs=3, help=argparse.SUPPRESS)
    add("--innocent", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args()


Servers = list[tuple[str, Path, peers.Peer | None]]


def _servers(*, with_peers: bool) -> Servers:
    """Return the servers: ours from this environment, the others from that of the bench."""
    found: Servers = [(peers.OURS, Path(sys.executable).parent, None)]
    if with_peers:
        import environment

        installed = environment.prepare(peers.PEERS)
        for peer in peers.PEERS:
            if peer.name in PEERS and not installed.reason(peer):
                found.append((peer.name, installed.bin, peer))
    return found


def _run(chosen: list[Scenario], servers: Servers, seconds: int) -> list[table.Row]:
    """Make all attacks, one after the other, and tell about each when it is over."""
    results: list[table.Row] = []
    try:
        for scenario in chosen:
            for name, executables, peer in servers:
                if peer is not None and (scenario.options or scenario.props):
                    continue  # it is about a setting of ours
                port = free_port()
                command = _command(scenario, executables, peer, port)
                outcome = stage.attack(scenario, name, command, port, seconds)
                results.append((scenario, outcome))
                verdict = "; ".join(outcome.failures) or "holds"
                print(f"{name} {scenario.name}: x{outcome.ratio:.2f}, {verdict}", flush=True)
    except KeyboardInterrupt:
        print("\nStopped; this is what was found so far.")
    return results


def _command(
    scenario: Scenario, executables: Path, peer: peers.Peer | None, port: int
) -> list[str]:
    """Return the command line: for ours as a user would type it."""
    if peer is not None:
        return peer.command(peers.Launch(executables, APP, port, THREADS, CONNECTIONS))
    extra = scenario.props() if scenario.props else ()
    bind = ("--bind", f"{peers.HOST}:{port}")
    return [str(executables / "breezeway"), APP, *bind, "--workers", "1", *scenario.options, *extra]


def _facts(seconds: int) -> dict[str, str]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": f"{os.cpu_count()} (server on {cores()[0]}, clients on {cores()[1]})",
        "seconds of each measurement": str(seconds),
    }


if __name__ == "__main__":
    sys.exit(main())
