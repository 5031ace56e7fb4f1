"""The views: templates of Jinja, and what all of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from breezeway.web import Request, Response
from wiki.visitor import flashed, user_of

_HERE = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def view(request: Request, template: str, status: int = 200, /, **values: Any) -> Response:
    """Return a template as a response."""
    return Response(fragment(request, template, **values), status)


def fragment(request: Request, template: str, /, **values: Any) -> str:
    """Return a template as HTML."""
    app = request.app

    def csrf_field() -> Markup:
        token = request.environ["breezeway.csrf_token"]()
        return Markup('<input type="hidden" name="csrf_token" value="{}">').format(token)

    return _TEMPLATES.get_template(template).render(
        {
            "user": user_of(request),
            "wiki_name": app.settings.name,
            "here": request.path,
            "url_for": app.url_for,
            "static_url": lambda name: f"/static/{name}",
            "csrf_field": csrf_field,
            "flashes": lambda: flashed(request),
            "faults": {},
            **values,
        }
    )
