"""Serving the OpenAPI document, and a page that shows it and tries requests.

The page has all that it needs within it: no outside host is asked for anything. Its policy (CSP) lets the
browser run this very script, by its hash, and speak with this site alone.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from breezeway.web.operations import operations
from breezeway.web.request import Request
from breezeway.web.response import JSON, Response, dumps

if TYPE_CHECKING:
    from breezeway.web.app import App

PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body data-document="{document}">
<noscript><p>This page needs JavaScript. The document itself is at
<a href="{document}">{document}</a>.</p></noscript>
<script>{script}</script>
</body>
</html>
"""


def serve(
    app: App, title: str, version: str, document: str, page: str, options: Mapping[str, Any]
) -> None:
    """Add the routes; see `App.describe`."""
    name = f"openapi:{document}"
    made: tuple[Any, bytes] = (None, b"")
    """The last document, and what it is of: it is made anew only when there are other routes."""

    def openapi_document(request: Request) -> Response:
        nonlocal made
        servers = [*options.get("servers", ())] or [request.url_for(name).removesuffix(document)]
        of = (len(operations(app)), servers)
        last = made
        if last[0] != of:
            given = {**options, "servers": [url or "/" for url in servers]}
            made = last = (of, dumps(app.openapi(title, version, **given)))
        return Response(last[1], content_type=JSON).conditional()

    app.get(document, name=name, openapi=False)(openapi_document)
    if not page:
        return

    def openapi_page(request: Request) -> Response:
        text = PAGE.format(
            title=html.escape(title),
            document=html.escape(request.url_for(name)),
            style=_asset("css"),
            script=_asset("js"),
        )
        return Response(text, headers={"Content-Security-Policy": policy()})

    app.get(page, name=f"openapi:{page}", openapi=False)(openapi_page)


@cache
def _asset(kind: str) -> str:
    name = f"openapi_page.{kind}"
    return files("breezeway.web").joinpath(name).read_text(encoding="utf-8")


@cache
def policy() -> str:
    """Return the Content-Security-Policy of the page."""
    hashes = {
        kind: base64.b64encode(hashlib.sha256(_asset(kind).encode()).digest()).decode()
        for kind in ("js", "css")
    }
    return (
        f"default-src 'none'; script-src 'sha256-{hashes['js']}'; style-src 'sha256-{hashes['css']}';"
        " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'self'"
    )
