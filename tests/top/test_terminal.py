"""`breezeway top` in a process of its own: on a real terminal, on a dumb one and on none.

What it watches is a real server under load.
"""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from ..process.load import Load
from ..process.server import DEADLINE_SECONDS, serving

pytestmark = pytest.mark.once

COMMAND = "from breezeway import cli; cli.main()"

CODE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][A-Z0-9]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>78cPM_])"
)
"""A control sequence (ECMA-48), as it is written by terminal programs."""

AS_FOUND = {"1049": "l", "25": "h", "7": "h", "1004": "l", "2004": "l", "1000": "l", "1003": "l"}
"""Modes as a shell has them: its own screen, a cursor, lines that wrap; nothing else is reported."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Give a server with two workers, under load."""
    directory = tmp_path_factory.mktemp("top")
    with (
        serving(directory, workers=2) as server,
        Load(server.address, keep_alive=4, pause=0.01) as load,
        server.sleep(60),
    ):
        yield server
        load.stop()
        assert not load.failures


class Terminal:
    """A terminal and `breezeway top` on it."""

    def __init__(self, *options, code=COMMAND, size=(24, 80), **environ):
        self.ours, self._theirs = pty.openpty()
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self._before = termios.tcgetattr(self._theirs)
        self.text = ""
        kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "top", *options],
            env={**kept, "TERM": "xterm-256color", **environ},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self._theirs)

    @property
    def plain(self):
        """What was written, without control sequences."""
        return CODE.sub("", self.text)

    def read_until(self, pattern):
        """Read until something is there that matches."""
        os.set_blocking(self.ours, False)
        ends = time.monotonic() + DEADLINE_SECONDS
        while not re.search(pattern, self.plain):
            assert time.monotonic() < ends, f"no {pattern!r} in {self.plain}"
            self._read()

    def press(self, keys):
        """Type."""
        os.write(self.ours, keys.encode())

    def end(self):
        """Wait for the end; return the exit status. The terminal has to be as it was."""
        ends = time.monotonic() + DEADLINE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < ends, f"it does not end: {self.plain}"
            self._read()
        self._read()
        assert termios.tcgetattr(self._theirs) == self._before
        modes = dict(re.findall(r"\x1b\[\?(\d+)([hl])", self.text))
        assert {name: modes[name] for name in modes.keys() & AS_FOUND} == {
            name: AS_FOUND[name] for name in modes.keys() & AS_FOUND
        }
        assert self.text.count("\x1b[>") - self.text.count("\x1b[>4;m") <= self.text.count("\x1b[<")
        return self.process.returncode

    def _read(self):
        try:
            self.text += os.read(self.ours, 65536).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.01)


def control(server):
    """Return the options that name this server."""
    return "--socket", server.control


def test_shows_and_ends(server):
    """Rates, the running request and its stack on a key; q gives the terminal back."""
    with Terminal(*control(server)) as top:
        top.read_until(r"[1-9]\d* requests/s")
        top.read_until(r"GET /sleep\?60")
        assert "application:app" in top.plain
        assert "\x1b[?1049h" in top.text
        top.press("s")
        top.read_until("time.sleep")
        top.press("\x03")  # closes the stacks
        top.text = ""
        top.read_until("Running requests")
        top.press("\x03")
        assert top.end() == 0


def test_stopped_from_outside(server):
    """After SIGSTOP and SIGCONT it draws anew, no key is lost, and the terminal is left as it was."""
    with Terminal(*control(server)) as top:
        top.read_until(r"[1-9]\d* requests/s")
        for _ in range(2):
            top.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, top.process.pid, os.WSTOPPED)
            before, top.text = top.text, ""
            top.process.send_signal(signal.SIGCONT)
            top.read_until("Running requests")
            top.text = before + top.text
        top.press("q")
        assert top.end() == 0


def test_terminal_that_goes_away(server):
    """Without a terminal there is nobody to show anything to, also if no signal tells so."""
    with Terminal(*control(server)) as top:
        top.read_until(r"[1-9]\d* requests/s")
        os.close(top.ours)
        top.ours = os.open("/dev/null", os.O_RDONLY)
        assert top.process.wait(DEADLINE_SECONDS) == 128 + signal.SIGHUP


def test_resize_and_sigterm(server):
    """A smaller terminal gets a smaller view; a signal that ends it leaves the terminal as it was."""
    with Terminal(*control(server), size=(40, 120)) as top:
        top.read_until("Events")
        fcntl.ioctl(top.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 60, 0, 0))
        top.process.send_signal(signal.SIGWINCH)
        top.read_until("requests/s  p99")
        before, top.text = top.text, ""
        top.read_until("requests/s")
        columns = [int(column) for column in re.findall(r"\x1b\[\d+;(\d+)H", top.text)]
        assert max(columns) <= 60
        top.text = before + top.text
        top.process.send_signal(signal.SIGTERM)
        assert top.end() == 128 + signal.SIGTERM


def test_mistake_of_our_own(server):
    """An exception gives the terminal back, and says what it was."""
    code = f"from breezeway.top import painting; painting.gauges = None; {COMMAND}"
    with Terminal(*control(server), code=code) as top:
        top.read_until("TypeError")
        assert top.end() == 1


def test_without_colour(server):
    """With NO_COLOR there are shades of grey."""
    with Terminal(*control(server), NO_COLOR="1") as top:
        top.read_until("serving")
        colours = re.findall(r"\x1b\[(?:\d+;)*([34]8;[25]|[34][1-7]|9[0-7]|10[0-7])[;m]", top.text)
        greys = re.findall(r"[34]8;2;(\d+);(\d+);(\d+)", top.text)
        assert not colours or all(len({*each}) == 1 for each in greys)
        top.process.send_signal(signal.SIGHUP)
        assert top.end() == 128 + signal.SIGHUP


def start(*options, code=COMMAND):
    """Start it without a terminal."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, "top", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(process):
    """Return what it has written in the end."""
    with process:
        text, errors = process.communicate(timeout=DEADLINE_SECONDS)
        assert process.returncode == 0, errors
        return text


def test_without_a_screen(server):
    """Lines on a dumb terminal; `--once` for people and, with `--json`, for programs: no Textual."""
    none = f"import sys; sys.modules['textual'] = sys.modules['rich'] = None; {COMMAND}"
    with Terminal(*control(server), code=none, TERM="dumb") as top:
        once = start(*control(server), "--once", code=none)
        document = start(*control(server), "--once", "--json", code=none)

        text = output(once)
        assert text.isascii()
        assert re.search(r"^requests +[1-9]\d*/s  2xx", text, re.MULTILINE)
        assert re.search(r"^latency +p50 [0-9.]+(us|ms)", text, re.MULTILINE)
        assert re.search(r"GET /sleep\?60  application.py:\d+ app", text)

        told = json.loads(output(document))
        assert told["last_second"]["requests"] > 1
        assert told["last_second"]["status"]["2xx"] > 1
        assert told["last_second"]["latency"]["0.99"] > 0
        assert [each["state"] for each in told["workers"]] == ["ready", "ready"]
        assert told["running"][0]["request"] == "GET /sleep?60"
        assert any("time.sleep" in line for line in told["running"][0]["stack"])

        top.read_until(r"req/s[^\n]*\n\d\d:\d\d:\d\d +\d+")
        assert "\x1b" not in top.text
        top.process.send_signal(signal.SIGINT)
        assert top.end() == 0


def test_extra_is_not_installed(server):
    """Without Textual it says what to install, and what does without."""
    code = f"import sys; sys.modules['textual'] = None; {COMMAND}"
    with Terminal(*control(server), code=code) as top:
        top.read_until("--plain")
        assert "breezeway[top]" in top.plain
        assert top.end() == 1


@pytest.mark.parametrize("terminal", ["dumb", "xterm"])
def test_no_server(tmp_path, terminal):
    """Where there is no server, it says so, as `ctl` does."""
    with Terminal("--socket", str(tmp_path / "none"), TERM=terminal) as top:
        top.read_until("no server answers")
        assert top.end() == 1
        assert "\x1b[?1049h" not in top.text
