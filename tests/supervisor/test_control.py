"""The control socket: its file, what an exchange is, who may use it, and its end."""

import errno
import json
import logging
import os
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

from .control_loop import Client, succeed


class TestFile:
    def test_file_that_was_deleted_comes_back(self, supervisor, connect, tmp_path):
        """Nobody finds the socket without it; who is connected already stays so."""
        file = tmp_path / "control.sock"
        early = connect()
        supervisor.settle()
        assert not supervisor.server.is_lost
        file.unlink()
        assert supervisor.server.is_lost
        file.write_text("precious")
        with pytest.raises(BindError, match="not a socket"):
            supervisor.server.move(str(file))
        file.unlink()
        supervisor.server.move(str(file))
        assert not supervisor.server.is_lost
        supervisor.answer = succeed
        for client in (early, connect()):
            client.send({"command": "status"})
            assert client.line() == {"ok": True, "result": {"did": "status"}}
        supervisor.server.close()
        assert not file.exists()

    @pytest.mark.parametrize("umask", [0, 0o077, 0o777])
    def test_mode_is_0600_from_the_first_moment(
        self, make_supervisor, tmp_path, monkeypatch, umask
    ):
        """The file has mode 0600 when it appears, before anybody can connect, whatever the umask."""
        modes = []
        bind = socket.socket.bind

        def watched_bind(sock, address):
            bind(sock, address)
            modes.append(stat.S_IMODE(os.lstat(address).st_mode))

        monkeypatch.setattr(socket.socket, "bind", watched_bind)
        before = os.umask(umask)
        try:
            make_supervisor()
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

    def test_stale_file_is_replaced(self, make_supervisor, tmp_path):
        """The socket of a supervisor that was killed is replaced."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "control.sock"))
            dead.listen()
        supervisor = make_supervisor()
        client = Client(supervisor)
        client.send({"command": "status"})
        supervisor.until(lambda: supervisor.requests)
        client.socket.close()

    def test_live_socket_is_left_alone(self, make_supervisor, connect):
        """A socket on which a supervisor answers is not taken; the error names the setting."""
        with pytest.raises(BindError, match="somebody listens there already") as caught:
            make_supervisor()
        assert "(--control-socket)" in caught.value.message
        assert "--bind" not in str(caught.value)
        client = connect()
        client.send({"command": "status"})
        client.supervisor.until(lambda: client.supervisor.requests)

    @pytest.mark.parametrize(
        ("path", "message"),
        [("nowhere/control.sock", "there is no directory"), ("x" * 200, "too long")],
    )
    def test_no_place(self, make_supervisor, tmp_path, path, message):
        """A path that cannot be had is a sentence."""
        with pytest.raises(BindError, match=message):
            make_supervisor(tmp_path / path)

    @pytest.mark.parametrize("path", ["", "a\0b"])
    def test_no_path(self, make_supervisor, path):
        """What cannot be a path is a usage error."""
        with pytest.raises(UsageError, match="is not a path"):
            make_supervisor(path)

    def test_take_over(self, make_supervisor, tmp_path):
        """After an upgrade the path is the new supervisor's; the old one leaves it when it closes."""
        old = make_supervisor()
        new = make_supervisor(take_over=True)
        new.answer = succeed
        old.server.close()
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600
        client = Client(new)
        client.send({"command": "status"})
        assert client.line() == {"ok": True, "result": {"did": "status"}}
        client.socket.close()

    def test_take_over_takes_sockets_alone(self, make_supervisor, tmp_path):
        """A file that is no socket is not removed, not even to take over."""
        (tmp_path / "control.sock").write_text("precious")
        with pytest.raises(BindError, match="it is not a socket"):
            make_supervisor(take_over=True)
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
    def test_another_user_for_real(self, make_supervisor):
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
            supervisor = make_supervisor(os.path.join(directory, "control.sock"))
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


def test_adopted_socket(supervisor):
    """A process of ours may be idle for ever, and its end is the end of it."""
    ours, theirs = socket.socketpair()
    with theirs:
        supervisor.answer = succeed
        supervisor.server.adopt(ours)
        supervisor.now += 1_000_000
        supervisor.server.expire()
        theirs.sendall(b'{"command": "status"}\n')
        supervisor.settle()
        assert json.loads(theirs.recv(1000))["ok"]
    supervisor.settle()
    assert not supervisor.server.clients
