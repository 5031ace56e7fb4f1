"""A server that speaks TLS, with real clients of more than one make."""

from __future__ import annotations

import io
import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from breezeway.worker import tls, tls_environ
from breezeway.worker.poller import PollPoller, best_poller

from .. import live as servers
from ..applications import PLAIN, Recorder, plain, streamed
from ..certificates import Made, local, make
from ..live import eventually
from ..wire.client import Client, Truncated, request
from .tls_client import TlsClient, TlsLive, serving, trusting

LARGE = 10_000_000
WINDOW_BYTES = 4096
LEFT_BYTES = 40_000  # more than one record, which is what is received at a time
STALLED = 1000
STALLED_SECONDS = 3
BRISK_SECONDS = 2  # for a handshake and ten requests; less than stalled ones have


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a certificate for the module."""
    return local(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=[best_poller, PollPoller], ids=["best", "poll"])
def live(request: pytest.FixtureRequest, made: Made) -> Iterator[TlsLive]:
    """Run one server for the module, on each poller."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servers, "make_poller", request.param)
        with serving(made, threads=1) as running:
            yield running


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsLive]:
    """Run a server with three certificates."""
    place = tmp_path_factory.mktemp("names")
    first = local(place)
    others = [make(place, "shop", "DNS:shop.example"), make(place, "wild", "DNS:*.example.org")]
    certfiles = tuple(each.certfile for each in (first, *others))
    keyfiles = tuple(each.keyfile for each in (first, *others))
    with serving(first, certfile=certfiles, keyfile=keyfiles) as running:
        running.play(plain())
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make an authority."""
    return make(tmp_path_factory.mktemp("authority"), "authority", subject="/O=Test/CN=CA")


@pytest.fixture(scope="module")
def client(authority: Made) -> Made:
    """Make a client's certificate."""
    place = Path(authority.certfile).parent
    subject = "/C=DE/O=Müller, Sons/OU=Web/CN=Jo"
    return make(place, "client", subject=subject, issuer=authority)


def session_of(live: TlsLive, context: ssl.SSLContext) -> ssl.SSLSession:
    """Return a session that the server would resume."""
    with TlsClient(live.address, context=context) as client:
        client.get()
        session = client.socket.session
    assert session is not None
    return session


def environ_of(live: TlsLive, **more: Any) -> dict[str, Any]:
    """Ask, and return the environ that the application saw."""
    recorder = Recorder()
    live.play(recorder)
    with live.connect(**more) as client:
        assert client.get().status == 200
    return dict(recorder.seen[0].environ)


class TestRequests:
    def test_environ(self, live: TlsLive) -> None:
        """The application sees https, and the names of mod_ssl."""
        environ = environ_of(live)
        assert environ["wsgi.url_scheme"] == "https"
        found = {key: environ[key] for key in environ if key.startswith(("HTTPS", "SSL_"))}
        assert found == {
            "HTTPS": "on",
            "SSL_PROTOCOL": "TLSv1.3",
            "SSL_CIPHER": "TLS_AES_256_GCM_SHA384",
            "SSL_CIPHER_USEKEYSIZE": "256",
            "SSL_TLS_SNI": "localhost",
        }

    def test_version_1_2(self, live: TlsLive) -> None:
        """TLS 1.2 is spoken, with forward secrecy and authenticated encryption."""
        context = trusting()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        environ = environ_of(live, context=context)
        assert environ["SSL_PROTOCOL"] == "TLSv1.2"
        assert environ["SSL_CIPHER"].startswith("ECDHE-ECDSA-AES")

    def test_keep_alive_and_pipelining(self, live: TlsLive) -> None:
        """Requests one after the other, and many at once, are all answered."""
        recorder = Recorder()
        live.play(recorder)
        with live.connect() as client:
            for number in (b"1", b"2"):
                assert client.get().body == number
            client.send(request("GET", "/") * 200)
            for number in range(3, 203):
                assert client.response().body == str(number).encode()

    @pytest.mark.parametrize("size", [0, 1, 8192, 16384, 100_000])
    def test_sizes(self, live: TlsLive, size: int) -> None:
        """Bodies of the sizes at which records and buffers end."""
        recorder = Recorder()
        live.play(recorder)
        body = bytes(size)
        with live.connect() as client:
            for _ in range(2):
                client.send(request("POST", "/", body=body))
                assert client.response().status == 200
            assert [seen.body for seen in recorder.seen] == [body, body]
            live.play(plain(body))
            assert client.get().body == body
            live.play(streamed(body, body))
            assert client.get().body == body + body

    def test_large_upload(self, live: TlsLive) -> None:
        """A body of 10 MB arrives."""
        recorder = Recorder()
        live.play(recorder)
        body = bytes(range(250)) * (LARGE // 250)
        with live.connect() as client:
            client.send(request("POST", "/", body=body))
            assert client.response().body == b"1"
        assert recorder.seen[0].body == body

    def test_body_after_100_continue(self, live: TlsLive) -> None:
        """A client that waits for 100 gets it."""
        recorder = Recorder()
        live.play(recorder)
        with live.connect() as client:
            head = request("POST", "/", ("Expect", "100-continue"), ("Content-Length", "5"))
            client.send(head)
            assert client.head().status == 100
            client.send(b"hello")
            assert client.response().status == 200
        assert recorder.seen[0].body == b"hello"

    @pytest.mark.parametrize("kind", ["block", "stream", "file"])
    def test_a_slow_reader_gets_all_of_it(self, live: TlsLive, tmp_path: Path, kind: str) -> None:
        """A large response goes out as the client takes it, and others are served meanwhile."""
        data = bytes(range(250)) * (LARGE // 250)
        path = tmp_path / "file"
        path.write_bytes(data)

        def application(environ: Any, start_response: Any) -> Iterable[bytes]:
            if environ["PATH_INFO"] == "/small":
                start_response("200 OK", [PLAIN])
                return [b"small"]
            start_response("200 OK", [PLAIN, ("Content-Length", str(LARGE))])
            if kind == "block":
                return [data]
            if kind == "stream":
                return iter(lambda file=io.BytesIO(data): file.read(50_000), b"")
            return environ["wsgi.file_wrapper"](path.open("rb"))  # type: ignore[no-any-return]

        live.play(application)
        with live.connect(window=WINDOW_BYTES) as slow, live.connect() as other:
            slow.send(request("GET", "/"))
            head = slow.head()
            assert head.value("Content-Length") == str(LARGE)
            if kind != "stream":  # which keeps the one thread that this server has
                assert other.get("/small").body == b"small"
            assert slow.take(LARGE) == data
            assert other.get("/small").body == b"small"

    def test_file_with_two_requests(self, live: TlsLive, tmp_path: Path) -> None:
        """After a file the connection goes on."""
        path = tmp_path / "file"
        path.write_bytes(bytes(100_000))

        def application(environ: Any, start_response: Any) -> Iterable[bytes]:
            start_response("200 OK", [PLAIN])
            found: Iterable[bytes] = environ["wsgi.file_wrapper"](path.open("rb"))
            return found

        live.play(application)
        with live.connect() as client:
            for _ in range(2):
                assert client.get().body == bytes(100_000)

    def test_close_notify_at_the_end(self, live: TlsLive) -> None:
        """RFC 8446 section 6.1: the server says that it closes; the client tells that from a cut."""
        live.play(plain(b"hello"))
        with live.connect() as client:
            assert client.get("/", ("Connection", "close")).body == b"hello"
            assert client.rest() == b""  # and no SSLEOFError

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_goodbye_for_goodbye(self, live: TlsLive, version: ssl.TLSVersion) -> None:
        """RFC 8446 section 6.1: a client that says it at once after its request has both at once."""
        live.play(plain(b"hello"))
        context = trusting()
        context.maximum_version = version
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing)
        with live.plain() as wire:
            while True:
                try:
                    client.do_handshake()
                except ssl.SSLWantReadError:
                    wire.send(outgoing.read())
                    incoming.write(wire.socket.recv(65536))
                else:
                    break
            client.write(request("GET", "/"))
            with pytest.raises(ssl.SSLWantReadError):
                client.unwrap()
            wire.send(outgoing.read())
            incoming.write(wire.rest())  # to the end: the server does not wait for the client's
        assert client.read(65536).endswith(b"hello")
        with pytest.raises(ssl.SSLZeroReturnError):
            client.read(1)

    def test_a_client_that_closes_is_noticed(self, live: TlsLive) -> None:
        """An end, with or without a word, closes the connection on this side, too."""
        live.play(plain())
        for polite in (True, False):
            client = live.connect()
            assert client.get().status == 200
            assert live.server.reactor.connections()
            if polite:
                client.socket.unwrap()  # type: ignore[attr-defined]
            client.close()
            eventually(lambda: not live.server.reactor.connections(), "no connection is left")

    def test_curl(self, live: TlsLive, made: Made) -> None:
        """Curl takes the certificate, and the answer."""
        live.play(plain(b"hello"))
        url = f"https://localhost:{live.address[1]}/"
        command = ["curl", "-sS", "--cacert", made.certfile, url, url]
        assert subprocess.run(command, capture_output=True).stdout == b"hellohello"

    def test_openssl(self, live: TlsLive, made: Made) -> None:
        """So does OpenSSL's own client."""
        live.play(plain(b"hello"))
        address = f"localhost:{live.address[1]}"
        for version in ("-tls1_2", "-tls1_3"):
            done = subprocess.run(
                [
                    *("openssl", "s_client", "-connect", address, "-CAfile", made.certfile),
                    *("-servername", "localhost", "-verify_return_error", "-quiet", "-ign_eof"),
                    version,
                ],
                input=request("GET", "/", ("Connection", "close")),
                capture_output=True,
            )
            assert b"hello" in done.stdout, done.stderr

    def test_renegotiation(self, live: TlsLive) -> None:
        """RFC 5246 section 7.2.2: who wants to renegotiate is told at once that there is none of it."""
        address = f"localhost:{live.address[1]}"
        command = ["openssl", "s_client", "-connect", address, "-tls1_2"]
        done = subprocess.run(command, input=b"R\n", capture_output=True, timeout=20)
        assert b"no renegotiation" in done.stderr

    def test_request_timeout(self, made: Made) -> None:
        """The 504 of --request-timeout reaches the client."""
        with serving(made, request_timeout=("100ms",), threads=2) as live:
            go = threading.Event()
            live.play(lambda *_: go.wait(5) and [])
            with live.connect() as client:
                assert client.get().status == 504
            go.set()


class TestHandshake:
    def test_split_at_every_byte(self, live: TlsLive) -> None:
        """A ClientHello may come in any two pieces, or byte by byte."""
        live.play(plain(b"hello"))
        context = trusting()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        probe = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            probe.do_handshake()
        size = outgoing.pending
        assert size > 200
        for at in [*range(1, size, 3), 0]:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            with live.plain() as wire:
                first = True
                while True:
                    try:
                        client.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        data = outgoing.read()
                        if first and at:
                            wire.send(data[:at])
                            wire.send(data[at:])
                        elif first:
                            wire.drip(data)
                        elif data:
                            wire.send(data)
                        first = False
                        incoming.write(wire.socket.recv(65536))
                client.write(request("GET", "/"))
                wire.send(outgoing.read())
                received = b""
                while b"hello" not in received:
                    try:
                        received += client.read(65536)
                    except ssl.SSLWantReadError:
                        incoming.write(wire.socket.recv(65536))

    def test_stalled_handshakes_slow_nobody(self, made: Made) -> None:
        """A thousand clients in the middle of a handshake cost others nothing, and end in time."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            trusting().wrap_bio(incoming, outgoing).do_handshake()
        hello = outgoing.read()
        with (
            serving(
                made, head_timeout=STALLED_SECONDS, limit_connections_per_client=2 * STALLED
            ) as live,
            ExitStack() as stack,
        ):
            live.play(plain(b"hello"))
            crowd = [stack.enter_context(live.plain()) for _ in range(STALLED)]
            for number, client in enumerate(crowd):
                client.send(hello[: number % len(hello)] if number % 2 else hello[:5])
            connections = live.server.reactor.connections
            eventually(lambda: len(connections()) >= STALLED, "all are there")
            began = time.perf_counter()
            with live.connect() as client:
                for _ in range(10):
                    assert client.get().body == b"hello"
            assert time.perf_counter() - began < BRISK_SECONDS
            eventually(lambda: not connections(), "the stalled ones are closed")
            assert live.server.reactor.counters["timeout.layer"] == STALLED

    @pytest.mark.parametrize(
        "bad", [b"\x80\x2e\x01\x03\x01" + bytes(50), bytes(20), b"\xff" * 9000]
    )
    def test_garbage(self, live: TlsLive, bad: bytes) -> None:
        """What is neither TLS nor HTTP ends the connection, and only this one."""
        live.play(plain())
        with live.plain() as wire:
            wire.send(bad)
            with pytest.raises((ConnectionError, Truncated, AssertionError)):
                assert wire.rest()
        assert live.get().status == 200

    def test_a_name_beyond_ascii(self, live: TlsLive, capfd: pytest.CaptureFixture[str]) -> None:
        """It ends the handshake, and fills no log with tracebacks."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting().wrap_bio(incoming, outgoing, server_hostname="shop.example")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        with live.plain() as wire:
            wire.send(outgoing.read().replace(b"shop.example", b"sh\xf6p.example"))
            assert wire.socket.recv(1) == b"\x15"  # an alert
        assert "UnicodeDecodeError" not in capfd.readouterr().err

    def test_bad_handshake_is_told(self, live: TlsLive, caplog: pytest.LogCaptureFixture) -> None:
        """A handshake that fails is counted and logged in a line; the client gets an alert."""
        counters = live.server.reactor.counters
        eventually(lambda: not live.server.reactor.connections(), "those of before are closed")
        before = counters["tls.handshake"]
        with live.plain() as wire:
            wire.send(b"\x16\x03\x01\x00\x05" + bytes(5))
            assert wire.socket.recv(100)[:1] == b"\x15"
        eventually(lambda: counters["tls.handshake"] == before + 1, "it is counted")
        eventually(lambda: not live.server.reactor.connections(), "it is closed")
        assert "the TLS handshake failed: " in caplog.text
        assert "Traceback" not in caplog.text

    def test_alert_before_all_was_read(self, live: TlsLive) -> None:
        """The alert goes out at once: to close with bytes left to read is a reset, and would drop it.

        So it is with TLS 1.3, where the request comes behind the certificate that is refused.
        """
        with live.plain() as wire:
            wire.send(b"\x16\x03\x01\xff\xff" + bytes(LEFT_BYTES))
            assert wire.socket.recv(100)[:1] == b"\x15"

    def test_old_versions_are_refused(
        self, live: TlsLive, caplog: pytest.LogCaptureFixture
    ) -> None:
        """RFC 8996: TLS 1.0 and 1.1 are over."""
        address = f"localhost:{live.address[1]}"
        for version in ("-tls1", "-tls1_1"):
            command = ["openssl", "s_client", "-connect", address, version]
            command += ["-cipher", "ALL@SECLEVEL=0"]
            done = subprocess.run(command, input=b"", capture_output=True)
            assert done.returncode
        eventually(lambda: "unsupported protocol" in caplog.text, "it is logged")

    def test_leaving_in_the_middle_is_no_warning(
        self, live: TlsLive, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Clients go away: scanners, browsers that change their mind. Nobody has to hear of it."""
        for polite in (True, False):
            with live.plain() as wire:
                wire.send(b"\x16\x03\x01")
                eventually(lambda: bool(live.server.reactor.connections()), "it is there")
                wire.close() if polite else wire.reset()
            eventually(lambda: not live.server.reactor.connections(), "it is closed")
        assert not caplog.records

    def test_plain_http(self, live: TlsLive) -> None:
        """Who forgets the s is told so in plain HTTP, in a sentence."""
        before = live.server.reactor.counters["tls.plain_http"]
        for piece in (1, 1000):
            with live.plain() as wire:
                data = request("GET", "/")
                wire.send(data[:piece])
                wire.send(data[piece:])
                response = wire.response()
                assert response.status == 400
                assert b"this port speaks https" in response.body
                assert wire.rest() == b""
        assert live.server.reactor.counters["tls.plain_http"] == before + 2

    def test_session_is_resumed(self, live: TlsLive) -> None:
        """A ticket saves the second handshake its certificate."""
        live.play(plain())
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = trusting()
            context.maximum_version = version
            with TlsClient(live.address, context=context) as client:
                client.get()
                session = client.socket.session
            with TlsClient(live.address, context=context, session=session) as client:
                client.get()
                assert client.socket.session_reused

    def test_alpn(self, live: TlsLive) -> None:
        """RFC 7301: of what the client speaks, http/1.1 is chosen, or else nothing."""
        for offered, chosen in (["h2", "http/1.1"], "http/1.1"), (["h2"], None):
            context = trusting()
            context.set_alpn_protocols(offered)
            with TlsClient(live.address, context=context) as client:
                assert client.socket.selected_alpn_protocol() == chosen


class TestNames:
    @pytest.mark.parametrize(
        ("name", "common_name"),
        [
            ("shop.example", "shop"),
            ("SHOP.example", "shop"),
            ("www.example.org", "wild"),
            ("a.www.example.org", "local"),
            ("example.org", "local"),
            ("unknown.example", "local"),
            (None, "local"),
        ],
    )
    def test_certificate_by_name(self, several: TlsLive, name: str, common_name: str) -> None:
        """The client gets the certificate of the host that it asks for, else the first one."""
        with TlsClient(several.address, name=name) as client:
            der = client.socket.getpeercert(True)
            assert der is not None
            assert common_name.encode() in der
            assert client.get().status == 200

    def test_names_in_the_environ(self, several: TlsLive) -> None:
        """The name is in the environ, if there was one."""
        assert environ_of(several, name="shop.example")["SSL_TLS_SNI"] == "shop.example"
        assert "SSL_TLS_SNI" not in environ_of(several, name=None)


class TestClientCertificates:
    def test_required(self, made: Made, authority: Made, client: Made) -> None:
        """With a certificate of the authority the application learns who it is; others get nowhere."""
        settings: dict[str, Any] = {"ca_certs": authority.certfile, "client_certs": "required"}
        with serving(made, **settings) as live:
            environ = environ_of(live, context=trusting(client=client))
            assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
            dn = environ["SSL_CLIENT_S_DN"].encode("latin-1").decode()
            assert dn == "CN=Jo,OU=Web,O=Müller\\, Sons,C=DE"
            assert environ["SSL_CLIENT_I_DN"] == "CN=CA,O=Test"
            assert int(environ["SSL_CLIENT_M_SERIAL"], 16)
            for name in ("SSL_CLIENT_V_START", "SSL_CLIENT_V_END"):
                assert ssl.cert_time_to_seconds(environ[name])
            assert environ["SSL_CLIENT_CERT"].split() == Path(client.certfile).read_text().split()
            for bad in (None, made):
                with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                    environ_of(live, context=trusting(client=bad))
            counters = live.server.reactor.counters
            eventually(lambda: counters["tls.handshake"] == 2, "both are counted")

    def test_optional(self, made: Made, authority: Made, client: Made) -> None:
        """Who shows none is let in, and the application can tell."""
        settings: dict[str, Any] = {"ca_certs": authority.certfile, "client_certs": "optional"}
        with serving(made, **settings) as live:
            environ = environ_of(live)
            assert environ["SSL_CLIENT_VERIFY"] == "NONE"
            assert "SSL_CLIENT_S_DN" not in environ
            environ = environ_of(live, context=trusting(client=client))
            assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"

    def test_resumed(self, made: Made, authority: Made, client: Made) -> None:
        """A resumed session knows its client."""
        settings: dict[str, Any] = {"ca_certs": authority.certfile, "client_certs": "required"}
        with serving(made, **settings) as live:
            live.play(plain())
            context = trusting(client=client)
            session = session_of(live, context)
            environ = environ_of(live, context=context, session=session)
            assert environ["SSL_CLIENT_I_DN"] == "CN=CA,O=Test"

    def test_resumed_too_late(
        self, made: Made, authority: Made, client: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A session does not outlive its client's certificate, which is not shown again."""
        settings: dict[str, Any] = {"ca_certs": authority.certfile, "client_certs": "required"}
        with serving(made, **settings) as live:
            live.play(plain())
            context = trusting(client=client)
            session = session_of(live, context)
            later = time.time() + 3650 * 86400
            monkeypatch.setattr(tls_environ, "time", SimpleNamespace(time=lambda: later))
            with (
                TlsClient(live.address, context=context, session=session) as late,
                pytest.raises((OSError, AssertionError)),
            ):
                late.get()
            counters = live.server.reactor.counters
            eventually(lambda: counters["tls.handshake"] == 1, "it is counted")

    def test_authority_that_goes(
        self, made: Made, authority: Made, client: Made, tmp_path: Path
    ) -> None:
        """Nor does it outlive the trust in its authority."""
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(Path(authority.certfile).read_bytes())
        settings: dict[str, Any] = {"ca_certs": str(trusted), "client_certs": "optional"}
        with serving(made, **settings) as live:
            live.play(plain())
            context = trusting(client=client)
            session = session_of(live, context)
            trusted.write_bytes(Path(made.certfile).read_bytes())
            assert tls.of(live.server.settings).renew()
            with (
                pytest.raises((OSError, AssertionError)),
                TlsClient(live.address, context=context, session=session) as again,
            ):
                again.get()

    def test_certificate_that_cannot_be_read(
        self,
        made: Made,
        authority: Made,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Who shows a strange one is refused in a sentence, although the authority has signed it."""
        strange = make(tmp_path, "strange", "DNS:\udcff.example", issuer=authority)
        settings: dict[str, Any] = {"ca_certs": authority.certfile, "client_certs": "optional"}
        with serving(made, **settings) as live:
            live.play(plain())
            with pytest.raises((OSError, AssertionError)):
                environ_of(live, context=trusting(client=strange))
        assert "the client's certificate cannot be read" in caplog.text
        assert "Traceback" not in caplog.text

    def test_a_field_cannot_pretend(self, live: TlsLive) -> None:
        """No header field gets a name that only the server gives."""
        recorder = Recorder()
        live.play(recorder)
        live.get("/", ("SSL_CLIENT_VERIFY", "SUCCESS"), ("SSL-CLIENT-VERIFY", "SUCCESS"))
        assert "SSL_CLIENT_VERIFY" not in recorder.seen[0].environ


def test_unix_sockets_stay_plain(made: Made, tmp_path: Path) -> None:
    """Who can reach a unix socket needs no TLS."""
    path = str(tmp_path / "socket")
    with serving(made, bind=("127.0.0.1:0", f"unix:{path}")) as live:
        recorder = Recorder()
        live.play(recorder)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(path)
            client.sendall(request("GET", "/", ("Connection", "close")))
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        assert recorder.seen[0].environ["wsgi.url_scheme"] == "http"
        assert "HTTPS" not in recorder.seen[0].environ


def test_tls_broken_while_the_application_waits_for_a_body(made: Made) -> None:
    """The thread that waits for the rest of a body is told that it will not come."""
    failures = []

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            failures.append(error)
            raise
        return []

    with serving(made, threads=2) as live:
        live.play(application)
        with live.connect() as client:
            client.send(request("POST", "/", ("Expect", "100-continue"), ("Content-Length", "5")))
            assert client.head().status == 100
            raw = socket.socket(fileno=client.socket.detach())
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            eventually(lambda: bool(failures), "the application has heard of it")
            raw.close()


def test_plain_client_class(live: TlsLive) -> None:
    """The tests' own client without TLS gets a 400 as any other."""
    with Client(live.address) as client:
        assert client.get().status == 400


def test_reading_slowly_is_reading(made: Made) -> None:
    """A client that takes a large response slowly is not taken for one that takes nothing."""
    body = bytes(3_000_000)
    with serving(made, send_timeout=1, min_rate=0) as live:
        live.play(plain(body))
        with live.connect(window=WINDOW_BYTES) as client:
            client.send(request("GET", "/"))
            ends = time.monotonic() + 2.5
            received = b""
            while time.monotonic() < ends:
                received += client.socket.recv(2000)
                select.select([], [], [], 0.02)
            rest = len(body) - len(received.partition(b"\r\n\r\n")[2])
            assert rest > 1_000_000
            client.take(rest)
        assert not live.server.reactor.counters["timeout.send"]
