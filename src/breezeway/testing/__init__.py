"""Help for tests: a live server."""

from breezeway.testing.live_server import LiveServer

__all__ = ["LiveServer"]
