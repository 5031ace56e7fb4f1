"""The supervisor's view of the admin listener: what a reload does with its address."""

import socket
from types import SimpleNamespace

from breezeway.config.settings import Settings
from breezeway.supervisor import admin
from breezeway.supervisor.admin import Admin


def test_address_that_could_not_be_had_is_tried_again():
    """A port that was taken at one reload is asked for at the next one; the way back is free, too."""
    listening = Admin(SimpleNamespace(settings=Settings(), on_look=[], close_in_child=[]), None)
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
