"""PEP 3333, 'environ Variables': what the application is told."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.util import request_uri

import pytest

from ..applications import PLAIN, plain
from ..live import Live, serving
from ..wire.client import request
from .conftest import Play

REQUIRED = [
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
]


class Keeper:
    """Keeps the very environ that it was called with."""

    environ: WSGIEnvironment

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.environ = environ
        start_response("200 OK", [PLAIN])
        return [b"kept"]


def environ_of(live: Live, data: bytes) -> WSGIEnvironment:
    """Send a request and return the environ that the application got."""
    keeper = Keeper()
    live.play(keeper)
    assert live.send(data).status == 200
    return keeper.environ


def test_environ_is_a_builtin_dict(live: Live) -> None:
    """The environ is exactly a dict, no subclass and no look-alike."""
    assert type(environ_of(live, request("GET", "/"))) is dict


@pytest.mark.parametrize("key", REQUIRED)
def test_required_variables(live: Live, key: str) -> None:
    """The CGI variables that have to be there are there, as native strings."""
    assert type(environ_of(live, request("GET", "/"))[key]) is str


def test_variables_are_native_strings(live: Live) -> None:
    """Every CGI variable is a str of latin-1 characters; every key is a str."""
    fields = [("X-A", "caf\xe9"), ("Cookie", "a=b"), ("Content-Type", "text/plain")]
    environ = environ_of(live, request("POST", "/caf%E9?b", *fields, body=b"hello"))
    for key, value in environ.items():
        assert type(key) is str
        if "." not in key:
            assert type(value) is str
            value.encode("latin-1")


def test_environ_may_be_modified(live: Live) -> None:
    """The application may change its environ in any way; the next request knows nothing of it."""
    snapshots: list[dict[str, Any]] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        snapshots.append({key: value for key, value in environ.items() if "." not in key})
        environ.clear()
        environ["forged"] = "yes"
        start_response("200 OK", [PLAIN])
        return [b"ok"]

    live.play(application)
    with live.connect() as client:
        for _ in range(4):
            assert client.get("/x?y", ("X-A", "b"), ("Cookie", "c=d")).status == 200
    assert snapshots[0]["HTTP_X_A"] == "b"
    assert snapshots == [snapshots[0]] * 4


def test_environ_is_not_shared(live: Live) -> None:
    """Each request has an environ of its own, also on one connection and with equal heads."""
    environs: list[WSGIEnvironment] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environs.append(environ)
        start_response("200 OK", [PLAIN])
        return [b"ok"]

    live.play(application)
    with live.connect() as client:
        client.get("/")
        client.get("/")
    assert environs[0] is not environs[1]


def test_request_method(live: Live) -> None:
    """REQUEST_METHOD is the method, never empty."""
    assert environ_of(live, request("PATCH", "/"))["REQUEST_METHOD"] == "PATCH"


@pytest.mark.parametrize("protocol", ["1.0", "1.1"])
def test_server_protocol(live: Live, protocol: str) -> None:
    """SERVER_PROTOCOL is the version that the client sent."""
    environ = environ_of(live, request("GET", "/", version=protocol))
    assert environ["SERVER_PROTOCOL"] == f"HTTP/{protocol}"


def test_server_name_and_port(live: Live) -> None:
    """SERVER_NAME and SERVER_PORT are never empty, and make a URL without Host."""
    environ = environ_of(live, b"GET / HTTP/1.0\r\n\r\n")
    assert environ["SERVER_NAME"] == live.address[0]
    assert environ["SERVER_PORT"] == str(live.address[1])
    assert "HTTP_HOST" not in environ
    assert request_uri(environ) == f"http://{live.address[0]}:{live.address[1]}/"


def test_server_name_setting() -> None:
    """SERVER_NAME can be set."""
    with serving(server_name="www.example.com") as live:
        assert environ_of(live, request("GET", "/"))["SERVER_NAME"] == "www.example.com"


def test_url_can_be_made_again(live: Live) -> None:
    """The algorithm of the PEP's 'URL Reconstruction' gives the URL that was asked for."""
    environ = environ_of(live, request("GET", "/a%20b/c?d=%20"))
    assert request_uri(environ) == "http://test/a%20b/c?d=%20"


@pytest.mark.parametrize("path", ["/", "/a", "/a/b"])
def test_script_name_of_the_root(live: Live, path: str) -> None:
    """SCRIPT_NAME is empty for an application at the root."""
    environ = environ_of(live, request("GET", path))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", path)


def test_script_name_of_a_mount() -> None:
    """SCRIPT_NAME is where the application stands, PATH_INFO the rest; together the path."""
    with serving(root_path="/mount") as live:
        for path, rest in (("/mount/x", "/x"), ("/mount/", "/"), ("/mount", "")):
            environ = environ_of(live, request("GET", f"{path}?q"))
            assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/mount", rest)
            assert environ["REQUEST_URI"] == f"{path}?q"
            assert request_uri(environ) == f"http://test{quote(path)}?q"


def test_no_empty_content_variables(live: Live) -> None:
    """CONTENT_TYPE and CONTENT_LENGTH are absent when there is nothing to say."""
    environ = environ_of(live, request("GET", "/", ("Content-Type", "")))
    assert "CONTENT_TYPE" not in environ
    assert "CONTENT_LENGTH" not in environ


def test_content_variables(live: Live) -> None:
    """CONTENT_TYPE and CONTENT_LENGTH stand without HTTP_, and only so."""
    environ = environ_of(live, request("POST", "/", ("Content-Type", "a/b"), body=b"hello"))
    assert environ["CONTENT_TYPE"] == "a/b"
    assert environ["CONTENT_LENGTH"] == "5"
    assert "HTTP_CONTENT_TYPE" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_http_variables(live: Live) -> None:
    """Each field is HTTP_ and its name, in capitals, with underscores."""
    environ = environ_of(live, request("GET", "/", ("x-some-Thing", "v"), ("Referer", "r")))
    assert environ["HTTP_X_SOME_THING"] == "v"
    assert environ["HTTP_REFERER"] == "r"
    assert environ["HTTP_HOST"] == "test"


def test_repeated_fields(live: Live) -> None:
    """Repeated fields are one variable, joined as their grammar has it."""
    fields = [("Accept", "a"), ("Cookie", "a=1"), ("Accept", "b"), ("Cookie", "b=2")]
    environ = environ_of(live, request("GET", "/", *fields))
    assert environ["HTTP_ACCEPT"] == "a, b"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


def test_wsgi_version(live: Live) -> None:
    """wsgi.version is the tuple (1, 0)."""
    version_seen = environ_of(live, request("GET", "/"))["wsgi.version"]
    assert type(version_seen) is tuple
    assert version_seen == (1, 0)


def test_url_scheme(live: Live) -> None:
    """wsgi.url_scheme is http where no TLS is spoken; HTTPS is not there then."""
    environ = environ_of(live, request("GET", "/"))
    assert environ["wsgi.url_scheme"] == "http"
    assert environ.get("HTTPS", "off") in ("off", "0", "")


def test_url_scheme_is_not_the_clients(live: Live) -> None:
    """wsgi.url_scheme is what is spoken, whatever the request-target claims."""
    environ = environ_of(live, request("GET", "https://test/"))
    assert environ["wsgi.url_scheme"] == "http"


def test_multithread(live: Live) -> None:
    """wsgi.multithread is true where two threads may call at once, and then they do."""
    barrier = threading.Barrier(2, timeout=5)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assert environ["wsgi.multithread"] is True
        barrier.wait()
        start_response("200 OK", [PLAIN])
        return [b"both"]

    live.play(application)
    with live.connect() as one, live.connect() as two:
        one.send(request("GET", "/"))
        two.send(request("GET", "/"))
        assert one.response().body == two.response().body == b"both"


def test_not_multithread() -> None:
    """wsgi.multithread is false with one thread, and then no two calls overlap."""
    lock = threading.Lock()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assert environ["wsgi.multithread"] is False
        assert lock.acquire(blocking=False)
        start_response("200 OK", [PLAIN])
        lock.release()
        return [b"alone"]

    with serving(threads=1) as live:
        live.play(application)
        clients = [live.connect() for _ in range(20)]
        for client in clients:
            client.send(request("GET", "/"))
        for client in clients:
            assert client.response().body == b"alone"
            client.close()


def test_one_process(live: Live) -> None:
    """wsgi.multiprocess is false in the only process, and wsgi.run_once in one that goes on."""
    environ = environ_of(live, request("GET", "/"))
    assert environ["wsgi.multiprocess"] is False
    assert environ["wsgi.run_once"] is False


def test_input_terminated(live: Live) -> None:
    """wsgi.input_terminated: the input ends by itself, so that nobody needs CONTENT_LENGTH."""
    assert environ_of(live, request("GET", "/"))["wsgi.input_terminated"] is True


def test_server_software(live: Live) -> None:
    """SERVER_SOFTWARE is the name and the version."""
    software = environ_of(live, request("GET", "/"))["SERVER_SOFTWARE"]
    assert software == f"breezeway/{version('breezeway')}"


def test_gateway_interface(live: Live) -> None:
    """GATEWAY_INTERFACE is the version of CGI that the variables are of (RFC 3875 section 4.1.4)."""
    assert environ_of(live, request("GET", "/"))["GATEWAY_INTERFACE"] == "CGI/1.1"


def test_remote_address(live: Live) -> None:
    """REMOTE_ADDR and REMOTE_PORT are the other end of the connection, as strings."""
    keeper = Keeper()
    live.play(keeper)
    with live.connect() as client:
        assert client.get("/").status == 200
        host, port = client.socket.getsockname()
    assert keeper.environ["REMOTE_ADDR"] == host
    assert keeper.environ["REMOTE_PORT"] == str(port)


def test_request_uris(live: Live) -> None:
    """REQUEST_URI is path and query as received, RAW_URI the request-target as received."""
    environ = environ_of(live, request("GET", "http://test/a%2Fb?c=%20"))
    assert environ["REQUEST_URI"] == "/a%2Fb?c=%20"
    assert environ["RAW_URI"] == "http://test/a%2Fb?c=%20"


def test_validator_finds_nothing(play: Play, live: Live) -> None:
    """wsgiref.validate checks the environ of each request; requests of every kind pass."""
    play(plain(b"fine"))
    with live.connect() as client:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            client.send(request(method, "/a%20b?c", ("Content-Type", "a/b"), body=b"hello"))
            assert client.response(method).status == 200
        client.send(request("OPTIONS", "/x", version="1.0"))
        assert client.response().status == 200
