"""The views: the templates, and what all pages have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from breezeway.web import Request, Templates
from wiki.visitor import user_of


def of_all_pages(request: Request) -> dict[str, Any]:
    """Return what the layout shows on each page."""
    return {"user": user_of(request), "wiki_name": request.app.config.name, "faults": {}}


templates = Templates(Path(__file__).parent / "templates", context=of_all_pages)
