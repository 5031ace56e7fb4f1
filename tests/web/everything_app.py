"""One application with everything in it, for the test that asks several servers for the same."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID
from wsgiref.types import StartResponse, WSGIEnvironment

from breezeway.web import (
    App,
    Between,
    Conflict,
    Cookie,
    Event,
    EventStream,
    FileResponse,
    Form,
    Group,
    Header,
    HTTPError,
    Length,
    Limits,
    Request,
    Response,
    Templates,
    Upload,
    add_static,
    flash,
    json_response,
    redirect,
)

SECRET = "a secret of sixteen characters or more"
LARGE = bytes(range(256)) * 1200
"""Of the file `large.bin`; more than the response reads at once."""

FILES = {
    "large.bin": LARGE,
    "small.txt": "größer\n".encode(),
    "public/site.css": b"body { color: teal }",
    "templates/page.html": (
        b"<!doctype html><title>{{ title }}</title>"
        b"{% for text, kind in flashes() %}<p class='{{ kind }}'>{{ text }}</p>{% endfor %}"
        b"<link href='{{ static_url('site.css') }}'><a href='{{ url_for('page') }}'>Page</a>"
        b"<form method='post'>{{ csrf_field() }}</form>"
    ),
}

WRITTEN = 1_700_000_000
"""Seconds since the epoch, of all the files."""


class Colour(enum.Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Note:
    """A body."""

    title: Annotated[str, Length(1, 20)]
    stars: Annotated[int, Between(0, 5)] = 0
    tags: list[str] = field(default_factory=list)
    day: date | None = None


class Odd(Exception):
    """An error that has a handler."""


def write(folder: Path) -> None:
    """Write the files that the application needs."""
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (WRITTEN, WRITTEN))


def create(folder: str) -> App:
    """Make the application; gunicorn calls it with the folder."""
    app = App(sessions={"secret": SECRET}, security={"csp": "default-src 'self'"})
    _values(app)
    _bodies(app)
    _responses(app, Path(folder))
    _visitors(app, Templates(Path(folder) / "templates"))
    _errors(app)
    _mounts(app)
    add_static(app, Path(folder) / "public")
    return app


def _values(app: App) -> None:
    """Add what tells of the request."""

    @app.get("/")
    def home() -> str:
        return "<h1>Höher</h1>"

    @app.get("/typed/{id:int}/{key:uuid}")
    def typed(
        id: int,
        key: UUID,
        colour: Colour = Colour.RED,
        page: Annotated[int, Between(1)] = 1,
        tag: list[str] | None = None,
        agent: Annotated[str, Header("User-Agent")] = "",
        seen: Annotated[str, Cookie("seen")] = "",
    ) -> dict[str, Any]:
        return {
            "path": [id, key],
            "query": [colour, page, tag],
            "agent": agent,
            "seen": seen,
        }

    @app.route("/echo/{path:path}", "GET", "POST", "PUT", "DELETE")
    def echo(path: str, request: Request) -> dict[str, Any]:
        return {
            "path": path,
            "all": [request.root_path, request.path, request.url, request.base_url, request.host],
            "query": request.query.pairs,
            "query_string": request.query_string,
            "method": request.method,
            "names": request.headers.all("X-Name"),
            "types": request.headers.all("Accept"),
            "cookies": {**request.cookies, "sid": ""},
            "client": request.client,
            "user": request.remote_user,
            "language": request.accepts_language("en", "de"),
        }

    @app.get("/raw/{path:path}")
    def raw(path: str, request: Request) -> list[str]:
        return [path, request.raw_path]

    @app.get("/café/{name}")
    def cafe(name: str, request: Request) -> dict[str, str]:
        return {"name": name, "url": request.url_for("cafe", name=name)}

    @app.get("/slash/")
    def slash() -> str:
        return "with a slash"


def _bodies(app: App) -> None:
    """Add what reads the body."""

    @app.put("/notes/{id:int}")
    def save(id: int, note: Note) -> dict[str, Any]:
        return {"id": id, "note": note}

    @app.put("/optional")
    def optional(note: Note | None = None) -> dict[str, Any]:
        return {"note": note}

    @app.post("/choice")
    def choice(name: Annotated[str, Form()] = "none") -> str:
        return name

    @app.route("/told", "GET", "POST")
    def told(request: Request) -> list[Any]:
        return [request.content_length, request.content_type]

    @app.post("/text")
    def text(request: Request) -> str:
        return request.text

    @app.post("/bounded", limits=Limits(body_bytes=1000))
    def bounded(request: Request) -> int:
        return len(request.body)

    @app.post("/unread")
    def unread() -> str:
        return "not read"

    @app.post("/form")
    def form(
        title: Annotated[str, Form()],
        number: Annotated[int, Form()],
        picture: Upload | None = None,
    ) -> dict[str, Any]:
        content = picture.read() if picture else b""
        name = picture.filename if picture else ""
        return {"title": title, "number": number, "name": name, "size": len(content)}


def _responses(app: App, folder: Path) -> None:
    """Add what answers in its own way."""

    @app.get("/json")
    def json() -> Response:
        return json_response({"ü": [1, None, "\u2028"]}, "201 Made Today", {"X-Made": "today"})

    @app.get("/nothing")
    def nothing() -> None:
        return None

    @app.get("/bytes")
    def blob() -> bytes:
        return bytes(range(256))

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield from ("ä", "", "b" * 70_000, "c")

    @app.get("/broken")
    def broken() -> Iterator[str]:
        yield "first"
        raise Odd

    @app.get("/events")
    def events() -> Response:
        return EventStream([Event({"n": 1}, event="note", id="1"), None, "a\nb"], retry=3)

    @app.get("/file/{name:path}")
    def file(name: str) -> Response:
        return FileResponse(name, root=folder)

    @app.get("/saved")
    def saved() -> Response:
        return FileResponse(folder / "small.txt", download=True, name="Größe.txt")

    @app.get("/version")
    def version() -> Response:
        return Response("one").conditional("v1")

    @app.get("/away")
    def away(request: Request) -> Response:
        response = redirect(request.url_for("cafe", name="ß"))
        response.set_cookie("seen", "1", max_age=60)
        response.set_cookie("__Secure-other", "2")
        return response


def _visitors(app: App, templates: Templates) -> None:
    """Add what has sessions."""

    @app.get("/page")
    def page(request: Request) -> Response:
        return templates.page(request, "page.html", title=request.session.get("name", "<none>"))

    @app.post("/log-in")
    def log_in(request: Request, name: Annotated[str, Form()]) -> Response:
        request.session.rotate()
        request.session["name"] = name
        flash(request, f"Hello {name}", "success")
        return redirect(request.url_for("page"))

    @app.post("/log-out")
    def log_out(request: Request) -> None:
        request.session.clear()


def _errors(app: App) -> None:
    """Add what fails, and what is around everything."""
    group = Group("/failing")

    @group.get("/odd")
    def odd() -> None:
        raise Odd

    @group.get("/unknown")
    def unknown() -> None:
        raise LookupError("nobody expects it")

    @group.error(Odd)
    def answer_odd(request: Request, error: Odd) -> tuple[str, int, dict[str, str]]:
        return "odd", 503, {"Retry-After": "5"}

    @group.error(500)
    def answer_unknown(request: Request, error: Exception) -> str:
        return f"{type(error).__name__} of {request.path}"

    @app.get("/conflict")
    def conflict() -> None:
        raise Conflict("somebody else", [("X-Who", "Ann")], version=7)

    @app.get("/unhandled")
    def unhandled() -> None:
        raise LookupError

    @app.error(410)
    def gone(request: Request, error: HTTPError) -> str:
        return "gone"

    @app.before
    def stop(request: Request) -> tuple[str, int] | None:
        return ("stopped", 402) if "stop" in request.query else None

    @app.after
    def stamp(request: Request, response: Response) -> None:
        response.headers["X-Stamp"] = request.method

    app.include(group)


def _mounts(app: App) -> None:
    """Add other applications."""

    def written(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size)
        write = start_response("202 Accepted", [("Content-Type", "text/plain")])
        write(environ["SCRIPT_NAME"].encode("latin-1") + b"|")
        write(environ["PATH_INFO"].encode("latin-1") + b"|")
        return [body]

    inner = App(security=False)

    @inner.get("/place/{id:int}")
    def place(id: int, request: Request) -> list[str]:
        return [request.root_path, request.path, request.url_for("place", id=id + 1)]

    app.mount("/wsgi", written)
    app.mount("/inner/déep", inner)
