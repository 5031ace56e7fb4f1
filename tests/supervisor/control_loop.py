"""A loop with a control socket, and a client whose reads drive it."""

import contextlib
import json
import selectors
import socket
import time

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


def succeed(request, caller):
    """Answer at once."""
    caller.succeed({"did": request["command"]})
