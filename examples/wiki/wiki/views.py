"""The views: the templates, and what all pages have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from breezeway.web import Request, Response, Templates
from wiki.visitor import user_of

Answer = Response | tuple[Response, int]
"""What a handler returns: a page, with its status if that is not 200."""


def of_all_pages(request: Request) -> dict[str, Any]:
    """Return what the layout shows on each page."""
    return {"user": user_of(request), "wiki_name": request.app.config.name, "faults": {}}


templates = Templates(Path(__file__).parent / "templates", context=of_all_pages)
