"""Groups, their hooks and error handlers: in which order, and that none is left out."""

from __future__ import annotations

import logging
import wsgiref.util
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from breezeway.gateway.file_wrapper import FileWrapper
from breezeway.middleware import Conditional, stack
from breezeway.web import (
    App,
    BadRequest,
    FileResponse,
    Forbidden,
    Group,
    HTTPError,
    Matches,
    NotFound,
    Request,
    Response,
    Unauthorized,
    redirect,
)
from breezeway.web.router import ConflictError

from ..middleware.calling import Counted, Result, call, make_environ


def traced(group: Group, name: str, trace: list[str]) -> None:
    """Add a hook of each kind that says when it was called."""
    group.before(lambda request: trace.append(f"before {name}"))

    @group.after
    def after(request: Request, response: Response) -> None:
        trace.append(f"after {name} {response.status}")

    group.teardown(lambda request: trace.append(f"teardown {name}"))


@pytest.fixture
def trace() -> list[str]:
    """Return the list into which hooks write."""
    return []


@pytest.fixture
def app(trace: list[str]) -> App:
    """Return an application of groups in groups, each with hooks."""
    app, outer, inner = App(), Group("/outer", name="outer"), Group("/inner", name="inner")
    for group, name in ((app, "app"), (outer, "outer"), (inner, "inner")):
        traced(group, name, trace)
    app.get("/", name="home")(lambda: trace.append("home") or "home")
    inner.get("/x", name="x")(lambda: trace.append("x") or "x")
    inner.get("/fails", name="fails")(lambda: 1 / 0)
    inner.get("/refuses", name="refuses")(_refuse)
    inner.get("/stream", name="stream")(lambda: _stream(trace))
    outer.include(inner)
    app.include(outer)
    return app


def _refuse() -> None:
    raise Forbidden("not you")


def _stream(trace: list[str]) -> Iterator[str]:
    try:
        yield "a"
        trace.append("between")
        yield "b"
    finally:
        trace.append("stream over")


IN = ["before app", "before outer", "before inner"]
OUT = ["teardown inner", "teardown outer", "teardown app"]


def after(status: int) -> list[str]:
    """Return what the hooks for responses say, the innermost first."""
    return [f"after {name} {status}" for name in ("inner", "outer", "app")]


# --- groups ----------------------------------------------------------------------------------------------


def test_prefixes_and_names(app: App) -> None:
    """Prefixes and names add up."""
    assert call(app, "/outer/inner/x").body == b"x"
    assert app.url_for("outer.inner.x") == "/outer/inner/x"


def test_routes_after_include() -> None:
    """A group passes on what it gets later, through all that it is in."""
    app, outer, inner = App(), Group("/outer"), Group("/inner")
    app.include(outer)
    outer.include(inner)
    inner.get("/late", name="late")(lambda: "late")
    assert call(app, "/outer/inner/late").body == b"late"


def test_a_group_in_two_places() -> None:
    """A group may be in several others, if these have names."""
    app, one, two, shared = App(), Group("/1", name="one"), Group("/2", name="two"), Group("/s")
    shared.get("/x", name="x")(lambda request: request.route.name)
    for group in (one, two):
        group.include(shared)
        app.include(group)
    assert [call(app, f"/{at}/s/x").body for at in (1, 2)] == [b"one.x", b"two.x"]


def test_circles_and_repetitions_are_refused() -> None:
    """A group in itself would have no end; twice in another, all its routes conflict."""
    outer, inner = Group("/a"), Group("/b")
    outer.include(inner)
    for group, other in ((outer, inner), (inner, outer), (outer, outer)):
        with pytest.raises(ValueError, match="once, and not in itself"):
            group.include(other)


def test_a_conflict_leaves_nothing_behind() -> None:
    """A route that is refused is not in the group either."""
    app = App()
    app.get("/x", name="x")(lambda: "first")
    with pytest.raises(ConflictError):
        app.get("/x", name="y")(lambda: "second")
    assert call(app, "/x").body == b"first"
    assert len(app.endpoints) == 1


@pytest.mark.parametrize("prefix", ["a", "/a/", "/"])
def test_prefixes_are_checked(prefix: str) -> None:
    """A prefix begins with a slash and ends without one."""
    with pytest.raises(ValueError, match="prefix"):
        Group(prefix)


def test_variables_of_a_prefix() -> None:
    """A prefix may have variables, which the handlers take."""
    app, group = App(), Group("/{team}")
    group.get("/{id:int}", name="x")(lambda team, id: f"{team} {id}")
    app.include(group)
    assert call(app, "/red/7").body == b"red 7"


# --- hooks -----------------------------------------------------------------------------------------------


def test_order(app: App, trace: list[str]) -> None:
    """Outer groups come first on the way in, and last on the way out."""
    call(app, "/outer/inner/x")
    assert trace == [*IN, "x", *after(200), *OUT]


def test_only_their_own(app: App, trace: list[str]) -> None:
    """Hooks of a group are for its routes; those of the application for everything."""
    call(app, "/")
    assert trace == ["before app", "home", "after app 200", "teardown app"]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/nothing", "GET", 404), ("/", "POST", 405), ("/", "OPTIONS", 204), ("/outer/", "GET", 404)],
)
def test_of_what_no_route_answers(
    app: App, trace: list[str], path: str, method: str, status: int
) -> None:
    """The hooks of the application see every response."""
    assert call(app, path, method).code == status
    assert trace == ["before app", f"after app {status}", "teardown app"]


def test_of_a_redirect(app: App, trace: list[str]) -> None:
    """Also one to the path with a slash more or less."""
    assert call(app, "/outer/inner/x/").code == 308
    assert trace == ["before app", "after app 308", "teardown app"]


def test_of_what_is_mounted(app: App, trace: list[str]) -> None:
    """The hooks see what a mounted application answers, and may change it; teardown is at its end."""
    counted = Counted(b"a", b"b", fields=[("X-Own", "1")])
    app.mount("/old", counted)
    app.after(lambda request, response: response.headers.add("X-Path", request.path))
    result = call(app, "/old/x")
    assert (result.body, result["x-own"], result["x-path"]) == (b"ab", "1", "/old/x")
    assert (counted.calls, counted.closed) == (1, 1)
    assert trace == ["before app", "after app 200", "teardown app"]


def test_mounted_without_after_hooks() -> None:
    """Without hooks that look at the response, it passes as it is, closed once."""
    app, counted = App(), Counted(b"a")
    app.mount("/old", counted)
    ended: list[int] = []
    app.teardown(lambda request: ended.append(counted.closed))
    assert call(app, "/old").body == b"a"
    assert (counted.closed, ended) == (1, [1])


def test_a_before_hook_that_answers(app: App, trace: list[str]) -> None:
    """The first that returns something answers; those after it and the handler are left out."""
    app.before(lambda request: ("stop", 503) if "stop" in request.query else None)
    result = call(app, "/outer/inner/x?stop")
    assert (result.code, result.body) == (503, b"stop")
    assert trace == ["before app", *after(503), *OUT]


def test_a_before_hook_guards_what_is_mounted() -> None:
    """Nobody gets past the hooks of the application, wherever he asks."""
    app, counted = App(), Counted(b"secret")
    app.mount("/old", counted)

    @app.before
    def check(request: Request) -> None:
        raise Unauthorized

    for path in ("/old/x", "/nothing", "/"):
        assert call(app, path).code == 401
    assert counted.calls == 0


@pytest.mark.parametrize("made", ["handler", "before hook", "after hook", "redirect"])
def test_a_response_of_several_requests(made: str) -> None:
    """What hooks do to a response that an application has made once is of the one request alone."""
    kept = redirect("/to") if made == "redirect" else Response("kept").conditional()
    ended: list[str] = []
    app = App()
    app.get("/")(lambda: "x" if made == "after hook" else kept)
    if made == "before hook":
        app.before(lambda request: kept)
    if made == "after hook":
        app.after(lambda request, response: kept)

    @app.after
    def name(request: Request, response: Response) -> None:
        response.set_cookie("user", request.query["user"])
        response.on_close(lambda: ended.append(request.query["user"]))

    for user in ("ann", "bob"):
        result = call(app, f"/?user={user}")
        cookies = [value for name, value in result.headers if name == "Set-Cookie"]
        assert cookies == [f"user={user}; Path=/; SameSite=Lax; HttpOnly"]
        assert ended.pop() == user
    assert not ended
    assert "Set-Cookie" not in kept.headers


def test_after_hooks_may_replace() -> None:
    """What a hook returns is the response, for the hooks after it, too; the first one is closed."""
    app = App()
    closed: list[str] = []

    def stream() -> Iterator[str]:
        try:
            yield "a"
        finally:
            closed.append("stream")

    app.get("/", name="x")(lambda: Response(stream()))
    app.after(lambda request, response: {"was": response.status})
    app.after(lambda request, response: response.headers.add("X", "1"))
    result = call(app, "/")
    assert (result.body, result["x"]) == (b'{"was":200}', "1")


@pytest.mark.parametrize("error", [BadRequest, ZeroDivisionError])
def test_after_hooks_that_fail(error: type[Exception], trace: list[str]) -> None:
    """An error in a hook has an answer like one in a handler; the other hooks see that."""
    app = App()
    traced(app, "app", trace)
    group = Group()
    group.get("/", name="x")(lambda: _stream(trace))

    @group.after
    def fail(request: Request, response: Response) -> None:
        raise error

    app.include(group)
    app.error(ZeroDivisionError)(lambda request, error: ("divided", 400))
    assert call(app, "/").code == 400
    assert trace[-2:] == ["after app 400", "teardown app"]


def test_teardown_after_a_stream(app: App, trace: list[str]) -> None:
    """A stream is over when it is closed, not when it begins."""
    assert call(app, "/outer/inner/stream").body == b"ab"
    assert trace == [*IN, *after(200), "between", "stream over", *OUT]


def test_teardown_after_a_client_that_leaves(app: App, trace: list[str]) -> None:
    """A stream that nobody reads to the end is over as well, and once."""
    blocks: Any = app(make_environ("/outer/inner/stream"), lambda *args: print)  # type: ignore[arg-type]
    iterator = iter(blocks)
    assert next(iterator) == b"a"
    blocks.close()
    blocks.close()
    assert trace == [*IN, *after(200), "stream over", *OUT]


def _large_file(kind: str, path: Path) -> Any:
    """Return what answers with a file, in one way or another."""
    path.write_bytes(b"x" * 100_000)
    if kind == "FileResponse":
        return lambda: FileResponse(path)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "100000")])
        found: Iterable[bytes] = environ["wsgi.file_wrapper"](path.open("rb"))
        return found

    return lambda: application


@pytest.mark.parametrize("wrapper", [FileWrapper, wsgiref.util.FileWrapper])
@pytest.mark.parametrize("kind", ["FileResponse", "application"])
@pytest.mark.parametrize("around", [None, Conditional])
@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=5-"}, {"Range": "bytes=5-80000"}])
def test_files_are_sent_by_the_server(
    wrapper: Any, kind: str, around: Any, asked: dict[str, str], tmp_path: Path
) -> None:
    """With hooks around, the server finds its own wrapper, and teardown is when it closes that, once."""
    app = App()
    ended: list[str] = []
    app.after(lambda request, response: response.headers.add("X-After", "1"))
    app.teardown(lambda request: ended.append("teardown"))
    app.get("/")(_large_file(kind, tmp_path / "large"))
    if around is not None:
        app.wsgi_app = stack(app.wsgi_app, around())
    environ = make_environ(fields=asked, **{"wsgi.file_wrapper": wrapper})
    heads: list[Any] = []
    blocks: Any = app(environ, lambda *head: heads.append(head))
    is_read_here = kind == "FileResponse" and asked.get("Range") == "bytes=5-80000"
    assert isinstance(blocks, wrapper) != is_read_here
    assert ("X-After", "1") in heads[0][1]
    assert b"".join(blocks)
    assert ended == []
    blocks.close()
    blocks.close()
    assert ended == ["teardown"]


def test_teardown_after_a_failure(app: App, trace: list[str]) -> None:
    """An exception that nobody takes is raised, and all is torn down before."""
    with pytest.raises(ZeroDivisionError):
        call(app, "/outer/inner/fails")
    assert trace == [*IN, *OUT]


def test_teardown_after_start_response_failed(app: App, trace: list[str]) -> None:
    """Also if the server takes no response any more."""

    def start_response(*args: Any) -> Any:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        app(make_environ("/outer/inner/stream"), start_response)
    assert trace == [*IN, *after(200), "stream over", *OUT]


def test_teardown_hooks_that_fail(
    app: App, trace: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """One that fails is logged, and the others are called."""
    app.teardown(lambda request: 1 / 0)
    app.teardown(lambda request: trace.append("last"))
    with caplog.at_level(logging.ERROR, "breezeway.web"):
        assert call(app, "/").code == 200
    assert trace[-2:] == ["teardown app", "last"]
    assert "a teardown hook of GET '/' failed" in caplog.text


# --- errors ----------------------------------------------------------------------------------------------


def test_by_status_and_class() -> None:
    """The innermost group goes first; within it the status, then the class and those above it."""
    app, group = App(), Group("/g")
    app.error(403)(lambda request, error: f"app: {error.detail}")
    app.error(LookupError)(lambda request, error: ("app: lookup", 410))
    group.error(ZeroDivisionError)(lambda request, error: {"divided": True})
    group.get("/403", name="a")(_refuse)
    group.get("/lookup", name="b")(lambda: {}["x"])
    group.get("/zero", name="c")(lambda: 1 / 0)
    app.include(group)
    assert _short(call(app, "/g/403")) == (403, b"app: not you")
    assert _short(call(app, "/g/lookup")) == (410, b"app: lookup")
    assert _short(call(app, "/g/zero")) == (500, b'{"divided":true}')
    group.error(HTTPError)(lambda request, error: f"group: {error.code}")
    assert _short(call(app, "/g/403")) == (403, b"group: 403")


def _short(result: Result) -> tuple[int, bytes]:
    return result.code, result.body


def test_of_what_no_route_answers_by_handlers() -> None:
    """404 and 405 have handlers like others; 405 keeps Allow, and is of the groups of its path."""
    app, group = App(), Group("/g")
    app.error(404)(lambda request, error: Response("ours"))
    group.error(405)(lambda request, error: ("group", {"X": "1"}))
    group.get("/", name="x")(lambda: "")
    app.include(group)
    assert _short(call(app, "/no")) == (404, b"ours")
    result = call(app, "/g/", "POST")
    assert (result.code, result["allow"], result["x"]) == (405, "GET, HEAD, OPTIONS", "1")


def test_fields_of_the_error_stay() -> None:
    """WWW-Authenticate and the like are in the answer of a handler, too, unless it has its own."""
    app = App()

    @app.get("/")
    def home() -> None:
        raise Unauthorized("who?", [("WWW-Authenticate", "Basic"), ("X", "error")])

    app.error(401)(lambda request, error: ("page", {"X": "page"}))
    result = call(app, "/")
    assert (result.code, result["www-authenticate"], result["x"]) == (401, "Basic", "page")


def test_a_status_that_the_handler_says() -> None:
    """A handler may say another status, also that all is well."""
    app = App()
    app.error(404)(lambda request, error: ("nothing to see", 200))
    app.error(403)(lambda request, error: ("hidden", 404))
    app.get("/403", name="x")(_refuse)
    assert call(app, "/x").code == 200
    assert call(app, "/403").code == 404


def test_errors_in_handlers() -> None:
    """What an error handler raises is for the groups around, and at last for the server."""
    app, group = App(), Group("/g")
    group.get("/", name="x")(_refuse)
    group.error(403)(lambda request, error: _raise(NotFound("hidden")))
    app.include(group)
    assert call(app, "/g/").code == 404
    app.error(404)(lambda request, error: _raise(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        call(app, "/g/")
    app.error(500)(lambda request, error: _raise(KeyError("in 500")))
    with pytest.raises(KeyError):
        call(app, "/g/")


def _raise(error: Exception) -> None:
    raise error


def test_500_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A page for unexpected errors does not hide them from the log."""
    app = App()
    app.error(500)(lambda request, error: "sorry")
    app.get("/", name="x")(lambda: 1 / 0)
    with caplog.at_level(logging.ERROR, "breezeway.web"):
        assert _short(call(app, "/")) == (500, b"sorry")
    assert "ZeroDivisionError" in caplog.text


def test_of_what_is_mounted_by_handlers() -> None:
    """A mounted application that fails before its response has the handlers of the one around."""

    def failing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise LookupError

    app = App()
    app.mount("/old", failing)
    app.error(LookupError)(lambda request, error: ("lost", 404))
    assert _short(call(app, "/old")) == (404, b"lost")
    app.after(lambda request, response: None)
    assert _short(call(app, "/old")) == (404, b"lost")


@pytest.mark.parametrize("kind", [200, 600, 1.5, "404", KeyboardInterrupt, int, None])
def test_kinds_are_checked(kind: Any) -> None:
    """A handler is for a status from 400 to 599 or a class of exceptions."""
    with pytest.raises((TypeError, ValueError)):
        App().error(kind)


def test_two_handlers_conflict() -> None:
    """Two handlers for the same in one group are told, with their places."""
    app = App()
    app.error(404)(lambda request, error: "one")
    with pytest.raises(ValueError, match=r"404 has two handlers: .*test_group.*test_group"):
        app.error(404)(lambda request, error: "two")


@pytest.mark.parametrize(
    ("accept", "content_type", "body"),
    [
        ("", "application/problem+json", '{"title":"Forbidden","status":403,"detail":"not <you>"}'),
        ("*/*", "application/problem+json", '"detail":"not <you>"'),
        ("application/json, text/plain, */*", "application/json", '"status":403'),
        ("text/plain", "text/plain; charset=utf-8", "403 Forbidden: not <you>\n"),
        ("text/html,*/*;q=0.8", "text/html; charset=utf-8", "not &lt;you&gt;"),
        ("application/json", "application/json", '"detail":"not <you>"'),
        ("application/problem+json", "application/problem+json", '"status":403'),
        ("image/png", "text/plain; charset=utf-8", "403 Forbidden"),
    ],
)
def test_default_answers(accept: str, content_type: str, body: str) -> None:
    """An error that nobody takes is answered in a form that the client reads."""
    app = App()
    app.get("/", name="x")(lambda: _raise(Forbidden("not <you>")))
    result = call(app, "/", fields={"Accept": accept} if accept else {})
    assert (result.code, result["content-type"]) == (403, content_type)
    assert body in result.body.decode()
    assert result["vary"] == "Accept"


def test_faults_on_a_page() -> None:
    """A browser is told what is wrong with its form, escaped; what else is called faults is not shown."""
    app = App()

    @app.get("/")
    def search(q: Annotated[str, Matches("[^<]*")], most: int) -> None:
        pass

    app.get("/own")(lambda: _raise(HTTPError(402, "pay", faults=["mine"])))
    html = {"Accept": "text/html"}
    result = call(app, "/?q=<b>&most=many", fields=html)
    assert (result.code, result["content-type"]) == (422, "text/html; charset=utf-8")
    assert b"<li>q must match [^&lt;]*<li>most must be a whole number</ul>" in result.body
    assert b"<ul>" not in call(app, "/own", fields=html).body


@pytest.mark.parametrize("status", [0, 200, 399, 600])
def test_statuses_of_errors(status: int) -> None:
    """An error has the status of one."""
    with pytest.raises(ValueError, match="from 400 to 599"):
        HTTPError(status)


def test_members_of_a_problem() -> None:
    """What an error has beside its detail is told to programs."""
    app = App()
    app.get("/")(lambda: _raise(HTTPError(402, "pay first", [("X", "1")], price=3)))
    result = call(app, "/")
    assert (result.code, result["content-type"], result["x"]) == (
        402,
        "application/problem+json",
        "1",
    )
    assert b'"price":3' in result.body


@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*"])
def test_errors_of_exceptions(accept: str) -> None:
    """What another exception says can be the detail, and the fields of an error a table."""
    app = App()

    @app.get("/")
    def fail() -> None:
        raise BadRequest(ValueError("no such <day>"), {"X-Why": "day"})

    result = call(app, "/", fields={"Accept": accept})
    assert (result.code, result["x-why"]) == (400, "day")
    assert b"no such" in result.body
    with pytest.raises(ValueError, match="400 to 599, not 'text'"):
        HTTPError("text")  # type: ignore[arg-type]


def test_handlers_that_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """One that only takes note of an error leaves it to the groups around, and makes no 204 of it."""
    app, group, seen = App(), Group("/shop"), list[str]()
    note = lambda request, error: seen.append(type(error).__name__)  # noqa: E731
    group.error(Exception)(note)
    group.error(404)(note)
    app.error(LookupError)(lambda request, error: ("outer", 410))
    group.get("/key")(lambda: {}["x"])
    group.get("/none")(lambda: _not_found())
    group.get("/fails")(lambda: 1 / 0)
    app.include(group)
    assert (call(app, "/shop/key").code, call(app, "/shop/none").code) == (410, 404)
    app.error(500)(note)
    with pytest.raises(ZeroDivisionError):
        call(app, "/shop/fails")
    assert seen == ["KeyError", "NotFound", "ZeroDivisionError", "ZeroDivisionError"]


def _not_found() -> None:
    raise NotFound


def test_handlers_that_share_a_response() -> None:
    """One response for several errors has nothing of the last one in it."""
    page = Response("page")
    app = App(security=False)
    for status in (404, 405):
        app.error(status)(lambda request, error: page)
    app.get("/a", name="a")(lambda: "")
    app.post("/b", name="b")(lambda: "")
    allowed = [call(app, path, "DELETE")["allow"] for path in ("/a", "/b", "/c")]
    assert allowed == ["GET, HEAD, OPTIONS", "OPTIONS, POST", None]
    assert (call(app, "/c").code, page.status, len(page.headers.fields)) == (404, 200, 1)


@pytest.mark.parametrize("hooks", [False, True])
def test_files_of_a_request_that_nobody_answers(hooks: bool) -> None:
    """They are deleted when the error goes to the server."""
    pytest.importorskip("multipart")
    app, held = App(), []
    if hooks:
        app.teardown(lambda request: None)

    @app.post("/")
    def upload(request: Request) -> Any:
        held.append(request.files["f"])
        raise ZeroDivisionError

    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nfile\r\n--x--\r\n'
    with pytest.raises(ZeroDivisionError):
        call(app, "/", "POST", {"Content-Type": "multipart/form-data; boundary=x"}, body)
    with pytest.raises(ValueError, match="the request is over"):
        held[0].read()


def test_a_text_in_place_of_the_content() -> None:
    """A hook may put a text there; it is sent whole, with its length."""
    app = App()
    app.get("/")(lambda: "x")
    app.after(lambda request, response: setattr(response, "content", "ß"))
    result = call(app, "/")
    assert (result.blocks, result["content-length"]) == (["ß".encode()], "2")


# --- what cannot be -----------------------------------------------------------------------------------


def _generator(*_: Any) -> Iterator[None]:
    yield


async def _later(*_: Any) -> None: ...


REFUSED: dict[str, tuple[Any, str]] = {
    "before takes nothing": (
        lambda app: app.before(lambda: None),
        "is called with the request, wh",
    ),
    "after takes one": (
        lambda app: app.after(lambda request: None),
        "and the response, which .* not",
    ),
    "teardown takes two": (lambda app: app.teardown(lambda a, b: None), r"not take: \(a, b\)"),
    "error takes one": (lambda app: app.error(404)(lambda request: ""), "and the exception, which"),
    "no function": (lambda app: app.before("x"), "a before hook is a function, not 'x'"),
    "no error handler": (
        lambda app: app.error(404)(None),
        "an error handler is a function, not None",
    ),
    "async": (lambda app: app.teardown(_later), "_later .* is async"),
    "a generator": (lambda app: app.teardown(_generator), "_generator .* is a generator"),
    "no path": (lambda app: app.get(_generator), "begins with its path, .*, not with _generator"),
    "a list of methods": (lambda app: app.route("/", ["GET"]), "methods are texts"),
    "no handler": (lambda app: app.get("/")("text"), "answers '/' is a function, not 'text'"),
    "no group": (lambda app: app.include(Group), "is a Group, not <class"),
    "no prefix": (lambda app: app.mount(App(), "/x"), "comes after its prefix"),
    "mounted class": (lambda app: app.mount("/x", App), "is a WSGI application, not <class"),
    "mounted group": (
        lambda app: app.mount("/x", Group()),
        "is a WSGI application, not <breezeway",
    ),
    "limits of a route": (lambda app: app.get("/", limits={}), r"are Limits\(...\), not {}"),
    "limits": (lambda app: App(limits={"fields": 5}), r"are Limits\(...\), not"),  # type: ignore[arg-type]
    "openapi": (lambda app: app.get("/", openapi=None), "is false or a table, not None"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mistakes_are_told_at_once(name: str) -> None:
    """What would do nothing, or fail with each request, is an error when it is registered."""
    do, message = REFUSED[name]
    with pytest.raises(TypeError, match=message):
        do(App())


def test_hooks_that_are_taken() -> None:
    """Functions of any kind that take what they are given."""
    app = App()
    seen: list[Any] = []
    for hook in (seen.append, seen.__class__, partial(lambda a, b: None, 1), lambda *a, b=1: None):
        app.teardown(hook)
    app.error(404)(lambda *_: iter("ab"))
    assert (call(app, "/").body, len(seen)) == (b"ab", 1)


# --- all together ----------------------------------------------------------------------------------------


def _breaking(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Fail when the first block is asked for."""
    raise ZeroDivisionError
    yield b""


HANDLERS: dict[str, Any] = {
    "text": lambda: "x",
    "nothing": lambda: None,
    "stream": lambda: iter("ab"),
    "stream that fails": lambda: (1 / 0 for _ in "ab"),
    "no result": lambda: object(),
    "refusal": _refuse,
    "failure": lambda: 1 / 0,
    "application": lambda: Counted(b"a"),
    "broken application": lambda: _breaking,
}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("before", ["passes", "answers", "refuses", "fails"])
@pytest.mark.parametrize("after", ["none", "passes", "replaces", "refuses", "fails"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_teardown_is_once(handler: str, before: str, after: str, method: str) -> None:
    """Whatever comes together, a request is torn down once, and what was begun is closed."""
    app = App()
    ended: list[Request] = []
    behaviour: dict[str, Any] = {
        "passes": lambda *_: None,
        "answers": lambda *_: "hook",
        "replaces": lambda *_: "hook",
        "refuses": lambda *_: _refuse(),
        "fails": lambda *_: 1 / 0,
    }
    app.get("/")(HANDLERS[handler])
    app.before(behaviour[before])
    if after != "none":
        app.after(behaviour[after])
    app.teardown(ended.append)
    blocks: Any = None
    try:
        blocks = app(make_environ("/", method), lambda *args: print)  # type: ignore[arg-type]
        for _ in blocks:
            pass
    except (ZeroDivisionError, TypeError):
        pass
    finally:
        if hasattr(blocks, "close"):
            blocks.close()
    assert len(ended) == 1
