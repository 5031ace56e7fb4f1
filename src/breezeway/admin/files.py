"""The page: files of this package, read once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from http import HTTPStatus
from importlib import resources
from typing import Final
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.admin.answers import head, send

FILES: Final = {
    "/": ("dashboard.html", "text/html; charset=utf-8"),
    "/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
    "/dashboard.js": ("dashboard.js", "text/javascript; charset=utf-8"),
    "/drawing.js": ("drawing.js", "text/javascript; charset=utf-8"),
    "/writing.js": ("writing.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""By path: the name of the file, and its media type."""


class File:
    """One of them; a browser that has it already is told so."""

    def __init__(self, name: str, media_type: str) -> None:
        self._body = resources.files(__package__).joinpath("page", name).read_bytes()
        self._type = media_type
        digest = hashlib.sha256(self._body).hexdigest()[:16]
        self._fields = (("Cache-Control", "no-cache"), ("ETag", f'W/"{digest}"'))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with it."""
        tag = self._fields[1][1]
        if tag in environ.get("HTTP_IF_NONE_MATCH", ""):
            start_response(*head(HTTPStatus.NOT_MODIFIED, self._fields))
            return []
        return send(environ, start_response, self._body, self._type, *self._fields)
