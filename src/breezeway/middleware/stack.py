"""`stack`: pieces of middleware around an application, read from the outside in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def unset(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Stand for the application of a piece that has none yet."""
    raise RuntimeError(
        "this piece of middleware has no application: give it one, as in Cors(app), or use"
        " stack(app, Cors())"
    )


def stack(
    application: WSGIApplication, *pieces: WSGIApplication | Callable[[WSGIApplication], Any]
) -> WSGIApplication:
    """Put pieces of middleware around an application; the first is the outermost.

    A piece is one of `breezeway.middleware` that was made without an application, such as
    `Compress(minimum=1000)`, or whatever is called with an application and returns one, such as a
    class of another package.

    Raises:
        ValueError: a piece has an application already, perhaps because it stands in two stacks.
    """
    for piece in reversed(pieces):
        inner = getattr(piece, "application", None)
        if inner is unset:
            piece.application = application
            application = piece
        elif inner is not None:
            name = type(piece).__name__
            raise ValueError(f"{name} has an application already: make one for each stack")
        else:
            application = piece(application)
    return application
