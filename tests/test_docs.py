"""The documentation holds what it says: names, links, commands, and examples that run."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BENCH = ROOT / "bench" / "README.md"
PAGES = [*sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")]), BENCH]

PRODUCED = {"docs/bench.svg"}
"""What a target of the Makefile makes: it need not be there."""

DEADLINE_SECONDS = 20.0
LONGEST_LINE = 110

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
REFERENCE = re.compile(r"`(tests/[\w./]+)::([^`]+)`")
STATEMENT = re.compile(r"^- \*\*([A-Z]+)(\d+)\*\* (.*?)(?=^- |^$)", re.MULTILINE | re.DOTALL)
NAMED_PATH = re.compile(r"`((?:src|tests|docs|bench)/[\w./-]+)`")

# Runs an example, and what it defines: tests are called, an application is asked for its page.
RUNNER = """
import runpy, sys, urllib.request
found = runpy.run_path(sys.argv[1], run_name="__main__")
for name in [name for name in found if name.startswith("test_")]:
    found[name]()
application = found.get("application", found.get("app"))
if application is not None:
    from breezeway.testing import LiveServer
    with LiveServer(application) as server, urllib.request.urlopen(server.url) as response:
        assert response.status == 200 and response.read()
"""


class Example(NamedTuple):
    """A fenced block of a page."""

    place: str
    text: str


def page_name(path: Path) -> str:
    """Name a page by its path below the root."""
    return str(path.relative_to(ROOT))


def examples(language: str) -> list[Example]:
    """Return all blocks of one language."""
    return [
        Example(f"{page_name(path)}:{text.count(chr(10), 0, match.start()) + 1}", match[2])
        for path in PAGES
        for text in [path.read_text(encoding="utf-8")]
        for match in FENCE.finditer(text)
        if match[1] == language
    ]


def without_code(text: str) -> str:
    """Take the fenced blocks out of a page, keeping its lines."""
    return FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)


def slug(heading: str) -> str:
    """Make the anchor of a heading, as the hosting sites do."""
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower())
    return kept.strip().replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page."""
    text = without_code(path.read_text(encoding="utf-8"))
    return {slug(line.lstrip("#")) for line in text.splitlines() if line.startswith("#")}


@cache
def known_in(path: Path) -> frozenset[str]:
    """Name the tests of a Python file, or the cases of a file of the corpus."""
    if not path.exists():
        return frozenset()
    if path.suffix == ".toml":
        cases = tomllib.loads(path.read_text(encoding="utf-8"))["case"]
        return frozenset(case["name"] for case in cases)
    return frozenset(_functions(ast.parse(path.read_bytes()), ""))


def _functions(tree: ast.AST, prefix: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}::")


def test_generated_pages_are_fresh() -> None:
    """What is made from the table of settings is what it says: `python docs/generate.py`."""
    for path, page in _load(DOCS / "generate.py").PAGES.items():
        text = path.read_text(encoding="utf-8")
        assert page(text) == text, f"{path.name} is stale"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_links_resolve(path: Path) -> None:
    """What a page links to within the project is there, with its anchor."""
    broken = []
    for link in LINK.findall(without_code(path.read_text(encoding="utf-8"))):
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("path", [page for page in PAGES if page != BENCH], ids=page_name)
def test_named_paths_exist(path: Path) -> None:
    """A file or directory of the project that a page names is there."""
    named = NAMED_PATH.findall(without_code(path.read_text(encoding="utf-8")))
    assert not [name for name in {*named} - PRODUCED if not (ROOT / name).exists()]


@pytest.mark.parametrize("path", [page for page in PAGES if page != BENCH], ids=page_name)
def test_lines_are_short(path: Path) -> None:
    """A line can be read in a terminal and in a diff; a table's row or one word cannot be broken."""
    lines = path.read_text(encoding="utf-8").splitlines()
    breakable = [line for line in lines if not line.startswith("|") and " " in line.strip()]
    assert not [line for line in breakable if len(line) > LONGEST_LINE]


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_named_tests_exist(path: Path) -> None:
    """Each test and each case of the corpus that a page names is there."""
    missing = [
        f"{file}::{name}"
        for file, names in REFERENCE.findall(path.read_text(encoding="utf-8"))
        for name in (names.split(",") if file.endswith(".toml") else [names])
        if name not in known_in(ROOT / file)
    ]
    assert not missing


def test_every_statement_names_its_test() -> None:
    """Each statement about the server's behaviour is numbered, and says what holds it."""
    text = (DOCS / "server-behavior.md").read_text(encoding="utf-8")
    statements = STATEMENT.findall(text)
    assert len(statements) == text.count("\n- "), "an entry without a number"
    without = [letter + number for letter, number, body in statements if "`tests/" not in body]
    assert not without
    numbers: dict[str, list[int]] = {}
    for letter, number, _ in statements:
        numbers.setdefault(letter, []).append(int(number))
    assert numbers == {letter: list(range(1, len(all_) + 1)) for letter, all_ in numbers.items()}


def test_commands_of_the_readme_are_targets() -> None:
    """Each `make` command that README and CONTRIBUTING show is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        shown = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
        assert shown
        assert not shown - targets


@pytest.mark.parametrize("example", examples("python"), ids=lambda example: example.place)
def test_examples_run(example: Example, tmp_path: Path) -> None:
    """Each Python example runs; an application answers, a server serves and stops in good order."""
    port = _free_port()
    text = example.text.replace("8000", str(port))
    file = tmp_path / "example.py"
    file.write_text(text, encoding="utf-8")
    if re.search(r"^ *(breezeway\.(serve|run)|server\.serve_forever)\(", text, re.MULTILINE):
        _run_server(file, port)
    else:
        _run([sys.executable, "-c", RUNNER, str(file)], tmp_path)


def _run(command: list[str], directory: Path) -> None:
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert done.returncode == 0, done.stderr


def _run_server(file: Path, port: int) -> None:
    process = subprocess.Popen([sys.executable, str(file)], cwd=file.parent, stderr=subprocess.PIPE)
    try:
        assert _get(process, port).status == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_SECONDS)
        assert process.returncode in (0, -signal.SIGINT), errors.decode()
    finally:
        process.kill()
        process.communicate()


def _get(process: subprocess.Popen[bytes], port: int) -> urllib.request.addinfourl:
    """Ask for the page of a server that is starting."""
    ends = time.monotonic() + DEADLINE_SECONDS
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as response:
                return response
        except urllib.error.URLError:
            assert time.monotonic() < ends, "it does not answer"
            time.sleep(0.05)
    raise AssertionError(process.communicate()[1].decode())


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize("script", [".ci/run", "tests/run_all.sh"])
def test_scripts_parse(script: str) -> None:
    """The scripts of the project are good shell."""
    text = (ROOT / script).read_text(encoding="utf-8")
    shell = shutil.which(re.match(r"#!(?:/usr/bin/env |/bin/)(\w+)", text)[1])
    assert shell
    subprocess.run([shell, "-n", ROOT / script], check=True)
    assert script.startswith("tests/") or os.access(ROOT / script, os.X_OK)


def test_signals_are_told() -> None:
    """Every signal that the supervisor acts on has its row in the table of docs/operating.md."""
    service = (ROOT / "src/breezeway/supervisor/service.py").read_text(encoding="utf-8")
    acted_on = set(re.findall(r"signal\.SIG(\w+):", service))
    rows = re.findall(r"^\| (`[A-Z0-9`, ]+`) \|", (ROOT / "docs/operating.md").read_text(), re.M)
    assert len(acted_on) >= 8
    assert acted_on == set(re.findall(r"[A-Z0-9]+", " ".join(rows)))
