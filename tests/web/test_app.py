"""`App`: which route answers, and what where none does."""

from __future__ import annotations

import enum
import gc
import json
import threading
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import Compress, RequestId, stack
from breezeway.web import App, BadRequest, Converter, Group, Limits, Request
from breezeway.web.router import ConflictError

from ..middleware.calling import call, make_environ, run


def make() -> App:
    """Make an application with a few routes."""
    app = App()

    @app.get("/users/{id:int}")
    def user(id: int, name: str = "nobody") -> Any:
        return {"id": id, "name": name}

    return app


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Say where it is mounted and what is asked for."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode("latin-1")]


def test_arguments_by_annotation() -> None:
    """A variable of the path and a name of the query become arguments; the result is JSON."""
    result = call(make(), "/users/42?name=bob")
    assert (result.code, result["content-type"]) == (200, "application/json")
    assert json.loads(result.body) == {"id": 42, "name": "bob"}


# --- methods ---------------------------------------------------------------------------------------------


def test_not_there() -> None:
    """What no route answers is 404; another method 405 with Allow."""
    assert call(make(), "/users/x").code == 404
    result = call(make(), "/users/1", "POST", body=b"x")
    assert (result.code, result["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_head_is_get_without_content() -> None:
    """HEAD has the fields of GET, with the length, and no content."""
    result = call(make(), "/users/1", "HEAD")
    assert (result.code, result.body) == (200, b"")
    assert result["content-length"] == str(len(call(make(), "/users/1").body))


def test_head_of_ones_own() -> None:
    """A route for HEAD goes before that for GET."""
    app = App()
    app.get("/", name="get")(lambda: "page")
    app.route("/", "HEAD", name="head")(lambda: ("", {"X-Own": "1"}))
    assert call(app, "/", "HEAD")["x-own"] == "1"
    assert call(app, "/")["x-own"] is None


def test_options() -> None:
    """OPTIONS says what there is; a route of its own goes before; `*` is the server."""
    app = make()
    app.post("/users/{id:int}", name="post")(lambda id: None)
    result = call(app, "/users/1", "OPTIONS")
    assert (result.code, result["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert call(app, "/nothing", "OPTIONS").code == 404
    environ = make_environ("/", "OPTIONS")
    environ["PATH_INFO"] = "*"
    responses: list[str] = []
    app(environ, lambda status, headers, exc_info=None: responses.append(status))  # type: ignore[arg-type, func-returns-value, return-value]
    assert responses == ["204 No Content"]
    app.route("/users/{id:int}", "OPTIONS", name="own")(lambda id: "mine")
    assert call(app, "/users/1", "OPTIONS").body == b"mine"


def test_methods_are_looked_for_in_all_that_match() -> None:
    """A narrow route with another method does not hide a wide one; Allow is of both."""
    app = App()
    app.get("/users/me", name="me")(lambda: "me")
    app.delete("/users/{name}", name="delete")(lambda name: name)
    assert call(app, "/users/me").body == b"me"
    assert call(app, "/users/me", "DELETE").body == b"me"
    result = call(app, "/users/me", "PUT", body=b"x")
    assert (result.code, result["allow"]) == (405, "DELETE, GET, HEAD, OPTIONS")


def test_one_function_for_several() -> None:
    """A function may answer several methods and paths; `url_for` takes the path that fits."""
    app = App()

    @app.get("/")
    @app.route("/pages/{number:int}", "GET", "post")
    def pages(number: int = 1) -> str:
        return f"page {number}"

    assert call(app, "/").body == b"page 1"
    assert call(app, "/pages/3", "POST", body=b"x").body == b"page 3"
    assert app.url_for("pages") == "/"
    assert app.url_for("pages", number=3) == "/pages/3"


def test_names_of_lambdas() -> None:
    """All lambdas have one name, so that theirs is the path."""
    app = App()
    app.get("/a")(lambda: "a")
    app.get("/b")(lambda: "b")
    assert app.url_for("/b") == "/b"


def test_async_handlers_are_refused() -> None:
    """WSGI has no event loop, and says so before the first request."""

    async def handler() -> str:
        return ""

    with pytest.raises(TypeError, match="is async"):
        App().get("/")(handler)


def test_json_is_the_same_either_way() -> None:
    """What a handler returns is sent the short way where nobody looks at the response."""
    short, long = make(), make()
    long.after(lambda request, response: None)
    one, other = (call(app, "/users/1") for app in (short, long))
    assert (one.status, one.body) == (other.status, other.body)
    assert sorted(one.headers) == sorted(other.headers)


# --- conflicts -------------------------------------------------------------------------------------------


def test_conflicts_name_both_places() -> None:
    """Two routes for the same requests are told when the second is registered."""
    app = make()

    def other(number: int) -> None: ...

    with pytest.raises(ConflictError) as caught:
        app.get("/users/{number:int}")(other)
    text = str(caught.value)
    assert "GET /users/{number:int} is there twice (there as /users/{id:int})" in text
    assert text.count("test_app.py:") == 2
    assert "other" in text


def test_names_conflict() -> None:
    """A name of two functions would make `url_for` a matter of luck."""
    app = make()

    def user() -> None: ...

    with pytest.raises(ConflictError, match=r"two routes are called 'user'.*test_app.py"):
        app.get("/elsewhere")(user)


# --- paths -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/caf\xc3\xa9/\xc3\x9f", "ß"), ("/caf\xc3\xa9/%2F", "%2F"), ("/caf\xc3\xa9/\xff", "�")],
)
def test_paths_are_utf_8(path: str, expected: str) -> None:
    """The path of an environ is bytes as characters, and UTF-8 to the application."""
    app = App()
    app.get("/café/{name}", name="x")(lambda name: name)
    environ = make_environ("/")
    environ["PATH_INFO"] = path
    assert run(app, environ).body.decode() == expected


@given(st.text(max_size=20))
def test_any_path_has_an_answer(path: str) -> None:
    """No path makes the application fail."""
    app = make()
    app.get("/a/", name="a")(lambda: "")
    environ = make_environ("/")
    environ["PATH_INFO"] = "/" + path.encode("utf-8", "replace").decode("latin-1")
    assert run(app, environ).code in (200, 308, 404)


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/a", "", "/a/"),
        ("/a", "x=1&y=//e", "/a/?x=1&y=//e"),
        ("/a", "\x01\xe4 <", "/a/?%01%E4%20%3C"),
        ("/b/", "", "/b"),
        ("/caf\xc3\xa9", "", "/caf%C3%A9/"),
        ("//evil.example/", "", None),
        ("//a", "", None),
        ("/\\evil.example/", "", "/%5Cevil.example"),
        ("/a//", "", "/a/"),
        ("/a///", "", None),
        ("/a/x", "", None),
    ],
)
def test_trailing_slash(path: str, query: str, location: str | None) -> None:
    """What is there with a slash more or less is told; nobody is sent to another host."""
    app = App()
    app.get("/a/", name="a")(lambda: "")
    app.get("/b", name="b")(lambda: "")
    app.get("/café/", name="c")(lambda: "")
    app.get("/{any}", name="d")(lambda any: "") if "evil" in path else None
    environ = make_environ("/")
    environ.update(PATH_INFO=path, QUERY_STRING=query)
    result = run(app, environ)
    assert (result.code, result["location"]) == (308 if location else 404, location)


def test_trailing_slash_below_a_mount_and_strict() -> None:
    """The place where the application is mounted stays in the redirect; `strict` makes none."""
    app = App()
    app.post("/a/", name="a")(lambda: "")
    assert call(app, "/a", "POST", body=b"x", SCRIPT_NAME="/caf\xc3\xa9")["location"] == (
        "/caf%C3%A9/a/"
    )
    assert call(app, "/a", "POST", body=b"x", SCRIPT_NAME="//b/")["location"] == "/b/a/"
    strict = App(trailing_slash="strict")
    strict.get("/a/", name="a")(lambda: "")
    assert call(strict, "/a").code == 404
    with pytest.raises(ValueError, match="trailing_slash"):
        App(trailing_slash="no")  # type: ignore[arg-type]


def test_root() -> None:
    """An empty path is that of the root."""
    app = App()
    app.get("/", name="root")(lambda: "root")
    assert call(app, "/").body == b"root"
    assert call(app, "", SCRIPT_NAME="/mounted").body == b"root"


def test_converters_that_look_up() -> None:
    """What a converter does not find, or cannot count, is no match: it makes nobody's error."""
    converters = {
        "colour": Converter({"red": 1}.__getitem__, {1: "red"}.__getitem__),
        "price": Converter(Decimal, makes="Decimal"),
    }
    app = App(converters=converters)
    app.get("/c/{colour:colour}", name="colour")(lambda colour: colour)
    app.get("/p/{price:price}", name="price")(lambda price: str(price))
    assert call(app, "/c/red").body == b"1"
    assert call(app, "/p/1.5").body == b"1.5"
    for path in ("/c/blue", "/p/blue"):
        assert call(app, path).code == 404
        assert call(app, path, "POST", body=b"x").code == 404
    assert app.url_for("colour", colour=1) == "/c/red"
    with pytest.raises(ValueError, match="'colour'"):
        app.url_for("colour", colour=2)
    with pytest.raises(ValueError, match="does not match"):
        app.url_for("price", price="cheap")


# --- url_for ---------------------------------------------------------------------------------------------


def test_url_for() -> None:
    """Values become the path, and the query where the path has no place for them."""
    app = make()
    assert app.url_for("user", id=7) == "/users/7"
    assert app.url_for("user", id=7, name="a b", tags=["x", "&"], none=None) == (
        "/users/7?name=a+b&tags=x&tags=%26"
    )
    with pytest.raises(ValueError, match="no route called 'nobody'"):
        app.url_for("nobody")
    with pytest.raises(ValueError, match="needs a value for 'id'"):
        app.url_for("user")


def test_url_for_members_of_enums() -> None:
    """They are read by their values, and so they are written."""

    class Kind(enum.Enum):
        FILM = "film"
        TWO = 2

    app = App()

    def show(kind, others):  # type: ignore[no-untyped-def]
        return [kind.name, *(each.name for each in others)]

    show.__annotations__ = {"kind": Kind, "others": list[Kind]}
    app.get("/{kind}", name="show")(show)
    url = app.url_for("show", kind=Kind.FILM, others=[Kind.TWO, Kind.FILM])
    assert url == "/film?others=2&others=film"
    assert json.loads(call(app, url).body) == ["FILM", "TWO", "FILM"]
    assert app.url_for("show", kind="film", others=Kind.TWO) == "/film?others=2"


def test_url_for_what_was_meant() -> None:
    """The name of a group is soon forgotten, and a letter, too."""
    app, group = App(), Group("/films", name="films")
    group.get("/")(lambda: "")
    group.get("/{id:int}", name="show")(lambda id: "")
    app.include(group)
    for name in ("show", "films.shov"):
        with pytest.raises(ValueError, match=r"; did you mean 'films\.show'\?$"):
            app.url_for(name, id=1)


def test_url_for_below_a_mount() -> None:
    """A request knows where its application is mounted."""
    inner = App()

    @inner.get("/users/{id:int}")
    def user(id: int, request: Request) -> str:
        return request.url_for("user", id=id + 1)

    outer = App()
    outer.mount("/inner", inner)
    assert call(outer, "/inner/users/1", SCRIPT_NAME="/a b").body == b"/a%20b/inner/users/2"
    # A URL never names a host (RFC 3986 section 4.2), wherever a server says that it is mounted.
    assert call(inner, "/users/1", SCRIPT_NAME="//evil/").body == b"/evil/users/2"


# --- mounts and hosts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/old", "/old|"),
        ("/old/", "/old|/"),
        ("/old/x//y", "/old|/x//y"),
        ("/old/deep/x", "/old/deep|/x"),
        ("/old/route", "route"),
        ("/caf\xc3\xa9/\xc3\x9f", "/caf\xc3\xa9|/\xc3\x9f"),
    ],
)
def test_mount(path: str, expected: str) -> None:
    """The longest prefix answers, below routes of its own, and sees itself there."""
    app = App()
    app.get("/{rest:path}", name="all")(lambda rest: "all")
    app.get("/old/route", name="route")(lambda: "route")
    for prefix in ("/old", "/old/deep", "/café"):
        app.mount(prefix, echo)
    environ = make_environ("/")
    environ["PATH_INFO"] = path
    result = run(app, environ)
    assert result.body.decode("latin-1") == expected
    assert result["x-content-type-options"] == "nosniff"
    assert call(app, "/older").body == b"all"
    assert environ["SCRIPT_NAME"] == ""  # of the request itself nothing has changed


def test_mount_everything_else() -> None:
    """An empty prefix is what no route answers, with any method."""
    app = make()
    app.mount("", echo)
    assert call(app, "/users/1").code == 200
    assert call(app, "/users/1", "PUT", body=b"x").body == b"|/users/1"
    assert call(app, "/x").body == b"|/x"
    assert call(app, "/").body == b"|/"
    assert call(app, "/users/1", "HEAD")["content-type"] == "application/json"


@pytest.mark.parametrize("prefix", ["a", "/a/", "/", "/{x}", "/a//b"])
def test_mount_refuses(prefix: str) -> None:
    """A prefix that could not be is told."""
    with pytest.raises(ValueError, match=r"prefix|slashes"):
        App().mount(prefix, echo)


def test_mount_conflicts() -> None:
    """A prefix is taken once."""
    app = App()
    app.mount("/a", echo)
    with pytest.raises(ConflictError, match="mounted"):
        app.mount("/a", echo)
    app.mount("/a", echo, host="a.example")
    with pytest.raises(ValueError, match="is mounted"):
        app.include(App())


@pytest.mark.parametrize(
    ("host", "path", "body"),
    [
        ("shop.example", "/", b"shop"),
        ("SHOP.example.:8000", "/", b"shop"),
        ("shop.example", "/about", b"about"),
        ("ann.blog.example", "/", b"blog of ann"),
        ("a.b.blog.example", "/", b"main"),
        ("other.example", "/", b"main"),
        ("[::1]:80", "/", b"six"),
        ("bad host", "/", b"main"),
        ("cdn.example", "/x", b"|/x"),
    ],
)
def test_hosts(host: str, path: str, body: bytes) -> None:
    """A group has a host; what it has no route for is for the routes of any host."""
    app = App()
    app.get("/", name="main")(lambda: "main")
    app.get("/about", name="about")(lambda: "about")
    shop = Group(host="Shop.example", name="shop")
    shop.get("/", name="shop")(lambda: "shop")
    blog = Group(host="{Author}.blog.example")

    @blog.get("/")
    def start(request: Request) -> str:
        return f"blog of {request.host_values['Author']}"

    six = Group(host="[0::1]")
    six.get("/", name="six")(lambda: "six")
    for group in (shop, blog, six):
        app.include(group)
    app.mount("", echo, host="cdn.example")
    assert call(app, path, fields={"Host": host}).body == body


@pytest.mark.parametrize("host", ["a.example:80", "a b", "", "{x", "a..b"])
def test_hosts_are_checked(host: str) -> None:
    """A host that no request has is told."""
    if not host:
        Group(host=host)
        return
    with pytest.raises(ValueError, match="host"):
        Group(host=host)


def test_which_host_counts() -> None:
    """Of several the plainest counts, in whatever order they come; the same ones twice are told."""
    hosts = ("{a}.{b}.example", "{tenant}.shop.example", "api.{b}.example", "api.shop.example")
    for order in (hosts, hosts[::-1]):
        app = App()
        for host in order:
            group = Group(host=host)
            group.get("/", name=host)(lambda host=host: host)
            app.include(group)
        for host, expected in zip(
            ("x.y.example", "x.shop.example", "api.y.example", "api.shop.example"),
            hosts,
            strict=True,
        ):
            assert call(app, "/", fields={"Host": host}).body.decode() == expected
    for host in ("{other}.shop.example", "{x}.{x}.org"):
        group = Group(host=host)
        group.get("/other")(lambda: "")
        with pytest.raises(ValueError, match="host"):
            app.include(group)


def test_converters_are_checked() -> None:
    """A function alone is no converter, which is told at once and not at the first route with it."""
    with pytest.raises(TypeError, match=r"'year' is a Converter\(\.\.\.\), not <class 'int'>"):
        App(converters={"year": int})  # type: ignore[dict-item]


@pytest.mark.parametrize("method", ["GET, POST", "G ET", "", "GET\r\n", "G\u0130"])
def test_methods_are_checked(method: str) -> None:
    """A method that no request has is told (RFC 9110 section 9.1)."""
    with pytest.raises(ValueError, match="no method"):
        App().route("/", method)(lambda: "")


def test_trailing_slash_of_a_host() -> None:
    """The redirect looks at the routes of the host."""
    app = App()
    group = Group(host="a.example")
    group.get("/x/", name="x")(lambda: "x")
    app.include(group)
    assert call(app, "/x", fields={"Host": "a.example"})["location"] == "/x/"
    assert call(app, "/x", fields={"Host": "b.example"}).code == 404


# --- protection ------------------------------------------------------------------------------------------

FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


def test_security_by_default() -> None:
    """Every response has the fields of Security, errors and mounts as well; its own go before."""
    app = make()
    app.get("/own", name="own")(lambda: ("", {"X-Frame-Options": "DENY"}))
    app.get("/bad", name="bad")(_raise)
    for path in ("/users/1", "/nothing", "/bad"):
        assert call(app, path)["x-frame-options"] == "SAMEORIGIN"
    assert call(app, "/own").all("x-frame-options") == ["DENY"]
    assert call(App(security=False), "/")["x-frame-options"] is None


def _raise() -> None:
    raise BadRequest


@pytest.mark.parametrize(
    "options",
    [{"hsts": 3600}, {"paths": {"/users": {"hsts": 3600}}}, {"override": True, "hsts": 3600}],
)
def test_security_options(options: dict[str, Any]) -> None:
    """Options of Security are taken; what is for https is sent there alone."""
    app = App(security=options)
    app.get("/users", name="x")(lambda: "")
    secure = {"wsgi.url_scheme": "https"}
    assert call(app, "/users", **secure)["strict-transport-security"] == "max-age=3600"
    assert call(app, "/users")["strict-transport-security"] is None


def test_security_with_a_nonce() -> None:
    """A policy with a nonce has another one for each request, which the handler finds."""
    app = App(security={"csp": "script-src 'nonce-{nonce}'"})
    app.get("/", name="x")(lambda request: request.environ["breezeway.csp_nonce"])
    first, second = call(app, "/"), call(app, "/")
    assert first["content-security-policy"] == f"script-src 'nonce-{first.body.decode()}'"
    assert first.body != second.body


def test_csrf_by_default() -> None:
    """What another site makes a browser send is refused; what comes of a page or a program passes."""
    app = App()
    app.post("/", name="x")(lambda: "done")
    refused = call(app, "/", "POST", FOREIGN, b"x")
    assert (refused.code, refused["x-frame-options"]) == (403, "SAMEORIGIN")
    assert call(app, "/", "POST", {"Sec-Fetch-Site": "same-origin"}, b"x").code == 200
    assert call(app, "/", "POST", {"Origin": "http://test"}, b"x").code == 200
    assert call(app, "/", "POST", (), b"x").code == 200
    off = App(csrf=False)
    off.post("/", name="x")(lambda: "done")
    assert call(off, "/", "POST", FOREIGN, b"x").code == 200


def test_csrf_options_and_tokens() -> None:
    """With a secret there are tokens; trusted origins pass."""
    app = App(csrf={"secret": "s" * 32, "trusted_origins": ["https://evil.example"]})
    app.get("/", name="get")(lambda request: request.environ["breezeway.csrf_token"]())
    app.post("/", name="post")(lambda: "done")
    assert len(call(app, "/").body) == 86
    assert call(app, "/", "POST", FOREIGN, b"x").code == 200


def test_sessions() -> None:
    """With sessions there is one for each request, and tokens are bound to it."""
    pytest.importorskip("itsdangerous")
    app = App(sessions={"secret": "s" * 32})

    @app.get("/")
    def count(request: Request) -> Any:
        request.session["n"] = request.session.get("n", 0) + 1
        return [request.session["n"], request.environ["breezeway.csrf_token"]() != ""]

    first = call(app, "/")
    cookie = (first["set-cookie"] or "").partition(";")[0]
    assert json.loads(call(app, "/", fields={"Cookie": cookie}).body) == [2, True]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"security": "yes"}, "security must be true, false or a table"),
        ({"sessions": {}}, "need a secret to sign them with, or another store"),
        ({"csrf": 1.5}, "csrf must be true, false or a table"),
        ({"security": {"nothing": 1}}, "security: Security has no option 'nothing', but hsts, "),
        ({"csrf": {"application": 1}}, "csrf: Csrf has no option 'application', but "),
        ({"sessions": {"stor": "memory"}}, "sessions: Sessions has no option 'stor', but store, "),
    ],
)
def test_protection_is_checked(options: dict[str, Any], told: str) -> None:
    """Options that cannot be are told when the application is made."""
    pytest.importorskip("itsdangerous")
    with pytest.raises(ValueError, match=told):
        App(**options)


# --- life ------------------------------------------------------------------------------------------------


def test_routes_and_hooks_after_the_first_request() -> None:
    """What is added later counts from then on."""
    app = make()
    group = Group("/late")
    app.include(group)
    assert call(app, "/users/1").code == 200
    group.get("/x", name="x")(lambda: "late")
    app.after(lambda request, response: response.headers.add("X-Late", "1"))
    assert call(app, "/late/x").body == b"late"
    assert call(app, "/late/x")["x-late"] == "1"
    assert call(app, "/users/1")["x-late"] == "1"
    assert call(app, "/nothing")["x-late"] == "1"


def test_threads() -> None:
    """Sixteen threads get what they ask for, while hooks and routes come in."""
    app = make()
    wrong: list[Any] = []

    def ask(number: int) -> None:
        for _ in range(50):
            body = call(app, f"/users/{number}?name=n{number}").body
            if json.loads(body) != {"id": number, "name": f"n{number}"}:
                wrong.append(body)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for number in range(20):
        app.before(lambda request: None)
        app.get(f"/more/{number}", name=f"more{number}")(lambda: "")
    for thread in threads:
        thread.join()
    assert not wrong


def test_wsgi_app_is_open_for_wrapping() -> None:
    """What is put around `wsgi_app` sees every request."""
    app = make()
    inner = app.wsgi_app

    def around(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["QUERY_STRING"] = "name=wrapped"
        return inner(environ, start_response)

    app.wsgi_app = around
    assert json.loads(call(app, "/users/1").body)["name"] == "wrapped"
    with pytest.raises(ValueError, match=r"put middleware around app\.wsgi_app, not around app"):
        app.wsgi_app = stack(app, Compress(), RequestId())
    assert app.wsgi_app is around

    class Extension:
        application = app  # which it knows, and does not call

        def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            return around(environ, start)

    app.wsgi_app = Compress(Extension())
    assert json.loads(call(app, "/users/1").body)["name"] == "wrapped"


def test_environ_tells_the_route() -> None:
    """Metrics and logs find the pattern of the route in the environ."""
    app = make()
    app.mount("/old", echo)
    for path, expected in [("/users/1", "/users/{id:int}"), ("/old/x", "/old/*"), ("/no", "")]:
        environ = make_environ(path)
        run(app, environ)
        assert environ["breezeway.route"] == expected


def test_state_and_config() -> None:
    """An application has a place for what belongs to it, and handlers find it."""
    app = App(config={"name": "x"})
    app.state.pool = "pool"
    app.get("/", name="x")(lambda request: request.app.state.pool + request.app.config["name"])
    assert call(app, "/").body == b"poolx"


def test_limits_of_a_route() -> None:
    """A route has its own bounds, or those of the application."""
    app = App(limits=Limits(body_bytes=5))
    for path, limits in (("/app", None), ("/route", Limits(body_bytes=10))):
        app.post(path, limits=limits)(lambda request: request.body)
    for path, most in (("/app", 5), ("/route", 10)):
        assert call(app, path, "POST", body=b"x" * most).code == 200
        assert call(app, path, "POST", body=b"x" * (most + 1)).code == 413


@pytest.mark.parametrize("kind", ["whole", "stream", "failure", "application"])
def test_files_are_closed(kind: str) -> None:
    """Files of a form are deleted when the response is over, whatever became of it."""
    pytest.importorskip("multipart")
    app, held = App(), []

    @app.post("/")
    def upload(request: Request) -> Any:
        held.append(request.form().files["f"])
        return {"whole": "done", "stream": iter("ab"), "application": echo}.get(kind) or 1 / 0

    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nfile\r\n--x--\r\n'
    fields = {"Content-Type": "multipart/form-data; boundary=x"}
    app.error(500)(lambda request, error: "sorry")
    assert call(app, "/", "POST", fields, body).code in (200, 500)
    with pytest.raises(ValueError, match="the request is over"):
        held[0].read()


@pytest.mark.parametrize("hooks", [False, True])
def test_requests_leave_no_circles(hooks: bool) -> None:
    """What a request has held goes with it, and does not wait for the collector, also of an error."""
    app = make()
    app.get("/raises", name="raises")(lambda: {}["x"])
    app.get("/app", name="app")(lambda: echo)
    app.error(KeyError)(lambda request, error: "no")
    if hooks:
        app.after(lambda request, response: None)
        app.teardown(lambda request: None)
    asked = [("/users/1", "GET"), ("/nothing", "GET"), ("/users/1", "DELETE"), ("/users/1", "HEAD")]
    asked += [("/raises", "GET"), ("/app", "GET"), ("/users/1?name=%ff", "GET")]
    environs = [make_environ(*each) for each in asked]
    environs.append(make_environ("/users/1", "POST", {"Sec-Fetch-Site": "cross-site"}))
    for environ in environs:
        app(dict(environ), lambda *head: print)  # what is made once
    gc.collect()
    gc.disable()
    try:
        for environ in environs:
            blocks: Any = app(environ, lambda *head: print)
            b"".join(blocks)
            getattr(blocks, "close", bool)()
            del blocks
        environs.clear()
        environ = {}
        assert [each for each in gc.get_objects() if type(each) is Request] == []
    finally:
        gc.enable()


def test_wsgi() -> None:
    """A response of every kind is as wsgiref wants it."""
    app = make()
    app.get("/stream")(lambda: iter("ab"))
    app.get("/none")(lambda: None)
    for path, code in (("/users/1", 200), ("/stream", 200), ("/none", 204), ("/x", 404)):
        for method in ("GET", "HEAD"):
            assert call(app, path, method).code == code
