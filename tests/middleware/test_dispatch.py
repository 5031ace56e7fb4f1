"""Applications mounted by path and by host."""

from __future__ import annotations

from typing import Any

import pytest

from breezeway.middleware import Dispatch, Proxy, stack
from breezeway.testing import LiveServer

from .calling import Result, call, make_environ, run


def named(name: str) -> Any:
    """Make an application that says its name and where it sees itself."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{name}|{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode("latin-1")]

    return application


def where(result: Result) -> tuple[str, ...]:
    """Say who has answered, with SCRIPT_NAME and PATH_INFO."""
    return tuple(result.body.decode("latin-1").split("|"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ("new", "", "/")),
        ("/old", ("old", "/old", "")),
        ("/old/", ("old", "/old", "/")),
        ("/old/x", ("old", "/old", "/x")),
        ("/old//x", ("old", "/old", "//x")),
        ("/older", ("new", "", "/older")),
        ("/OLD", ("new", "", "/OLD")),
        ("//old", ("new", "", "//old")),
        ("/old/api", ("api", "/old/api", "")),
        ("/old/api/v1/x", ("api", "/old/api", "/v1/x")),
        ("/old/apiary", ("old", "/old", "/apiary")),
        ("/deep/er", ("new", "", "/deep/er")),
        ("/deep/er/down/x", ("deep", "/deep/er/down", "/x")),
        ("/caf\xc3\xa9/x", ("cafe", "/caf\xc3\xa9", "/x")),
        ("/a b", ("space", "/a b", "")),
        ("", ("new", "", "")),
        ("*", ("new", "", "*")),
        ("/old/../x", ("old", "/old", "/../x")),
    ],
)
def test_paths(path: str, expected: tuple[str, ...]) -> None:
    """The longest prefix of whole segments wins, and moves to SCRIPT_NAME."""
    application = Dispatch(
        {
            "/old": named("old"),
            "/old/api/": named("api"),
            "/deep/er/down": named("deep"),
            "/café": named("cafe"),
            "/a%20b": named("space"),
        },
        named("new"),
    )
    result: list[bytes] = []
    environ = {"PATH_INFO": path, "SCRIPT_NAME": "", "wsgi.url_scheme": "http"}
    result = application(environ, lambda *given: print)  # type: ignore[arg-type, assignment]
    assert tuple(b"".join(result).decode("latin-1").split("|")) == expected


def test_is_valid_and_nests() -> None:
    """One Dispatch within another goes on where the first has left off; the validator is content."""
    application = Dispatch({"/a": Dispatch({"/b": named("inner")}, named("outer"))})
    assert where(call(application, "/a/b/c")) == ("inner", "/a/b", "/c")
    assert where(call(application, "/a/c")) == ("outer", "/a", "/c")
    assert where(call(application, "/a/b", SCRIPT_NAME="/root")) == ("inner", "/root/a/b", "")


@pytest.mark.parametrize(
    ("host", "scheme", "path", "expected"),
    [
        ("shop.example", "http", "/", ("shop", "", "/")),
        ("SHOP.example.", "http", "/", ("shop", "", "/")),
        ("shop.example:8080", "http", "/", ("shop", "", "/")),
        ("shop.example", "http", "/old/x", ("shop-old", "/old", "/x")),
        ("shop.example", "http", "/api/x", ("shop", "", "/api/x")),
        ("a.shop.example", "http", "/", ("below", "", "/")),
        ("a.b.shop.example", "http", "/", ("b-below", "", "/")),
        ("x.a.b.shop.example", "http", "/", ("b-below", "", "/")),
        ("ashop.example", "http", "/", ("new", "", "/")),
        ("secure.example", "https", "/", ("tls", "", "/")),
        ("secure.example:443", "https", "/", ("tls", "", "/")),
        ("secure.example:443", "http", "/", ("tls", "", "/")),
        ("secure.example", "http", "/", ("new", "", "/")),
        ("[::1]:8000", "http", "/", ("six", "", "/")),
        ("[0:0::0:1]:8000", "http", "/", ("six", "", "/")),
        ("[::1]:8001", "http", "/", ("new", "", "/")),
        ("only.example", "http", "/in/x", ("in", "/in", "/x")),
        ("only.example", "http", "/api/x", ("api", "/api", "/x")),
        ("only.example", "http", "/x", ("new", "", "/x")),
        ("shop.example/evil", "http", "/api", ("api", "/api", "")),
        ("sh op", "http", "/", ("new", "", "/")),
        ("a" * 70_000, "http", "/", ("new", "", "/")),
    ],
)
def test_hosts(host: str, scheme: str, path: str, expected: tuple[str, ...]) -> None:
    """The most precise host wins; what it does not cover is for the mounts of any host."""
    application = Dispatch(
        {
            "shop.example": named("shop"),
            "Shop.Example/old": named("shop-old"),
            "*.shop.example": named("below"),
            "*.b.shop.example": named("b-below"),
            "secure.example:443": named("tls"),
            "[::1]:8000": named("six"),
            "only.example/in": named("in"),
            "/api": named("api"),
        },
        named("new"),
    )
    result = call(application, path, fields={"Host": host}, **{"wsgi.url_scheme": scheme})
    assert where(result) == expected


def test_without_a_host() -> None:
    """HTTP/1.0 without Host: the server's own name counts."""
    environ = make_environ(SERVER_NAME="shop.example")
    del environ["HTTP_HOST"]
    assert where(run(Dispatch({"shop.example": named("shop")}), environ)) == ("shop", "", "/")


def test_nothing_is_mounted_there() -> None:
    """Without an application for the rest, the answer is 404; stack gives it one."""
    dispatch = Dispatch({"/old": named("old")})
    assert call(dispatch, "/x").code == 404
    assert call(dispatch, "/x", "HEAD").body == b""
    application = stack(named("new"), dispatch)
    assert where(call(application, "/x")) == ("new", "", "/x")
    assert where(call(application, "/old")) == ("old", "/old", "")


def test_a_url_is_a_server() -> None:
    """What TOML can hold moves a site piece by piece: a URL, several, or the options of Proxy."""
    with LiveServer(named("server")) as server:
        for value in (
            server.url,
            [server.url, server.url],
            {"upstreams": server.url, "host": "upstream"},
            {"upstreams": [f"{server.url}/base"], "retries": 0},
        ):
            application = Dispatch({"/old": value}, named("new"))
            base = "/base" if "retries" in value else ""
            assert where(call(application, "/old/x?y")) == ("server", "", f"{base}/x")
            assert where(call(application, "/x")) == ("new", "", "/x")


@pytest.mark.parametrize(
    ("mounts", "said"),
    [
        ({}, "one application at least"),
        (["/a"], "one application at least"),
        ({"": named("a")}, "a path, a host"),
        ({5: named("a")}, "a path, a host"),
        ({"/a?b": named("a")}, "a path, a host"),
        ({"http://x/": named("a")}, "a path, a host"),
        ({"a b": named("a")}, "not a host"),
        ({"old/x y": named("a"), "old/x%20y": named("b")}, "the same as another key"),
        ({"/a": named("a"), "/a/": named("b")}, "the same as another key"),
        ({"A.example": named("a"), "a.example/": named("b")}, "the same as another key"),
        ({"/a": "module:app"}, "must be an application, or the URL"),
        ({"/a": 5}, "must be an application, or the URL"),
        ({"/a": ["http://a", 5]}, "must be an application, or the URL"),
        ({"/a": "http://a b"}, "an upstream is a URL"),
        ({"/a": {"upstreams": "http://a", "speed": 5}}, "speed"),
        ({"/a": {"host": "keep"}}, "upstreams"),
    ],
)
def test_options_are_checked(mounts: Any, said: str) -> None:
    """What cannot be is told at construction, in plain words."""
    with pytest.raises(ValueError, match=said):
        Dispatch(mounts)


def test_hosts_are_remembered_within_bounds() -> None:
    """Hosts that a client makes up do not fill the memory."""
    dispatch = Dispatch({"shop.example": named("shop")}, named("new"))
    for number in range(3000):
        call_plain(dispatch, f"h{number}.example")
    assert dispatch._find_hosts.cache_info().currsize <= 1024  # type: ignore[attr-defined]


def call_plain(application: Any, host: str) -> None:
    """Ask without the validator, which is slow."""
    environ = {"PATH_INFO": "/", "SCRIPT_NAME": "", "HTTP_HOST": host, "wsgi.url_scheme": "http"}
    application(environ, lambda *given: print)


def test_many_mounts_cost_no_more() -> None:
    """A path is looked up segment by segment: a long one that leads nowhere ends at once."""
    dispatch = Dispatch({f"/m{number}": named("m") for number in range(2000)}, named("new"))
    assert where(call(dispatch, "/m1999/x")) == ("m", "/m1999", "/x")
    assert where(call(dispatch, "/" * 1_000_000))[0] == "new"
    assert where(call(dispatch, "/m5" + "/x" * 100_000))[:2] == ("m", "/m5")


def test_proxy_is_an_application() -> None:
    """It is mounted as any other."""
    assert Dispatch({"/old": Proxy("http://127.0.0.1:9")})
