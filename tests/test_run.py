"""`breezeway.run`: scripts that serve themselves, and start anew when they change."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

import breezeway
from breezeway import importer, running
from breezeway.config import options
from breezeway.config.settings import TABLE, Settings
from breezeway.errors import UsageError
from breezeway.testing import LiveServer

from .applications import plain
from .live import eventually

DEADLINE_SECONDS = 30

SCRIPT = """\
import breezeway

def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"one"]

if __name__ == "__main__":
    print("started as a script", flush=True)
breezeway.run(hello, bind="127.0.0.1:0", threads=3, reload=RELOAD)
"""


class Script:
    """A script that serves; `said` is what it has written to standard error so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = self.until("Serving")
        match = re.search(r"http://\S+", self.said)
        assert match is not None
        self.url = match[0]

    def until(self, text: str) -> str:
        """Read standard error up to the line with `text`."""
        assert self.process.stderr is not None
        read = ""
        for line in self.process.stderr:
            read += line
            if text in line:
                return read
        raise AssertionError(f"{text!r} is not in {read!r}")

    def get(self) -> tuple[int, str]:
        """Ask for the page."""
        try:
            with urllib.request.urlopen(self.url, timeout=DEADLINE_SECONDS) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@contextmanager
def running_script(*command: str, cwd: Path) -> Iterator[Script]:
    """Run a script that serves."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Script(process)
        finally:
            process.kill()


def write(directory: Path, text: str = SCRIPT, *, reload: bool = False) -> Path:
    """Write the script."""
    file = directory / "quick.py"
    file.write_text(text.replace("RELOAD", str(reload)))
    return file


def test_serves(tmp_path: Path) -> None:
    """The script prints the URL, logs requests, and ends in good order with Ctrl-C."""
    with running_script(str(write(tmp_path)), cwd=tmp_path) as script:
        assert script.get() == (200, "one")
        script.process.send_signal(signal.SIGINT)
        out, _ = script.process.communicate(timeout=DEADLINE_SECONDS)
        assert script.process.returncode == 0
        assert out.startswith("started as a script\n127.0.0.1 - - [")


class TestReload:
    def test_changes_are_served(self, tmp_path: Path) -> None:
        """The script is started anew at a change; a broken one is shown, and then it recovers."""
        file = write(tmp_path, reload=True)
        source = file.read_text()
        with running_script(str(file), cwd=tmp_path) as script:
            assert f"atching {tmp_path} " in script.said
            assert script.get() == (200, "one")
            file.write_text(source.replace("one", "three"))
            eventually(lambda: script.get() == (200, "three"), "the change")
            file.write_text(source.replace("def hello", "def hello hello"))

            def failure_is_shown() -> bool:  # and not that of a file that was seen half written
                status, body = script.get()
                return status == 500 and "SyntaxError" in body

            eventually(failure_is_shown, "the failure")
            file.write_text(source.replace("one", "fourth"))
            eventually(lambda: script.get() == (200, "fourth"), "the recovery")
            script.process.send_signal(signal.SIGINT)
            out, _ = script.process.communicate(timeout=DEADLINE_SECONDS)
            assert script.process.returncode == 0
            assert out.count("started as a script") == 1

    def test_module_of_a_package(self, tmp_path: Path) -> None:
        """A script that was started with `python -m` is imported by the same name."""
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop/__init__.py").write_text("")
        write(tmp_path / "shop", SCRIPT + "from . import __name__", reload=True)
        with running_script("-m", "shop.quick", cwd=tmp_path) as script:
            assert "shop.quick:hello" in script.said
            assert script.get() == (200, "one")


def test_import_does_not_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the command line imports a script, the call in it returns at once."""
    write(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    assert not importer.is_loading()
    application = importer.load("quick:hello", str(tmp_path))
    del sys.modules["quick"]
    assert application.__name__ == "hello"
    assert not importer.is_loading()


def script_module(monkeypatch: pytest.MonkeyPatch, file: Path | None, **names: Any) -> None:
    """Let `__main__` be a module with that file and those names."""
    module = ModuleType("__main__")
    module.__dict__.update(names)
    if file is not None:
        file.parent.mkdir(exist_ok=True)
        file.touch()
        module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, "__main__", module)


class TestCommand:
    def test_command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The command names the script's module, its directory, and what was given."""
        app = plain(b"")
        script_module(monkeypatch, tmp_path / "quick.py", main=None, shop=app)
        command = running.command(app, {"bind": (":1", "unix:/x"), "threads": 3})
        assert command[0] == sys.executable
        assert command[command.index("-m") :] == [
            *("-m", "breezeway", "serve", "quick:shop"),
            *("--bind=:1", "--bind=unix:/x", f"--app-dir={tmp_path}", "--threads=3", "--reload"),
        ]

    def test_no_secrets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What other users can see has no password in it."""
        app = plain(b"")
        script_module(monkeypatch, tmp_path / "quick.py", app=app)
        command = running.command(app, {"certfile": "a", "keyfile_password": "geheim"})
        assert "--certfile=a" in command
        assert "geheim" not in " ".join(command)

    def test_usual_name_is_preferred(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of several names for the same application, the usual one is taken."""
        app = plain(b"")
        script_module(monkeypatch, tmp_path / "quick.py", found=app, app=app)
        assert "quick:app" in running.command(app, {})

    def test_options_mean_what_was_given(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The command line reads each setting back as the value that it had."""
        app = plain(b"")
        script_module(monkeypatch, tmp_path / "quick.py", app=app)
        given: dict[str, Any] = {
            "bind": ("127.0.0.1:0", "[::1]:0"),
            "access_log": False,
            "app_dir": str(tmp_path),
            "unix_mode": 0o660,
            "queue_timeout": 0.25,
            "limit_body": 3 * 1024**2,
            "root_path": "/--shop",
            "server_name": None,
            "log_level": "debug",
            "reload_dirs": ("a", "-b"),
        }
        command = running.command(app, given)
        parser = click.Command("serve", params=options.options())
        read = parser.make_context("serve", command[command.index("serve") + 2 :]).params
        values = {name: value for name, value in read.items() if value not in (None, ())}
        assert Settings(**values) == Settings(**given, reload=True)
        assert values.keys() <= {row.name for row in TABLE}

    def test_wrong_setting(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A value that a setting cannot have is told before anything is started."""
        app = plain(b"")
        script_module(monkeypatch, tmp_path / "quick.py", app=app)
        with pytest.raises(ValueError, match="threads must be at least 1"):
            breezeway.run(app, reload=True, threads=0)

    def test_without_a_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What has no name in the script cannot be imported again."""
        script_module(monkeypatch, tmp_path / "quick.py", app=plain(b""))
        with pytest.raises(UsageError, match="needs a name for the application") as caught:
            running.command(plain(b""), {})
        assert "Write 'app = ...'" in caught.value.hint

    @pytest.mark.parametrize("name", ["my-app.py", "app", "__main__.py", "2.py"])
    def test_file_that_cannot_be_imported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """A script whose name is not that of a module cannot be imported again."""
        app = plain(b"")
        script_module(monkeypatch, tmp_path / name, app=app)
        with pytest.raises(UsageError, match=f"cannot import '{re.escape(name)}'"):
            running.command(app, {})

    def test_without_a_script(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An interactive session has nothing that could be imported again."""
        app = plain(b"")
        script_module(monkeypatch, None, app=app)
        with pytest.raises(UsageError, match="interactive session"):
            running.command(app, {})


def test_mistake_is_told(tmp_path: Path) -> None:
    """A script whose application has no name ends with a sentence and the status of wrong usage."""
    file = write(tmp_path, "import breezeway\nbreezeway.run(lambda *_: [], reload=True)\n")
    done = subprocess.run(
        [sys.executable, str(file)], capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert done.returncode == 2
    assert done.stderr.startswith("breezeway: error: reload=True needs a name for the application")
    assert "Traceback" not in done.stderr


def test_what_is_no_application(capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be called is refused before anything is served."""
    with pytest.raises(SystemExit, match="2"):
        breezeway.serve(3, bind="127.0.0.1:0")  # type: ignore[arg-type]
    assert "3 is not a WSGI application" in capsys.readouterr().err
    with pytest.raises(TypeError, match="3 is not a WSGI application"):
        LiveServer(3)  # type: ignore[arg-type]


def test_interactive_session_goes_on(tmp_path: Path) -> None:
    """In an interactive session a mistake is told, and the session goes on."""
    lines = (
        "import breezeway",
        "breezeway.run(lambda *_: [], reload=True)",
        f"breezeway.run(lambda *_: [], bind='unix:{tmp_path}/nowhere/socket')",
        "print('still here')",
    )
    done = subprocess.run(
        [sys.executable, "-i"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        cwd=tmp_path,
    )
    assert done.stdout == "still here\n"
    assert "interactive session" in done.stderr
    assert "cannot listen" in done.stderr


RESTORED = """
import os, signal, threading, time
import breezeway
handlers = lambda: [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
def app(environ, start_response): ...
def stop():
    while handlers() == before:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
before = handlers()
threading.Thread(target=stop).start()
breezeway.serve(app, bind="127.0.0.1:0"{more})
print(handlers() == before)
"""


@pytest.mark.parametrize("more", ["", ", workers=1"])
def test_signals_are_restored(more: str) -> None:
    """After the server has stopped, Ctrl-C and SIGTERM do what they did before."""
    done = subprocess.run(
        [sys.executable, "-c", RESTORED.format(more=more)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.stdout == "True\n", done.stderr
