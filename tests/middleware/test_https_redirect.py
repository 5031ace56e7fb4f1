"""HttpsRedirect: where requests over http are sent, and where never."""

from __future__ import annotations

import logging
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import HttpsRedirect, ProxyHeaders
from breezeway.testing import LiveServer

from .calling import Counted, Result, call

HOSTS = ["example.org", "*.shop.example", "[::1]", "192.0.2.1"]


def ask(path: str = "/", host: str = "example.org", **more: Any) -> Result:
    """Ask over http; `options` are those of the piece."""
    options = {"hosts": HOSTS, **more.pop("options", {})}
    return call(HttpsRedirect(Counted(b"a"), **options), path, HTTP_HOST=host, **more)


@pytest.mark.parametrize(
    ("method", "code"),
    [("GET", 301), ("HEAD", 301), ("POST", 308), ("PUT", 308), ("DELETE", 308), ("OPTIONS", 308)],
)
def test_methods(method: str, code: int) -> None:
    """GET and HEAD go on as they are after a 301; others keep method and body with a 308."""
    application = Counted(b"a")
    result = call(
        HttpsRedirect(application, hosts="example.org"), "/a?b=c", method, HTTP_HOST="example.org"
    )
    assert (result.code, result["location"]) == (code, "https://example.org/a?b=c")
    assert application.calls == 0
    assert bool(result.body) is (method != "HEAD")


def test_https_goes_through() -> None:
    """Over https there is nothing to do, whatever the host."""
    result = ask(host="other.example", **{"wsgi.url_scheme": "https"})
    assert (result.code, result.body) == (200, b"a")


@pytest.mark.parametrize(
    ("host", "authority"),
    [
        ("example.org", "example.org"),
        ("Example.ORG.", "example.org"),
        ("example.org:80", "example.org"),
        ("example.org:8080", "example.org"),
        ("a.shop.example", "a.shop.example"),
        ("[::1]:80", "[::1]"),
        ("192.0.2.1:8080", "192.0.2.1"),
    ],
)
def test_hosts(host: str, authority: str) -> None:
    """The port of http goes; that of https is named if it is not the usual one."""
    assert ask(host=host)["location"] == f"https://{authority}/"
    assert ask(host=host, options={"port": 8443})["location"] == f"https://{authority}:8443/"


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("evil.test", 421),
        ("example.org.evil.test", 421),
        ("shop.example", 421),
        ("", 421),
        ("evil.test/example.org", 400),
        ("evil.test#example.org", 400),
        ("example.org@evil.test", 400),
        ("example.org\\@evil.test", 400),
        ("example.org\r\nSet-Cookie: a", 400),
    ],
)
def test_never_to_a_forged_host(host: str, code: int) -> None:
    """A host that is not served here gets no redirect."""
    result = ask(host=host, fields={"X-Forwarded-Host": "example.org"})
    assert (result.code, result["location"]) == (code, None)


@pytest.mark.parametrize(
    ("path", "more", "target"),
    [
        ("/", {}, "/"),
        ("", {"PATH_INFO": "", "SCRIPT_NAME": "/app"}, "/app"),
        ("/a b", {}, "/a%20b"),
        ("/a%2Fb", {}, "/a%252Fb"),
        ("/\xc3\xa4", {}, "/%C3%A4"),
        ("/a\r\nb", {}, "/a%0D%0Ab"),
        ("//evil.test/x", {}, "//evil.test/x"),
        ("/\\evil.test", {}, "/%5Cevil.test"),
        ("/a;b=c,d:e@f!$&'()*+~", {}, "/a;b=c,d:e@f!$&'()*+~"),
        ("/a?b=%20&c=d/?e", {}, "/a?b=%20&c=d/?e"),
        ("/a?b c\r\n#\xe4", {}, "/a?b%20c%0D%0A%23%E4"),
        ("/a/b", {"REQUEST_URI": "/a%2Fb?c=%2f", "QUERY_STRING": "c=%2f"}, "/a%2Fb?c=%2f"),
        ("/a/b", {"RAW_URI": "/a%2Fb"}, "/a%2Fb"),
        ("/a/b", {"SCRIPT_NAME": "/s", "REQUEST_URI": "/s/a/b"}, "/s/a/b"),
        ("/a", {"SCRIPT_NAME": "/shop", "REQUEST_URI": "/a"}, "/shop/a"),
        ("/a", {"REQUEST_URI": "/other"}, "/a"),
        ("/a", {"REQUEST_URI": "http://evil.test/a"}, "/a"),
        ("/a", {"REQUEST_URI": "/a\r\nSet-Cookie:b"}, "/a"),
        ("/a", {"REQUEST_URI": "/a?b#c"}, "/a?b"),
    ],
)
def test_targets(path: str, more: dict[str, str], target: str) -> None:
    """Path and query arrive as they were sent, or percent-encoded."""
    assert ask(path, **more)["location"] == f"https://example.org{target}"


def test_asterisk() -> None:
    """The target of `OPTIONS *` has no path: it is sent to the root."""
    result = ask("/", method="OPTIONS", SCRIPT_NAME="", PATH_INFO="/", REQUEST_URI="*")
    assert result["location"] == "https://example.org/"


def test_exempt() -> None:
    """Some paths are answered over http: those that were named, and challenges, on any host."""
    options = {"exempt": ["/health"]}
    assert ask("/health", "10.0.0.1", options=options).code == 200
    assert ask("/healthy", options=options).code == 301
    assert ask("/health/../login", options=options).code == 301
    assert ask("/.well-known/acme-challenge/../../login", options=options).code == 301
    for more in ({}, options):
        assert ask("/.well-known/acme-challenge/token", "new.example", options=more).code == 200
        assert ask("/.well-known/acme-challenges", options=more).code == 301


def test_loop_is_told_where_the_fields_are_gone(caplog: pytest.LogCaptureFixture) -> None:
    """A server, or ProxyHeaders, that believes nobody has taken them away, and says so."""
    piece = ProxyHeaders(HttpsRedirect(Counted(b"a"), hosts="test"), trusted_proxies="10.0.0.1")
    with caplog.at_level(logging.WARNING, "breezeway.middleware"):
        for _ in range(3):
            assert call(piece, fields={"X-Forwarded-Proto": "https"}).code == 301
    assert len(caplog.records) == 1
    caplog.clear()
    piece = HttpsRedirect(Counted(b"a"), hosts="127.0.0.1")
    fields = {"X-Forwarded-Proto": "https", "Connection": "close"}
    with LiveServer(piece) as server:
        connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10.0)
        connection.request("GET", "/", headers=fields)
        assert connection.getresponse().status == 301
        connection.close()
    assert [record.levelname for record in caplog.records if "circles" in record.message] == [
        "WARNING"
    ]


@pytest.mark.parametrize(
    ("fields", "hints"),
    [
        ({"X-Forwarded-Proto": "https"}, 1),
        ({"Forwarded": "for=192.0.2.1;proto=HTTPS"}, 1),
        ({"X-Forwarded-Proto": "http"}, 0),
        ({}, 0),
    ],
)
def test_loop_is_told_once(
    fields: dict[str, str], hints: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy that is not trusted makes circles; whoever looks into the log finds out."""
    piece = HttpsRedirect(Counted(b"a"), hosts="test")
    with caplog.at_level(logging.WARNING, "breezeway.middleware"):
        assert [call(piece, fields=fields).code for _ in range(3)] == [301] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"] * hints


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "at least one"),
        ({"hosts": "*"}, "host"),
        ({"hosts": "a", "port": 0}, "port"),
        ({"hosts": "a", "port": True}, "port"),
        ({"hosts": "a", "port": "443"}, "port"),
        ({"hosts": "a", "port": 65536}, "port"),
        ({"hosts": "a", "exempt": "x"}, "slash"),
        ({"hosts": "a", "exempt": 5}, "exempt"),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    """What cannot work is told when the piece is made."""
    with pytest.raises(ValueError, match=message):
        HttpsRedirect(**options)


TEXT = st.text(st.characters(max_codepoint=255), max_size=30)


@given(TEXT, TEXT, TEXT, TEXT)
def test_whatever_is_sent(host: str, path: str, query: str, raw: str) -> None:
    """A redirect goes to a host that is served here, and is one line of ASCII."""
    for name in ("example.org", host, f"{host}.shop.example", f"example.org{host}"):
        result = ask("/", name, PATH_INFO=f"/{path}", QUERY_STRING=query, REQUEST_URI=f"/{raw}")
        if result.code != 301:
            assert result["location"] is None
            continue
        location = result["location"] or ""
        assert location.isascii()
        assert location.isprintable()
        assert " " not in location
        found = urlsplit(location).hostname or ""
        assert found in ("example.org", "::1", "192.0.2.1") or found.endswith(".shop.example")
