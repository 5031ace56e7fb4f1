"""The supervisor's view of the admin listener: what a reload does with its address."""

import socket
from types import SimpleNamespace

from breezeway.config.settings import Settings
from breezeway.supervisor.admin import Admin


def test_address_that_could_not_be_had_is_tried_again():
    """A port that was taken at one reload is asked for at the next one; the way back is free, too."""
    admin = Admin(SimpleNamespace(settings=Settings(), on_look=[], close_in_child=[]), None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        spec = f"127.0.0.1:{other.getsockname()[1]}"
        admin.apply(Settings(admin_bind=spec))
        assert admin.listener is None
        admin.apply(Settings())
    admin.apply(Settings(admin_bind=spec))
    try:
        assert admin.listener is not None
        before = admin.listener
        taken = socket.create_server(("127.0.0.1", 0))
        with taken:
            admin.apply(Settings(admin_bind=f"127.0.0.1:{taken.getsockname()[1]}"))
            assert admin.listener is before
            last = Settings(admin_bind=f"127.0.0.1:{taken.getsockname()[1]}")
        admin.apply(last)
        assert admin.listener is not before
    finally:
        admin.close()
