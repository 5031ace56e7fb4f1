"""The control socket: what hostile and careless clients cannot do."""

import contextlib
import random
import socket

import pytest

from breezeway.supervisor import control

from .control_loop import succeed

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
