"""Compare with other parsers and behind proxies: `make differential`.

    python -m tests.differential [COUNT [SEED]]

Sends the corpus, attempts at request smuggling, connections with every single fault, and COUNT
connections from the grammar of the fuzzers. Prints who takes how much of it, the differences that are
understood, and those that are not; the exit status is 1 if there are any.
"""

from __future__ import annotations

import logging
import sys

from .differences import compare, reason_for, reason_for_complaint
from .inputs import Input, corpus, every_single_fault, generated, smuggling
from .oracles import ORACLES
from .proxies import (
    PROXIES,
    Envoy,
    EnvoyStreaming,
    HAProxy,
    HAProxyStreaming,
    Nginx,
    NginxStreaming,
    Proxy,
    install,
)
from .reading import End, by_breezeway
from .report import Report
from .through import Passage, compare_bodies, send_through

COUNT = 5000
FAULTS = 8

TELLS_OF: dict[type[Proxy], type[Proxy]] = {
    NginxStreaming: Nginx,
    HAProxyStreaming: HAProxy,
    EnvoyStreaming: Envoy,
}
"""Which proxy tells of the bodies that another one does not tell of."""


def by_parsers(inputs: list[Input], report: Report) -> None:
    """Compare with other parsers."""
    for each in inputs:
        ours = by_breezeway(each.data)
        report.count(each, "sent", takes=True)
        report.count(each, "Breezeway", takes=ours.end in (End.OPEN, End.CLOSED))
        for name, oracle in ORACLES.items():
            theirs = oracle(each.data)
            report.count(each, name, takes=theirs.end in (End.OPEN, End.CLOSED))
            difference = compare(ours, theirs)
            if difference is not None:
                told = f"request {difference.number}: {difference.what}: {difference.told}"
                report.note(name, each, told, reason_for(name, difference, each.data))


def behind_proxies(inputs: list[Input], report: Report) -> None:
    """Compare with what proxies have seen."""
    passages: dict[type[Proxy], list[Passage]] = {}
    for kind in PROXIES:
        if not kind.version():
            continue
        print(f"Sending through {kind.name} {kind.version()}", flush=True)
        passages[kind] = send_through(kind, inputs)
        for passage in passages[kind]:
            report.count_forwarded(passage.input, kind.name, passage.accepted, passage.refused)
        unlike = compare_bodies(passages[TELLS_OF.get(kind, kind)], passages[kind])
        for passage in (*passages[kind], *unlike):
            for complaint in passage.complaints:
                reason = reason_for_complaint(kind.name, complaint, passage.input.data)
                report.note(kind.name, passage.input, complaint, reason)


def main() -> int:
    """Compare; return the exit status."""
    logging.disable(logging.ERROR)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    missing = install()
    inputs = [*corpus(), *smuggling(), *every_single_fault(FAULTS), *generated(count, seed)]
    report = Report()
    print(f"Reading {len(inputs):,} inputs", flush=True)
    by_parsers(inputs, report)
    behind_proxies(inputs, report)
    report.print()
    if missing:
        print(missing)
    return int(bool(report.unexplained))


if __name__ == "__main__":
    sys.exit(main())
