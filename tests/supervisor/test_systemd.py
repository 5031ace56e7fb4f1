"""systemd: real datagrams, real inherited sockets, and the unit files of the documentation."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from breezeway.errors import UsageError
from breezeway.supervisor import systemd
from breezeway.worker import listener

DEADLINE = 20  # seconds
UNITS = Path(__file__).parent.parent.parent / "docs" / "systemd"

linux = pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")


class Systemd:
    """The socket on which systemd listens."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(DEADLINE)
        self.environ = {"NOTIFY_SOCKET": address.replace("\0", "@", 1)}

    def received(self):
        """Return the fields of the next message."""
        text = self.socket.recv(65536).decode()
        assert text.endswith("\n")
        return dict(line.split("=", 1) for line in text.splitlines())


@pytest.fixture(params=["path", pytest.param("abstract", marks=linux)])
def manager(request, tmp_path):
    """Give systemd's end, once with each form of address."""
    address = {"path": f"{tmp_path}/notify", "abstract": f"\0breezeway-test-{os.getpid()}"}
    one = Systemd(address[request.param])
    yield one
    one.socket.close()


class TestNotify:
    def test_fields(self, manager):
        """Fields arrive as they are; True is 1."""
        assert systemd.notify(manager.environ, READY=True, STATUS="4 workers", MAINPID=17)
        assert manager.received() == {"READY": "1", "STATUS": "4 workers", "MAINPID": "17"}

    def test_ready(self, manager):
        """Ready says so with a status."""
        assert systemd.ready("serving", manager.environ)
        assert manager.received() == {"READY": "1", "STATUS": "serving"}

    def test_reloading(self, manager):
        """A reload says when it began, in microseconds of the monotonic clock."""
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert systemd.reloading("reloading", manager.environ)
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        fields = manager.received()
        assert fields["RELOADING"] == "1"
        assert before <= int(fields["MONOTONIC_USEC"]) <= after

    def test_stopping(self, manager):
        """The end says so."""
        assert systemd.stopping("finishing requests", manager.environ)
        assert manager.received() == {"STOPPING": "1", "STATUS": "finishing requests"}

    def test_watchdog(self, manager):
        """The watchdog's message is a field like any other."""
        assert systemd.notify(manager.environ, WATCHDOG=1)
        assert manager.received() == {"WATCHDOG": "1"}

    def test_newline_begins_no_field(self, manager):
        """A status of several lines does not say anything else."""
        systemd.notify(manager.environ, STATUS="a\nMAINPID=1\r\nb")
        assert manager.received() == {"STATUS": "a MAINPID=1 b"}

    def test_environment_of_the_process(self, manager, monkeypatch):
        """Without an argument it is the environment of the process."""
        monkeypatch.setenv("NOTIFY_SOCKET", manager.environ["NOTIFY_SOCKET"])
        assert systemd.notify(READY=1)
        assert manager.received() == {"READY": "1"}

    @pytest.mark.parametrize(
        "address",
        [None, "", "relative", "/nowhere/notify", "@nobody", "/" + "x" * 200, "vsock:2:1"],
    )
    def test_silent_when_nobody_listens(self, address):
        """Without systemd, or with a wrong address, nothing happens."""
        environ = {} if address is None else {"NOTIFY_SOCKET": address}
        assert not systemd.notify(environ, READY=1)

    def test_full_socket_does_not_hold_up(self, manager, monkeypatch):
        """A systemd that does not read is not waited for."""
        monkeypatch.setattr(systemd, "SEND_SECONDS", 0.01)
        for _ in range(10_000):
            if not systemd.notify(manager.environ, WATCHDOG=1):
                return
        pytest.fail("this socket is never full")


class TestWatchdog:
    @pytest.mark.parametrize(
        ("environ", "seconds"),
        [
            ({}, None),
            ({"WATCHDOG_USEC": "30000000"}, 30.0),
            ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
            ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
            ({"WATCHDOG_USEC": ""}, None),
            ({"WATCHDOG_USEC": "-5"}, None),
            ({"WATCHDOG_USEC": "1.5"}, None),
            ({"WATCHDOG_USEC": "1" * 50}, None),
            ({"WATCHDOG_PID": str(os.getpid())}, None),
        ],
    )
    def test_seconds(self, environ, seconds):
        """The time is in seconds; none without a watchdog, or for another process."""
        assert systemd.watchdog_seconds(environ) == seconds

    def test_pass_on(self):
        """The new supervisor of an upgrade has the watchdog of the old one."""
        environ = {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
        systemd.pass_on(environ)
        assert systemd.watchdog_seconds(environ) == 1.0
        environ = {}
        systemd.pass_on(environ)
        assert not environ


class TestActivation:
    def activate(self, count, names=None, pid=None):
        """Return an environment as systemd makes it."""
        environ = {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": count, "PATH": "/bin"}
        return environ | ({} if names is None else {"LISTEN_FDNAMES": names})

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            ("web.socket:admin", {"fd://3": "web.socket", "fd://4": "admin"}),
            (None, {"fd://3": "", "fd://4": ""}),
            ("web", {"fd://3": "web", "fd://4": ""}),
            ("a:b:c", {"fd://3": "a", "fd://4": "b"}),
        ],
    )
    def test_names(self, names, expected):
        """Each socket has its name, as far as there are names."""
        assert systemd.activated(self.activate("2", names)) == expected
        assert systemd.activated_listeners(self.activate("2", names)) == ["fd://3", "fd://4"]

    def test_variables_are_removed(self):
        """No child takes the sockets for its own; other variables stay."""
        environ = self.activate("1", "web") | {"LISTEN_PIDFDID": "12"}
        systemd.activated_listeners(environ)
        assert environ == {"PATH": "/bin"}

    def test_of_another_process(self):
        """Variables that are about another process mean nothing, and are removed as well."""
        environ = self.activate("1", "web", pid=os.getppid())
        assert systemd.activated_listeners(environ) == []
        assert environ == {"PATH": "/bin"}

    def test_none(self):
        """Without systemd there are none."""
        assert systemd.activated_listeners({}) == []
        assert systemd.activated_listeners(self.activate("0")) == []

    @pytest.mark.parametrize("count", ["", "x", "-1", "1.0", "99999", "9" * 100])
    def test_nonsense(self, count):
        """A number of sockets that is none is a sentence."""
        with pytest.raises(UsageError, match="LISTEN_FDS"):
            systemd.activated_listeners(self.activate(count))

    def test_real_sockets(self, tmp_path):
        """TCP and unix sockets that a parent passed are listened on, and are not inherited on."""
        program = (
            "import json, os\n"
            "from breezeway.supervisor import systemd\n"
            "from breezeway.worker import listener\n"
            "os.environ['LISTEN_PID'] = str(os.getpid())\n"
            "found = [listener.bind(spec, backlog=1, unix_mode=None)"
            " for spec in systemd.activated_listeners()]\n"
            "print(json.dumps([[each.url, os.get_inheritable(each.socket.fileno())]"
            " for each in found]), flush=True)\n"
            "for each in found:\n"
            "    each.socket.setblocking(True)\n"
            "    client, _ = each.socket.accept()\n"
            "    client.sendall(each.url.encode())\n"
            "    client.close()\n"
            "assert not [name for name in os.environ if name.startswith('LISTEN_')]\n"
        )
        # Passed as systemd does it: from descriptor 3 on, without close-on-exec.
        launcher = (
            "import os, sys\n"
            "first, second = int(sys.argv[1]), int(sys.argv[2])\n"
            "spare = os.dup2(second, 40)\n"
            "os.dup2(first, 3); os.dup2(spare, 4)\n"
            "os.execv(sys.executable, [sys.executable, '-c', sys.argv[3]])\n"
        )
        with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
            unix.bind(str(tmp_path / "shop.sock"))
            unix.listen()
            fds = (tcp.fileno(), unix.fileno())
            with subprocess.Popen(
                [sys.executable, "-c", launcher, *map(str, fds), program],
                pass_fds=fds,
                env={**os.environ, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:local"},
                stdout=subprocess.PIPE,
                text=True,
            ) as process:
                url = f"http://127.0.0.1:{tcp.getsockname()[1]}"
                local = f"unix:{tmp_path}/shop.sock"
                assert json.loads(process.stdout.readline()) == [[url, False], [local, False]]
                with socket.create_connection(tcp.getsockname(), DEADLINE) as client:
                    assert client.recv(1000).decode() == url
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(DEADLINE)
                    client.connect(str(tmp_path / "shop.sock"))
                    assert client.recv(1000).decode() == local
                assert process.wait(DEADLINE) == 0
        assert (tmp_path / "shop.sock").exists(), "it is systemd's to remove"

    @pytest.mark.skipif(
        not shutil.which("systemd-socket-activate"), reason="needs systemd-socket-activate"
    )
    def test_systemds_own_tool(self):
        """Systemd's own tool passes sockets, and they are found with their names."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        program = (
            "from breezeway.supervisor import systemd; import os;"
            "print(systemd.activated(), [n for n in os.environ if n.startswith('LISTEN_')])"
        )
        with subprocess.Popen(
            [
                *("systemd-socket-activate", f"--listen=127.0.0.1:{port}", "--fdname=web"),
                *("--setenv=PYTHONPATH", sys.executable, "-c", program),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert "Listening on" in process.stderr.readline()
            with socket.create_connection(("127.0.0.1", port), DEADLINE):
                assert process.stdout.readline() == "{'fd://3': 'web'} []\n"
                assert process.wait(DEADLINE) == 0


def test_sockets_that_cannot_accept_are_refused_by_name():
    """A datagram socket in a unit is a sentence at the start, from what binds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        with pytest.raises(Exception, match="not a listening stream socket"):
            listener.bind(f"fd://{udp.fileno()}", backlog=1, unix_mode=None)


class TestUnits:
    def test_options_are_there(self):
        """What the unit runs are commands and options of the command line."""
        text = (UNITS / "breezeway.service").read_text()
        commands = re.findall(r"^Exec\w+=/srv/shop/\.venv/bin/(breezeway .*)$", text, re.MULTILINE)
        assert len(commands) == 2
        for command in commands:
            words = command.replace("$MAINPID", "1").split()
            done = subprocess.run(
                [sys.executable, "-m", *words, "--help"],
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
            assert done.returncode == 0, done.stderr

    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
    def test_systemd_understands_them(self, tmp_path):
        """Systemd finds nothing to complain about."""
        for path in UNITS.iterdir():
            # A path with a space would have to be quoted, as no installation's is.
            text = path.read_text().replace("/srv/shop/.venv/bin/breezeway", "/usr/bin/env")
            (tmp_path / path.name.replace("breezeway", "shop")).write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        # Of the system's own units, which are looked at as well, it may say what it likes.
        assert "shop." not in done.stderr, done.stderr
        assert done.returncode == 0, done.stderr
