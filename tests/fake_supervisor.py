"""A supervisor with canned answers on a real control socket, in a thread of its own."""

import selectors
import socket
import threading

from breezeway.supervisor.control import ControlServer

DEADLINE = 30  # seconds

STATUS = {
    "version": "0.1",
    "pid": 4711,
    "application": "shop.wsgi:application",
    "state": "serving",
    "started": 1763740800.0,
    "uptime": 187_384.2,
    "generation": 3,
    "listeners": ["http://127.0.0.1:8000", "unix:/run/shop.sock"],
    "wanted": 2,
    "workers": [
        {
            "pid": 4712,
            "number": 1,
            "state": "ready",
            "generation": 3,
            "age": 3725.1,
            "requests": 1234567,
            "connections": 64,
            "busy": 3,
            "threads": 8,
            "memory": 40_212_480,
        },
        {"pid": 4713, "number": 2, "state": "hung", "generation": 3, "age": 7.25},
    ],
    "reloads": 2,
    "failed_reloads": 1,
    "deaths": 0,
    "counters": {"limit.idle": 12, "refused.400": 3},
}

STACKS = {
    "workers": [
        {
            "pid": 4712,
            "threads": [
                {"name": "idle-1", "request": None, "seconds": None, "stack": ["waiting"]},
                {"name": "quick", "request": "GET /", "seconds": 0.02, "stack": []},
                {
                    "name": "slow",
                    "request": "GET /report?\x1b[2J",
                    "seconds": 75.0,
                    "stack": ['File "shop.py", line 3, in report\n  time.sleep(99)\n'],
                },
            ],
        },
        {"pid": 4713, "threads": []},
    ]
}

TRACEBACK = 'Traceback (most recent call last):\n  File "shop.py", line 1\nValueError: no shop'


class Fake:
    """A supervisor with canned answers, in a thread of its own."""

    def __init__(self, path):
        self.path = str(path)
        self.requests = []
        self.waiting = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._server = ControlServer(self.path, self._selector, self._execute)
        self._ours, theirs = socket.socketpair()
        self._theirs = theirs
        self._over = False
        self._stopping = False
        self._selector.register(theirs, selectors.EVENT_READ, self._stop)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._over:
            for key, mask in self._selector.select():
                key.data(mask)
        self._server.close()
        self._selector.close()

    def _stop(self, _):
        self._over = True

    def _execute(self, request, caller):
        self.requests.append(request)
        getattr(self, "on_" + request["command"])(request, caller)

    def on_status(self, _, caller):
        caller.succeed(STATUS)

    def on_stacks(self, _, caller):
        caller.succeed(STACKS)

    def on_reload(self, _, caller):
        caller.progress("1 of 2 workers replaced", 1, 2)
        caller.progress("2 of 2 workers replaced", 2, 2)
        caller.succeed({"generation": 4})

    def on_scale(self, request, caller):
        caller.succeed({"workers": request["workers"]})

    def on_stop(self, _, caller):
        caller.succeed({"stopping": True})
        self._over = True

    def on_recycle(self, request, caller):
        if request.get("pid") == 1:
            caller.fail("there is no worker with the pid 1.")
        else:
            caller.succeed({"recycled": [4712]})

    def on_upgrade(self, _, caller):
        """Wait for ever."""
        caller.progress("starting the new supervisor", 0, 1)
        self.waiting.set()

    def close(self):
        self._ours.close()
        self._thread.join(DEADLINE)
        self._theirs.close()
        assert not self._thread.is_alive()
