"""ProxyHeaders: who is believed, what the application sees, and that the server does the same."""

from __future__ import annotations

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.config.network_settings import FORWARDED_FIELDS
from breezeway.middleware import ProxyHeaders, proxy_headers
from breezeway.middleware.proxy_headers import ORIGINAL_KEY, PEER_KEY
from breezeway.semantics.environ_keys import UNBELIEVED
from breezeway.semantics.forwarded import ForwardedError, Trust, settle

from .calling import Counted, call, make_environ, run

PEER = "192.0.2.1"


def seen(fields: dict[str, str], peer: str = PEER, **options: Any) -> dict[str, Any]:
    """Return the environ that the application sees; PEER is trusted unless options say otherwise."""
    application = Counted(b"a")
    piece = ProxyHeaders(application, **{"trusted_proxies": [PEER], **options})
    result = call(piece, fields=fields, REMOTE_ADDR=peer, REMOTE_PORT="99")
    assert result.code == 200
    return application.environ


def all_forwarded() -> dict[str, str]:
    """Return what a careful proxy sends."""
    return {
        "X-Forwarded-For": "203.0.113.9, 198.51.100.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example",
        "X-Forwarded-Port": "8443",
        "X-Forwarded-Prefix": "/shop/",
        "X-Forwarded-Server": "front",
        "X-Real-IP": "203.0.113.9",
    }


def test_trusted() -> None:
    """The environ tells about the client, and what it was before stays under a key of its own."""
    environ = seen(all_forwarded())
    expected = {
        "REMOTE_ADDR": "198.51.100.7",
        "REMOTE_PORT": "",
        "wsgi.url_scheme": "https",
        "HTTPS": "on",
        "HTTP_HOST": "shop.example:8443",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "8443",
        "SCRIPT_NAME": "/shop",
        PEER_KEY: PEER,
    }
    assert {key: environ[key] for key in expected} == expected
    assert [key for key in environ if key.startswith(("HTTP_X_", "HTTP_FORWARDED"))] == []
    original = environ[ORIGINAL_KEY]
    assert (original["REMOTE_ADDR"], original["HTTP_HOST"]) == (PEER, "test")
    assert (original["wsgi.url_scheme"], original["SCRIPT_NAME"]) == ("http", "")
    assert original["HTTP_X_FORWARDED_FOR"] == "203.0.113.9, 198.51.100.7"
    assert original["HTTP_X_REAL_IP"] == "203.0.113.9"
    assert (original["HTTP_X_FORWARDED_SERVER"], ORIGINAL_KEY in original) == ("front", False)


def test_name_of_the_proxy() -> None:
    """What a server has looked up is the name of the proxy, and not that of the client."""
    application = Counted(b"a")
    piece = ProxyHeaders(application, trusted_proxies=PEER)
    for fields, is_there in (({}, True), ({"X-Forwarded-For": "198.51.100.7"}, False)):
        call(piece, fields=fields, REMOTE_ADDR=PEER, REMOTE_HOST="proxy.example")
        assert ("REMOTE_HOST" in application.environ) is is_there


def test_standard_field() -> None:
    """Forwarded of RFC 7239 is read by the same rules."""
    value = 'for=203.0.113.9, for="[2001:db8::7]:4711";proto=https;host=shop.example'
    environ = seen({"Forwarded": value})
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("2001:db8::7", "4711")
    assert environ["HTTP_HOST"] == "shop.example"


@pytest.mark.parametrize("peer", ["198.51.100.1", "::1", "localhost", "", "192.0.2.10"])
def test_untrusted(peer: str) -> None:
    """Who is not trusted changes nothing, and the fields do not reach the application."""
    environ = seen({**all_forwarded(), "Forwarded": "for=203.0.113.9;proto=https"}, peer)
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == (peer, "http")
    assert (environ["HTTP_HOST"], environ["SCRIPT_NAME"]) == ("test", "")
    assert [key for key in environ if key.startswith(("HTTP_X_", "HTTP_FORWARDED"))] == []
    assert environ[PEER_KEY] == (peer or "unix")


def test_nobody_by_default() -> None:
    """Without trusted proxies the fields are just taken away, malformed ones too."""
    environ = seen({"X-Forwarded-For": "!!", "Forwarded": "!"}, trusted_proxies=())
    assert environ["REMOTE_ADDR"] == PEER
    assert "HTTP_X_FORWARDED_FOR" not in environ


def test_hops() -> None:
    """A list is walked from the right, as far as proxies are known, and no further than hops."""
    fields = {"X-Forwarded-For": "203.0.113.9, 10.0.0.1, 10.0.0.2"}
    trusted = [PEER, "10.0.0.0/8"]
    assert seen(fields, trusted_proxies=trusted)["REMOTE_ADDR"] == "203.0.113.9"
    assert seen(fields, trusted_proxies=trusted, proxy_hops=2)["REMOTE_ADDR"] == "10.0.0.1"
    assert seen(fields, trusted_proxies="*")["REMOTE_ADDR"] == "10.0.0.2"
    assert seen(fields, trusted_proxies="*", proxy_hops=3)["REMOTE_ADDR"] == "203.0.113.9"


def test_unix_socket() -> None:
    """A server on a unix socket tells no address."""
    fields = {"X-Forwarded-For": "203.0.113.9"}
    assert seen(fields, "", trusted_proxies="unix")["REMOTE_ADDR"] == "203.0.113.9"


def test_headers() -> None:
    """A field that the proxy does not set is the client's, and is not believed."""
    environ = seen(all_forwarded(), trusted_headers=["x-forwarded-for", "x-forwarded-proto"])
    assert environ["REMOTE_ADDR"] == "198.51.100.7"
    assert environ["wsgi.url_scheme"] == "https"
    assert (environ["HTTP_HOST"], environ["SCRIPT_NAME"]) == ("test", "")
    assert environ[ORIGINAL_KEY]["HTTP_X_FORWARDED_HOST"] == "shop.example"


@pytest.mark.parametrize("name", [*FORWARDED_FIELDS, "x-real-ip", "x-forwarded-server"])
def test_mark_of_what_was_not_believed(name: str) -> None:
    """What looks at the address of the peer can tell that it may be a proxy, as behind the server."""
    options = {"trusted_headers": ["x-forwarded-for"]}
    assert UNBELIEVED in seen({name: "203.0.113.9"}, "198.51.100.1", **options)
    assert UNBELIEVED not in seen({name: "203.0.113.9"}, **options)


@pytest.mark.parametrize(
    "fields",
    [
        {"X-Forwarded-For": "203.0.113.9, what?"},
        {"X-Forwarded-For": "203.0.113.9,"},
        {"X-Forwarded-For": ", ".join(["192.0.2.1"] * 200)},
        {"X-Forwarded-Proto": "wss"},
        {"X-Forwarded-Host": "evil.test/path"},
        {"X-Forwarded-Host": "a@b"},
        {"X-Forwarded-Port": "0"},
        {"X-Forwarded-Prefix": "//evil.test"},
        {"X-Forwarded-Prefix": "/a/../b"},
        {"Forwarded": "for"},
        {"Forwarded": "for=203.0.113.9", "X-Forwarded-For": "203.0.113.8"},
    ],
)
def test_malformed(fields: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """What a trusted proxy should not say is a bad request, and the log names the proxy."""
    application = Counted(b"a")
    with caplog.at_level(logging.INFO, "breezeway.middleware"):
        piece = ProxyHeaders(application, trusted_proxies=PEER)
        result = call(piece, fields=fields, REMOTE_ADDR=PEER)
    assert (result.code, application.calls) == (400, 0)
    assert PEER in caplog.records[0].getMessage()


def test_without_fields_nothing_changes() -> None:
    """A direct request is as it was, but for the peer."""
    environ = make_environ()
    before = dict(environ)
    [*ProxyHeaders(Counted(b"a")._application, trusted_proxies=PEER)(environ, lambda *a: print)]
    assert environ == {**before, PEER_KEY: PEER}


def test_peer_of_the_server_stays() -> None:
    """A server that has settled it already knows better."""
    application = Counted(b"a")
    run(ProxyHeaders(application), make_environ(**{PEER_KEY: "10.0.0.9"}))
    assert application.environ[PEER_KEY] == "10.0.0.9"


def test_same_fields_as_the_server() -> None:
    """What can be believed is what --trusted-headers names."""
    assert proxy_headers.FIELDS == FORWARDED_FIELDS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trusted_proxies": "10.0.0.1/8"}, "10.0.0.0/8"),
        ({"trusted_proxies": ["proxy.example"]}, "trusted_proxies"),
        ({"trusted_proxies": 5}, "5"),
        ({"proxy_hops": 0}, "proxy_hops"),
        ({"proxy_hops": True}, "proxy_hops"),
        ({"proxy_hops": "1"}, "proxy_hops"),
        ({"trusted_headers": ["X-Forwarded-For"]}, "trusted_headers"),
        ({"trusted_headers": ["x-real-ip"]}, "trusted_headers"),
        ({"trusted_headers": 5}, "trusted_headers"),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    """What cannot work is told when the piece is made."""
    with pytest.raises(ValueError, match=message):
        ProxyHeaders(**options)


VALUE = st.text(alphabet='0123456789.:, [];="_forpths/xeam\\%\xe9', max_size=40) | st.sampled_from(
    ["203.0.113.9", "https", "for=203.0.113.9;proto=https", "shop.example:81", "/shop", "unix:"]
)


@given(st.dictionaries(st.sampled_from([*FORWARDED_FIELDS, "x-real-ip", "x-forwarded-x"]), VALUE))
def test_as_the_server_does(fields: dict[str, str]) -> None:
    """Whatever is sent, the application sees what it would see behind Breezeway itself."""
    trust = Trust([PEER, "10.0.0.0/8"])
    expected = make_environ(fields=fields)
    try:
        settle(expected, trust)
    except ForwardedError:
        expected = {}
    application = Counted(b"a")
    piece = ProxyHeaders(application, trusted_proxies=[PEER, "10.0.0.0/8"])
    result = call(piece, fields=fields)
    if not expected:
        assert (result.code, application.calls) == (400, 0)
        return
    ignored = ("wsgi.", "breezeway.")
    found = {key: text for key, text in application.environ.items() if not key.startswith(ignored)}
    assert found == {key: text for key, text in expected.items() if not key.startswith(ignored)}
    assert application.environ["wsgi.url_scheme"] == expected["wsgi.url_scheme"]


def test_on_the_wire() -> None:
    """In a server that tells nothing of proxies, two fields of a name are one list."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']}".encode()]

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    piece = ProxyHeaders(application, trusted_proxies="127.0.0.1")
    with make_server("127.0.0.1", 0, piece, handler_class=Quiet) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        with socket.create_connection(("127.0.0.1", server.server_port), 10.0) as client:
            client.sendall(
                b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.7\r\n"
                b"X-Forwarded-Proto: https\r\n\r\n"
            )
            with client.makefile("rb") as answer:
                assert answer.read().endswith(b"\r\n\r\n198.51.100.7 https")
        thread.join(10.0)
        assert not thread.is_alive()


def test_threads() -> None:
    """Each of many requests at once gets its own client."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["REMOTE_ADDR"].encode()]

    piece = ProxyHeaders(application, trusted_proxies=PEER)
    addresses = [f"203.0.113.{number}" for number in range(1, 200)]
    with ThreadPoolExecutor(16) as pool:
        found = [
            *pool.map(lambda each: call(piece, fields={"X-Forwarded-For": each}).body, addresses)
        ]
    assert found == [each.encode() for each in addresses]
