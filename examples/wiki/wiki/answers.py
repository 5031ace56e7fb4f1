"""Temporary."""

from __future__ import annotations

from breezeway.web import Request, Response


def redirect(request: Request, path: str) -> Response:
    """Lead to a path of this wiki, and nowhere else."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\"))
    return Response(status=303, headers=[("Location", path if safe else "/")])
