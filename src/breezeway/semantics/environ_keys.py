"""Keys of the environ in which one part of Breezeway tells another about a request."""

from __future__ import annotations

from typing import Final

UNBELIEVED: Final = "breezeway.unbelieved_forwarding"
"""True if fields in which proxies tell about the client were taken away, since nobody believes them."""
