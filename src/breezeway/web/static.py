"""Files of a site beside its pages: scripts, styles, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from breezeway.middleware.static import Static
    from breezeway.web.app import App
    from breezeway.web.request import Request

KEY: Final = "breezeway.static_url"
"""Where the environ has the function that makes the URL of a file."""

Directory = str | PathLike[str]


def add_static(
    app: App,
    directory: Directory | Sequence[Directory],
    *,
    prefix: str = "/static",
    **options: Any,
) -> Static:
    """Serve the files of a directory below a prefix, before any route is asked; return the piece.

    `options` are those of `breezeway.middleware.Static`: `refresh=True` for development,
    `fallback="index.html"` for single-page applications. If `breezeway collect` has made the directory,
    `static_url` returns names with fingerprints, which browsers keep for good.

    Raises:
        ValueError: the directory is not there, or an option is wrong.
    """
    from breezeway.middleware.static import Static

    piece = Static(app.wsgi_app, directory=directory, prefix=prefix, **options)
    app.wsgi_app = piece
    return piece


def static_url(request: Request, name: str) -> str:
    """Return the URL of a static file, `css/site.css`, below where the application is mounted.

    Raises:
        RuntimeError: nobody serves static files.
        ValueError: there is a manifest, and it does not have the name.
    """
    make = request.environ.get(KEY)
    if make is None:
        raise RuntimeError("there are no static files: use add_static, or put Static around")
    url: str = make(name)
    return url
