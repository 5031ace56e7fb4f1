"""breezeway shell: a console on a terminal, a script from a pipe."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DEADLINE_SECONDS = 30.0

SHOP = """
from breezeway.web import App
app = App()

@app.get("/orders/{id:int}")
def order(id):
    return f"order {id}"
"""

PLAIN = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("breezeway.request_id", "no id").encode()]
"""

IPYTHON = """
def start_ipython(argv, user_ns, config):
    print("this is IPython", argv, sorted(user_ns), config.TerminalInteractiveShell.banner1)
"""

CONFIG = """
from types import SimpleNamespace

def Config():
    return SimpleNamespace(TerminalInteractiveShell=SimpleNamespace())
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Give a directory with applications."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


def piped(script: str, *arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with a script for standard input."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "breezeway", "shell", *arguments],
        cwd=directory,
        input=script,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


class TestScript:
    def test_has_names(self, directory: Path) -> None:
        """The application, a client of it, and url_for are there; what is printed is all there is."""
        done = piped(
            "def ask(id):\n    return client.get(url_for('order', id=id)).text\n"
            "print(ask(5), type(app).__name__)\n",
            "shop:app",
            directory=directory,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "order 5 App\n", "")

    def test_any_application(self, directory: Path) -> None:
        """Any application has a client; middleware of the settings is around it, not around `app`."""
        (directory / "breezeway.toml").write_text(
            'application = "plain:app"\n[[middleware]]\nuse = "RequestId"\n'
        )
        done = piped(
            "print('url_for' in globals(), len(client.get('/').text) > 10, app.__name__)\n",
            directory=directory,
        )
        assert (done.returncode, done.stdout) == (0, "False True app\n")

    def test_fails(self, directory: Path) -> None:
        """A script that raises ends with 1 and its own traceback."""
        done = piped("x = 1\nprint(x / 0)\n", "shop:app", directory=directory)
        assert done.returncode == 1
        assert done.stderr == (
            "Traceback (most recent call last):\n"
            '  File "<stdin>", line 2, in <module>\n'
            "ZeroDivisionError: division by zero\n"
        )

    def test_is_no_python(self, directory: Path) -> None:
        """So does what is no Python."""
        done = piped("x = = 1\n", "shop:app", directory=directory)
        assert done.returncode == 1
        assert 'File "<stdin>", line 1' in done.stderr
        assert "shell.py" not in done.stderr

    def test_exit_status(self, directory: Path) -> None:
        """A script may choose its exit status."""
        assert piped("raise SystemExit(9)\n", "shop:app", directory=directory).returncode == 9

    def test_mistakes(self, directory: Path) -> None:
        """What cannot be loaded is told as by the other commands."""
        done = piped("", "shop:ap", directory=directory)
        assert done.returncode == 3
        assert "has no attribute 'ap'" in done.stderr


class Terminal:
    """The command on a terminal."""

    def __init__(self, directory: Path, *arguments: str, path: str = "") -> None:
        ours, theirs = pty.openpty()
        self._fd = ours
        self.process = subprocess.Popen(
            [sys.executable, "-m", "breezeway", "shell", *arguments],
            cwd=directory,
            env={**os.environ, "TERM": "dumb", "NO_COLOR": "1", "PYTHONPATH": path or _path()},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""

    def wait_for(self, what: str) -> None:
        """Read until something is shown that was not when this was called last."""
        ends = time.monotonic() + DEADLINE_SECONDS
        while what not in self.text:
            left = ends - time.monotonic()
            assert left > 0, self.text
            if select.select([self._fd], [], [], left)[0]:
                try:
                    self.text += os.read(self._fd, 65536).decode()
                except OSError:  # the other end is closed
                    assert what in self.text, self.text
        self.text = self.text.partition(what)[2]

    def type(self, text: str) -> None:
        """Type."""
        os.write(self._fd, text.encode())

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


def _path() -> str:
    return os.environ.get("PYTHONPATH", "")


@pytest.fixture
def open_terminal(directory: Path) -> Iterator[Callable[..., Terminal]]:
    """Give what opens a terminal, which the end of the test closes."""
    made: list[Terminal] = []

    def opened(*arguments: str, path: str = "") -> Terminal:
        made.append(Terminal(directory, *arguments, path=path))
        return made[-1]

    yield opened
    for each in made:
        each.close()


class TestConsole:
    def test_speaks(self, open_terminal: Callable[..., Terminal]) -> None:
        """It says what there is, answers, and ends with 0."""
        terminal = open_terminal("shop:app", "--plain")
        terminal.wait_for("client   asks it")
        terminal.wait_for(">>> ")
        terminal.type("client.get(url_for('order', id=6 * 7)).text\n")
        terminal.wait_for("order 42")
        terminal.type("1 / 0\n")
        terminal.wait_for("ZeroDivisionError")
        terminal.wait_for(">>> ")
        terminal.type("\x04")
        assert terminal.process.wait(DEADLINE_SECONDS) == 0

    @pytest.mark.parametrize("arguments", [(), ("--plain",)])
    def test_ipython(
        self, open_terminal: Callable[..., Terminal], tmp_path: Path, arguments: tuple[str, ...]
    ) -> None:
        """It is IPython's where that is installed, unless it shall be plain."""
        packages = tmp_path / "packages"
        (packages / "traitlets").mkdir(parents=True)
        (packages / "traitlets" / "__init__.py").touch()
        (packages / "traitlets" / "config.py").write_text(CONFIG)
        (packages / "IPython.py").write_text(IPYTHON)
        path = os.pathsep.join(filter(None, [str(packages), _path()]))
        terminal = open_terminal("shop:app", *arguments, path=path)
        if arguments:
            terminal.wait_for(">>> ")
        else:
            terminal.wait_for("this is IPython [] ['__builtins__', '__name__', 'app', 'client'")
            terminal.wait_for("client   asks it")
            assert terminal.process.wait(DEADLINE_SECONDS) == 0


def test_bytes_that_are_no_text(directory: Path) -> None:
    """A script that is not UTF-8 is told as Python tells it."""
    done = subprocess.run(
        [sys.executable, "-m", "breezeway", "shell", "shop:app"],
        cwd=directory,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        input=b'print("\xff")',
        capture_output=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 1
    assert b"SyntaxError: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_no_standard_input(directory: Path) -> None:
    """Without a standard input there is no console, and no traceback of ours."""
    command = f'exec "{sys.executable}" -m breezeway shell shop:app <&-'
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("breezeway: error: the standard input is closed")
