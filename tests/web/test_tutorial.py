"""The tutorial, done line by line: its files are written, its commands typed, their output compared.

A block of code stands after a line such as "Write `app.py`:", "Add to `app.py`:" (at the end), or "Change
`app.py`:", which is for a diff. A block ```console has commands after `$ `, and what they print; `^C` is
typed to the server. A command that prints "Serving" stays where it is, and what follows is typed into
another terminal; a block without a command is what the server has printed meanwhile. `...` stands for
anything within a line, and alone for any lines.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import random
import re
import shlex
import shutil
import socket
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

import breezeway

from ..process.server import eventually
from .terminal import INTERRUPT, Terminal

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent.parent
TUTORIAL = ROOT / "docs" / "web" / "tutorial.md"
PORT = "8000"
"""Of the page; a free one takes its place."""

PORTS = range(20_000, 32_000)

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOLD = re.compile(r"(Write|Add\s+to|Change)\s+`([^`]+)`:\s*\Z")
INSTALL = re.compile(r"pip install --quiet ([^|;&]+)")

REQUEST_LINE = re.compile(r"^[\d:.]+ [A-Z]+ +\S+ \d{3} .*s\n", re.MULTILINE)
"""Which the server has printed for the requests before it is interrupted."""

VENV = "python3 -m venv .venv"

WATCHED = (".py", ".html", ".toml")
"""What the server loads anew for."""

CONSOLE_SCRIPT = """\
#!{venv}/bin/python
import sys
from breezeway.cli import main
sys.exit(main())
"""


class Block(NamedTuple):
    """A block of the page."""

    line: int
    language: str
    text: str
    told: str
    """What to do with a file: Write, Add to, Change; nothing for a console."""
    path: str


def blocks(page: str) -> Iterator[Block]:
    """Return the blocks; each must say what it is."""
    before = 0
    for match in BLOCK.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        told = TOLD.search(page[before : match.start()])
        assert (told is None) == (match[1] == "console"), f"line {line}: what is this block?"
        if told is None:
            yield Block(line, match[1], match[2], "", "")
        else:
            assert (match[1] == "diff") == (told[1] == "Change"), f"line {line}"
            yield Block(line, match[1], match[2], " ".join(told[1].split()), told[2])
        before = match.end()


def changed(text: str, diff: str) -> str:
    """Apply a diff, whose hunks have `@@` between; each must fit in one place."""
    for hunk in diff.split("@@\n"):
        lines = [(line[:1], line[1:]) for line in hunk.splitlines()]
        assert {mark for mark, _ in lines} <= {"", " ", "-", "+"}, hunk
        old = "".join(f"{line}\n" for mark, line in lines if mark != "+")
        new = "".join(f"{line}\n" for mark, line in lines if mark != "-")
        assert old != new, hunk
        assert f"\n{text}".count(f"\n{old}") == 1, f"this is there not once:\n{old}\nin\n{text}"
        text = f"\n{text}".replace(f"\n{old}", f"\n{new}")[1:]
    return text


def pattern_of(shown: str) -> str:
    """Make a regular expression of the lines of an output."""
    return "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*?") + r"\n"
        for line in shown.splitlines()
    )


def free_port() -> str:
    """Choose a port that stays free while servers come and go: not one of those for clients."""
    while True:
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", random.choice(PORTS)))
            return str(taken.getsockname()[1])


class Reader:
    """Somebody who does what the tutorial says."""

    def __init__(self, directory: Path) -> None:
        self._port = free_port()
        self.directory = directory
        self._terminals: list[Terminal] = []
        self._server: Terminal | None = None
        self._processes = 0
        """How many the server has between reloads; 0 if it does not watch its files."""
        self._unsaved: dict[Path, str] = {}
        """What was edited since the last command: a reload for each line of the page takes too long."""
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "COLUMNS": "110",
            "NO_COLOR": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "BREEZEWAY_BIND": f"127.0.0.1:{self._port}",
            "VIRTUAL_ENV_DISABLE_PROMPT": "1",
        }

    def close(self) -> None:
        """Close all terminals."""
        for each in self._terminals:
            each.close()

    def do(self, block: Block) -> None:
        """Do what a block says."""
        if block.language != "console":
            self._edit(block)
            return
        self._save()
        # Each part begins with a command, but for the first, which may be of the server.
        parts = re.split(r"^(?=\$ )", block.text, flags=re.MULTILINE)
        if parts[0]:
            self._look(parts[0])
        for part in parts[1:]:
            command, output = re.fullmatch(r"\$ (.*(?:(?<=[\\|])\n.*)*\n)([\s\S]*)", part).groups()
            self._type(command.rstrip("\n"), output)

    # --- files ----------------------------------------------------------------------------------

    def _edit(self, block: Block) -> None:
        path = self.directory / block.path
        old = self._unsaved.get(path) or (path.read_text() if path.exists() else None)
        assert (old is None) == (block.told == "Write"), f"{path} is there, or is not"
        if old is None:
            self._unsaved[path] = block.text
        elif block.told == "Add to":
            self._unsaved[path] = f"{old}\n\n{block.text}"
        else:
            self._unsaved[path] = changed(old, block.text)

    def _save(self) -> None:
        """Write what was edited, and wait until it is served."""
        is_watched = False
        for path, text in self._unsaved.items():
            path.parent.mkdir(exist_ok=True)
            new = path.with_name(".new")
            new.write_text(text)
            new.replace(path)
            if self._server and self._processes and path.suffix in WATCHED:
                name = re.escape(str(path.relative_to(self.directory)))
                self._server.wait_for(rf"INFO .* {name} changed\n")
                is_watched = True
        self._unsaved = {}
        if is_watched:
            self._wait_for_reload()

    def _wait_for_reload(self) -> None:
        """Wait for the reload that comes after the last change."""
        server = self._server
        assert server is not None
        server.wait_for(r"INFO .* reloading app:app\n")
        server.wait_for(r"(reloaded .* in|cannot be loaded).*\n")
        # What was served before may take a connection until it has heard of that.
        eventually(lambda: len(server.processes()) == self._processes, "the end of the old worker")

    # --- terminals ------------------------------------------------------------------------------

    def _look(self, shown: str) -> None:
        """See what the server has printed since somebody looked, or prints when it is interrupted."""
        assert self._server is not None
        if not shown.startswith("^C\n"):
            self._wait(self._server, shown)
            return
        self._server.type(INTERRUPT)
        printed = REQUEST_LINE.sub("", self._server.finish())
        self._compare(shown.removeprefix("^C\n"), printed)
        self._server, self._processes = None, 0

    def _type(self, command: str, shown: str) -> None:
        command = command.replace(PORT, self._port)
        if "pip install" in command:
            self._install(command)
            return
        terminal = next((each for each in self._terminals if not each.is_busy), None)
        if terminal is None:
            terminal = Terminal(self.directory, self._environ, self._terminals)
        if command == VENV:
            command = f"{shlex.quote(sys.executable)} -m venv --without-pip .venv"
        terminal.type(command)
        if re.search("^Serving", shown, re.MULTILINE):
            self._wait(terminal, shown)
            self._server = terminal
            self._processes = len(terminal.processes()) if "Watching" in shown else 0
            return
        self._compare(shown, terminal.finish())
        entered = re.fullmatch(r"cd (\S+)", command)
        if entered:
            self.directory /= entered[1]

    def _wait(self, terminal: Terminal, shown: str) -> None:
        terminal.wait_for("^" + pattern_of(shown.replace(PORT, self._port)))

    def _compare(self, shown: str, printed: str) -> None:
        printed = "".join(f"{line.rstrip()}\n" for line in printed.rstrip().splitlines())
        fits = re.fullmatch(pattern_of(shown.replace(PORT, self._port)), printed) is not None
        assert fits, f"shown:\n{shown}\nprinted:\n{printed}"

    def _install(self, command: str) -> None:
        """Let what is asked for be found, with all that it needs, and nothing else."""
        asked = INSTALL.fullmatch(command)
        assert asked, command
        venv = self.directory / ".venv"
        (packages,) = (venv / "lib").glob("python*/site-packages")
        for distribution in needed([each.strip("'") for each in asked[1].split()]):
            for file in {
                each.parts[0] for each in distribution.files or () if ".." not in each.parts
            }:
                if not (packages / file).exists():
                    (packages / file).symlink_to(distribution.locate_file(file))
        (packages / "breezeway").symlink_to(Path(breezeway.__file__).parent)
        script = venv / "bin" / "breezeway"
        script.write_text(CONSOLE_SCRIPT.format(venv=venv))
        script.chmod(0o755)


def needed(asked: list[str]) -> list[importlib.metadata.Distribution]:
    """Return what pip would install for some requirements; breezeway's own are of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [Requirement(each) for each in asked]
    while waiting:
        requirement = waiting.pop()
        if requirement.name == "breezeway":
            waiting += map(Requirement, project["dependencies"])
            for extra in requirement.extras:
                waiting += map(Requirement, project["optional-dependencies"][extra])
        elif requirement.name not in found:
            distribution = importlib.metadata.distribution(requirement.name)
            found[requirement.name] = distribution
            for each in map(Requirement, distribution.requires or ()):
                if each.marker is None or each.marker.evaluate({"extra": ""}):
                    waiting.append(each)
    return [*found.values()]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Give somebody in an empty directory."""
    reader = Reader(tmp_path)
    yield reader
    reader.close()


@pytest.mark.skipif(
    shutil.which("curl") is None and "CI" not in os.environ, reason="there is no curl"
)
def test_tutorial(reader: Reader) -> None:
    """Each block does what the page says that it does."""
    for block in blocks(TUTORIAL.read_text(encoding="utf-8")):
        try:
            reader.do(block)
        except AssertionError as error:
            raise AssertionError(f"{TUTORIAL.name}, block at line {block.line}: {error}") from None


PAGE = """\
Write `a.txt`:

```text
one
two
```

Change `a.txt`:

```diff
 one
-two
+three
```

```console
$ cat a.txt && echo four \\
    five; seq 9
one
th...
four five
...
9
$ export NAME=Ada
$ echo $NAME
Ada
```
"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("", ""),
        ("-two", "-too"),
        (" one\n", " none\n"),
        ("+three", "+tree"),
        ("\nth...", "\nthe..."),
        ("four five", "four"),
        ("\n9\n", "\n8\n"),
        ("NAME\nAda", "NAME\nBob"),
        ("$ export", "$ exprot"),
        ("Change `a.txt`", "Change it"),
        ("Write `a.txt`", "Write `b.txt`"),
        ("```text", "```console"),
    ],
)
def test_what_is_wrong_is_found(reader: Reader, right: str, wrong: str) -> None:
    """A page passes as it is; with a fault in a file, a change, a command or an output it does not."""
    page = PAGE.replace(right, wrong, 1)
    try:
        for block in blocks(page):
            reader.do(block)
    except (AssertionError, OSError):
        assert page != PAGE
    else:
        assert page == PAGE
