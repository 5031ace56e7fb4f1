"""Which server is watched, and what happens when it goes."""

import contextlib
import tempfile
import threading
from pathlib import Path

import pytest

from breezeway.ctl_client import NoServerError
from breezeway.supervisor import runtime_directory
from breezeway.top.feed import Repeating
from breezeway.top.servers import Server, find

from ..fake_supervisor import DEADLINE, STATUS, Fake


class Told(Fake):
    """A supervisor that says who it is, and tells events."""

    def __init__(self, directory, pid, application="shop.wsgi:application"):
        self.status = {**STATUS, "pid": pid, "application": application}
        super().__init__(directory / f"{pid}.sock")

    def on_status(self, _, caller):
        caller.succeed(self.status)

    def on_events(self, request, caller):
        caller.succeed({"events": [{"number": n} for n in range(request["after"] + 1, 5)]})


@pytest.fixture
def start(monkeypatch):
    """Give a function that starts a supervisor where one looks for them."""
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "TMPDIR", "BREEZEWAY_CONTROL_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(prefix="bw") as name, contextlib.ExitStack() as stack:
        monkeypatch.setattr(runtime_directory, "SYSTEM", name)
        monkeypatch.setattr(runtime_directory, "TEMPORARY", ())
        monkeypatch.chdir(name)

        def start_one(pid, *args):
            return stack.enter_context(contextlib.closing(Told(Path(name), pid, *args)))

        yield start_one


def test_one(start):
    """The only one there is needs no name, and is not asked for it."""
    only = start(4711)
    (found,) = find(None, None)
    assert Path(found.path) == Path(only.path).resolve()
    assert not only.requests


def test_several(start):
    """Of several each has a line that tells it from the others."""
    start(4711)
    start(4800, "blog:app\x1b[2J")
    texts = sorted(each.text for each in find(None, None))
    assert texts == [
        "pid 4711  shop.wsgi:application  http://127.0.0.1:8000 unix:/run/shop.sock",
        "pid 4800  blog:app\N{REPLACEMENT CHARACTER}[2J  http://127.0.0.1:8000 unix:/run/shop.sock",
    ]
    assert len(find(None, 4800)) == 1


def test_follows_an_upgrade(start):
    """When it has gone, the one that has its application and addresses is the one that is meant."""
    first = start(4711)
    server = Server(first.path)
    assert server.status()["pid"] == 4711
    first.close = lambda: None
    Fake.close(first)
    start(4900, "blog:app")
    with pytest.raises(NoServerError):
        server.status()
    start(4800)
    assert server.status()["pid"] == 4800
    assert server.stacks()["workers"]


def test_workers_are_made_to_count(start):
    """Whoever looks says so, for otherwise nothing may be counted."""
    supervisor = start(4711)
    Server(supervisor.path).status()
    assert supervisor.requests == [{"command": "status", "watch": True}]


def test_events_are_told_once(start):
    """Only what is new is asked for; another supervisor begins anew."""
    supervisor = start(4711)
    server = Server(supervisor.path)
    server.status()
    assert [each["number"] for each in server.events()] == [1, 2, 3, 4]
    assert server.events() == []
    supervisor.status = {**supervisor.status, "pid": 4712}
    server.status()
    assert len(server.events()) == 4


def test_repeating():
    """It is called again and again, and no more after the end."""
    calls, enough = [], threading.Event()

    def call():
        calls.append(1)
        if len(calls) >= 3:
            enough.set()

    repeating = Repeating(call, 0.001)
    repeating.start()
    assert enough.wait(DEADLINE)
    repeating.stop()
    assert not [each for each in threading.enumerate() if each.name == "top"]
