"""Keys of the environ in which one part of Breezeway tells another about a request."""

from __future__ import annotations

from typing import Final

UNBELIEVED: Final = "breezeway.unbelieved_forwarding"
"""True if fields in which proxies tell about the client were taken away, since nobody believes them."""

AUTHENTICATED: Final = "breezeway.authenticated"
"""True if REMOTE_USER and AUTH_TYPE are from a piece of middleware that has looked who it is."""
