"""Searching."""

from __future__ import annotations

from breezeway.web import Group, Request, Response
from wiki.markup import highlighted
from wiki.model import pages
from wiki.views import templates
from wiki.visitor import database

group = Group()

LONGEST = 200
"""Characters of what is looked for."""


@group.get("/search")
def search(request: Request, q: str = "") -> Response:
    """Show the pages that have what is looked for."""
    wanted = q.strip()[:LONGEST]
    found = pages.search(database(request), wanted)
    hits = [(hit, highlighted(hit.excerpt)) for hit in found]
    return templates.page(request, "search.html", wanted=wanted, hits=hits)
