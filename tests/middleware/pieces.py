"""Each piece as the matrix runs it: around any application, with nothing to object to.

A piece may change fields of the head here, but neither status nor content. A piece that compresses gets
no Accept-Encoding; one that asks for a password gets none, and is set up to let everybody through.
`make` imports what it needs itself.
"""

from __future__ import annotations

from collections.abc import Callable
from wsgiref.types import WSGIApplication

from breezeway import middleware

Make = Callable[[WSGIApplication], WSGIApplication]

PIECES: dict[str, Make] = {
    "Errors": lambda app: middleware.Errors(app),
    "Lint": lambda app: middleware.Lint(app),
    "Compress": lambda app: middleware.Compress(app),
}
"""By the name of the class."""
