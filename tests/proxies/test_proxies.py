"""What an application sees behind nginx, HAProxy and Caddy, configured as docs/proxies.md says."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from breezeway.semantics.environ_keys import UNBELIEVED

from ..applications import PLAIN, Recorder
from ..differential.proxies import install, missing_packages
from ..forged import FORGED
from .documented import ARRANGEMENTS, KINDS, Behind, running

DEADLINE_SECONDS = 5.0

ALL_FORGED = (
    *FORGED,
    ("Forwarded", 'for="'),
    ("X_Forwarded_For", "6.6.6.6"),
    ("X_Forwarded_Proto", "https"),
)


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    """Have the proxies there: in CI they are installed, elsewhere what is missing is skipped."""
    if os.environ.get("CI"):
        assert not install(KINDS)


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def behind(programs: None, request: pytest.FixtureRequest) -> Iterator[Behind]:
    """Run a server behind each of the proxies."""
    arrangement = ARRANGEMENTS[request.param]
    if missing_packages([arrangement.kind]):
        pytest.skip(f"{arrangement.kind.program} is not installed (Debian has it)")
    # Not pytest's directory: the path of a unix socket has to be short.
    with (
        tempfile.TemporaryDirectory(prefix="breezeway-") as directory,
        running(arrangement, Path(directory)) as both,
    ):
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


def test_prefix(programs: None, tmp_path: Path) -> None:
    """A location of nginx that takes a prefix off, as the page says, tells it."""
    arrangement = ARRANGEMENTS["nginx"]
    if missing_packages([arrangement.kind]):
        pytest.skip("nginx is not installed (Debian has it)")
    changed = arrangement._replace(
        changes=(
            ("location / {", "location /shop/ {"),
            ("proxy_pass http://breezeway;", "proxy_pass http://breezeway/;"),
            ('X-Forwarded-Prefix ""', "X-Forwarded-Prefix /shop"),
        )
    )
    recorder = Recorder()
    with running(changed, tmp_path, trusted_headers=("x-forwarded-prefix",)) as behind:
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
