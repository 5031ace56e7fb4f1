"""Help for tests: a client of an application or a server, and a live server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from breezeway.testing.client import Client as Client
from breezeway.testing.cookie_jar import Cookie as Cookie
from breezeway.testing.cookie_jar import CookieJar as CookieJar
from breezeway.testing.events import Event as Event
from breezeway.testing.redirects import RedirectError as RedirectError
from breezeway.testing.response import Headers as Headers
from breezeway.testing.response import IncompleteResponseError as IncompleteResponseError
from breezeway.testing.response import Response as Response
from breezeway.testing.response import StatusError as StatusError

if TYPE_CHECKING:
    from breezeway.testing.live_server import LiveServer as LiveServer

__all__: Final = [
    "Client",
    "Cookie",
    "CookieJar",
    "Event",
    "Headers",
    "IncompleteResponseError",
    "LiveServer",
    "RedirectError",
    "Response",
    "StatusError",
]


def __getattr__(name: str) -> Any:
    """Import the live server, and with it the server, when it is asked for."""
    if name == "LiveServer":
        from breezeway.testing.live_server import LiveServer

        return LiveServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
