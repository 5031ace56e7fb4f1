"""What a request costs in the toolkit, beside other frameworks: `python3 bench/web [CASE ...]`.

In one process, without a server: an application is called as a server calls it, each framework in turn,
round after round; the median of the rounds counts, in microseconds for each request. A case has a process
of its own. `start` is a fresh process that imports the framework, makes an application and answers once;
what the interpreter itself takes is not in it. The packages are installed in bench/.env-web when they are
not there.

A framework that answers wrongly is told, and not ranked.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ENV = ROOT / "bench" / ".env-web"
PACKAGES = ("falcon>=4.4,<5", "bottle", "werkzeug", "flask", "django>=5.2,<6")

ROUNDS = 15
SECONDS = 0.1
"""Of each measurement; the rounds alternate."""

STARTS = 11

TARGETS = {"Falcon": 1.0, "Bottle": 0.5, "Werkzeug": 0.5, "Flask": 0.15, "Django": 0.15}
"""What ours may cost of theirs, in the case `json`."""

START_MS = 60
"""What import and start may take."""

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "192.0.2.1",
    "HTTP_HOST": "shop.example",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.5",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br, zstd",
    "HTTP_CONNECTION": "keep-alive",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


class Case(NamedTuple):
    """One request, of an application with so many routes more."""

    path: str
    query: str
    expected: bytes
    routes: int = 0


USER = Case("/users/42", "name=bob", b'{"id":42,"name":"bob"}')

CASES = {
    "json": USER,
    "hello": Case("/", "", b"Hellothere"),
    "routes-10": Case("/r9/42/item", "", b'{"id":42}', 10),
    "routes-1000": Case("/r999/42/item", "", b'{"id":42}', 1000),
    "routes-10000": Case("/r9999/42/item", "", b'{"id":42}', 10_000),
}

SLOW_TO_BUILD = {"routes-10000": ("Falcon",)}
"""To which adding so many routes takes a minute."""


def prepare() -> Path:
    """Install what is needed; return the interpreter that has it."""
    python = ENV / "bin" / "python"
    stamp = ENV / "stamp"
    wanted = hashlib.sha256(repr(PACKAGES).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Making {ENV.relative_to(ROOT)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(ENV)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES, f"--editable={ROOT}"]
        subprocess.run(install, check=True)
        stamp.write_text(wanted)
    return python


def environ_of(case: Case) -> dict[str, Any]:
    """Make the environ of a case."""
    return {
        **ENVIRON,
        "PATH_INFO": case.path,
        "QUERY_STRING": case.query,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }


def fault_of(application: Any, case: Case) -> str:
    """Ask once; return what is wrong with the answer, or nothing."""
    started: list[Any] = []
    found = application(environ_of(case), lambda *args: started.append(args))
    body = b"".join(found)
    getattr(found, "close", lambda: None)()
    if not started[0][0].startswith("200") or b"".join(body.split()) != case.expected:
        return f"{started[0][0]} {body[:60]!r}"
    return ""


def ask(application: Any, environ: dict[str, Any], seconds: float) -> float:
    """Ask for so long; return the microseconds of a request."""

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        return None

    copy, times, clock = environ.copy, 0, time.perf_counter
    began = clock()
    until = began + seconds
    while clock() < until:
        for _ in range(50):
            found = application(copy(), start_response)
            for _ in found:
                pass
            close = getattr(found, "close", None)
            if close is not None:
                close()
        times += 50
    return (clock() - began) / times * 1e6


def measure(name: str) -> dict[str, float]:
    """Measure all frameworks in one case; medians by framework, in microseconds."""
    from applications import FRAMEWORKS

    case = CASES[name]
    applications = {}
    for framework, make in FRAMEWORKS.items():
        if framework in SLOW_TO_BUILD.get(name, ()):
            continue
        application = make(case.routes)
        fault = fault_of(application, case)
        if fault:
            print(f"{framework} is left out of {name}: {fault}", file=sys.stderr)
        else:
            applications[framework] = application
    environ = environ_of(case)
    rounds: dict[str, list[float]] = {framework: [] for framework in applications}
    for _ in range(ROUNDS):
        for framework, application in applications.items():
            rounds[framework].append(ask(application, environ, SECONDS))
    return {framework: statistics.median(found) for framework, found in rounds.items()}


def measure_start() -> dict[str, float]:
    """Measure import and start of each framework; medians in milliseconds."""
    from applications import FRAMEWORKS

    rounds: dict[str, list[float]] = {framework: [] for framework in FRAMEWORKS}
    # Compiled modules are kept, as pip keeps them for what it installs.
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    for number in range(STARTS + 1):
        for framework in FRAMEWORKS:
            command = [sys.executable, str(HERE), "--start", framework]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environ)
            if not number:
                continue  # the one that may compile
            rounds[framework].append(float(done.stdout))
    return {framework: statistics.median(found) for framework, found in rounds.items()}


def start(framework: str) -> None:
    """Import a framework, make an application, answer once; print the milliseconds."""
    from applications import FRAMEWORKS

    began = time.perf_counter()
    application = FRAMEWORKS[framework](10)
    fault = fault_of(application, USER)
    print((time.perf_counter() - began) * 1e3)
    assert not fault, fault


def rows(name: str, costs: dict[str, float]) -> list[str]:
    """Write the rows of a case: cost, and ours in parts of it."""
    ours = costs["breezeway"]
    unit = "ms" if name == "start" else "us"
    found = []
    for framework, cost in costs.items():
        target = TARGETS.get(framework) if name == "json" else None
        ratio = ours / cost
        over = " (over)" if target is not None and ratio > target else ""
        told = "" if framework == "breezeway" else f"{ratio:.2f}{over}"
        if framework == "breezeway" and name == "start" and cost > START_MS:
            told = "(over)"
        found.append(f"| {name} | {framework} | {cost:.1f} {unit} | {told} |")
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)}, start")
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--start", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if Path(sys.prefix) != ENV:
        python = str(prepare())
        os.execv(python, [python, str(HERE), *sys.argv[1:]])
    if options.start:
        return start(options.start)
    if options.case:
        return print(json.dumps(measure(options.case)))
    wanted = options.cases or [*CASES, "start"]
    if unknown := {*wanted} - {*CASES, "start"}:
        parser.error(f"there is no case {', '.join(sorted(unknown))}")
    print("| case | framework | cost | ours / theirs |\n|---|---|---:|---:|")
    figures = {}
    for name in wanted:
        if name == "start":
            figures[name] = measure_start()
        else:
            command = [sys.executable, str(HERE), "--case", name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            figures[name] = json.loads(done.stdout)
        print("\n".join(rows(name, figures[name])), flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
