"""What an application sees behind nginx, HAProxy, Caddy and Envoy, configured as docs/proxies.md says."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from breezeway.config.settings import Settings
from breezeway.semantics.environ_keys import UNBELIEVED
from breezeway.worker.reactor import RETIRE_IDLE_SECONDS

from ..applications import PLAIN, Recorder
from ..differential.proxies import install, need
from ..forged import FORGED
from ..live import eventually
from .documented import ARRANGEMENTS, KINDS, Arrangement, Behind, Caddy, Nginx, block, running, said

DEADLINE_SECONDS = 5.0

ALL_FORGED = (
    *FORGED,
    ("Forwarded", 'for="'),
    ("X_Forwarded_For", "6.6.6.6"),
    ("X_Forwarded_Proto", "https"),
)


# Its package comes with an extra that the other Pythons have not.
PARAMETERS = [
    pytest.param(name, marks=pytest.mark.once if arrangement.kind.pypi else ())
    for name, arrangement in ARRANGEMENTS.items()
]


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    """Install the proxies, in CI."""
    if os.environ.get("CI"):
        install(KINDS)


@contextmanager
def running_behind(arrangement: Arrangement, **more: Any) -> Iterator[Behind]:
    """Run a server and a proxy in front of it."""
    need(arrangement.kind)
    # Not pytest's directory: the path of a unix socket has to be short.
    with (
        tempfile.TemporaryDirectory(prefix="breezeway-") as directory,
        running(arrangement, Path(directory), **more) as both,
    ):
        yield both


@pytest.fixture(scope="module", params=PARAMETERS)
def behind(programs: None, request: pytest.FixtureRequest) -> Iterator[Behind]:
    """Run a server behind each of the proxies."""
    with running_behind(ARRANGEMENTS[request.param]) as both:
        yield both


@pytest.fixture
def recorder(behind: Behind) -> Recorder:
    """Return the application, with nothing seen yet."""
    application = Recorder()
    behind.live.play(application)
    return application


def connect(behind: Behind, client: str = "127.0.0.2") -> Any:
    """Connect to the proxy, from an address that is not its own."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", behind.port, DEADLINE_SECONDS, source_address=(client, 0)
    )
    return closing(connection)


def ask(
    connection: http.client.HTTPConnection,
    *fields: tuple[str, str],
    method: str = "GET",
    target: str = "/x?y",
    body: bytes = b"",
) -> http.client.HTTPResponse:
    """Send a request to the host of the page, and read the whole answer."""
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", f"example.org:{connection.port}")
    for name, value in fields:
        connection.putheader(name, value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    return connection.getresponse()


def test_client(behind: Behind, recorder: Recorder) -> None:
    """The application sees the client, the scheme and the host that it has asked for."""
    with connect(behind) as connection:
        assert ask(connection).read() == b"1"
    environ = recorder.seen[0].environ
    expected = {
        "REMOTE_ADDR": "127.0.0.2",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": f"example.org:{behind.port}",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/x",
        "QUERY_STRING": "y",
        "breezeway.peer": behind.peer,
    }
    assert {key: environ.get(key) for key in expected} == expected
    assert "HTTPS" not in environ


def test_forged_fields(behind: Behind, recorder: Recorder) -> None:
    """Nothing that a client says about itself in these fields changes what the application sees."""
    with connect(behind) as connection:
        ask(connection).read()
        assert ask(connection, *ALL_FORGED).status == 200
    honest, forged = (dict(each.environ) for each in recorder.seen)
    for environ in (honest, forged):
        # A proxy of connections lets the fields through, to be dropped here.
        environ.pop(UNBELIEVED, None)
        environ.pop("HTTP_X_REQUEST_ID", None)  # Envoy's own
        for key in [key for key in environ if key.startswith(("wsgi.", "breezeway.c"))]:
            if key != "wsgi.url_scheme":
                del environ[key]
    assert forged == honest


def test_clients_share_connections(behind: Behind, recorder: Recorder) -> None:
    """Connections are kept open, and each request on them has its own client."""
    clients = ["127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.4"]
    for client in clients:
        with connect(behind, client) as connection:
            for _ in range(3):
                assert ask(connection).read()
    seen = [each.environ["REMOTE_ADDR"] for each in recorder.seen]
    assert seen == [client for client in clients for _ in range(3)]
    connections = {each.environ["breezeway.client_disconnected"].__self__ for each in recorder.seen}
    assert len(connections) < len(seen)


def test_big_upload(behind: Behind) -> None:
    """A body of some megabytes comes whole, and so does one in the other direction."""

    def digest(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [PLAIN, ("X-Digest", hashlib.sha256(body).hexdigest())])
        return [body]

    behind.live.play(digest)
    body = os.urandom(4 * 2**20)
    with connect(behind) as connection:
        response = ask(connection, method="POST", body=body)
        assert response.getheader("X-Digest") == hashlib.sha256(body).hexdigest()
        assert response.read() == body


def test_prefix(programs: None) -> None:
    """A location of nginx that takes a prefix off, as the page says, tells it."""
    changed = ARRANGEMENTS["nginx"]._replace(
        changes=(
            ("location / {", "location /shop/ {"),
            ("proxy_pass http://breezeway;", "proxy_pass http://breezeway/;"),
            ('X-Forwarded-Prefix ""', "X-Forwarded-Prefix /shop"),
        )
    )
    recorder = Recorder()
    with running_behind(changed, trusted_headers=("x-forwarded-prefix",)) as behind:
        behind.live.play(recorder)
        with connect(behind) as connection:
            assert ask(connection, target="/shop/x").status == 200
    environ = recorder.seen[0].environ
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/shop", "/x")


def test_streaming(behind: Behind) -> None:
    """A block arrives while the next one is not made yet."""
    arrived = threading.Event()

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN, ("X-Accel-Buffering", "no")])
        yield b"first"
        yield b"second" if arrived.wait(DEADLINE_SECONDS) else b"late"

    behind.live.play(application)
    with connect(behind) as connection:
        response = ask(connection)
        assert response.read(5) == b"first"
        arrived.set()
        assert response.read() == b"second"


def test_broken_off_response(behind: Behind) -> None:
    """A response that the application breaks off is not taken for whole."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN, ("X-Accel-Buffering", "no")])
        yield b"first"
        raise ConnectionAbortedError

    if behind.kind is Caddy:
        pytest.skip("Debian's Caddy ends it as if it were whole")
    behind.live.play(application)
    with connect(behind) as connection:
        response = ask(connection)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()


def test_early_hints(behind: Behind) -> None:
    """Hints end at the proxy or go through it, and the response follows."""
    if behind.kind is Nginx and Nginx.version() < "1.29":
        pytest.skip("nginx before 1.29 takes them for the response")

    def application(environ: Any, start_response: Any) -> Any:
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
        start_response("200 OK", [PLAIN])
        return [b"1"]

    behind.live.play(application)
    with socket.create_connection(("127.0.0.1", behind.port), DEADLINE_SECONDS) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: example.org:%d\r\n\r\n" % behind.port)
        received = b""
        while b"HTTP/1.1 200 " not in received:
            piece = client.recv(1 << 16)
            assert piece, received
            received += piece


@pytest.mark.parametrize(
    ("heading", "language", "setting"),
    [
        ("## nginx", "nginx", r"keepalive_timeout (\d+)s;"),
        ("### nginx over a unix socket", "nginx", r"keepalive_timeout (\d+)s;"),
        ("## Caddy", "caddy", r"keepalive (\d+)s"),
        ("## Envoy", "yaml", r"protocol_options: \{ idle_timeout: (\d+)s \}"),
    ],
)
def test_proxy_is_the_first_to_close(heading: str, language: str, setting: str) -> None:
    """No request of a proxy meets a server that closes the idle connection, also in a reload."""
    match = re.search(setting, block(heading, language))
    assert match is not None
    assert int(match[1]) < min(RETIRE_IDLE_SECONDS, Settings().keep_alive_timeout)


ENDPOINT = "address: { socket_address: { address: 127.0.0.1, port_value: 8000 } }"
CHECKED = f"{ENDPOINT.replace('8000', 'GONE')}, health_check_config: {{ {ENDPOINT} }}"
"""No check finds out that this one has gone."""


@pytest.mark.parametrize(
    ("name", "body", "changes"),
    [
        ("nginx", b"x", [("server 127.0.0.1:8000;", "{}\n server 127.0.0.1:GONE;")]),
        (
            "HAProxy",
            b"x",
            [("server breezeway 127.0.0.1:8000 check", "{}\n server gone 127.0.0.1:GONE")],
        ),
        (
            "Caddy",
            b"",
            [
                ("127.0.0.1:8000 {", "127.0.0.1:GONE {}"),
                (
                    "header_up -Forwarded",
                    f"{said('lb_try_duration 5s')}\n{said('fail_duration 5s')}\n{{}}",
                ),
            ],
        ),
        pytest.param(
            "Envoy",
            b"x",
            [
                (f"- endpoint: {{ {ENDPOINT} }}", f"{{}}\n        - endpoint: {{ {CHECKED} }}"),
                (
                    "                route: { cluster: breezeway, timeout: 0s, idle_timeout: 60s }",
                    block("### Envoy before several servers", "yaml"),
                ),
                (
                    "connect_timeout: 5s",
                    f"{{}}\n    {said('circuit_breakers: { thresholds: [{ max_retries: 1000 }] }')}",
                ),
            ],
            marks=pytest.mark.once,
        ),
    ],
    ids=["nginx", "HAProxy", "Caddy", "Envoy"],
)
def test_one_server_of_two_is_gone(
    programs: None, name: str, body: bytes, changes: list[tuple[str, str]]
) -> None:
    """A request that cannot connect to one server goes to another, before a check has found out."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = str(nobody.getsockname()[1])
        made = tuple((old, new.replace("{}", old).replace("GONE", port)) for old, new in changes)
        with running_behind(ARRANGEMENTS[name]._replace(changes=made)) as behind:
            behind.live.play(Recorder())
            for _ in range(4):
                with connect(behind) as connection:
                    assert ask(connection, method="POST", body=body).status == 200


@pytest.fixture(scope="module")
def envoy(programs: None) -> Iterator[Behind]:
    """Run a server behind Envoy, which looks at a path as the page says."""
    normalized = [
        "use_remote_address: true",
        said("normalize_path: true"),
        said("merge_slashes: true"),
        said("path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT"),
    ]
    match = "              - match: { prefix: / }"
    admin = "              - { match: { prefix: /admin }, direct_response: { status: 403 } }\n"
    changes = ((normalized[0], "\n          ".join(normalized)), (match, admin + match))
    with running_behind(ARRANGEMENTS["Envoy"]._replace(changes=changes)) as both:
        yield both


@pytest.mark.once
@pytest.mark.parametrize(
    ("request_line", "field", "status"),
    [
        ("GET / HTTP/1.0", "X: y", 426),
        ("FETCH / HTTP/1.1", "X: y", 400),
        ("GET / HTTP/1.1", "Upgrade: websocket\r\nConnection: upgrade", 403),
        ("POST / HTTP/1.1", "Content-Length: 1\r\nExpect: 100-continue", 100),
        ("GET //admin HTTP/1.1", "X: y", 403),
        ("GET /x/../%61dmin HTTP/1.1", "X: y", 403),
        ("GET /x%2F..%2Fadmin HTTP/1.1", "X: y", 307),
        ("GET /hints HTTP/1.1", "X: y", 200),
    ],
)
def test_what_envoy_does_itself(envoy: Behind, request_line: str, field: str, status: int) -> None:
    """What the page says that Envoy answers, and that hints end there."""

    def application(environ: Any, start_response: Any) -> Any:
        assert environ["PATH_INFO"] in ("/", "/hints")
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
        start_response("200 OK", [PLAIN])
        return [b"1"]

    envoy.live.play(application)
    with socket.create_connection(("127.0.0.1", envoy.port), DEADLINE_SECONDS) as client:
        client.sendall(f"{request_line}\r\nHost: example.org\r\n{field}\r\n\r\n".encode())
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.once
def test_request_id(envoy: Behind) -> None:
    """The id of a request is Envoy's, not the client's."""
    recorder = Recorder()
    envoy.live.play(recorder)
    with connect(envoy) as connection:
        ask(connection, ("X-Request-Id", "forged")).read()
    assert len(recorder.seen[0].environ["HTTP_X_REQUEST_ID"]) == len(str(uuid4()))


@pytest.mark.once
def test_trailers(envoy: Behind) -> None:
    """Trailers end at Envoy."""
    recorder = Recorder()
    envoy.live.play(recorder)
    with socket.create_connection(("127.0.0.1", envoy.port), DEADLINE_SECONDS) as client:
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.sendall(b"0\r\nX-T: u\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    assert "breezeway.trailers" not in recorder.seen[0].environ


@pytest.mark.once
def test_http_2(envoy: Behind) -> None:
    """A request in HTTP/2 arrives in HTTP/1.1, with the client's address and what it has not forged."""
    # RFC 7541: GET, http and / are in the table, x-forwarded-for is not.
    fields = b"\x82\x86\x84\x01\x0bexample.org\0\x0fx-forwarded-for\x076.6.6.6"
    settings = b"\0\0\0\x04\0" + bytes(4)
    head = len(fields).to_bytes(3) + b"\x01\x05" + (1).to_bytes(4) + fields
    recorder = Recorder()
    envoy.live.play(recorder)
    with socket.socket() as client:
        client.bind(("127.0.0.2", 0))
        client.connect(("127.0.0.1", envoy.port))
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + head)
        eventually(lambda: bool(recorder.seen), "the request")
    environ = recorder.seen[0].environ
    expected = {
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "example.org",
        "REMOTE_ADDR": "127.0.0.2",
        "wsgi.url_scheme": "http",
    }
    assert {key: environ.get(key) for key in expected} == expected
