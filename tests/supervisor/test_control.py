"""The control socket: who may use it, what an exchange is, and what hostile clients cannot do."""

import contextlib
import errno
import json
import logging
import os
import random
import selectors
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import warnings

import pytest

from breezeway.errors import BindError, UsageError, UserError
from breezeway.supervisor import control
from breezeway.supervisor.control import ControlServer

DEADLINE = 10  # seconds


class Supervisor:
    """A loop with a control socket; commands are noted, and answered by `answer` or by the test."""

    def __init__(self, path, **options):
        self.now = 1000.0
        self.selector = selectors.DefaultSelector()
        self.requests = []
        self.answer = None
        self.server = ControlServer(
            str(path), self.selector, self.execute, clock=lambda: self.now, **options
        )

    def execute(self, request, caller):
        self.requests.append((request, caller))
        if self.answer is not None:
            self.answer(request, caller)

    def turn(self):
        """Run the loop once, without waiting."""
        for key, mask in self.selector.select(0.001):
            key.data(mask)

    def until(self, condition):
        """Run the loop until a condition holds."""
        ends = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < ends, "not in time"
            self.turn()

    def settle(self):
        """Run the loop until it has nothing to do; a loop that spins fails."""
        for _ in range(1000):
            events = self.selector.select(0)
            if not events:
                return
            for key, mask in events:
                key.data(mask)
        raise AssertionError("the loop spins")

    def close(self):
        self.server.close()
        self.selector.close()


class Client:
    """A client whose reads drive the loop."""

    def __init__(self, supervisor):
        self.supervisor = supervisor
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(supervisor.server.path)
        self.socket.setblocking(False)
        self.received = b""
        self.at_end = False

    def send(self, data):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode() + b"\n"
        left = memoryview(data)
        ends = time.monotonic() + DEADLINE
        while left:
            assert time.monotonic() < ends, "not in time"
            with contextlib.suppress(BlockingIOError):
                left = left[self.socket.send(left) :]
            self.supervisor.turn()

    def _look(self):
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self.received += data
        self.at_end = self.at_end or not data

    def line(self):
        """Return the next message."""

        def there():
            self._look()
            return b"\n" in self.received or self.at_end

        self.supervisor.until(there)
        line, newline, self.received = self.received.partition(b"\n")
        assert newline, "the connection has ended"
        return json.loads(line)

    def error(self):
        """Return the text of the next message, which is an error."""
        message = self.line()
        assert message["ok"] is False
        assert set(message) == {"ok", "error"}
        return message["error"]

    def ended(self):
        """Wait until the server has closed; return whether nothing more came before."""

        def gone():
            self._look()
            return self.at_end

        self.supervisor.until(gone)
        return not self.received


@pytest.fixture
def make(tmp_path):
    """Give a function that opens control sockets, by default on the same path."""
    opened = []

    def open_one(path=tmp_path / "control.sock", **options):
        opened.append(Supervisor(path, **options))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def supervisor(make):
    """Give a loop with a control socket."""
    return make()


@pytest.fixture
def connect(supervisor):
    """Give a function that connects clients."""
    clients = []

    def connect_one():
        clients.append(Client(supervisor))
        return clients[-1]

    yield connect_one
    for each in clients:
        each.socket.close()


def succeed(request, caller):
    """Answer at once."""
    caller.succeed({"did": request["command"]})


class TestFile:
    @pytest.mark.parametrize("umask", [0, 0o077, 0o777])
    def test_mode_is_0600_from_the_first_moment(self, make, tmp_path, monkeypatch, umask):
        """The file has mode 0600 when it appears, before anybody can connect, whatever the umask."""
        modes = []
        bind = socket.socket.bind

        def watched_bind(sock, address):
            bind(sock, address)
            modes.append(stat.S_IMODE(os.lstat(address).st_mode))

        monkeypatch.setattr(socket.socket, "bind", watched_bind)
        before = os.umask(umask)
        try:
            make()
            assert os.umask(umask) == umask, "the umask is as it was"
        finally:
            os.umask(before)
        assert modes == [0o600]
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600

    def test_file_is_removed_at_the_end(self, supervisor, tmp_path):
        """close() removes the file, and may be called twice."""
        assert (tmp_path / "control.sock").exists()
        supervisor.server.close()
        assert not (tmp_path / "control.sock").exists()
        supervisor.server.close()

    def test_somebody_elses_file_stays(self, supervisor, tmp_path):
        """close() leaves a file that has taken the place of ours."""
        (tmp_path / "control.sock").unlink()
        (tmp_path / "control.sock").write_text("precious")
        supervisor.server.close()
        assert (tmp_path / "control.sock").read_text() == "precious"

    def test_stale_file_is_replaced(self, make, tmp_path):
        """The socket of a supervisor that was killed is replaced."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "control.sock"))
            dead.listen()
        supervisor = make()
        client = Client(supervisor)
        client.send({"command": "status"})
        supervisor.until(lambda: supervisor.requests)
        client.socket.close()

    def test_live_socket_is_left_alone(self, make, connect):
        """A socket on which a supervisor answers is not taken; the error names the setting."""
        with pytest.raises(BindError, match="somebody listens there already") as caught:
            make()
        assert "(--control-socket)" in caught.value.message
        assert "--bind" not in str(caught.value)
        client = connect()
        client.send({"command": "status"})
        client.supervisor.until(lambda: client.supervisor.requests)

    @pytest.mark.parametrize(
        ("path", "message"),
        [("nowhere/control.sock", "there is no directory"), ("x" * 200, "too long")],
    )
    def test_no_place(self, make, tmp_path, path, message):
        """A path that cannot be had is a sentence."""
        with pytest.raises(BindError, match=message):
            make(tmp_path / path)

    @pytest.mark.parametrize("path", ["", "a\0b"])
    def test_no_path(self, make, path):
        """What cannot be a path is a usage error."""
        with pytest.raises(UsageError, match="is not a path"):
            make(path)

    def test_take_over(self, make, tmp_path):
        """After an upgrade the path is the new supervisor's; the old one leaves it when it closes."""
        old = make()
        new = make(take_over=True)
        new.answer = succeed
        old.server.close()
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600
        client = Client(new)
        client.send({"command": "status"})
        assert client.line() == {"ok": True, "result": {"did": "status"}}
        client.socket.close()

    def test_take_over_takes_sockets_alone(self, make, tmp_path):
        """A file that is no socket is not removed, not even to take over."""
        (tmp_path / "control.sock").write_text("precious")
        with pytest.raises(BindError, match="it is not a socket"):
            make(take_over=True)
        assert (tmp_path / "control.sock").read_text() == "precious"


class TestExchange:
    def test_answer_comes_later(self, supervisor, connect):
        """Progress comes as it happens, then the result; the request is what was sent."""
        client = connect()
        client.send({"command": "scale", "workers": 3})
        supervisor.until(lambda: supervisor.requests)
        [(request, caller)] = supervisor.requests
        assert request == {"command": "scale", "workers": 3}
        caller.progress("worker 7 is ready", 1, 2)
        assert client.line() == {"progress": "worker 7 is ready", "done": 1, "total": 2}
        caller.succeed({"workers": 3})
        assert client.line() == {"ok": True, "result": {"workers": 3}}

    def test_answer_comes_at_once(self, supervisor, connect):
        """An operation that answers within execute() is no different."""
        supervisor.answer = succeed
        client = connect()
        client.send({"command": "status"})
        assert client.line() == {"ok": True, "result": {"did": "status"}}

    def test_failure(self, supervisor, connect):
        """A failure is a line with its text, of several lines if it likes."""
        supervisor.answer = lambda _, caller: caller.fail("Traceback\n  ...\nValueError: é")
        client = connect()
        client.send({"command": "reload"})
        assert client.error() == "Traceback\n  ...\nValueError: é"

    def test_user_error_is_the_answer(self, supervisor, connect):
        """A UserError that is raised is the answer: detail, message and hint."""

        def refuse(*_):
            raise UserError("there is no such worker.", "Look at status.", detail="long\n")

        supervisor.answer = refuse
        client = connect()
        client.send({"command": "recycle"})
        assert client.error() == "long\nthere is no such worker.\nLook at status."

    @pytest.mark.parametrize(
        "answer",
        [lambda *_: 1 / 0, lambda _, caller: caller.succeed({"not JSON": object()})],
        ids=["raises", "no JSON"],
    )
    def test_mistake_of_ours(self, supervisor, connect, caplog, answer):
        """An operation that raises, or whose result is not JSON, is logged; the loop goes on."""
        supervisor.answer = answer
        client = connect()
        with caplog.at_level(logging.ERROR):
            client.send({"command": "reload"})
            assert "internal error" in client.error()
        assert caplog.records[0].exc_info
        supervisor.answer = succeed
        client.send({"command": "status"})
        assert client.line()["ok"]

    def test_an_operation_ends_once(self, supervisor, connect):
        """What an operation says after its end is not taken for the answer to the next request."""
        client = connect()
        client.send({"command": "reload"})
        supervisor.until(lambda: supervisor.requests)
        caller = supervisor.requests[0][1]
        caller.succeed({})
        client.send({"command": "status"})
        supervisor.until(lambda: len(supervisor.requests) == 2)
        caller.fail("again")
        caller.progress("more", 1, 1)
        supervisor.requests[1][1].succeed({"second": True})
        assert client.line() == {"ok": True, "result": {}}
        assert client.line() == {"ok": True, "result": {"second": True}}

    def test_requests_of_a_client_wait_for_each_other(self, supervisor, connect):
        """Of two requests in one packet the second begins when the first has ended."""
        client = connect()
        client.send(b'{"command": "a"}\n{"command": "b"}\n')
        supervisor.settle()
        assert [request["command"] for request, _ in supervisor.requests] == ["a"]
        supervisor.requests[0][1].succeed({})
        assert [request["command"] for request, _ in supervisor.requests] == ["a", "b"]

    def test_many_requests_on_one_connection(self, supervisor, connect):
        """A client may ask any number of times; nothing recurses."""
        supervisor.answer = succeed
        client = connect()
        client.send(b'{"command": "a"}\n' * 3000)
        for _ in range(3000):
            assert client.line() == {"ok": True, "result": {"did": "a"}}

    def test_request_in_pieces(self, supervisor, connect):
        """A request may come byte by byte."""
        supervisor.answer = succeed
        client = connect()
        for byte in b'{"command": "a"}\n':
            client.send(bytes([byte]))
        assert client.line()["ok"]

    def test_client_that_has_said_all(self, supervisor, connect):
        """A client may close its side and still gets its answer; the loop does not spin."""
        client = connect()
        client.send({"command": "reload"})
        client.socket.shutdown(socket.SHUT_WR)
        supervisor.settle()
        supervisor.requests[0][1].progress("one", 1, 1)
        supervisor.requests[0][1].succeed({})
        assert client.line()["progress"] == "one"
        assert client.line() == {"ok": True, "result": {}}
        assert client.ended()
        assert not supervisor.server.clients

    def test_client_that_leaves_does_not_stop_the_operation(self, supervisor, connect):
        """The operation goes on and may say what it likes; others are served."""
        client = connect()
        client.send({"command": "reload"})
        supervisor.until(lambda: supervisor.requests)
        client.socket.close()
        supervisor.settle()
        caller = supervisor.requests[0][1]
        for _ in range(100):
            caller.progress("on and on", 1, 2)
        caller.succeed({})
        supervisor.settle()
        assert not supervisor.server.clients
        supervisor.answer = succeed
        other = connect()
        other.send({"command": "status"})
        assert other.line()["ok"]

    def test_large_answer(self, supervisor, connect):
        """An answer larger than the socket's buffer arrives whole, while others are served."""
        stack = ["x" * 1000] * 2000
        supervisor.answer = lambda _, caller: caller.succeed({"stack": stack})
        client, other = connect(), connect()
        client.send({"command": "stacks"})
        supervisor.settle()
        supervisor.answer = succeed
        other.send({"command": "status"})
        assert other.line()["ok"]
        assert client.line()["result"] == {"stack": stack}


NOT_JSON = "this is not a line of JSON"
NO_COMMAND = 'a request is an object with a "command"'


class TestHostile:
    @pytest.mark.parametrize(
        ("line", "error"),
        [
            (b"", NOT_JSON),
            (b"hello", NOT_JSON),
            (b"GET / HTTP/1.1\r", NOT_JSON),
            (b'{"command": "status"', NOT_JSON),
            (b'{"command": "status"} {}', NOT_JSON),
            (b'{"command": "\xff"}', NOT_JSON),
            (b"\x00\x01\x02\x7f\x80", NOT_JSON),
            ('{"command": "status"}'.encode("utf-16"), NOT_JSON),
            (b'{"command": "status", "command": "stop"}', NOT_JSON),
            (b'{"command": "scale", "workers": NaN}', NOT_JSON),
            (b'{"command": "scale", "workers": -Infinity}', NOT_JSON),
            (b"[" * 60_000, NOT_JSON),
            (b'{"a":' * 12_000, NOT_JSON),
            (b"1" * 60_000, NOT_JSON),
            (b"null", NO_COMMAND),
            (b"[]", NO_COMMAND),
            (b'"status"', NO_COMMAND),
            (b"{}", NO_COMMAND),
            (b'{"command": 1}', NO_COMMAND),
            (b'{"command": null}', NO_COMMAND),
        ],
        ids=lambda value: repr(value[:30]),
    )
    def test_bad_line_gets_an_error(self, supervisor, connect, line, error):
        """What is no request is refused; the next line of the same client is read afresh."""
        supervisor.answer = succeed
        client = connect()
        client.send(line + b"\n")
        assert client.error() == error
        assert not supervisor.requests
        client.send({"command": "status"})
        assert client.line()["ok"]

    def test_longest_line(self, supervisor, connect):
        """A line may have 64 KiB; one byte more is refused, and the connection ends."""
        supervisor.answer = succeed
        head = b'{"command": "'
        client = connect()
        fits = head + b"x" * (control.REQUEST_BYTES - len(head) - 2) + b'"}'
        assert len(fits) == control.REQUEST_BYTES
        client.send(fits + b"\n")
        assert client.line()["ok"]
        client.send(fits[:-2] + b'y"}\n')
        assert "longer than 65536 bytes" in client.error()
        assert client.ended()

    def test_line_without_end(self, supervisor, connect):
        """A line that never ends is refused when it is too long, not when memory is out."""
        client = connect()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(100):
                client.send(b"x" * 65536)
        assert "longer than" in client.error()
        assert client.ended()

    def test_half_a_line(self, supervisor, connect):
        """A request without its newline is not carried out."""
        client = connect()
        client.send(b'{"command": "stop"}')
        client.socket.shutdown(socket.SHUT_WR)
        assert "has to end with a newline" in client.error()
        assert client.ended()
        assert not supervisor.requests

    def test_input_during_an_operation_is_bounded(self, supervisor, connect):
        """A client that sends on and on while it waits is read up to a bound, then not at all."""
        client = connect()
        client.send({"command": "reload"})
        supervisor.settle()
        with contextlib.suppress(BlockingIOError):
            for _ in range(1000):
                client.socket.send(b'{"command": "status"}\n' * 1000)
                supervisor.settle()
        [held] = supervisor.server.clients
        assert len(held._input) <= control.REQUEST_BYTES + control.RECEIVE_BYTES
        supervisor.answer = succeed
        supervisor.requests[0][1].succeed({"did": "reload"})
        assert client.line() == {"ok": True, "result": {"did": "reload"}}
        assert client.line() == {"ok": True, "result": {"did": "status"}}

    def test_client_that_never_reads(self, supervisor, connect, monkeypatch):
        """What waits for one client has a bound; then the client is dropped."""
        monkeypatch.setattr(control, "OUTPUT_BYTES", 1024 * 1024)
        supervisor.answer = lambda _, caller: caller.succeed({"stack": "x" * 100_000})
        client = connect()
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            for _ in range(1000):
                client.socket.send(b'{"command": "stacks"}\n')
                supervisor.settle()
        assert not supervisor.server.clients

    def test_answer_that_is_too_large(self, supervisor, connect, monkeypatch):
        """An answer over the bound is an error, not an end without a word."""
        monkeypatch.setattr(control, "OUTPUT_BYTES", 1000)
        supervisor.answer = lambda _, caller: caller.succeed({"stack": "x" * 2000})
        client = connect()
        client.send({"command": "stacks"})
        assert client.error() == "the answer is larger than 1000 bytes"

    def test_progress_that_nobody_reads_is_left_out(self, supervisor, connect):
        """Progress does not pile up; the answer comes all the same."""
        client = connect()
        client.send({"command": "reload"})
        supervisor.settle()
        caller = supervisor.requests[0][1]
        for number in range(10_000):
            caller.progress("x" * 100, number, 10_000)
        [held] = supervisor.server.clients
        assert len(held._output) < control.PROGRESS_BYTES + 1000
        caller.succeed({})
        while "ok" not in (message := client.line()):
            pass
        assert message == {"ok": True, "result": {}}

    def test_idle_client_is_dropped(self, supervisor, connect):
        """A client that says nothing, or half a line, is dropped after a time; one that acts is not."""
        supervisor.answer = succeed
        silent, half, active = connect(), connect(), connect()
        half.send(b'{"comm')
        supervisor.settle()
        assert supervisor.server.expire() == pytest.approx(control.IDLE_SECONDS)
        supervisor.now += control.IDLE_SECONDS - 1
        active.send({"command": "status"})
        assert active.line()["ok"]
        assert supervisor.server.expire() == pytest.approx(1)
        supervisor.now += 1
        assert supervisor.server.expire() == pytest.approx(control.IDLE_SECONDS - 1)
        assert silent.ended()
        assert half.ended()
        active.send({"command": "status"})
        assert active.line()["ok"]

    def test_client_that_waits_is_not_idle(self, supervisor, connect):
        """An operation may take any time; afterwards the client has its time again."""
        client = connect()
        client.send({"command": "reload"})
        supervisor.settle()
        supervisor.now += 10 * control.IDLE_SECONDS
        assert supervisor.server.expire() is None
        supervisor.requests[0][1].succeed({})
        assert client.line()["ok"]
        assert supervisor.server.expire() == pytest.approx(control.IDLE_SECONDS)

    def test_client_that_does_not_read_is_idle(self, supervisor, connect):
        """A client that leaves its answer unread is dropped after a time."""
        supervisor.answer = lambda _, caller: caller.succeed({"stack": "x" * 1_000_000})
        client = connect()
        client.send({"command": "stacks"})
        supervisor.settle()
        supervisor.now += control.IDLE_SECONDS
        assert supervisor.server.expire() is None
        assert not supervisor.server.clients

    def test_number_of_clients_is_bounded(self, supervisor, connect):
        """The seventeenth client is told so; when one has left, there is a place again."""
        supervisor.answer = succeed
        clients = [connect() for _ in range(control.CLIENTS)]
        supervisor.settle()
        assert "16 clients already" in connect().error()
        clients.pop().socket.close()
        supervisor.settle()
        late = connect()
        late.send({"command": "status"})
        assert late.line()["ok"]

    def test_no_descriptor_for_a_client(self, supervisor, connect, caplog, monkeypatch):
        """When the system has no descriptor, the loop does not spin, and goes on after a pause."""
        supervisor.answer = succeed
        accept = socket.socket.accept

        def refuse(_):
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(socket.socket, "accept", refuse)
        client = connect()
        client.socket.sendall(b'{"command": "status"}\n')
        supervisor.settle()
        assert "Too many open files" in caplog.text
        assert supervisor.server.expire() == pytest.approx(control.FULL_SECONDS)
        monkeypatch.setattr(socket.socket, "accept", accept)
        supervisor.now += control.FULL_SECONDS
        assert supervisor.server.expire() is None
        assert client.line()["ok"]

    def test_reset_connection(self, supervisor, connect):
        """A client that is gone with answers unread hurts nobody."""
        supervisor.answer = lambda _, caller: caller.succeed({"stack": "x" * 1_000_000})
        client = connect()
        client.send(b'{"command": "a"}\n' * 5)
        client.socket.close()
        supervisor.settle()
        assert not supervisor.server.clients

    def test_random_bytes(self, supervisor, connect):
        """Whatever comes, the loop goes on and nothing is carried out."""
        supervisor.answer = succeed
        chance = random.Random(7)
        for _ in range(50):
            client = connect()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.send(chance.randbytes(chance.randrange(5000)))
            client.socket.close()
            supervisor.settle()
        assert not supervisor.requests
        assert not supervisor.server.clients


class TestCredentials:
    def peer(self, monkeypatch, uid):
        """Let the kernel say that each client is of this user."""
        getsockopt = socket.socket.getsockopt

        def faked(sock, level, option, *more):
            if option == socket.SO_PEERCRED:
                return struct.pack("3i", 1, uid, uid)
            return getsockopt(sock, level, option, *more)

        monkeypatch.setattr(socket.socket, "getsockopt", faked)

    def test_another_user_is_refused(self, supervisor, connect, monkeypatch, caplog):
        """Another user is refused and logged, even where the file's mode would let it in."""
        self.peer(monkeypatch, os.geteuid() + 4711)
        client = connect()
        client.socket.sendall(b'{"command": "stop"}\n')
        assert "only root and the user that runs this server" in client.error()
        assert client.ended()
        assert not supervisor.requests
        assert f"user {os.geteuid() + 4711} was refused" in caplog.text

    def test_root_is_let_in(self, supervisor, connect, monkeypatch):
        """Root may control anybody's server."""
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
        self.peer(monkeypatch, 0)
        supervisor.answer = succeed
        client = connect()
        client.send({"command": "status"})
        assert client.line()["ok"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
    def test_another_user_for_real(self, make):
        """A process of another user cannot connect, and is refused if somebody opens the file."""
        program = (
            "import os, socket, sys; os.setgid(65534); os.setuid(65534);"
            "s = socket.socket(socket.AF_UNIX); e = s.connect_ex(sys.argv[1]);"
            "print('errno', e) if e else print(s.makefile().read())"
        )

        def attempt():
            with subprocess.Popen(
                [sys.executable, "-c", program, supervisor.server.path],
                stdout=subprocess.PIPE,
                text=True,
            ) as process:
                supervisor.until(lambda: process.poll() is not None)
                return process.stdout.read()

        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            supervisor = make(os.path.join(directory, "control.sock"))
            assert attempt() == f"errno {errno.EACCES}\n"
            os.chmod(supervisor.server.path, 0o666)
            assert "only root and the user" in attempt()
            assert not supervisor.requests


class TestEnd:
    def test_last_answer_is_delivered(self, supervisor, connect):
        """An answer that is on its way when the supervisor closes still arrives."""
        client = connect()
        client.send({"command": "stacks"})
        supervisor.settle()
        supervisor.requests[0][1].succeed({"stack": "x" * 100_000})
        supervisor.server.close()
        assert client.line()["result"] == {"stack": "x" * 100_000}
        assert client.ended()

    def test_operation_that_did_not_end(self, supervisor, connect):
        """Who waits for an operation when the supervisor ends is told so."""
        client = connect()
        client.send({"command": "reload"})
        supervisor.settle()
        supervisor.server.close()
        assert client.error() == "the supervisor ended before this was done"
        assert client.ended()
        supervisor.requests[0][1].succeed({})

    def test_client_that_does_not_read_cannot_hold_the_end_up(
        self, supervisor, connect, monkeypatch
    ):
        """The end waits for unread answers, but not for long."""
        monkeypatch.setattr(control, "LAST_SECONDS", 0.05)
        supervisor.answer = lambda _, caller: caller.succeed({"stack": "x" * 5_000_000})
        for client in (connect(), connect()):
            client.send({"command": "stacks"})
        supervisor.settle()
        began = time.monotonic()
        supervisor.server.close()
        assert time.monotonic() - began < 2

    def test_child_closes_its_copies(self, supervisor, connect, tmp_path):
        """A worker that closes its copies takes nothing from the parent: file, loop, clients."""
        supervisor.answer = succeed
        client = connect()
        client.send({"command": "status"})
        assert client.line()["ok"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests
            pid = os.fork()
        if pid == 0:
            try:
                supervisor.server.close_in_child()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        assert (tmp_path / "control.sock").exists()
        client.send({"command": "status"})
        assert client.line()["ok"]
        other = connect()
        other.send({"command": "status"})
        assert other.line()["ok"]
