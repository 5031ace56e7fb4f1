"""The same small application in each framework, as its documentation has it.

Each function makes one with `number` routes `/r0/{id}/item`, `/r1/{id}/item` and so on, one `/users/{id}`
that answers with JSON, and `/` with a plain greeting. None has a setting that makes it quicker or slower
than it comes, but for Django, which has no middleware here and no database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

GREETING = "Hello there\n"


def breezeway(number: int) -> Application:
    from breezeway.web import App

    app = App()
    add_breezeway(app, number)
    return app


def breezeway_bare(number: int) -> Application:
    """Without the security fields and the checks against forged requests."""
    from breezeway.web import App

    app = App(security=False, csrf=False)
    add_breezeway(app, number)
    return app


def add_breezeway(app: Any, number: int) -> None:
    from breezeway.web import text_response

    @app.get("/users/{id:int}")
    def user(id: int, name: str):
        return {"id": id, "name": name}

    @app.get("/")
    def hello():
        return text_response(GREETING)

    def item(id: int):
        return {"id": id}

    for at in range(number):
        app.get(f"/r{at}/{{id:int}}/item", name=f"r{at}")(item)


def falcon(number: int) -> Application:
    import falcon as it

    class User:
        def on_get(self, req, resp, id):
            resp.media = {"id": id, "name": req.get_param("name", required=True)}

    class Hello:
        def on_get(self, req, resp):
            resp.content_type = it.MEDIA_TEXT
            resp.text = GREETING

    class Item:
        def on_get(self, req, resp, id):
            resp.media = {"id": id}

    app = it.App()
    app.add_route("/users/{id:int}", User())
    app.add_route("/", Hello())
    for at in range(number):
        app.add_route(f"/r{at}/{{id:int}}/item", Item())
    return app


def bottle(number: int) -> Application:
    import bottle as it

    app = it.Bottle()

    @app.get("/users/<id:int>")
    def user(id):
        return {"id": id, "name": it.request.query["name"]}

    @app.get("/")
    def hello():
        it.response.content_type = "text/plain; charset=UTF-8"
        return GREETING

    def item(id):
        return {"id": id}

    for at in range(number):
        app.get(f"/r{at}/<id:int>/item")(item)
    return app


def werkzeug(number: int) -> Application:
    from werkzeug.exceptions import HTTPException
    from werkzeug.routing import Map, Rule
    from werkzeug.wrappers import Request, Response

    def as_json(value):
        return Response(json.dumps(value), mimetype="application/json")

    def user(request, id):
        return as_json({"id": id, "name": request.args["name"]})

    def hello(request):
        return Response(GREETING, mimetype="text/plain")

    def item(request, id):
        return as_json({"id": id})

    functions = {"user": user, "hello": hello, **{f"r{at}": item for at in range(number)}}
    rules = [Rule("/users/<int:id>", endpoint="user"), Rule("/", endpoint="hello")]
    rules += [Rule(f"/r{at}/<int:id>/item", endpoint=f"r{at}") for at in range(number)]
    urls = Map(rules)

    def app(environ, start_response):
        request = Request(environ)
        try:
            endpoint, values = urls.bind_to_environ(environ).match()
            response = functions[endpoint](request, **values)
        except HTTPException as error:
            response = error
        return response(environ, start_response)

    return app


def flask(number: int) -> Application:
    import flask as it

    app = it.Flask("bench")

    @app.get("/users/<int:id>")
    def user(id):
        return {"id": id, "name": it.request.args["name"]}

    @app.get("/")
    def hello():
        return it.Response(GREETING, mimetype="text/plain")

    def item(id):
        return {"id": id}

    for at in range(number):
        app.get(f"/r{at}/<int:id>/item", endpoint=f"r{at}")(item)
    return app


def django(number: int) -> Application:
    import sys
    import types

    from django.conf import settings

    settings.configure(
        ROOT_URLCONF="bench_urls", ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=[]
    )
    import django as it
    from django.http import HttpResponse, JsonResponse
    from django.urls import path

    def user(request, id):
        return JsonResponse({"id": id, "name": request.GET["name"]})

    def hello(request):
        return HttpResponse(GREETING, content_type="text/plain")

    def item(request, id):
        return JsonResponse({"id": id})

    urls = types.ModuleType("bench_urls")
    urls.urlpatterns = [path("users/<int:id>", user), path("", hello)]
    urls.urlpatterns += [path(f"r{at}/<int:id>/item", item) for at in range(number)]
    sys.modules["bench_urls"] = urls
    it.setup(set_prefix=False)
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()


FRAMEWORKS = {
    "breezeway": breezeway,
    "breezeway, bare": breezeway_bare,
    "Falcon": falcon,
    "Bottle": bottle,
    "Werkzeug": werkzeug,
    "Flask": flask,
    "Django": django,
}
