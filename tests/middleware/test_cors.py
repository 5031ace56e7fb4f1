"""Cors: who gets which permission, and what caches are told."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit
from wsgiref.util import FileWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import AllowedHosts, Cors, RequestId, Security, stack
from breezeway.testing import LiveServer

from .calling import Counted, Result, call, make_environ

SHOP = "https://shop.example"
ORIGIN = "access-control-allow-origin"
VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


def ask(cors: Any, origin: str | None = SHOP, path: str = "/", **more: Any) -> Result:
    """Send a request of a page."""
    return call(cors, path, fields={} if origin is None else {"Origin": origin}, **more)


def preflight(cors: Any, origin: str = SHOP, path: str = "/", **fields: str) -> Result:
    """Ask for permission, as a browser does."""
    names = {f"Access-Control-Request-{name.replace('_', '-')}": fields[name] for name in fields}
    names = {"Access-Control-Request-Method": "PUT", **names, "Origin": origin}
    return call(cors, path, "OPTIONS", names)


# --- requests -----------------------------------------------------------------------------------------


def test_origin_that_is_let_in() -> None:
    """It is told so by its name, and the application's answer goes through."""
    application = Counted(b"a", b"b")
    result = ask(Cors(application, origins=[SHOP]))
    assert (result.blocks, result[ORIGIN], result["vary"]) == ([b"a", b"b"], SHOP, "Origin")
    assert result["access-control-allow-credentials"] is None
    assert application.closed == 1


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "*", SHOP.upper(), None])
def test_origin_that_is_not(origin: str | None) -> None:
    """It is told nothing, and its answer varies all the same."""
    result = ask(Cors(Counted(b"a"), origins=[SHOP], credentials=True), origin)
    assert [name for name, _ in result.headers if name.lower().startswith("access")] == []
    assert (result.code, result["vary"]) == (200, "Origin")


def test_any() -> None:
    """All are told the same, those without an Origin too, so that nothing varies."""
    for origin in (SHOP, "null", "garbage \x00", None):
        result = ask(Cors(Counted(b"a"), origins="*", expose="*"), origin)
        assert (result[ORIGIN], result["vary"]) == ("*", None)
        assert result["access-control-expose-headers"] == "*"


def test_credentials_and_exposed_fields() -> None:
    """The permissions beyond reading are named."""
    cors = Cors(Counted(b"a"), origins=[SHOP], credentials=True, expose=["ETag", "X-Total"])
    result = ask(cors)
    assert result["access-control-allow-credentials"] == "true"
    assert result["access-control-expose-headers"] == "ETag, X-Total"


def test_null_only_if_named() -> None:
    """The origin of nobody in particular is let in by its name."""
    assert ask(Cors(Counted(b"a"), origins=["null"]), "null")[ORIGIN] == "null"


def test_pattern() -> None:
    """A name below is told by its own name."""
    cors = Cors(Counted(b"a"), origins=["https://*.shop.example"])
    assert ask(cors, "https://a.b.shop.example")[ORIGIN] == "https://a.b.shop.example"
    assert ask(cors, "https://a.shop.example.evil.test")[ORIGIN] is None
    assert ask(cors)[ORIGIN] is None


@pytest.mark.parametrize("vary", ["Accept", "accept, ORIGIN", "*"])
def test_vary_of_the_application(vary: str) -> None:
    """What the application varies on stays, and Origin is there once."""
    cors = Cors(Counted(b"a", fields=[("vary", vary)]), origins=[SHOP])
    for origin in (SHOP, None, "https://evil.example"):
        expected = {"Accept": "Accept, Origin"}.get(vary, vary)
        assert ask(cors, origin)["vary"] == expected


@pytest.mark.parametrize("origins", [[SHOP], "*", []])
def test_fields_of_the_application_are_replaced(origins: Any) -> None:
    """Its own permissions are gone, in any case and number, whoever asks."""
    theirs = [
        ("access-control-allow-origin", "https://evil.example"),
        ("ACCESS-CONTROL-ALLOW-ORIGIN", "*"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "X-Secret"),
        ("X-Mine", "1"),
    ]
    cors = Cors(Counted(b"a", fields=theirs), origins=origins)
    for origin in (SHOP, None, "https://evil.example"):
        result = ask(cors, origin)
        assert result[ORIGIN] in (None, SHOP, "*")
        assert result["x-mine"] == "1"
        assert result["access-control-allow-credentials"] is None
        assert result["access-control-expose-headers"] is None


@pytest.mark.parametrize(
    "status", ["404 Not Found", "500 Internal Server Error", "304 Not Modified"]
)
def test_errors_get_the_fields(status: str) -> None:
    """A page can tell a failure of the application from a refusal."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise LookupError
        except LookupError as error:
            fields = [] if status.startswith("304") else [("Content-Type", "text/plain")]
            start_response(status, fields, (LookupError, error, None))
        return []

    result = ask(Cors(application, origins=[SHOP]))
    assert (result.status, result[ORIGIN], result["vary"]) == (status, SHOP, "Origin")


def test_failing_application() -> None:
    """What it raises goes through, before and within the body, and it is closed."""

    def application(environ: Any, start_response: Any) -> Any:
        raise LookupError("early")

    with pytest.raises(LookupError, match="early"):
        ask(Cors(application, origins=[SHOP]))
    counted = Counted(b"a", 5)  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        ask(Cors(counted, origins=[SHOP]))
    assert counted.closed == 1


def test_what_is_returned_is_untouched() -> None:
    """The server sees a list or a file as what it is, and the application's list of fields stays."""
    fields = [("Content-Type", "text/plain")]
    for returned in ([b"a"], FileWrapper(io.BytesIO(b"a"))):

        def application(environ: Any, start_response: Any, returned: Any = returned) -> Any:
            start_response("200 OK", fields)
            return returned

        assert Cors(application, origins=[SHOP])(make_environ(), lambda *a: print) is returned
        assert fields == [("Content-Type", "text/plain")]


def test_write() -> None:
    """The server's write() is the application's."""
    seen: list[bytes] = []

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"a")
        return []

    Cors(application, origins=[SHOP])(make_environ(), lambda *a: seen.append)
    assert seen == [b"a"]


# --- preflights ---------------------------------------------------------------------------------------


def test_preflight() -> None:
    """It is answered here, with all that may be sent."""
    application = Counted(b"a")
    cors = Cors(
        application,
        origins=[SHOP],
        methods=["GET", "PUT"],
        headers=["X-Token", "accept"],
        max_age=60,
    )
    result = preflight(cors, Method="DELETE", Headers="x-other")
    assert (result.status, result.blocks, application.calls) == ("204 No Content", [], 0)
    assert dict(result.headers) == {
        "Vary": f"{VARY}, Access-Control-Request-Private-Network",
        "Access-Control-Allow-Origin": SHOP,
        "Access-Control-Allow-Methods": "GET, PUT",
        "Access-Control-Allow-Headers": "Accept, Accept-Language, Content-Language, Content-Type, X-Token",
        "Access-Control-Max-Age": "60",
    }


def test_preflight_of_others() -> None:
    """An origin that is not let in hears so, and gets no permission."""
    application = Counted(b"a")
    cors = Cors(application, origins=[SHOP], credentials=True, private_network=True)
    result = preflight(cors, "https://evil.example", Private_Network="true")
    assert (result.code, result.body) == (403, b"the origin is not allowed\n")
    assert [name for name, _ in result.headers if name.startswith("Access")] == []
    assert (result["vary"] or "").startswith(VARY)
    assert application.calls == 0


def test_preflight_for_any() -> None:
    """With everybody let in, the permission is for everybody."""
    result = preflight(Cors(Counted(b"a"), origins=["*"]))
    assert (result[ORIGIN], result["access-control-allow-credentials"]) == ("*", None)
    assert (result["vary"] or "").startswith(VARY)


def test_preflight_with_credentials() -> None:
    """The permission for cookies has to be in the preflight, too."""
    result = preflight(Cors(Counted(b"a"), origins=[SHOP], credentials=True, expose=["ETag"]))
    assert result["access-control-allow-credentials"] == "true"
    assert result["access-control-expose-headers"] is None


@pytest.mark.parametrize(
    ("fields", "method", "headers"),
    [
        ({"Method": "PATCH", "Headers": "x-a,authorization"}, "PATCH", "x-a,authorization"),
        ({"Method": "x-y", "Headers": "x-a , X-B"}, "x-y", "x-a , X-B"),
        ({"Method": "PUT"}, "PUT", None),
        ({"Method": "PUT, X", "Headers": "x a"}, None, None),
        ({"Method": "PUT", "Headers": "a,,b"}, "PUT", None),
        ({"Method": "PUT", "Headers": "a\r\nSet-Cookie: b"}, "PUT", None),
        ({"Method": "PUT", "Headers": "a" * 5000}, "PUT", None),
        ({"Method": "", "Headers": ""}, None, None),
    ],
)
def test_any_method_and_field(fields: dict[str, str], method: Any, headers: Any) -> None:
    """With `*` it is what was asked for, if that is well-formed."""
    result = preflight(Cors(Counted(b"a"), origins=[SHOP], methods="*", headers="*"), **fields)
    assert result["access-control-allow-methods"] == method
    assert result["access-control-allow-headers"] == headers


def test_private_network() -> None:
    """The permission is given if it is asked for, and if that was said."""
    name = "access-control-allow-private-network"
    allowed = Cors(Counted(b"a"), origins=[SHOP], private_network=True)
    assert preflight(allowed, Private_Network="true")[name] == "true"
    assert preflight(allowed)[name] is None
    assert preflight(allowed, Private_Network="false")[name] is None
    assert preflight(Cors(Counted(b"a"), origins=[SHOP]), Private_Network="true")[name] is None


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("OPTIONS", {}),
        ("OPTIONS", {"Origin": SHOP}),
        ("OPTIONS", {"Access-Control-Request-Method": "PUT"}),
        ("GET", {"Origin": SHOP, "Access-Control-Request-Method": "PUT"}),
    ],
)
def test_what_is_no_preflight(method: str, fields: dict[str, str]) -> None:
    """A plain OPTIONS is the application's."""
    application = Counted(b"a")
    result = call(Cors(application, origins=[SHOP]), "/", method, fields)
    assert (result.code, result["vary"], application.calls) == (200, "Origin", 1)
    assert result[ORIGIN] == fields.get("Origin")


# --- rules by path ------------------------------------------------------------------------------------


def test_paths() -> None:
    """The longest prefix counts; what its table does not name is as above."""
    cors = Cors(
        Counted(b"a"),
        origins=[SHOP],
        expose=["ETag"],
        paths={
            "/open": {"origins": "*"},
            "/open/not": {"origins": []},
            "/api": {"methods": ["DELETE"], "credentials": True},
        },
    )
    assert ask(cors)[ORIGIN] == SHOP
    assert ask(cors, path="/open/x")[ORIGIN] == "*"
    assert ask(cors, path="/open/x")["access-control-expose-headers"] == "ETag"
    assert ask(cors, path="/opening")[ORIGIN] == SHOP
    assert ask(cors, path="/open/not")[ORIGIN] is None
    assert preflight(cors, path="/open/not").code == 403
    assert preflight(cors, path="/api")["access-control-allow-methods"] == "DELETE"
    assert ask(cors, path="/api")["access-control-allow-credentials"] == "true"
    assert call(cors, "/x", PATH_INFO="", SCRIPT_NAME="/open")["vary"] == "Origin"


@pytest.mark.parametrize("path", ["//private", "/x/../private", "/private/../x", "/.//private/x"])
def test_path_in_doubt(path: str) -> None:
    """Where an application may take a path for one that is closed, nobody is let in."""
    cors = Cors(Counted(b"a"), origins=SHOP, paths={"/private": {"origins": []}})
    assert (ask(cors, path=path)[ORIGIN], ask(cors, path=path)["vary"]) == (None, "Origin")
    assert preflight(cors, path=path).code == 403
    assert ask(cors, path="//public")[ORIGIN] == SHOP


# --- options ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"origins": "*", "credentials": True}, "credentials"),
        ({"origins": ["null"], "credentials": True}, "credentials"),
        ({"origins": ["*", SHOP]}, "alone"),
        ({"origins": ["shop.example"]}, "'shop.example'"),
        ({"origins": [f"{SHOP}/"]}, "slash"),
        ({"origins": [5]}, "5"),
        ({"origins": 5}, "5"),
        ({"origins": {SHOP: True}}, "list"),
        ({"credentials": "yes"}, "credentials"),
        ({"private_network": 1}, "private_network"),
        ({"methods": ["put"]}, "capitals"),
        ({"methods": ["P U T"]}, "capitals"),
        ({"methods": ["GET", "*"]}, "alone"),
        ({"headers": ["X-A\r\nX-B"]}, "headers"),
        ({"headers": [""]}, "headers"),
        ({"expose": ["X A"]}, "expose"),
        ({"expose": "*", "credentials": True}, "expose"),
        ({"max_age": -1}, "max_age"),
        ({"max_age": True}, "max_age"),
        ({"max_age": "60"}, "max_age"),
        ({"paths": {"api": {}}}, "slash"),
        ({"paths": {"/api": {"origin": SHOP}}}, "unknown"),
        (
            {"paths": {"/api": {"origins": "*"}}, "credentials": True, "origins": SHOP},
            "credentials",
        ),
        ({"paths": {"/api": 5}}, "table"),
        ({"paths": 5}, "table"),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    """What cannot work is told when the piece is made."""
    with pytest.raises(ValueError, match=message):
        Cors(**options)


def test_options_as_text() -> None:
    """A text is a list of one; in a stack the application comes later."""
    cors = stack(Counted(b"a"), Cors(origins=SHOP, methods="PUT", headers="X-A", expose="X-B"))
    assert ask(cors)["access-control-expose-headers"] == "X-B"
    assert (preflight(cors)["access-control-allow-headers"] or "").endswith(", X-A")


# --- anything else ------------------------------------------------------------------------------------

CORS = Cors(
    Counted(b"a"),
    origins=[SHOP, "https://*.shop.example"],
    credentials=True,
    methods="*",
    headers="*",
)
VALUES = st.text(st.characters(max_codepoint=255), max_size=40) | st.sampled_from(
    [SHOP, "null", "*"]
)


@given(VALUES, VALUES, VALUES, st.sampled_from(["GET", "OPTIONS"]))
def test_no_value_gets_more_than_it_should(
    origin: str, method: str, headers: str, verb: str
) -> None:
    """Whatever is sent: the response is valid, and permission is for one of those that were named."""
    fields = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    result = call(CORS, "/", verb, fields)
    assert "Origin" in (result["vary"] or "")
    assert (result[ORIGIN] is not None) is (origin == SHOP or origin.endswith(".shop.example"))
    for _, value in result.headers:
        assert value.isprintable()


def test_on_the_wire() -> None:
    """A preflight and the request after it, with what is around them, from a live server."""
    piece = stack(
        Counted(b"a"),
        RequestId(),
        AllowedHosts(hosts="127.0.0.1"),
        Security(hsts=60),
        Cors(origins=[SHOP], credentials=True, methods=["PUT"]),
    )
    with LiveServer(piece) as server:
        connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10.0)
        fields = {"Origin": SHOP, "Access-Control-Request-Method": "PUT"}
        seen = []
        for method in ("OPTIONS", "PUT", "HEAD"):
            connection.request(method, "/", headers=fields)
            response = connection.getresponse()
            content = response.read()
            seen.append((response.status, content, response.headers[ORIGIN]))
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Strict-Transport-Security"] is None
            assert len(response.headers["X-Request-ID"]) == 32
        assert seen == [(204, b"", SHOP), (200, b"a", SHOP), (200, b"", SHOP)]
        connection.request("GET", "/", headers={"Host": "evil.test"})
        assert connection.getresponse().status == 421
        connection.close()


def test_threads() -> None:
    """Each of many requests at once gets its own permission."""
    names = [f"https://a{number}.shop.example" for number in range(50)] * 8
    with ThreadPoolExecutor(16) as pool:
        found = [*pool.map(lambda origin: ask(CORS, origin)[ORIGIN], names)]
    assert found == names
