"""`breezeway ctl`, in processes of its own, against a fake supervisor on a real socket."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from breezeway import ctl, ctl_view

from .fake_supervisor import DEADLINE, STACKS, STATUS, TRACEBACK, Fake

# The command line looking for servers in a directory of the test.
COMMAND = """
import os
from breezeway import cli
from breezeway.supervisor import runtime_directory
runtime_directory.SYSTEM = os.environ["TEST_DIRECTORY"]
runtime_directory.TEMPORARY = ()
cli.main()
"""


@pytest.fixture
def directory():
    """Give a directory in which ctl looks for servers."""
    with tempfile.TemporaryDirectory(prefix="bw") as name:
        yield Path(name)


@pytest.fixture
def start(directory):
    """Give a function that starts a supervisor with that process id."""
    started = []

    def start_one(pid=4711, kind=Fake):
        started.append(kind(directory / f"{pid}.sock"))
        return started[-1]

    yield start_one
    for each in started:
        each.close()


@pytest.fixture
def supervisor(start):
    """Give a supervisor."""
    return start()


def environment(directory, **more):
    """Return the environment of ctl."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY", "TMPDIR", "NO_COLOR")
        and not name.startswith("BREEZEWAY_")
    }
    return {**kept, "TEST_DIRECTORY": str(directory), "TERM": "xterm", **more}


@pytest.fixture
def run(directory):
    """Give a function that runs ctl without a terminal."""

    def run_it(*args, **environ):
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", COMMAND, "ctl", *map(str, args)],
            cwd=directory,
            env=environment(directory, **environ),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    return run_it


@pytest.fixture
def on_terminal(directory):
    """Give a function that runs ctl on a terminal; it returns exit status and what is shown."""

    def run_it(*args, **environ):
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-c", COMMAND, "ctl", *map(str, args)],
            cwd=directory,
            env=environment(directory, **environ),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            shown = b""
            try:
                while data := os.read(ours, 65536):
                    shown += data
            except OSError:  # EIO: the other end is closed
                pass
            os.close(ours)
            return process.wait(DEADLINE), shown.decode().replace("\r\n", "\n")

    return run_it


def plain(text):
    """Take the colours away."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


class TestElsewhere:
    """Without a terminal: JSON for programs, lines for logs."""

    @pytest.mark.parametrize(
        ("args", "request_", "result"),
        [
            (["status"], {"command": "status"}, STATUS),
            (["stacks"], {"command": "stacks"}, STACKS),
            (["stacks", "4712"], {"command": "stacks", "pid": 4712}, STACKS),
            (["reload"], {"command": "reload"}, {"generation": 4}),
            (["scale", "3"], {"command": "scale", "workers": 3}, {"workers": 3}),
            (["recycle"], {"command": "recycle"}, {"recycled": [4712]}),
            (["recycle", "4712"], {"command": "recycle", "pid": 4712}, {"recycled": [4712]}),
            (["stop"], {"command": "stop", "now": False}, {"stopping": True}),
            (["stop", "--now"], {"command": "stop", "now": True}, {"stopping": True}),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_command(self, supervisor, run, args, request_, result):
        """Each command is one request, and its result is JSON on standard output."""
        done = run(*args)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == result
        assert supervisor.requests == [request_]

    def test_progress_is_lines(self, supervisor, run):
        """Progress is a line each on standard error, without terminal codes."""
        done = run("reload")
        assert done.stderr == "[1/2] 1 of 2 workers replaced\n[2/2] 2 of 2 workers replaced\n"

    def test_people_can_have_text(self, supervisor, run):
        """--no-json is for people who use a pager; it has no colour."""
        done = run("status", "--no-json")
        assert done.stdout.startswith("shop.wsgi:application  serving  up 2d 4h")
        assert "\x1b" not in done.stdout

    def test_stop_waits_for_the_end(self, supervisor, run):
        """When stop returns, the server has gone."""
        assert run("stop").returncode == 0
        assert not os.path.exists(supervisor.path)

    def test_stop_without_an_answer(self, start, run):
        """A supervisor that ends before it has answered has stopped, too."""

        class Hasty(Fake):
            def on_stop(self, _, caller):
                self._server._listener.close()
                self._server.clients.pop().close()

        start(kind=Hasty)
        done = run("stop")
        assert (done.returncode, json.loads(done.stdout)) == (0, {})


class TestTerminal:
    def test_status(self, supervisor, on_terminal):
        """A head line, the addresses, counters, and a row for each worker."""
        code, shown = on_terminal("status")
        assert code == 0
        assert plain(shown).splitlines() == [
            "shop.wsgi:application  serving  up 2d 4h  pid 4711  Breezeway 0.1",
            "  http://127.0.0.1:8000",
            "  unix:/run/shop.sock",
            "1 of 2 workers ready, 2 reloads, 1 failed reload",
            "counted: 12 limit.idle, 3 refused.400",
            "",
            "   PID  STATE  GEN    AGE  REQUESTS  CONNECTIONS  BUSY    MEMORY",
            "  4712  ready    3  1h 2m   1234567           64   3/8  38.3 MiB",
            "  4713  hung     3   7.2s         -            -   -/-         -",
        ]
        assert "\x1b[32mready\x1b[0m" in shown
        assert "\x1b[31mhung\x1b[0m" in shown

    def test_no_color(self, supervisor, on_terminal):
        """With NO_COLOR there is none."""
        assert "\x1b" not in on_terminal("status", NO_COLOR="1")[1]

    def test_json_on_a_terminal(self, supervisor, on_terminal):
        """--json is JSON on a terminal, too."""
        assert json.loads(on_terminal("status", "--json")[1]) == STATUS

    def test_stacks(self, supervisor, on_terminal):
        """What takes longest comes first; what a client sent cannot move the cursor."""
        code, shown = on_terminal("stacks")
        assert code == 0
        assert plain(shown).splitlines() == [
            "worker 4712",
            "  slow: GET /report?\N{REPLACEMENT CHARACTER}[2J for 1m 15s",
            '    File "shop.py", line 3, in report',
            "      time.sleep(99)",
            "  quick: GET / for 20ms",
            "  idle-1: no request",
            "    waiting",
            "",
            "worker 4713",
            "  no answer: it may hang",
        ]

    def test_progress_is_one_line(self, supervisor, on_terminal):
        """Progress is one line that changes and goes away; then a sentence."""
        code, shown = on_terminal("reload")
        assert code == 0
        assert "\r\x1b[K[1/2] 1 of 2 workers replaced\r\x1b[K[2/2] 2 of 2" in shown
        assert re.search(r"\r\x1b\[KReloaded in [\d.]+m?s\.\n$", shown)

    @pytest.mark.parametrize(
        ("args", "sentence"),
        [
            (["scale", "1"], "Scaled to 1 worker in"),
            (["scale", "3"], "Scaled to 3 workers in"),
            (["recycle", "4712"], "Replaced worker 4712 in"),
            (["recycle"], "Replaced every worker in"),
            (["stop"], "Stopped in"),
        ],
    )
    def test_sentence(self, supervisor, on_terminal, args, sentence):
        """Each operation ends with a sentence."""
        assert sentence in on_terminal(*args)[1]

    def test_time_of_an_upgrade(self, monkeypatch):
        """The time of an upgrade is that from its beginning, too."""
        clock = SimpleNamespace(now=10.0, monotonic=lambda: clock.now)

        def run(request, common, view):
            clock.now += 2.5
            return view({"pid": 7})

        monkeypatch.setattr(ctl, "time", clock)
        monkeypatch.setattr(ctl, "_run", run)
        assert ctl._upgrade() == "Upgraded to supervisor 7 in 2.5s."

    def test_closed_output(self, supervisor, directory):
        """Where nobody can read the result, the exit status tells."""
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" >&-', "-", sys.executable, "-c", COMMAND, "ctl", "status"],
            cwd=directory,
            env=environment(directory),
            stderr=subprocess.PIPE,
            timeout=DEADLINE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")


class TestChoice:
    def test_options_before_and_after(self, supervisor, run):
        """The options may stand on both sides of the command."""
        for args in (
            ("--socket", supervisor.path, "status"),
            ("status", "--socket", supervisor.path),
            ("--pid", 4711, "--no-json", "status"),
            ("--socket", "/nowhere", "status", "--socket", supervisor.path),
        ):
            assert run(*args).returncode == 0

    def test_several(self, start, run):
        """With several servers ctl says which, and does nothing to any."""
        supervisors = [start(), start(4720)]
        done = run("stop")
        assert done.returncode == 2
        line = "shop.wsgi:application  http://127.0.0.1:8000, unix:/run/shop.sock"
        assert done.stderr.splitlines() == [
            f"  --pid 4711  {line}",
            f"  --pid 4720  {line}",
            "breezeway: error: there are 2 servers; which one?",
            "hint: Choose one with --pid, or with --socket PATH.",
        ]
        assert [each.requests for each in supervisors] == [[{"command": "status"}]] * 2

    def test_pid(self, start, run):
        """--pid chooses one of several."""
        first, second = start(), start(4720)
        assert run("scale", "2", "--pid", "4720").returncode == 0
        assert (len(first.requests), len(second.requests)) == (0, 1)

    def test_settings(self, supervisor, start, run, directory):
        """The control_socket of the settings is the one to ask, if it is a path."""
        chosen = start("other")
        (directory / "breezeway.toml").write_text('control_socket = "other.sock"\n')
        assert run("scale", "2").returncode == 0
        assert (len(supervisor.requests), len(chosen.requests)) == (0, 1)
        assert run("scale", "2", "--pid", "4711").returncode == 0
        assert len(supervisor.requests) == 1

    @pytest.mark.parametrize("text", ['control_socket = "auto"', "control_sokcet = 1", "[[["])
    def test_settings_that_say_nothing(self, supervisor, run, directory, text):
        """Settings that leave it open, or are wrong, do not hide the server."""
        (directory / "breezeway.toml").write_text(text)
        assert run("scale", "2").returncode == 0

    def test_no_server(self, run):
        """Without a server it is a sentence, and exit status 1."""
        done = run("status")
        assert done.returncode == 1
        assert done.stderr.startswith("breezeway: error: no running server was found.\nhint: ")
        assert not done.stdout

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (("status", "--pid", "12"), "no supervisor with process id 12 was found."),
            (("status", "--socket", "/nowhere/x.sock"), "no server answers on /nowhere/x.sock."),
            (("stop", "--socket", "/nowhere/x.sock"), "no server answers on /nowhere/x.sock."),
            (("status", "--socket", "x" * 200), "cannot connect to xxxx"),
            (("status", "--socket", "file"), "no server answers on file."),
        ],
    )
    def test_not_that_one(self, supervisor, run, directory, args, message):
        """A server that is not there is a sentence, and exit status 1."""
        (directory / "file").write_text("")
        done = run(*args)
        assert done.returncode == 1
        assert f"breezeway: error: {message}" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
    def test_no_permission(self, supervisor, directory):
        """Another user is told that it may not."""
        directory.chmod(0o755)
        program = f"import os; os.setgid(65534); os.setuid(65534)\n{COMMAND}"
        # What comes late has to be imported before: the user cannot read it.
        program = "import breezeway.cli, breezeway.ctl_client, breezeway.ctl_view\n" + program
        program = "import breezeway.config.sources, breezeway.config.settings_file\n" + program
        for args, message in (
            (("--socket", supervisor.path), f"no permission for {supervisor.path}"),
            ((), "no running server was found"),
        ):
            done = subprocess.run(
                [sys.executable, "-c", program, "ctl", "status", *args],
                cwd=directory,
                env=environment(directory),
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
            assert (done.returncode, message in done.stderr) == (1, True), done.stderr


class TestFailure:
    def test_short(self, supervisor, run):
        """An operation that fails is a sentence on standard error, and exit status 1."""
        done = run("recycle", "1")
        assert done.returncode == 1
        assert done.stderr == (
            "breezeway: error: the recycle failed: there is no worker with the pid 1.\n"
        )
        assert not done.stdout

    def test_traceback(self, start, run, on_terminal):
        """What is long, as the traceback of new code, stands before the sentence."""

        class Broken(Fake):
            def on_reload(self, _, caller):
                caller.progress("0 of 2 workers replaced", 0, 2)
                caller.fail(TRACEBACK)

        start(kind=Broken)
        done = run("reload")
        assert done.returncode == 1
        assert done.stderr.endswith(f"{TRACEBACK}\nbreezeway: error: the reload failed.\n")
        code, shown = on_terminal("reload")
        assert code == 1
        assert plain(shown).endswith(f"\r\x1b[K{TRACEBACK}\nbreezeway: error: the reload failed.\n")

    def test_control_characters(self, start, run):
        """What a failure says may come from a client, and is not meant for the terminal."""

        class Broken(Fake):
            def on_reload(self, _, caller):
                caller.fail("Traceback:\n  x \x1b]0;owned\x07\u202e")

            def on_scale(self, _, caller):
                caller.fail("no \x1b[31m")

        start(kind=Broken)
        shown = run("reload").stderr
        assert (
            shown
            == "Traceback:\n  x \ufffd]0;owned\ufffd\ufffd\nbreezeway: error: the reload failed.\n"
        )
        assert run("scale", "2").stderr == "breezeway: error: the scale failed: no \ufffd[31m\n"

    def test_supervisor_ends(self, start, run):
        """A supervisor that ends in the middle of an operation has not done it."""

        class Dying(Fake):
            def on_reload(self, _, caller):
                self._server.clients.pop().close()

        start(kind=Dying)
        done = run("reload")
        assert done.returncode == 1
        assert "ended the connection without an answer" in done.stderr

    def test_another_protocol(self, directory, run):
        """What answers something else is a sentence."""
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(directory / "1.sock"))
            other.listen()
            other.settimeout(DEADLINE)

            def answer():
                while True:
                    try:
                        client, _ = other.accept()
                    except TimeoutError:
                        return
                    with client:
                        if client.recv(1000):
                            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                            return

            thread = threading.Thread(target=answer)
            thread.start()
            done = run("status")
            thread.join(DEADLINE)
        assert done.returncode == 1
        assert "is not understood" in done.stderr

    def test_supervisor_that_hangs(self, directory, run):
        """A supervisor that does not answer is given up, where an answer takes no time."""
        program = COMMAND.replace(
            "cli.main", "import breezeway.ctl_client as c; c.ANSWER_SECONDS = 0.1\ncli.main"
        )
        with socket.socket(socket.AF_UNIX) as hung:
            hung.bind(str(directory / "1.sock"))
            hung.listen()
            done = subprocess.run(
                [sys.executable, "-c", program, "ctl", "status"],
                env=environment(directory),
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
        assert done.returncode == 1
        assert "the supervisor does not answer on" in done.stderr

    def test_interrupt(self, supervisor, directory):
        """Ctrl-C ends the waiting, says that the operation goes on, and is exit status 130."""
        with subprocess.Popen(
            [sys.executable, "-c", COMMAND, "ctl", "upgrade"],
            cwd=directory,
            env=environment(directory),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr.readline() == "[0/1] starting the new supervisor\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE) == 130
            said = process.stderr.read()
        assert said == "The upgrade goes on; 'breezeway ctl status' shows how far it is.\n"
        assert supervisor.waiting.is_set()


class TestUsage:
    @pytest.mark.parametrize(
        ("args", "message"),
        [
            ((), "Missing command."),
            (("restart",), "No such command 'restart'."),
            (("scale",), "Missing argument 'N'."),
            (("scale", "0"), "Invalid value for 'N'"),
            (("scale", "many"), "Invalid value for 'N'"),
            (("recycle", "x"), "Invalid value for '[PID]'"),
            (("status", "--pid", "0"), "Invalid value for '--pid'"),
            (("--socket", "/a", "stop", "--pid", "12"), "--socket and --pid both say which server"),
        ],
    )
    def test_mistake(self, run, args, message):
        """A wrong command line is exit code 2 and a sentence."""
        done = run(*args)
        assert done.returncode == 2
        assert f"breezeway: error: {message}" in done.stderr

    def test_help(self, run):
        """The help shows the commands and the common options."""
        text = run("--help").stdout
        for word in ("status", "reload", "scale", "stop", "stacks", "recycle", "upgrade"):
            assert re.search(rf"^  {word} ", text, re.MULTILINE)
        for flag in ("--socket PATH", "--pid N", "--json / --no-json"):
            assert flag in text
            assert flag in run("scale", "--help").stdout
        assert all(len(line) <= 80 for line in text.splitlines())


def test_what_the_command_imports():
    """Being one of the commands costs the server nothing: what ctl needs comes when it runs."""
    program = (
        "import breezeway.cli, sys; before = set(sys.modules); import breezeway.ctl;"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"json", "socket", "breezeway.ctl_client", "breezeway.supervisor"} & set(loaded)


class TestView:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (None, "-"),
            (0, "0ms"),
            (0.0421, "42ms"),
            (0.9999, "1.0s"),
            (9.94, "9.9s"),
            (10, "10s"),
            (59.9, "59s"),
            (60, "1m 0s"),
            (3599, "59m 59s"),
            (3600, "1h 0m"),
            (90_000, "1d 1h"),
            (400 * 86400, "400d 0h"),
        ],
    )
    def test_duration(self, seconds, text):
        """Durations have two units at most."""
        assert ctl_view.duration(seconds) == text

    def test_status_with_nothing_in_it(self):
        """A supervisor of another version that says less is shown all the same."""
        assert ctl_view.status({}).count("\n") == 1
        assert ctl_view.stacks({}) == ""
        assert "worker ?" in ctl_view.stacks({"workers": [{}]})

    def test_counters(self):
        """One and several are worded as people do."""
        text = ctl_view.status({"workers": [], "reloads": 1, "failed_reloads": 2, "deaths": 1})
        assert text.endswith("0 of 0 workers ready, 1 reload, 2 failed reloads, 1 worker died")

    def test_what_was_answered_and_what_workers_died_of(self):
        """Each in a line, and in words; a signal has its name."""
        metrics = {
            "requests": [
                {"method": "GET", "status": "2xx", "count": 1200},
                {"method": "POST", "status": "5xx", "count": 34},
            ],
            "durations": {"quantiles": {"0.5": 0.000416, "0.99": 1.5, "0.999": 2.0}},
        }
        causes = [
            {"cause": "boot", "detail": "3", "count": 1},
            {"cause": "boot", "detail": "timeout", "count": 1},
            {"cause": "exit", "detail": "1", "count": 2},
            {"cause": "hang", "detail": "", "count": 4},
            {"cause": "out_of_memory", "detail": "SIGKILL", "count": 2},
            {"cause": "signal", "detail": "SIGSEGV", "count": 3},
        ]
        text = ctl_view.status({"metrics": metrics, "death_causes": causes})
        assert text.splitlines()[-2:] == [
            "died: 1 of a failed start (exit status 3), 1 of a failed start (timeout), 2 of exit status 1,"
            " 4 of hang, 2 of out of memory SIGKILL, 3 of SIGSEGV",
            "answered: 1234 requests, 34 of them with 5xx, half within 0.416ms, 99 % within 1.5s",
        ]
