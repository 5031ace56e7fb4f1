"""What each piece of middleware costs: `python3 bench/middleware [PIECE ...]`.

In one process, without a server: an application is called as a server calls it, bare and wrapped, in
turn, and the difference counts. Figures are medians of the rounds, in nanoseconds for each request.
Beside each piece stands what people use now for the same. The packages are installed in
bench/.env-middleware when they are not there.

A case that is wrong (another status than it should have, on either side) is told, and not ranked.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ENV = ROOT / "bench" / ".env-middleware"
PACKAGES = (
    "asgiref",
    "brotli",
    "django>=5.2,<6",
    "flask",
    "flask-compress",
    "flask-cors",
    "flask-limiter",
    "flask-talisman",
    "itsdangerous",
    "opentelemetry-instrumentation-wsgi",
    "opentelemetry-sdk",
    "paste",
    "prometheus-client",
    "pyinstrument",
    "redis",
    "starlette",
    "urllib3",
    "werkzeug",
    "whitenoise",
    "zstandard",
)

ROUNDS = 9
SECONDS = 0.06
"""Of each measurement; the rounds alternate."""

BUDGET_NS = 1_000
"""Of a piece that has nothing to do."""


class Row(NamedTuple):
    """The result of a case; costs in nanoseconds, None where there is no peer."""

    piece: str
    what: str
    ours: float
    peer_name: str
    peer: float | None
    wrong: str


def prepare() -> Path:
    """Install what is needed; return the interpreter that has it."""
    python = ENV / "bin" / "python"
    stamp = ENV / "stamp"
    wanted = hashlib.sha256(repr(PACKAGES).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Making {ENV.relative_to(ROOT)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(ENV)], check=True)
        for package in [*PACKAGES, f"--editable={ROOT}"]:
            print(f"  {package}", flush=True)
            install = [str(python), "-m", "pip", "install", "--quiet", package]
            if subprocess.run(install, check=False).returncode:
                print(f"  {package} does not install; what needs it is left out")
        stamp.write_text(wanted)
    return python


def measure(pieces: list[str]) -> list[Row]:
    """Measure the cases of these pieces, or all."""
    from run import row_of

    names = sorted(path.stem for path in (HERE / "cases").glob("[a-z]*.py"))
    if unknown := {*pieces} - {*names}:
        raise SystemExit(f"there is no piece {', '.join(unknown)}; there are {', '.join(names)}")
    rows = []
    for name in pieces or names:
        try:
            cases = importlib.import_module(f"cases.{name}").cases()
        except ImportError as error:
            print(f"{name}: left out, {error}", flush=True)
            continue
        for case in cases:
            rows.append(Row(*row_of(case, ROUNDS, SECONDS)))
            print(line(rows[-1]), flush=True)
    return rows


def line(row: Row) -> str:
    """Write a row of the table."""
    if row.wrong:
        return f"| {row.piece} | {row.what} | wrong: {row.wrong} | | | |"
    theirs, ratio = "", ""
    if row.peer is not None:
        theirs = f"{row.peer:,.0f}"
        ratio = f"{row.peer / max(row.ours, 1):.1f}"
    ours = f"{row.ours:,.0f}"
    if row.what == "idle" and row.ours > BUDGET_NS:
        ours += " (over)"
    return f"| {row.piece} | {row.what} | {ours} | {row.peer_name} | {theirs} | {ratio} |"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pieces", nargs="*", metavar="PIECE")
    parser.add_argument("--json", type=Path, help="write the rows into a file as well")
    options = parser.parse_args()
    if Path(sys.prefix) != ENV:
        python = str(prepare())
        os.execv(python, [python, str(HERE), *sys.argv[1:]])
    print("| piece | what | ns | beside it | ns | theirs / ours |")
    print("|---|---|---:|---|---:|---:|")
    rows = measure(options.pieces)
    idle = [row.ours for row in rows if row.what == "idle" and not row.wrong]
    if idle:
        over = sum(cost > BUDGET_NS for cost in idle)
        print(f"\nIdle: median {statistics.median(idle):,.0f} ns, {over} of {len(idle)} over 1 us")
    if options.json:
        options.json.write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
