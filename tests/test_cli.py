"""The command line, in processes of its own: messages, exit codes, what reaches the server."""

import errno
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request

import pytest

from breezeway import serving
from breezeway.cli import main
from breezeway.errors import UserError

DEADLINE = 30  # seconds

# What serves is not the subject here: a stand-in writes down what it was called with.
STAND_IN = """
import json, sys, types

def supervise(resolve, load, name=None):
    resolved = resolve()
    application = load(resolved)
    settings = resolved.settings
    print(json.dumps({
        "result": application({}, None) if application.__module__ == "shop" else "demo",
        "name": resolved.application if name is None else name,
        "bind": settings.bind,
        "threads": settings.threads,
        "access_log": settings.access_log,
    }))
    return 7

import breezeway
serving = types.ModuleType("breezeway.serving")
serving.supervise = supervise
sys.modules["breezeway.serving"] = breezeway.serving = serving

from breezeway.cli import main
main()
"""

SHOP = """
def application(environ, start_response):
    return "shop"

def make_app(name):
    def application(environ, start_response):
        return name
    return application
"""


@pytest.fixture
def directory(tmp_path):
    """Give a directory with an application in it."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def run(*args, cwd, **environ):
    """Run the command with the stand-in server."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", STAND_IN, *args],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def on_terminal(*args, cwd, **environ):
    """Run the command with a terminal for standard error; return what it shows there."""
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", STAND_IN, *args],
            cwd=cwd,
            env={**os.environ, **environ},
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            timeout=DEADLINE,
            check=False,
        )
        return os.read(ours, 65536).decode()
    finally:
        os.close(theirs)
        os.close(ours)


COMMANDS = ["dev", "routes", "shell", "check", "config", "migrate", "ctl", "collect", "new"]

HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


@pytest.fixture
def serve(directory):
    """Return a function that starts a real server, which the end of the test kills."""
    (directory / "hello.py").write_text(HELLO)
    started = []

    def function(*args, **how):
        command = [sys.executable, "-W", "error", "-m", "breezeway", "hello", *args]
        how = {"cwd": directory, "stderr": subprocess.PIPE, "text": True, **how}
        started.append(subprocess.Popen(command, **how))
        return started[-1]

    yield function
    for server in started:
        server.kill()
        server.communicate()


class TestServe:
    @pytest.mark.parametrize(
        ("args", "result"),
        [
            (["shop:application"], "shop"),
            (["serve", "shop:application"], "shop"),
            (["shop"], "shop"),
            (["shop:make_app('toys')"], "toys"),
            (["--threads", "8", "shop"], "shop"),
            (["serve", "--threads", "8", "shop"], "shop"),
        ],
    )
    def test_serves_the_application(self, directory, args, result):
        """The application is served, with and without the word `serve`, options before or after."""
        done = run(*args, "--bind", "127.0.0.1:0", cwd=directory)
        assert f'"result": "{result}"' in done.stdout
        assert '"access_log": false' in done.stdout

    @pytest.mark.parametrize("args", [(), ("serve",), ("--threads", "3")])
    def test_serves_the_application_of_the_file(self, directory, args):
        """Without an argument it is that of breezeway.toml."""
        (directory / "breezeway.toml").write_text('application = "shop"\nbind = "127.0.0.1:0"\n')
        assert '"result": "shop"' in run(*args, cwd=directory).stdout

    def test_exit_code_is_the_servers(self, directory):
        """The exit code is what the server returned."""
        assert run("shop", "--bind", "127.0.0.1:0", cwd=directory).returncode == 7

    def test_options_reach_the_server(self, directory):
        """What the options say is what the server gets."""
        done = run(
            *("shop", "--app-dir", str(directory), "--bind", "127.0.0.1:0"),
            *("--threads", "3", "--access-log"),
            cwd="/",
        )
        assert '"threads": 3' in done.stdout
        assert '"access_log": true' in done.stdout

    def test_for_real(self, serve):
        """Without a stand-in: the line with the URL, an answer, SIGTERM, exit code 0."""
        server = serve("--bind", "127.0.0.1:0")
        url = server.stderr.readline().split()[-1]
        with urllib.request.urlopen(url, timeout=DEADLINE) as response:
            assert response.read() == b"hello"
        server.terminate()
        assert server.wait(DEADLINE) == 0

    def test_reload_follows_the_link_to_a_new_release(self, serve, tmp_path):
        """A working directory that is a link is entered anew by a reload."""
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "hello.py").write_text(HELLO.replace('b"hello"', f'b"{name}"'))
        link = tmp_path / "current"
        link.symlink_to("one")
        server = serve("--bind", "127.0.0.1:0", cwd=link, env={**os.environ, "PWD": str(link)})
        url = server.stderr.readline().split()[-1]
        with urllib.request.urlopen(url, timeout=DEADLINE) as response:
            assert response.read() == b"one"
        link.unlink()
        link.symlink_to("two")
        server.send_signal(signal.SIGHUP)
        ends = time.monotonic() + DEADLINE
        answer = b""
        while answer != b"two":
            assert time.monotonic() < ends, "the new release does not answer"
            with urllib.request.urlopen(url, timeout=DEADLINE) as response:
                answer = response.read()

    def test_one_line_for_each_listener(self, serve, directory):
        """The start is one line for each listener, with the real port; a socket's file goes again."""
        unix = f"unix:{directory}/shop.sock"
        server = serve("--bind", "127.0.0.1:0", "--bind", unix)
        line = server.stderr.readline()
        assert re.fullmatch(r"Serving hello on http://127\.0\.0\.1:[1-9]\d+\n", line)
        assert server.stderr.readline() == f"Serving hello on {unix}\n"
        assert (directory / "shop.sock").exists()
        server.terminate()
        server.wait(DEADLINE)
        assert not (directory / "shop.sock").exists()

    def test_inherited_socket(self, serve):
        """fd://N serves a socket that the parent process opened."""
        with socket.create_server(("127.0.0.1", 0)) as parent:
            server = serve("--bind", f"fd://{parent.fileno()}", pass_fds=[parent.fileno()])
            assert f"http://127.0.0.1:{parent.getsockname()[1]}\n" in server.stderr.readline()

    @pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
    def test_colour_on_a_terminal(self, serve, no_color, coloured):
        """On a terminal the URL has a colour, unless NO_COLOR is set."""
        ours, theirs = pty.openpty()
        environ = {**os.environ, "TERM": "xterm", "NO_COLOR": no_color}
        try:
            serve("--bind", "127.0.0.1:0", stderr=theirs, text=False, env=environ)
            line = b""
            while b"\n" not in line:
                assert select.select([ours], [], [], DEADLINE)[0], "no line in time"
                line += os.read(ours, 65536)
        finally:
            os.close(theirs)
            os.close(ours)
        assert (b"\x1b[" in line) is coloured


class TestSources:
    def test_file(self, directory):
        """breezeway.toml says what to serve and how; a flag wins."""
        (directory / "breezeway.toml").write_text(
            'application = "shop:make_app(\\"toys\\")"\n'
            'bind = "127.0.0.1:0"\nthreads = 3\naccess_log = true\n'
        )
        done = run("serve", cwd=directory)
        assert '"result": "toys"' in done.stdout
        assert '"threads": 3, "access_log": true' in done.stdout
        done = run("shop", "--threads", "4", cwd=directory)
        assert '"result": "shop"' in done.stdout
        assert '"threads": 4, "access_log": true' in done.stdout

    def test_other_file(self, directory):
        """--config names another file."""
        (directory / "other.toml").write_text('bind = "127.0.0.1:0"\nthreads = 5\n')
        assert '"threads": 5' in run("--config", "other.toml", "shop", cwd=directory).stdout

    def test_environment(self, directory):
        """Variables say the same; the demo listens to them, too."""
        environ = {"BREEZEWAY_BIND": "127.0.0.1:0", "BREEZEWAY_APPLICATION": "shop"}
        assert '"result": "shop"' in run("serve", cwd=directory, **environ).stdout
        assert '"result": "demo"' in run("demo", cwd=directory, **environ).stdout

    @pytest.mark.parametrize(
        ("toml", "environ", "message"),
        [
            ("thread = 3\n", {}, "breezeway.toml, line 1: there is no setting 'thread'."),
            ("\nthreads = 3x\n", {}, "breezeway.toml, line 2, column 12: this is not TOML"),
            ("threads = 0\n", {}, "breezeway.toml, line 1: threads must be at least 1."),
            ("", {"BREEZEWAY_THREAD": "3"}, "there is no setting BREEZEWAY_THREAD."),
            ("", {"BREEZEWAY_THREADS": "x"}, "BREEZEWAY_THREADS: 'x' is not a whole number."),
        ],
    )
    def test_mistake(self, directory, toml, environ, message):
        """A mistake in a source is exit code 2 and a sentence that says where."""
        (directory / "breezeway.toml").write_text(toml)
        done = run("shop", cwd=directory, **environ)
        assert done.returncode == 2
        assert done.stderr.startswith(f"breezeway: error: {message}")

    def test_no_directory(self, directory):
        """A working directory that is gone is a sentence."""
        gone = directory / "gone"
        gone.mkdir()
        command = [sys.executable, "-m", "breezeway", "shop"]
        done = subprocess.run(
            ["/bin/sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(gone), *command],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr == "breezeway: error: the working directory is not there any more.\n"


class TestDemo:
    def test_serves_the_demo(self, tmp_path):
        """`breezeway demo` serves the demo and logs each request."""
        done = run("demo", "--bind", "127.0.0.1:0", cwd=tmp_path)
        assert '"result": "demo", "name": "the demo"' in done.stdout
        assert '"access_log": true' in done.stdout

    def test_access_log_can_be_off(self, tmp_path):
        """The demo's access log can be turned off."""
        done = run("demo", "--bind", "127.0.0.1:0", "--no-access-log", cwd=tmp_path)
        assert '"access_log": false' in done.stdout


class TestColour:
    @pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
    def test_errors(self, directory, no_color, coloured):
        """On a terminal errors have a colour, unless NO_COLOR is set."""
        environ = {"TERM": "xterm", "NO_COLOR": no_color}
        assert ("\x1b[" in on_terminal("nothing", cwd=directory, **environ)) is coloured


class TestMistakes:
    def mistake(self, *args, cwd):
        """Run in vain; return the exit code and what standard error says."""
        done = run(*args, cwd=cwd)
        assert not done.stdout
        assert "breezeway/" not in done.stderr, "a traceback of ours"
        return done.returncode, done.stderr

    def test_nothing_at_all(self, directory):
        """Without an application there is nothing to serve."""
        code, text = self.mistake(cwd=directory)
        assert code == 2
        assert text == (
            "breezeway: error: which application shall be served?\n"
            "hint: Name it, as in 'breezeway shop.wsgi:application', or set 'application' in"
            " breezeway.toml. 'breezeway --help' explains.\n"
        )

    def test_no_application(self, directory):
        """Nor is there with options alone."""
        code, text = self.mistake("--threads", "3", cwd=directory)
        assert code == 2
        assert "which application shall be served?" in text
        assert "or set 'application' in breezeway.toml." in text

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (["shop", "--thread", "3"], "No such option"),
            (["shop", "--threads"], "Option '--threads' requires an argument"),
            (["shop", "--threads", "0"], "Invalid value for '--threads': must be at least 1"),
            (["shop", "--bind", "x"], "Invalid value for '--bind': 'x' is not an address"),
            (["shop", "other"], "Got unexpected extra argument (other)"),
            (["shop:", "--threads", "3"], "'shop:' does not name an application."),
            (["sevre", "shop"], "there is no command 'sevre'.\nhint: Did you mean 'serve'?"),
            (["dev-certs"], "there is no command 'dev-certs'.\nhint: Did you mean 'dev-cert'?"),
            (["shop.py"], "'shop.py' is a path"),
            (["demo", "--app-dir", "x"], "No such option"),
            (["shop", "--daemon"], "Breezeway does not detach itself: a process that does"),
            (["-D", "shop"], "Breezeway does not detach itself: a process that does"),
        ],
    )
    def test_usage(self, directory, args, message):
        """A wrong command line is exit code 2 and a sentence."""
        code, text = self.mistake(*args, cwd=directory)
        assert code == 2
        assert text.startswith(f"breezeway: error: {message}")
        assert "hint: " in text

    def test_no_such_module(self, directory):
        """A module that is not there is exit code 3, a sentence and a hint."""
        code, text = self.mistake("shpo:application", cwd=directory)
        assert code == 3
        assert text == (
            f"breezeway: error: there is no module 'shpo' in {directory},"
            " nor among the installed packages.\n"
            "hint: Did you mean 'shop'?\n"
        )

    def test_application_fails_at_import(self, directory):
        """An application that fails at import: its own traceback, then the sentence."""
        (directory / "broken.py").write_text("def f():\n    1 / 0\nf()\n")
        code, text = self.mistake("broken", cwd=directory)
        assert code == 3
        lines = re.sub(r"\n +[\^~]+", "", text).splitlines()
        assert (
            lines
            == textwrap.dedent(
                f"""\
            Traceback (most recent call last):
              File "{directory}/broken.py", line 3, in <module>
                f()
              File "{directory}/broken.py", line 2, in f
                1 / 0
            ZeroDivisionError: division by zero
            breezeway: error: importing 'broken' failed with ZeroDivisionError."""
            ).splitlines()
        )

    def test_port_taken(self, serve):
        """A port that is taken is exit code 4, and the option is named."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            spec = f"127.0.0.1:{other.getsockname()[1]}"
            server = serve("--bind", spec)
            _, text = server.communicate(timeout=DEADLINE)
        assert server.returncode == 4
        assert text.startswith(f"breezeway: error: cannot listen on {spec} (--bind): port ")

    def test_interrupt_at_import(self, directory):
        """Ctrl-C while the application is imported ends quietly."""
        (directory / "slow.py").write_text("raise KeyboardInterrupt")
        code, text = self.mistake("slow", cwd=directory)
        assert code == 130
        assert not text.strip()


class TestHelp:
    def help(self, *args, cwd):
        """Run for the help."""
        done = run(*args, cwd=cwd)
        assert done.returncode == 0
        assert not done.stderr
        return done.stdout

    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_help_has_usage_examples_and_groups(self, tmp_path, flag):
        """The help shows forms, examples, commands, and the options in groups."""
        text = self.help(flag, cwd=tmp_path)
        assert text.startswith("Usage: breezeway [MODULE:NAME] [OPTIONS]\n")
        headings = re.findall(r"^(\S.*):$", text, re.MULTILINE)
        assert headings[:3] == ["Applications", "Examples", "Commands"]
        assert {"Where to listen", "Time limits", "Size limits", "Exit status"} <= set(headings)
        assert re.search(r"^  --version +Show the version", text, re.MULTILINE)
        assert all(len(line) <= 80 for line in text.splitlines())

    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_of_the_other_commands(self, tmp_path, command):
        """So do the others, and the help of all has a line for each."""
        assert self.help(command, "--help", cwd=tmp_path).startswith("Usage: ")
        assert re.search(rf"^  {command} +[A-Z]", self.help("--help", cwd=tmp_path), re.MULTILINE)

    @pytest.mark.parametrize("args", [("serve", "--help"), ("shop", "--help"), ("demo", "-h")])
    def test_help_of_a_command(self, tmp_path, args):
        """Each command's help has its options in groups."""
        text = self.help(*args, cwd=tmp_path)
        assert "Where to listen:\n  --bind ADDRESS" in text

    def test_version(self, tmp_path):
        """--version says which."""
        assert re.fullmatch(r"Breezeway \d+\.\d+\.\S+\n", self.help("--version", cwd=tmp_path))

    def test_module_is_the_command(self, tmp_path):
        """`python -m breezeway` is the command."""
        done = subprocess.run(
            [sys.executable, "-m", "breezeway", "--help"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
        assert done.stdout.startswith("Usage: breezeway [MODULE:NAME]")


def loaded_by(statement, *, beside=""):
    """Return the modules that a statement loads in a fresh interpreter, without those of `beside`."""
    program = (
        f"import sys{beside}; before = set(sys.modules); {statement};"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    return set(done.stdout.split())


def test_what_the_command_line_imports():
    """The command line loads nothing heavy: it stays in the server's memory."""
    loaded = loaded_by("import breezeway.cli")
    heavy = {"asyncio", "email", "http.client", "logging", "pathlib", "socket", "ssl", "tempfile"}
    assert not heavy & loaded
    assert not {name for name in loaded if name.startswith("breezeway.worker")}


def test_what_a_server_imports():
    """A server with its defaults loads nothing that few need: each worker pays for it."""
    server = (
        "breezeway.cli, breezeway.serving, breezeway.supervisor.service, breezeway.worker.process"
    )
    loaded = loaded_by(f"import {server}", beside=", click, logging")
    assert "breezeway.worker.reactor" in loaded
    assert not {"asyncio", "calendar", "ipaddress", "pathlib", "ssl", "urllib.parse"} & loaded
    assert not {"breezeway.config.view", "breezeway.observe.metrics"} & loaded


@pytest.mark.parametrize(("settle", "status"), [("terminal.settle()", 0), ("pass", 120)])
def test_nobody_reads_the_output(settle, status):
    """What cannot be written any more at the end does not change the exit status."""
    program = (
        f"import sys\nfrom breezeway import terminal\nsys.stdout.write('x')\n{settle}\nsys.exit(0)"
    )
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        stdout=write_end,
        stderr=subprocess.DEVNULL,
        timeout=DEADLINE,
        check=False,
    )
    os.close(write_end)
    assert done.returncode == status


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_output_on_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk is told in a sentence, and leaves the exit status alone."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as end:
            main(["--version"])
        monkeypatch.undo()
    assert end.value.code == UserError("").exit_code
    assert capsys.readouterr().err.endswith("cannot write: No space left on device.\n")


def test_no_descriptors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit on open files that is too low for a start is told in a sentence, with where to raise it."""

    def supervise(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(serving, "supervise", supervise)
    with pytest.raises(SystemExit) as end:
        main(["app"])
    assert end.value.code == UserError("").exit_code
    assert "cannot start: Too many open files.\nhint: Raise that limit" in capsys.readouterr().err
