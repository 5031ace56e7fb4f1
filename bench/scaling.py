"""What a second worker brings: `python3 bench/scaling.py`.

One worker, then two, each beside wrk on the same two cores, alternating. On so small a machine wrk takes
part of what the second worker could have; so it is counted out: a worker makes at most one core's worth
of requests, 1 / (CPU seconds for each request), and two make twice that at the CPU time that they need
when they run side by side. Prints the ratio, which is to be at least 1.8.
"""

from __future__ import annotations

import argparse
import statistics

import environment
import load
import peers
from client import Connection
from server import Server, free_port

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 64
LEAST_RATIO = 1.8
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
APPLICATIONS = {"hello": "apps:hello", "Flask": "flask_app:app"}


def cpu_per_request(executable: str, application: str, workers: int, seconds: int) -> float:
    """Return the CPU seconds of all processes of the server for each request."""
    port = free_port()
    command = [executable, application, "--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    with Server(command, port) as server:
        server.use_both_cores()
        server.first_answer(REQUEST)
        with Connection(port, 10.0) as connection:
            for _ in range(500):
                connection.ask(REQUEST)
        load.run(port, REQUEST, CONNECTIONS, 1)
        before = server.cpu()
        done = load.run(port, REQUEST, CONNECTIONS, seconds)
        used = server.cpu().since(before)
    if done.socket_errors or done.bad_status:
        raise SystemExit(f"{done.socket_errors} socket errors, {done.bad_status} bad answers")
    print(f"  {workers} workers: {done.requests / done.seconds:9,.0f}/s", end="")
    print(f"  {used.exact / done.requests * 1e6:6.2f} us/request", flush=True)
    return used.exact / done.requests


def main() -> int:
    """Measure all applications; return 1 if one misses the ratio."""
    parser = argparse.ArgumentParser(description="Compare one worker with two.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    options = parser.parse_args()
    installed = environment.prepare(peers.PEERS)
    executable = str(installed.bin / "breezeway")
    missed = False
    for name, application in APPLICATIONS.items():
        print(name)
        costs: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(options.rounds):
            for workers, found in costs.items():
                found.append(cpu_per_request(executable, application, workers, options.seconds))
        one, two = (statistics.median(found) for found in costs.values())
        ratio = 2 * one / two
        missed = missed or ratio < LEAST_RATIO
        print(f"  {ratio:.2f} times one worker (at least {LEAST_RATIO})")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
