"""A reverse proxy: what goes on to an upstream, and what comes back."""

from __future__ import annotations

import http.client
import io
import re
import threading
from typing import Any

import pytest

from breezeway.middleware import Dispatch, Proxy
from breezeway.middleware.proxy.request import incoming
from breezeway.testing import LiveServer

from ..certificates import local
from .calling import Result, call, make_environ, run
from .upstreams import OK, Peer, Upstream, upstream

FRONT = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


class Recorder:
    """An upstream that keeps what it receives, and answers all the same."""

    def __init__(self, answer: bytes = OK) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        while head := peer.head():
            self.heads.append(head)
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            if length:
                while len(peer.seen) < int(length[1]):
                    peer.seen += peer.socket.recv(65536)
                self.bodies.append(peer.seen[: int(length[1])])
                peer.seen = peer.seen[int(length[1]) :]
            elif b"chunked" in head:
                self.bodies.append(peer.until(b"0\r\n\r\n"))
            peer.send(self.answer)

    @property
    def lines(self) -> list[str]:
        """The lines of the last head."""
        return self.heads[-1].decode("latin-1").split("\r\n")[:-2]

    @property
    def target(self) -> str:
        """The last request-target."""
        return self.lines[0].split(" ")[1]

    def all(self, name: str) -> list[str]:
        """Return the lines of a field of the last head."""
        pairs = [line.split(": ", 1) for line in self.lines[1:]]
        return [value for field, value in pairs if field.lower() == name.lower()]


def sent(path: str = "/", base: str = "", options: Any = None, **more: Any) -> Recorder:
    """Send one request through a proxy; return what the upstream has seen."""
    recorder = Recorder()
    with Upstream(recorder) as running:
        result = call(Proxy(running.url + base, **(options or {})), path, **more)
        assert result.code == 200, result
    return recorder


def got(answer: bytes, path: str = "/", method: str = "GET", **options: Any) -> Result:
    """Return what a client gets for an answer of an upstream."""
    with upstream(answer, close=True) as running:
        return call(Proxy(running.url, **options), path, method)


# --- the request ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"PATH_INFO": "/a b/caf\xc3\xa9"}, "/a%20b/caf%C3%A9"),
        ({"PATH_INFO": "/a/b", "REQUEST_URI": "/%61/b?x"}, "/%61/b"),
        ({"PATH_INFO": "/a/b", "RAW_URI": "/a%2fb?x"}, "/a%2fb"),
        ({"PATH_INFO": "/a b", "RAW_URI": "/a%20b"}, "/a%20b"),
        ({"PATH_INFO": "/b", "SCRIPT_NAME": "/a", "REQUEST_URI": "/%61/b"}, "/b"),
        ({"PATH_INFO": "/b", "SCRIPT_NAME": "/root/a", "REQUEST_URI": "/a/%62"}, "/%62"),
        ({"PATH_INFO": "/other", "REQUEST_URI": "/a%2fb"}, "/other"),
        ({"PATH_INFO": "/b", "SCRIPT_NAME": "/z", "REQUEST_URI": "/a/b"}, "/b"),
        ({"PATH_INFO": "/b", "REQUEST_URI": "http://x/b"}, "/b"),
        ({"PATH_INFO": "/a%2", "REQUEST_URI": "/a%2"}, "/a%2"),
        ({"PATH_INFO": '/|"<>^`{}\\', "REQUEST_URI": "/|%22<>^`{}\\"}, "/|%22<>^`{}\\"),
        ({"PATH_INFO": "//evil/x"}, "//evil/x"),
        ({"PATH_INFO": "", "SCRIPT_NAME": "/old"}, "/"),
        ({"PATH_INFO": "/x", "QUERY_STRING": 'a=%zz&b=|"[]'}, '/x?a=%zz&b=|"[]'),
        ({"PATH_INFO": "/x", "QUERY_STRING": "a=\xe9 #"}, "/x?a=%E9%20%23"),
        ({"PATH_INFO": "*", "REQUEST_METHOD": "OPTIONS", "SCRIPT_NAME": ""}, "*"),
    ],
)
def test_target(environ: dict[str, str], target: str) -> None:
    """The path goes as it was spelt, as long as that spells PATH_INFO; the query as it is."""
    recorder = Recorder()
    with Upstream(recorder) as running:
        application = Proxy(running.url)
        found = application({**make_environ(), **environ}, lambda *given: print)
        assert list(found) == [b"ok"]
    assert recorder.target == target


@pytest.mark.parametrize(("path", "target"), [("/x", "/base/x"), ("/", "/base/"), ("", "/base")])
def test_base(path: str, target: str) -> None:
    """An upstream may have everything below a path."""
    assert sent(path, "/base/", SCRIPT_NAME="/old").target == target


@pytest.mark.parametrize("path", ["/../x", "/a/../../x", "/..", "/..;a/x", "/a/..\\..\\x"])
def test_nothing_leads_out_of_the_base(path: str) -> None:
    """Dots do not climb out of what is served, not by parameters and not by backslashes."""
    with upstream(OK) as running:
        result = call(Proxy(f"{running.url}/base"), path)
        assert (result.code, running.connections) == (400, 0)
        result = call(Proxy(f"{running.url}/base"), path, REQUEST_URI=path.replace("..", "%2E."))
        assert (result.code, running.connections) == (400, 0)


def test_fields_go_on() -> None:
    """Fields go on with their values; those of the connection, and what poses as ours, do not."""
    fields = {
        "Accept": "text/html",
        "Cookie": "a=b; c=d",
        "X-Own": "caf\xe9",
        "User-Agent": "browser",
        "Authorization": "Basic eA==",
        "Content-Type": "text/plain",
        "Connection": "keep-alive, X-Hop, TE",
        "X-Hop": "1",
        "Keep-Alive": "5",
        "TE": "trailers",
        "Trailer": "x",
        "Upgrade": "websocket",
        "HTTP2-Settings": "x",
        "Proxy-Authorization": "x",
        "Proxy-Connection": "x",
        "Proxy": "http://evil",
        "Expect": "100-continue",
        "Forwarded": "for=10.0.0.1",
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Ssl": "on",
        "X-Real-IP": "10.0.0.1",
        "Via": "1.0 fred",
    }
    recorder = sent(fields=fields, SCRIPT_NAME="/old", SERVER_PORT="8080")
    seen = {name: recorder.all(name) for name in fields}
    assert {name: values[0] for name, values in seen.items() if values} == {
        "Accept": "text/html",
        "Cookie": "a=b; c=d",
        "X-Own": "caf\xe9",
        "User-Agent": "browser",
        "Authorization": "Basic eA==",
        "Content-Type": "text/plain",
        "Forwarded": "for=192.0.2.1;proto=http;host=test",
        "X-Forwarded-For": "192.0.2.1",
        "Via": "1.0 fred, 1.1 breezeway",
    }
    for name, value in (("Proto", "http"), ("Host", "test"), ("Port", "8080"), ("Prefix", "/old")):
        assert recorder.all(f"X-Forwarded-{name}") == [value]
    assert recorder.all("Host") == ["test"]
    assert recorder.all("Accept-Encoding") == []


def test_one_content_type() -> None:
    """A client's `Content_Type`, which some servers let through, does not go on beside the true one."""
    environ = make_environ(CONTENT_TYPE="text/plain", HTTP_CONTENT_TYPE="text/html")
    fields = incoming(environ, "breezeway").fields
    assert [value for name, value in fields if name == "Content-Type"] == ["text/plain"]


def test_nothing_of_its_own() -> None:
    """A client without User-Agent is not given one."""
    recorder = sent()
    assert not recorder.all("User-Agent")
    assert not recorder.all("Content-Length")
    assert not recorder.all("Transfer-Encoding")


@pytest.mark.parametrize(
    ("option", "seen"),
    [("keep", "test"), ("upstream", None), ("old.example:8000", "old.example:8000")],
)
def test_host(option: str, seen: str | None) -> None:
    """Host is the client's, the upstream's own, or one that is given."""
    recorder = Recorder()
    with Upstream(recorder) as running:
        call(Proxy(running.url, host=option))
        assert recorder.all("Host") == [seen or running.url.removeprefix("http://")]
    assert recorder.all("X-Forwarded-Host") == ["test"]


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"HTTP_X": "a\r\nEvil: b"}, 400),
        ({"HTTP_X": "a\nb"}, 400),
        ({"HTTP_X": "a\0"}, 400),
        ({"HTTP_X": "snow\u2603"}, 400),
        ({"HTTP_X Y": "a"}, 400),
        ({"HTTP_X:": "a"}, 400),
        ({"HTTP_X\r\nY": "a"}, 400),
        ({"CONTENT_TYPE": "a\r\nb"}, 400),
        ({"CONTENT_LENGTH": "5\r\nX: y"}, 400),
        ({"CONTENT_LENGTH": "-5"}, 400),
        ({"CONTENT_LENGTH": "9" * 30}, 400),
        ({"HTTP_HOST": "a/b"}, 400),
        ({"HTTP_HOST": "a@b"}, 400),
        ({"HTTP_HOST": "a\r\nb"}, 400),
        ({"HTTP_VIA": "a\nb"}, 508),
        ({"HTTP_VIA": ", ".join(["1.1 breezeway"] * 16)}, 508),
        ({"PATH_INFO": "x"}, 400),
        ({"PATH_INFO": "/\u2603"}, 400),
        ({"QUERY_STRING": "\u2603"}, 400),
        ({"REQUEST_METHOD": "GET /x HTTP/1.1\r\nX"}, 400),
        ({"REQUEST_METHOD": "CONNECT"}, 501),
        ({"REQUEST_METHOD": "TRACE"}, 501),
        ({"HTTP_EXPECT": "200-ok"}, 417),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
    ],
)
def test_what_must_not_go_on(environ: dict[str, str], code: int) -> None:
    """What could be read in two ways, or could split the request, never reaches the upstream."""
    with upstream(OK) as running:
        started: list[Any] = []
        list(
            Proxy(running.url)(
                {**make_environ(), **environ}, lambda *given: started.append(given) or print
            )
        )
        assert int(started[0][0][:3]) == code
        assert running.connections == 0


def test_underscores_do_not_survive() -> None:
    """X_Forwarded_For of a lax server is what it claims to be, and is not believed either."""
    recorder = sent(HTTP_X_FORWARDED_FOR="10.0.0.1", HTTP_X__Y="1")
    assert recorder.all("X-Forwarded-For") == ["192.0.2.1"]
    assert not any("_" in line.partition(":")[0] for line in recorder.lines[1:])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_body_with_length(method: str) -> None:
    """A body goes on with its Content-Length."""
    body = bytes(range(256)) * 1000
    recorder = sent(method=method, body=body)
    assert recorder.bodies == [body]
    assert recorder.all("Content-Length") == [str(len(body))]


def test_empty_body() -> None:
    """A length of 0 stays one."""
    assert sent(method="POST", CONTENT_LENGTH="0").all("Content-Length") == ["0"]
    assert sent(method="POST").all("Content-Length") == ["0"]


def test_body_without_length() -> None:
    """A body that ends by itself goes on in chunks, as it comes."""

    class Pieces(io.BytesIO):
        pieces = iter([b"one", b"two", b""])

        def read1(self, size: int | None = -1) -> bytes:
            return next(self.pieces)

    recorder = Recorder()
    with Upstream(recorder) as running:
        environ = make_environ(method="POST", **{"wsgi.input_terminated": True})
        environ["wsgi.input"] = Pieces()
        list(Proxy(running.url)(environ, lambda *given: print))
    assert recorder.bodies == [b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"]
    assert recorder.all("Content-Length") == []
    assert recorder.all("Transfer-Encoding") == ["chunked"]


def test_body_streams() -> None:
    """The first block is at the upstream before the client has sent the second."""
    arrived = threading.Event()

    class Slow(io.BytesIO):
        reads = 0

        def read1(self, size: int | None = -1) -> bytes:
            self.reads += 1
            if self.reads == 2:
                assert arrived.wait(10)
            return b"12345"

    def play(peer: Peer) -> None:
        peer.head()
        assert peer.until(b"12345")
        arrived.set()
        assert peer.until(b"12345")
        peer.send(OK)

    with Upstream(play) as running:
        environ = make_environ(method="POST", CONTENT_LENGTH="10", **{"wsgi.input": Slow()})
        assert list(Proxy(running.url)(environ, lambda *given: print)) == [b"ok"]


# --- the response --------------------------------------------------------------------------------


def test_fields_come_back() -> None:
    """Fields come back in order, several Set-Cookie as several; those of the connection stay."""
    result = got(
        b"HTTP/1.1 404 N\xf6pe\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nX-A:  b \r\n"
        b"Set-Cookie: b=2, c\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
        b"Status: 200\r\nX-Sendfile: /etc/passwd\r\nX-Accel-Redirect: /x\r\nTrailer: x\r\n"
        b"Content-Encoding: gzip\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX-Trailer: y\r\n\r\n"
    )
    assert (result.status, result.body) == ("404 N\xf6pe", b"ok")
    assert result.headers == [
        ("Content-Type", "text/plain"),
        ("Set-Cookie", "a=1"),
        ("X-A", "b"),
        ("Set-Cookie", "b=2, c"),
        ("Content-Encoding", "gzip"),
    ]


@pytest.mark.parametrize(
    ("answer", "method", "code", "length"),
    [
        (FRONT + b"Content-Length: 5000\r\n\r\n", "HEAD", 200, "5000"),
        (FRONT + b"Transfer-Encoding: chunked\r\n\r\n", "HEAD", 200, None),
        (
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\nETag: x\r\n\r\n",
            "GET",
            304,
            "5000",
        ),
        (
            b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nContent-Type: a/b\r\n\r\n",
            "GET",
            204,
            None,
        ),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, "GET", 200, "2"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + OK, "GET", 200, "2"),
        (FRONT + b"Content-Length: 0\r\n\r\n", "GET", 200, "0"),
        (FRONT + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", "GET", 200, "2"),
    ],
)
def test_framing(answer: bytes, method: str, code: int, length: str | None) -> None:
    """Responses without content, and interim ones, do not confuse who comes next."""
    with upstream(answer, OK) as running:
        proxy = Proxy(running.url)
        result = call(proxy, method=method)
        assert (result.code, result["content-length"]) == (code, length)
        assert call(proxy).body == b"ok"
        assert running.connections == 1


def test_without_phrase() -> None:
    """PEP 3333 wants a reason phrase."""
    for line, status in ((b"HTTP/1.1 418 ", "418 I'm a Teapot"), (b"HTTP/1.1 599", "599 Unknown")):
        answer = line + b"\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
        assert got(answer).status == status


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_until_close(version: bytes) -> None:
    """Without any framing the content ends with the connection."""
    answer = b"HTTP/" + version + b" 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it"
    assert got(answer).body == b"all of it"


def test_blocks_go_on_as_they_come() -> None:
    """Each event of a stream reaches the client before the upstream sends the next."""
    more = threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(FRONT + b"Transfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            peer.send(b"9\r\ndata: %d\n\n\r\n" % number)
            assert more.wait(10)
            more.clear()
        peer.send(b"0\r\n\r\n")

    with Upstream(play) as running:
        started: list[Any] = []
        found = Proxy(running.url)(make_environ(), lambda *given: started.append(given) or print)
        assert started
        blocks = iter(found)
        for number in range(3):
            assert next(blocks) == b"data: %d\n\n" % number
            more.set()
        assert [*blocks] == []
        found.close()  # type: ignore[attr-defined]


def test_redirects_are_the_clients() -> None:
    """A redirect is not followed."""
    answer = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n"
    with upstream(answer) as running:
        assert call(Proxy(running.url))["location"] == "/x"


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("/x?y#z", "/old/x?y#z"),
        ("/old/x", "/old/x"),
        ("/older", "/old/older"),
        ("x/y", "x/y"),
        ("?a", "?a"),
        ("http://{own}/x", "/old/x"),
        ("http://{own}", "/old/"),
        ("//{own}/x", "/old/x"),
        ("http://shop.example/x", "http://shop.example/old/x"),
        ("https://SHOP.example/x", "https://SHOP.example/old/x"),
        ("http://elsewhere.example/x", "http://elsewhere.example/x"),
        ("mailto:x", "mailto:x"),
        ("", ""),
    ],
)
def test_location(location: str, seen: str) -> None:
    """Where an old application sends the client is below its mount."""
    recorder = Recorder()
    with Upstream(recorder) as running:
        own = running.url.removeprefix("http://")
        where = location.format(own=own).encode()
        recorder.answer = OK.replace(b"\r\n\r\n", b"\r\nLocation: " + where + b"\r\n\r\n")
        fields = {"Host": "shop.example"}
        moved = Dispatch({"/old": Proxy(running.url)})
        assert call(moved, "/old/a", fields=fields)["location"] == seen
        unchanged = Dispatch({"/old": Proxy(running.url, rewrite_location=False)})
        assert call(unchanged, "/old/a", fields=fields)["location"] == where.decode()


@pytest.mark.parametrize(
    ("location", "seen"),
    [("/app/x", "/old/x"), ("/app", "/old/"), ("/other", "/other"), ("/apple", "/apple")],
)
def test_location_below_a_base(location: str, seen: str) -> None:
    """What the upstream has below its base is below the mount for the client."""
    answer = OK.replace(b"\r\n\r\n", b"\r\nLocation: " + location.encode() + b"\r\n\r\n")
    with upstream(answer) as running:
        moved = Dispatch({"/old": Proxy(f"{running.url}/app")})
        assert call(moved, "/old/a")["location"] == seen


def test_location_of_the_name_that_it_was_told() -> None:
    """An application that is given another Host sends the client there, and yet here."""
    answer = OK.replace(b"\r\n\r\n", b"\r\nLocation: https://Old.example/x\r\n\r\n")
    with upstream(answer) as running:
        moved = Dispatch({"/old": Proxy(running.url, host="old.example")})
        assert call(moved, "/old/a")["location"] == "/old/x"


def test_cookie_paths() -> None:
    """The paths of cookies are translated if that is wanted."""
    answer = OK.replace(
        b"\r\n\r\n", b"\r\nSet-Cookie: a=path=/x; Path=/; Secure\r\nSet-Cookie: b=1;path=/y\r\n\r\n"
    )
    for option, seen in (
        (True, ["a=path=/x; Path=/old/; Secure", "b=1;path=/old/y"]),
        (False, ["a=path=/x; Path=/; Secure", "b=1;path=/y"]),
    ):
        with upstream(answer) as running:
            moved = Dispatch({"/old": Proxy(running.url, rewrite_cookies=option)})
            assert call(moved, "/old/").all("set-cookie") == seen


# --- the ways there ------------------------------------------------------------------------------


def test_unix_socket(tmp_path: Any) -> None:
    """An upstream may be at a unix socket."""
    recorder = Recorder()
    with Upstream(recorder, str(tmp_path / "s")) as running:
        assert call(Proxy(running.url, host="upstream")).body == b"ok"
    assert recorder.all("Host") == ["localhost"]
    assert call(Proxy(running.url)).code == 502


def hello(environ: Any, start_response: Any) -> Any:
    """Answer."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello ", environ["wsgi.input"].read()]


def test_https(tmp_path: Any) -> None:
    """Certificates of https upstreams are checked, by the system's authorities or given ones."""
    made = local(tmp_path)
    with LiveServer(hello, **made.settings) as server:
        assert server.url.startswith("https://")
        for _ in range(2):
            proxy = Proxy(server.url, ca_file=made.certfile)
            assert call(proxy, method="POST", body=b"you").body == b"hello you"
        assert call(Proxy(server.url, verify=False)).body == b"hello "
        assert call(Proxy(server.url)).code == 502


def test_on_the_wire() -> None:
    """Between two live servers, small and large, in both directions."""
    body = bytes(range(256)) * 4000
    with LiveServer(hello) as server, LiveServer(Dispatch({"/old": server.url})) as front:
        connection = http.client.HTTPConnection(*front.address, timeout=10)
        for size in (0, 1, 65536, len(body)):
            connection.request(
                "POST",
                "/old/x",
                iter([body[:size]]),
                {"Transfer-Encoding": "chunked"},
                encode_chunked=True,
            )
            response = connection.getresponse()
            assert response.read() == b"hello " + body[:size]
        connection.close()


def test_run_is_valid() -> None:
    """wsgiref.validate is content with a body of a length."""
    with LiveServer(hello) as server:
        result = run(Proxy(server.url), make_environ(method="POST", body=b"you"))
        assert result.body == b"hello you"
