"""Behind proxies, on the wire: forwarded fields, allowed hosts, the PROXY header."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from breezeway.semantics.environ_keys import UNBELIEVED

from ..applications import Recorder, plain
from ..forged import FORGED
from ..live import Live, eventually, serving
from .client import Response, request

LINE = b"PROXY TCP4 192.0.2.1 10.0.0.1 5555 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
BINARY = SIGNATURE + b"\x21\x11\0\x13" + bytes([192, 0, 2, 1, 10, 0, 0, 1]) + b"\x15\xb3\x01\xbb"
BINARY += b"\x03\0\x04abcd"
LOCAL = SIGNATURE + b"\x20\0\0\0"

LOOK_ALIKES = [(name.replace("-", "_"), value) for name, value in FORGED if "-" in name] + [
    ("X-Forwarded_For", "6.6.6.6"),
    ("X_Forwarded-Proto", "https"),
]


def server_lines(log: pytest.LogCaptureFixture) -> list[str]:
    """Return what the server has logged."""
    return [record.getMessage() for record in log.records if record.name.startswith("breezeway")]


@contextmanager
def recording(**settings: Any) -> Iterator[tuple[Live, Recorder]]:
    """Run a server with those settings, and an application that keeps what it sees."""
    recorder = Recorder()
    with serving(**settings) as live:
        live.play(recorder)
        yield live, recorder


@pytest.fixture(scope="module")
def trusting() -> Iterator[tuple[Live, Recorder]]:
    """Run a server that believes proxies on the loopback interface."""
    with recording(trusted_proxies=("127.0.0.0/8",)) as both:
        yield both


@pytest.fixture(scope="module")
def proxied() -> Iterator[tuple[Live, Recorder]]:
    """Run a server whose peers on the loopback interface begin with a PROXY header."""
    with recording(proxy_protocol=("127.0.0.0/8",)) as both:
        yield both


@pytest.fixture(scope="module")
def picky() -> Iterator[tuple[Live, Recorder]]:
    """Run a server for some hosts."""
    hosts = ("example.org", "*.example.org", "[::1]")
    with recording(allowed_hosts=hosts, trusted_proxies=("*",), health_path="/up") as both:
        yield both


def plain_environ(live: Live) -> dict[str, Any]:
    """Return the environ of a request without fields of proxies, on a connection of its own."""
    recorder = Recorder()
    live.play(recorder)
    assert live.get().status == 200
    return dict(recorder.seen[-1].environ)


def differences(live: Live, recorder: Recorder, *fields: tuple[str, str]) -> dict[str, Any]:
    """Return what fields change in the environ, but for what differs between any two requests."""
    before = plain_environ(live)
    live.play(recorder)
    assert live.get("/", *fields).status == 200
    after = recorder.seen[-1].environ
    own = {"wsgi.input", "wsgi.early_hints", "breezeway.client_disconnected"}
    if after["REMOTE_ADDR"] == "127.0.0.1":
        own.add("REMOTE_PORT")
    assert before.keys() <= after.keys()
    return {
        key: value for key, value in after.items() if before.get(key) != value and key not in own
    }


class TestForwarded:
    def test_removed_when_nobody_is_trusted(self, live: Live) -> None:
        """By default nothing of what a client says as a proxy is heard, but that it spoke as one."""
        assert differences(live, Recorder(), *FORGED) == {UNBELIEVED: True}

    def test_removed_from_others_than_trusted(self) -> None:
        """A proxy elsewhere is trusted: from here nothing is believed."""
        with recording(trusted_proxies=("10.0.0.0/8", "unix")) as (live, recorder):
            assert differences(live, recorder, *FORGED) == {UNBELIEVED: True}
            assert recorder.seen[-1].environ["breezeway.peer"] == "127.0.0.1"

    def test_believed_from_trusted(self, trusting: tuple[Live, Recorder]) -> None:
        """All of it has its effect, and is gone."""
        fields = [
            ("X-Forwarded-For", "6.6.6.6, 192.0.2.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "shop.example"),
            ("X-Forwarded-Port", "8443"),
            ("X-Forwarded-Prefix", "/shop"),
            ("X-Forwarded-Server", "internal"),
        ]
        assert differences(*trusting, *fields) == {
            "REMOTE_ADDR": "192.0.2.1",
            "REMOTE_PORT": "",
            "wsgi.url_scheme": "https",
            "HTTPS": "on",
            "HTTP_HOST": "shop.example:8443",
            "SERVER_NAME": "shop.example",
            "SERVER_PORT": "8443",
            "SCRIPT_NAME": "/shop",
        }

    def test_standard_field(self, trusting: tuple[Live, Recorder]) -> None:
        """The field of RFC 7239 does the same, in several lines, too."""
        fields = [
            ("Forwarded", 'for="[2001:db8::7]:99";proto=https;host="shop.example:8443"'),
            ("Forwarded", "for=127.0.0.2;proto=http"),
        ]
        assert differences(*trusting, *fields) == {
            "REMOTE_ADDR": "2001:db8::7",
            "REMOTE_PORT": "99",
            "wsgi.url_scheme": "https",
            "HTTPS": "on",
            "HTTP_HOST": "shop.example:8443",
            "SERVER_NAME": "shop.example",
            "SERVER_PORT": "8443",
        }

    def test_several_lines_are_one_list(self, trusting: tuple[Live, Recorder]) -> None:
        """Field lines are joined in their order, whoever has written them."""
        live, recorder = trusting
        fields = [("X-Forwarded-For", each) for each in ("6.6.6.6", "192.0.2.1", "127.0.0.9")]
        assert live.get("/", *fields).status == 200
        assert recorder.seen[-1].environ["REMOTE_ADDR"] == "192.0.2.1"

    @pytest.mark.parametrize("field", LOOK_ALIKES, ids=lambda field: field[0])
    def test_look_alikes(self, trusting: tuple[Live, Recorder], field: tuple[str, str]) -> None:
        """A name with an underscore is never one of these, alone or beside the true one."""
        assert differences(*trusting, field) == {}
        live, recorder = trusting
        true = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "http")]
        for fields in ([field, *true], [*true, field]):
            assert live.get("/", *fields).status == 200
            environ = recorder.seen[-1].environ
            found = environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]
            assert found == ("192.0.2.1", "http", "test")

    def test_listed_fields_alone(self) -> None:
        """Of a trusted proxy, too, just those are believed that it is said to set."""
        trusted = {"trusted_proxies": ("*",), "trusted_headers": ("x-forwarded-for",)}
        with recording(**trusted) as (live, recorder):
            fields = [(name, value) for name, value in FORGED if name != "X-Forwarded-For"]
            found = differences(live, recorder, ("X-Forwarded-For", "192.0.2.1"), *fields)
            assert found == {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": ""}

    @pytest.mark.parametrize(
        "fields",
        [
            [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=6.6.6.6")],
            [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1;host=evil.example")],
            [("X-Forwarded-For", "nobody")],
            [("X-Forwarded-Proto", "ftp")],
            [("X-Forwarded-Host", "a/b")],
            [("X-Forwarded-Port", "65536")],
            [("X-Forwarded-Prefix", "/a/../b")],
            [("Forwarded", 'for="')],
        ],
    )
    def test_refusal(
        self,
        trusting: tuple[Live, Recorder],
        fields: list[tuple[str, str]],
        log: pytest.LogCaptureFixture,
    ) -> None:
        """A contradiction or a malformed value is 400, and the log names the proxy."""
        live, recorder = trusting
        live.play(recorder)
        before = len(recorder.seen)
        assert live.get("/", *fields).status == 400
        assert len(recorder.seen) == before
        eventually(
            lambda: any("127.0.0.1 refused with 400: " in line for line in server_lines(log)),
            "a line that names the peer",
        )

    def test_one_connection_with_many_clients(self, trusting: tuple[Live, Recorder]) -> None:
        """A proxy sends the requests of all its clients on one connection: none is another's."""
        live, recorder = trusting
        live.play(recorder)
        del recorder.seen[:]
        addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.2", "", "192.0.2.1", "", "192.0.2.3"]
        with live.connect() as client:
            for number, address in enumerate(addresses):
                fields = [("X-Forwarded-For", address)] if address else []
                assert client.get(f"/{number // 2}", *fields).status == 200
        seen = [each.environ["REMOTE_ADDR"] for each in recorder.seen]
        assert seen == [address or "127.0.0.1" for address in addresses]
        assert {each.environ["breezeway.peer"] for each in recorder.seen} == {"127.0.0.1"}

    def test_access_log_has_the_client(self, tmp_path: Path) -> None:
        """Whoever sent the request stands in the access log, also when its head is known."""
        log = tmp_path / "access.log"
        with recording(trusted_proxies=("*",), access_log_file=str(log)) as (live, _):
            with live.connect() as client:
                for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
                    assert client.get("/", ("X-Forwarded-For", address)).status == 200
                assert client.get("/").status == 200
            eventually(lambda: log.read_text().count("\n") == 4, "four lines")
        clients = [line.split()[0] for line in log.read_text().splitlines()]
        assert clients == ["192.0.2.1", "192.0.2.1", "192.0.2.2", "127.0.0.1"]

    def test_unix_socket(self, tmp_path: Path) -> None:
        """A proxy on a unix socket is trusted as `unix`."""
        path = tmp_path / "socket"
        bind = ("127.0.0.1:0", f"unix:{path}")
        with recording(bind=bind, trusted_proxies=("unix",)) as (live, recorder):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(5)
                peer.connect(str(path))
                peer.sendall(request("GET", "/", ("X-Forwarded-For", "192.0.2.1")))
                assert peer.recv(9) == b"HTTP/1.1 "
            assert live.get("/", ("X-Forwarded-For", "6.6.6.6")).status == 200
        first, second = (each.environ for each in recorder.seen)
        assert (first["REMOTE_ADDR"], first["breezeway.peer"]) == ("192.0.2.1", "unix")
        assert second["REMOTE_ADDR"] == second["breezeway.peer"] == "127.0.0.1"


class TestHosts:
    @staticmethod
    def _ask(
        live: Live, target: str, host: str | None, *more: str, version: str = "1.1"
    ) -> Response:
        fields = [] if host is None else [f"Host: {host}"]
        lines = [f"GET {target} HTTP/{version}", *fields, *more, "", ""]
        return live.send("\r\n".join(lines).encode())

    @pytest.mark.parametrize(
        ("target", "host", "status"),
        [
            ("/", "example.org", 200),
            ("/", "A.EXAMPLE.ORG.:8000", 200),
            ("/", "[::1]:8000", 200),
            ("/", "evil.example", 421),
            ("/", "127.0.0.1:8000", 421),
            ("/", "example.org@evil.example", 400),
            ("/", "[::1", 400),
            ("http://example.org/", "evil.example", 200),
            ("http://evil.example/", "example.org", 421),
        ],
    )
    def test_hosts(self, picky: tuple[Live, Recorder], target: str, host: str, status: int) -> None:
        """Just the listed hosts reach the application; a malformed one is 400 as ever."""
        live, recorder = picky
        before = len(recorder.seen)
        assert self._ask(live, target, host).status == status
        assert len(recorder.seen) == before + (status == 200)

    def test_no_host(self, picky: tuple[Live, Recorder]) -> None:
        """HTTP/1.0 without Host asks for no host that is served here."""
        assert self._ask(picky[0], "/", None, version="1.0").status == 421
        assert self._ask(picky[0], "/", "example.org", version="1.0").status == 200

    def test_forwarded_host(self, picky: tuple[Live, Recorder]) -> None:
        """The host that counts is the one that the client has asked the proxy for."""
        live, _ = picky
        assert self._ask(live, "/", "backend", "X-Forwarded-Host: example.org").status == 200
        assert self._ask(live, "/", "example.org", "X-Forwarded-Host: evil.example").status == 421

    def test_health(self, picky: tuple[Live, Recorder]) -> None:
        """The health path is answered whatever the host, and opens no way to another path."""
        live, _ = picky
        assert self._ask(live, "/up", "10.1.2.3:8000").status == 200
        assert self._ask(live, "/up", None, version="1.0").status == 200
        with live.connect() as client:
            for path, status in (("/up", 200), ("/up", 200), ("/xx", 421)):
                client.send(f"GET {path} HTTP/1.1\r\nHost: 10.1.2.3\r\n\r\n".encode())
                assert client.response().status == status


class TestProxyProtocol:
    @pytest.mark.parametrize("header", [LINE, BINARY], ids=["v1", "v2"])
    @pytest.mark.parametrize("drip", [False, True], ids=["whole", "byte-by-byte"])
    def test_client(self, proxied: tuple[Live, Recorder], header: bytes, drip: bool) -> None:
        """The client is the one of the header, for all requests of the connection."""
        live, recorder = proxied
        live.play(recorder)
        del recorder.seen[:]
        with live.connect() as client:
            (client.drip if drip else client.send)(header + request("GET", "/"))
            assert client.response().status == 200
            for number in range(3):
                assert client.get(f"/{number // 2}").status == 200
        for each in recorder.seen:
            assert (each.environ["REMOTE_ADDR"], each.environ["REMOTE_PORT"]) == (
                "192.0.2.1",
                "5555",
            )
            assert each.environ["breezeway.peer"] == "127.0.0.1"
        assert len(recorder.seen) == 4

    @pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
    def test_of_the_proxy_itself(self, proxied: tuple[Live, Recorder], header: bytes) -> None:
        """A connection that is the proxy's own has its address."""
        live, recorder = proxied
        live.play(recorder)
        assert live.send(header + request("GET", "/")).status == 200
        assert recorder.seen[-1].environ["REMOTE_ADDR"] == "127.0.0.1"

    def test_header_and_requests_in_pieces(self, proxied: tuple[Live, Recorder]) -> None:
        """However the bytes come, what follows the header is as it would be without it."""
        live, recorder = proxied
        live.play(recorder)
        two = request("GET", "/a") + request("POST", "/b", body=b"x" * 20_000)
        for header in (LINE, BINARY):
            for cut in (1, len(header) - 1, len(header), len(header) + 1, len(header) + 30):
                with live.connect() as client:
                    client.send((header + two)[:cut])
                    client.send((header + two)[cut:])
                    assert [client.response().status for _ in range(2)] == [200, 200]
                    assert len(recorder.seen[-1].body) == 20_000

    @pytest.mark.parametrize(
        "data",
        [
            request("GET", "/"),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 5555 99999\r\n" + request("GET", "/"),
            b"PROXY " + b"x" * 200,
            SIGNATURE + b"\x11\x11\0\x0c" + bytes(12) + request("GET", "/"),
            SIGNATURE + b"\x21\x11" + struct.pack("!H", 60_000),
        ],
    )
    def test_refusal(
        self, proxied: tuple[Live, Recorder], data: bytes, log: pytest.LogCaptureFixture
    ) -> None:
        """A listed peer has to begin with a good header; otherwise 400, a log line, and the end."""
        live, recorder = proxied
        live.play(recorder)
        before = len(recorder.seen)
        with live.connect() as client:
            client.send(data)
            assert client.response().status == 400
            assert client.rest() == b""
        assert len(recorder.seen) == before
        eventually(lambda: any("PROXY" in line for line in server_lines(log)), "a log line")

    def test_two_headers(self, proxied: tuple[Live, Recorder]) -> None:
        """What follows the header is a request, and no second header."""
        assert proxied[0].send(LINE + LINE + request("GET", "/")).status == 400

    def test_cut_short(self, proxied: tuple[Live, Recorder], log: pytest.LogCaptureFixture) -> None:
        """A peer that ends within its header is refused; one that says nothing is no news."""
        live, _ = proxied
        with live.connect() as client:
            client.send(LINE[:9])
            client.end()
            assert client.response().status == 400
        eventually(lambda: any("cut short" in line for line in server_lines(log)), "a log line")
        log.clear()
        with live.connect() as client:
            client.end()
            assert client.rest() == b""
        assert server_lines(log) == []

    @pytest.mark.parametrize("header", [LINE, BINARY], ids=["v1", "v2"])
    def test_never_parsed_from_others(self, header: bytes) -> None:
        """From a peer that is not listed it is a malformed request."""
        for settings in ({}, {"proxy_protocol": ("10.0.0.0/8", "unix")}):
            with recording(**settings) as (live, recorder):
                assert live.send(header + request("GET", "/")).status == 400
                assert live.get().status == 200
                assert recorder.seen[-1].environ["REMOTE_ADDR"] == "127.0.0.1"

    @pytest.mark.parametrize("sent", [b"", LINE[:20], BINARY[:20]])
    def test_deadline(self, sent: bytes, log: pytest.LogCaptureFixture) -> None:
        """The header has the time of a head; the log tells when it does not come."""
        with (
            recording(proxy_protocol=("*",), head_timeout=0.2) as (live, _),
            live.connect() as client,
        ):
            client.send(sent)
            assert client.rest() == b""
            eventually(lambda: any("in time" in line for line in server_lines(log)), "a log line")

    def test_slow_header_stops_nobody(self, proxied: tuple[Live, Recorder]) -> None:
        """While one peer is in the middle of its header, others are served."""
        live, recorder = proxied
        live.play(recorder)
        with live.connect() as slow:
            slow.send(LINE[:10])
            assert live.send(BINARY + request("GET", "/")).status == 200
            slow.send(LINE[10:] + request("GET", "/"))
            assert slow.response().status == 200

    def test_large_bodies(self, proxied: tuple[Live, Recorder]) -> None:
        """Bodies in both directions go through as without the header."""
        live, _ = proxied
        body = bytes(range(256)) * 8192

        def echo(environ: dict[str, Any], start_response: Any) -> Any:
            data = environ["wsgi.input"].read()
            return plain(data[: len(data) // 2], data[len(data) // 2 :])(environ, start_response)

        live.play(echo)
        with live.connect() as client:
            client.send(LINE + request("POST", "/", body=body))
            assert client.response().body == body

    def test_client_in_the_logs(self, tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
        """The access log and refusals name the client of the header."""
        access = tmp_path / "access.log"
        with recording(proxy_protocol=("*",), access_log_file=str(access)) as (live, _):
            with live.connect() as client:
                client.send(LINE + request("GET", "/"))
                assert client.response().status == 200
                client.send(b"nonsense\r\n\r\n")
                assert client.response().status == 400
            eventually(lambda: "\n" in access.read_text(), "a line")
        assert access.read_text().startswith("192.0.2.1 - - ")
        assert any("192.0.2.1 refused with 400" in line for line in server_lines(log))

    @pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n"])
    def test_client_of_a_first_request_that_is_refused(
        self, sent: bytes, proxied: tuple[Live, Recorder], log: pytest.LogCaptureFixture
    ) -> None:
        """A refusal names the client of the header before there was a good request, too."""
        with proxied[0].connect() as client:
            client.send(LINE + sent)
            client.end()
            assert client.response().status == 400
        assert any("192.0.2.1 refused with 400" in line for line in server_lines(log))

    def test_limit_of_one_client(self) -> None:
        """A connection counts for the client of the header as soon as that is known."""
        half = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
        settings = {"proxy_protocol": ("*",), "limit_connections_per_client": 1}
        with recording(**settings) as (live, _), live.connect() as first, live.connect() as idle:
            idle.send(LINE)
            assert live.send(LINE + request("GET", "/")).status == 200
            assert idle.rest() == b""
            first.send(LINE + half)
            for more in (b"", half[:20], half, request("GET", "/"), b"nonsense\r\n\r\n"):
                answer = live.send(LINE + more)
                assert (answer.status, answer.value("Retry-After")) == (503, "1")
            assert live.send(LINE.replace(b".1 ", b".2 ") + request("GET", "/")).status == 200

    def test_fields_of_the_one_that_the_header_names(self) -> None:
        """Whether fields are believed is decided by the address in the header."""
        both = {"proxy_protocol": ("127.0.0.1",), "trusted_proxies": ("192.0.2.0/24",)}
        with recording(**both) as (live, recorder):
            asked = request("GET", "/", ("X-Forwarded-For", "198.51.100.7"))
            assert live.send(LINE + asked).status == 200
            assert recorder.seen[-1].environ["REMOTE_ADDR"] == "198.51.100.7"
            assert recorder.seen[-1].environ["breezeway.peer"] == "127.0.0.1"
            assert live.send(LINE.replace(b"192.0.2.1", b"203.0.113.1") + asked).status == 200
            assert recorder.seen[-1].environ["REMOTE_ADDR"] == "203.0.113.1"

    def test_unix_socket(self, tmp_path: Path) -> None:
        """Peers on a unix socket are listed as `unix`."""
        path = tmp_path / "socket"
        bind = ("127.0.0.1:0", f"unix:{path}")
        with recording(bind=bind, proxy_protocol=("unix",)) as (live, recorder):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(5)
                peer.connect(str(path))
                peer.sendall(BINARY + request("GET", "/"))
                assert peer.recv(9) == b"HTTP/1.1 "
            assert live.get().status == 200
        first, second = (each.environ for each in recorder.seen)
        assert (first["REMOTE_ADDR"], first["breezeway.peer"]) == ("192.0.2.1", "unix")
        assert second["REMOTE_ADDR"] == "127.0.0.1"
