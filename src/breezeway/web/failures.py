"""The answer to an `HTTPError` for which an application has none: a page, problem details or a line."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

from breezeway.web.errors import HTTPError
from breezeway.web.response import HTML, JSON, TEXT, Response, dumps

if TYPE_CHECKING:
    from breezeway.web.request import Request

PROBLEM: Final = "application/problem+json"

TYPES: Final = (PROBLEM, "text/html", JSON, "text/plain")
"""The first is for clients that take anything, as `fetch` does: programs. For a page browsers name HTML."""

PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>body {{ margin: 0 auto; max-width: 36rem; padding: 18vh 1.5rem; font: 1rem/1.6 system-ui }}</style>
<h1>{title}</h1>
<p>{detail}</p>
{faults}"""


def default_answer(request: Request, error: HTTPError) -> Response:
    """Answer with status, phrase and detail in the form that the client takes (RFC 9457 for JSON)."""
    chosen = request.accepts(*TYPES)
    if chosen == "text/html":
        page = PAGE.format(
            title=html.escape(error.title),
            detail=html.escape(error.detail),
            faults=_listed(error.more.get("faults")),
        )
        response = Response(page, error.code, error.headers, content_type=HTML)
    elif chosen in (PROBLEM, JSON):
        told = {"title": error.title, "status": error.code, "detail": error.detail, **error.more}
        body = dumps({name: value for name, value in told.items() if value != ""})
        response = Response(body, error.code, error.headers, content_type=chosen)
    else:
        response = Response(f"{error}\n", error.code, error.headers, content_type=TEXT)
    response.headers.vary("Accept")
    return response


def _listed(faults: Any) -> str:
    """Return the faults of a 422 as HTML; nothing for what an application has called so itself."""
    if not isinstance(faults, list):
        return ""
    texts = [
        f"{each.get('at') or each.get('in', '')} {each.get('says', '')}"
        for each in faults
        if isinstance(each, dict)
    ]
    return f"<ul>{''.join(f'<li>{html.escape(each)}' for each in texts)}</ul>\n" if texts else ""
