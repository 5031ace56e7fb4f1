"""Searching."""

from __future__ import annotations

from breezeway.web import Group, Request, Response
from wiki.markup import highlighted
from wiki.model import pages
from wiki.views import view
from wiki.visitor import database

group = Group()


@group.get("/search")
def search(request: Request, q: str = "") -> Response:
    """Show the pages that have what is looked for."""
    wanted = q.strip()[:200]
    found = pages.search(database(request), wanted)
    hits = [(hit, highlighted(hit.excerpt)) for hit in found]
    return view(request, "search.html", wanted=wanted, hits=hits)
