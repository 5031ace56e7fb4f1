"""Supervisors with nothing but a control socket, and clients of theirs."""

import pytest

from .control_loop import Client, Supervisor


@pytest.fixture
def make_supervisor(tmp_path):
    """Give a function that opens control sockets, by default on the same path."""
    opened = []

    def open_one(path=tmp_path / "control.sock", **options):
        opened.append(Supervisor(path, **options))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def supervisor(make_supervisor):
    """Give a loop with a control socket."""
    return make_supervisor()


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
