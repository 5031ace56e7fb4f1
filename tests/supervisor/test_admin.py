"""The supervisor's view of the admin listener: what a reload does with its address."""

import socket
import sys
from types import SimpleNamespace

import pytest

from breezeway.config.settings import Settings
from breezeway.errors import BindError
from breezeway.supervisor import admin
from breezeway.supervisor.admin import Admin


def test_address_that_could_not_be_had_is_tried_again():
    """A port that was taken at one reload is asked for at the next one; the way back is free, too."""
    listening = Admin(
        SimpleNamespace(settings=Settings(), on_look=[], on_exit=[], close_in_child=[]), None
    )
    with socket.create_server(("127.0.0.1", 0)) as other:
        spec = f"127.0.0.1:{other.getsockname()[1]}"
        listening.apply(Settings(admin_bind=spec))
        assert listening.listener is None
        listening.apply(Settings())
    listening.apply(Settings(admin_bind=spec))
    try:
        assert listening.listener is not None
        before = listening.listener
        taken = socket.create_server(("127.0.0.1", 0))
        with taken:
            listening.apply(Settings(admin_bind=f"127.0.0.1:{taken.getsockname()[1]}"))
            assert listening.listener is before
            last = Settings(admin_bind=f"127.0.0.1:{taken.getsockname()[1]}")
        listening.apply(last)
        assert listening.listener is not before
    finally:
        listening.close()


def free_port():
    """Return a port that nobody has, on any address."""
    with socket.create_server(("", 0)) as found:
        return found.getsockname()[1]


def answers(port, host="127.0.0.1"):
    """Whether somebody listens there."""
    try:
        socket.create_connection((host, port), timeout=20).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def listening():
    """Give the supervisor's view of an admin listener that is not started."""
    stage = SimpleNamespace(settings=Settings(), on_look=[], on_exit=[], close_in_child=[])
    found = Admin(stage, None)
    yield found
    found.close()


TOKEN = "a-token-of-some-length"


def test_descriptor_at_a_reload(listening):
    """What is open by then is the server's own."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        settings = Settings(admin_bind=f"fd://{own.fileno()}", admin_token=TOKEN)
        with pytest.raises(BindError, match="a socket can be passed at the start alone"):
            listening.move(settings)


def test_file_that_was_deleted_comes_back(listening, tmp_path):
    """Nobody finds a unix socket without its file; a reload makes another one, and only then."""
    file = tmp_path / "admin"
    settings = Settings(admin_bind=f"unix:{file}")
    listening.move(settings)
    first = listening.listener
    listening.move(settings)
    assert listening.listener is first
    file.unlink()
    listening.move(settings)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(file))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the port is not free in time")
def test_another_host_with_the_same_port(listening):
    """The old listener gives its port up for the new one, and gets it back the same way."""
    port = free_port()
    inside, everywhere = f"127.0.0.1:{port}", f"0.0.0.0:{port}"
    listening.move(Settings(admin_bind=inside))
    process = listening.listener.socket.dup()  # which has it, too
    with process:
        listening.move(Settings(admin_bind=everywhere, admin_token=TOKEN))
        assert listening.listener.socket.getsockname() == ("0.0.0.0", port)
        assert answers(port)
        listening.move(Settings(admin_bind=inside))
        assert listening.listener.socket.getsockname() == ("127.0.0.1", port)
        assert answers(port)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the port is not free in time")
def test_another_host_where_somebody_else_has_the_port(listening):
    """The old listener goes on, and whoever asked is told who is in the way."""
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        listening.move(Settings(admin_bind=f"127.0.0.1:{port}"))
        before = listening.listener
        with (
            before.socket.dup(),
            pytest.raises(BindError, match=r"\(--admin-bind\): port .* taken"),
        ):
            listening.move(Settings(admin_bind=f"0.0.0.0:{port}", admin_token=TOKEN))
        assert listening.listener is before
        assert answers(port)


def test_is_made_before_it_drops_privileges(monkeypatch):
    """With `--user`, what it imports and reads may be where that user cannot read."""
    steps = []

    class Process:
        def __init__(self, *_):
            steps.append("made")

        def serve(self):
            steps.append("served")

    monkeypatch.setattr(admin, "_Admin", Process)
    monkeypatch.setattr(admin.logs, "become", lambda _: None)
    monkeypatch.setattr(admin.child, "forget_supervising", lambda: None)
    monkeypatch.setattr(admin.privileges, "drop", lambda *_: steps.append("dropped"))
    monkeypatch.setattr(admin.child, "leave", steps.append)
    own = SimpleNamespace(disown=lambda: None)
    admin._run(own, Settings(), None, [], None)
    assert steps == ["made", "dropped", "served", 0]
