"""Fuzz for minutes: `make fuzz`, or `python -m tests.fuzz [SECONDS [TARGET...]]`.

Half of the time goes to hypothesis, which makes a failing input small; the other half to atheris,
which looks for inputs that reach lines not reached before, where it is installed. What fails is
printed and kept in build/fuzz, and the exit status is 1.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from .single_faults import SEEDS, single_faults
from .targets import TARGETS, Target

SECONDS = 600.0
FOUND = Path(__file__).parents[2] / "build" / "fuzz"
ROUND = 200
"""Inputs between two looks at the clock."""

PROGRESS_SECONDS = 10.0
COVERED = ("head", "chunks", "intake", "connection")
"""Targets for atheris: those that run in one thread."""

TOLD = 3000
"""Characters at the end of what atheris says about a find."""

_STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)


class Progress:
    """Prints a line from time to time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = time.monotonic()
        self._next = self._began + PROGRESS_SECONDS
        self.became: Counter[str] = Counter()

    def note(self, became: str) -> None:
        """Count an input."""
        self.became[became] += 1
        if time.monotonic() >= self._next:
            self.say()
            self._next += PROGRESS_SECONDS

    def say(self) -> None:
        """Print how far it is."""
        seconds = time.monotonic() - self._began
        shares = ", ".join(f"{count:,} {what}" for what, count in self.became.most_common(6))
        print(f"  {self._name}: {self.became.total():,} in {seconds:.0f} s: {shares}", flush=True)


class Failed(Exception):
    """An input for which a check does not hold."""


def fuzz(name: str, seconds: float) -> None:
    """Check one target for so long.

    Raises:
        Failed: the input is kept.
    """
    target = TARGETS[name]
    progress = Progress(name)
    ends = time.monotonic() + seconds
    with target.opened() as opened:
        last = b""

        def check(data: bytes) -> None:
            nonlocal last
            last = data
            progress.note(opened.check(data))

        try:
            if target.seeds:
                _single_faults(target, check, time.monotonic() + seconds / 4)
            while time.monotonic() < ends:
                _round(target, check)
        except Exception as error:
            path = keep(name, last)
            raise Failed(f"{name}: {last!r}, kept in {path}") from error
    progress.say()


def _single_faults(target: Target, check: Callable[[bytes], None], ends: float) -> None:
    for each in SEEDS:
        for data in single_faults(target.write, each):
            if time.monotonic() > ends:
                return
            check(data)


def _round(target: Target, check: Callable[[bytes], None]) -> None:
    """Check some new inputs; a failing one is made smaller first, and `check` called with it last."""
    quietly = settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    quietly(seed(random.getrandbits(64))(given(target.inputs)(check)))()


def keep(name: str, data: bytes) -> Path:
    """Keep a failing input."""
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{name}-{hashlib.sha1(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def fuzz_by_coverage(name: str, seconds: float) -> bool:
    """Check one target by atheris; return whether nothing was found."""
    command = [sys.executable, "-m", "tests.fuzz.by_coverage", name, f"{seconds:.0f}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    said = dict(_STATISTIC.findall(done.stderr))
    count, new = int(said.get("number_of_executed_units", 0)), said.get("new_units_added", 0)
    print(f"  {name}, by coverage: {count:,} in {seconds:.0f} s: {new} new to it", flush=True)
    if done.returncode:
        print(f"FOUND {name}, kept in {FOUND}\n{(done.stdout + done.stderr)[-TOLD:]}", flush=True)
    return done.returncode == 0


def main() -> int:
    """Fuzz everything; return the exit status."""
    logging.disable(logging.ERROR)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    names = sys.argv[2:] or list(TARGETS)
    covered = [name for name in names if name in COVERED]
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed here: what it would look for by coverage is left out.")
        covered = []
    share = seconds / (len(names) + len(covered))
    found = False
    for name in names:
        try:
            fuzz(name, share)
        except Failed as failure:
            found = True
            print(f"FOUND {failure}\n  {failure.__cause__!r}", flush=True)
    for name in covered:
        found |= not fuzz_by_coverage(name, share)
    print("Something was found." if found else "Nothing was found.", flush=True)
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
