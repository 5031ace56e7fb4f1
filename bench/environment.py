"""What the bench needs on the machine: Debian packages, and a virtual environment with the peers.

The environment is bench/.env. Its stamp says what is in it; while that is what is wanted, nothing
is installed. A project that does not install is left out with the reason, the rest goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers import OURS, PEERS, Peer

HERE = Path(__file__).parent
ROOT = HERE.parent
ENV = HERE / ".env"
STAMP = ENV / "bench-stamp.json"
EXTRA = ("Flask",)
DEBIAN_PYTHON = "/usr/bin/python3"
OLDEST = (3, 11)

ABOUT = """
import json, platform
from importlib import metadata
names = json.loads({names!r})
have = {{d.name.lower(): d.version for d in metadata.distributions()}}
print(json.dumps({{
    "python": platform.python_version(),
    "implementation": platform.python_implementation(),
    "compiler": platform.python_compiler(),
    "versions": {{n: have[n.lower()] for n in names if n.lower() in have}},
}}))
"""


@dataclass
class Installed:
    """The environment as it is: its executables, what is missing and why, facts for the report."""

    bin: Path
    unavailable: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)

    def reason(self, peer: Peer) -> str:
        """Say why the peer cannot run, or nothing."""
        return self.unavailable.get(peer.project, "")


def choose_python() -> str:
    """Return $BENCH_PYTHON, or Debian's (built with profile-guided optimization), or our own."""
    chosen = os.environ.get("BENCH_PYTHON", "")
    if chosen:
        return chosen
    if Path(DEBIAN_PYTHON).exists():
        code = f"import sys; sys.exit(sys.version_info < {OLDEST})"
        if subprocess.run([DEBIAN_PYTHON, "-c", code], check=False).returncode == 0:
            return DEBIAN_PYTHON
    return sys.executable


def prepare(peers: Iterable[Peer], *, fresh: bool = False) -> Installed:
    """Bring the environment into being and return it; quick when it is there already."""
    python = choose_python()
    _install_debian(python)
    wanted = _wanted(python)
    project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = {} if fresh else _read_stamp()
    unavailable: dict[str, str] = stamp.get("unavailable", {})
    if stamp.get("wanted") != wanted:
        unavailable = {}
        _build(python, unavailable)
    if stamp.get("wanted") != wanted or stamp.get("project") != project:
        unavailable.pop(OURS, None)
        _pip(unavailable, OURS, "--editable", str(ROOT))
        record = {"wanted": wanted, "project": project, "unavailable": unavailable}
        STAMP.write_text(json.dumps(record))
    names = sorted({peer.project for peer in peers} | set(EXTRA))
    return Installed(ENV / "bin", unavailable, _about(ENV / "bin/python", names))


def _wanted(python: str) -> list[str]:
    """List what the environment is made of besides the project itself, for the stamp."""
    packages = [package for group in _groups() for package in group]
    return [python, _output([python, "-VV"]), *packages]


def _groups() -> list[tuple[str, ...]]:
    """Return what is installed together: a project and what it forgets to ask for."""
    groups = {peer.project: (peer.project, *peer.requires) for peer in PEERS}
    del groups[OURS]
    return [*groups.values(), *((name,) for name in EXTRA)]


def _build(python: str, unavailable: dict[str, str]) -> None:
    print(f"Making {ENV.relative_to(ROOT)} with {python}", flush=True)
    shutil.rmtree(ENV, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(ENV)], check=True)
    for project, *rest in _groups():
        _pip(unavailable, project, project, *rest)


def _pip(unavailable: dict[str, str], project: str, *arguments: str) -> None:
    print(f"  installing {project} ... ", end="", flush=True)
    command = [str(ENV / "bin/python"), "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.lower().startswith("error")]
        reason = (errors or done.stderr.splitlines() or ["pip failed"])[-1].strip()
        unavailable[project] = reason
    print(unavailable.get(project, "done"), flush=True)


def _install_debian(python: str) -> None:
    """Install what is missing of Debian's packages when we may; else say what to run."""
    missing = _missing_debian(python)
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {' '.join(missing)}", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=False, stdout=subprocess.DEVNULL)
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        missing = _missing_debian(python)
    if not missing:
        return
    advice = f"Missing: {', '.join(missing)}. As root on Debian: {' '.join(command)}"
    if "wrk" in missing:
        raise SystemExit(advice)
    print(f"{advice}\nGoing on; what needs them will be listed as not available.")


def _missing_debian(python: str) -> list[str]:
    """Return the Debian packages that are needed and not there."""
    include = _output([python, "-c", "import sysconfig; print(sysconfig.get_path('include'))"])
    venv = subprocess.run([python, "-c", "import ensurepip, venv"], check=False)
    there = {
        "wrk": shutil.which("wrk"),
        "libev-dev": Path("/usr/include/ev.h").exists(),
        "gcc": shutil.which("cc") or shutil.which("gcc"),
        "python3-venv": python != DEBIAN_PYTHON or venv.returncode == 0,
        "python3-dev": python != DEBIAN_PYTHON or (Path(include) / "Python.h").exists(),
    }
    return [name for name, found in there.items() if not found]


def _about(python: Path, names: list[str]) -> dict[str, Any]:
    """Ask the environment's Python for its version and those of the projects."""
    facts: dict[str, Any] = json.loads(
        _output([str(python), "-c", ABOUT.format(names=json.dumps(names))])
    )
    return facts


def _read_stamp() -> dict[str, Any]:
    try:
        stamp: dict[str, Any] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
