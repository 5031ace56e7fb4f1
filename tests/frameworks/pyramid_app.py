"""The Pyramid application, in a module of its own so that an ini file can name it."""

import hashlib
from typing import Any

from pyramid.config import Configurator
from pyramid.events import NewRequest
from pyramid.httpexceptions import HTTPForbidden
from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory

from tests.frameworks.streamed import Streamed

streamed = Streamed()


def greet(request: Request) -> dict[str, Any]:
    """Tell what was asked, and link to another page."""
    link = request.route_url("greet", name="other")
    return {"name": request.matchdict["name"], "q": request.params.get("q"), "link": link}


def upload(request: Request) -> dict[str, Any]:
    """Describe the uploaded file and the field beside it."""
    file = request.POST["f"]
    digest = hashlib.sha256(file.file.read()).hexdigest()
    return {"note": request.POST["note"], "filename": file.filename, "sha256": digest}


def body(request: Request) -> Response:
    """Return the body."""
    return Response(request.body, content_type="application/octet-stream")


def count(request: Request) -> Response:
    """Count the visits of this session."""
    request.session["count"] = request.session.get("count", 0) + 1
    return Response(str(request.session["count"]))


def stream(_request: Request) -> Response:
    """Stream blocks."""
    return Response(app_iter=streamed.blocks(), content_type="text/plain")


def forbidden(_request: Request) -> Response:
    """Refuse."""
    raise HTTPForbidden


def fail(_request: Request) -> Response:
    """Raise."""
    raise RuntimeError("as it was asked to")


def close_body(event: NewRequest) -> None:
    """Close the temporary file into which WebOb copies a large body; it does not do that itself."""
    event.request.add_finished_callback(lambda request: request.body_file_raw.close())


def make_app(_global_config: dict[str, str], **settings: str) -> Any:
    """Return the application (paste.app_factory); it serves the files in `static`, if given."""
    config = Configurator(settings=settings)
    config.set_session_factory(SignedCookieSessionFactory("frameworks"))
    config.add_subscriber(close_body, NewRequest)
    config.add_route("greet", "/greet/{name}")
    config.add_view(greet, route_name="greet", renderer="json")
    config.add_route("upload", "/upload", request_method="POST")
    config.add_view(upload, route_name="upload", renderer="json")
    for view in (body, count, stream, forbidden, fail):
        config.add_route(view.__name__, f"/{view.__name__}")
        config.add_view(view, route_name=view.__name__)
    if "static" in settings:
        config.add_static_view("static", settings["static"])
    return config.make_wsgi_app()
