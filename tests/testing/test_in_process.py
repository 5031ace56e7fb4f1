"""`Client` in the process: the environ, the blocks as they are yielded, and no server."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from breezeway.testing import Client, IncompleteResponseError, RedirectError

from ..middleware.calling import Counted
from .applications import TEXT, body_of, site


def test_needs_no_server() -> None:
    """No part of the server is imported, and no socket."""
    code = (
        "import sys\n"
        "from breezeway.testing import Client\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [b'hello']\n"
        "assert Client(app, lint=True).get('/').text == 'hello'\n"
        "parts = {name.split('.')[1] for name in sys.modules if name.startswith('breezeway.')}\n"
        "print(*sorted(parts - {'errors', 'tracebacks'}), 'http.client' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "middleware semantics testing False\n"


class TestEnviron:
    def test_default(self) -> None:
        """What a server would say."""
        found = Client(site, lint=True).get("/a%20b?c").json()
        expected = {
            "PATH_INFO": "/a b",
            "QUERY_STRING": "c",
            "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost",
            "REMOTE_ADDR": "127.0.0.1",
            "REQUEST_URI": "/a%20b?c",
            "scheme": "http",
        }
        assert {key: found[key] for key in expected} == expected

    @pytest.mark.parametrize(
        ("base", "name", "port", "host", "root"),
        [
            ("https://example.org", "example.org", "443", "example.org", ""),
            ("http://example.org:8000/", "example.org", "8000", "example.org:8000", ""),
            ("http://[::1]:8000", "[::1]", "8000", "[::1]:8000", ""),
            ("http://localhost/a/b%20c", "localhost", "80", "localhost", "/a/b c"),
        ],
    )
    def test_base_url(self, base: str, name: str, port: str, host: str, root: str) -> None:
        """The application is told to be where the base URL is."""
        client = Client(site, base_url=base, lint=True)
        for found in (client.get("/x").json(), client.get(f"{base.rstrip('/')}/x").json()):
            assert (found["SERVER_NAME"], found["SERVER_PORT"]) == (name, port)
            assert (found["HTTP_HOST"], found["SCRIPT_NAME"]) == (host, root)
            assert found["PATH_INFO"] == "/x"
        assert client.get("").json()["PATH_INFO"] in ("", "/")

    @pytest.mark.parametrize(
        "base", ["localhost", "ftp://x", "http:///x", "http://x?y", "http://u@x"]
    )
    def test_no_base_url(self, base: str) -> None:
        """What is no base URL is refused."""
        with pytest.raises(ValueError, match="base URL"):
            Client(site, base_url=base)

    def test_below_the_base(self) -> None:
        """What lies beside the base URL is not of this application."""
        client = Client(site, base_url="http://localhost/app")
        with pytest.raises(ValueError, match="below /app"):
            client.get("http://localhost/apple")

    def test_overrides(self) -> None:
        """Further keys for each request, and for one."""
        client = Client(site, environ={"REMOTE_ADDR": "192.0.2.1", "REMOTE_USER": "bob"})
        found = client.get("/", environ={"REMOTE_USER": "eve"}).json()
        assert (found["REMOTE_ADDR"], found["REMOTE_USER"]) == ("192.0.2.1", "eve")

    def test_streamed_body(self) -> None:
        """A body without a length is read as it comes, and its end is its end."""
        asked = []

        def blocks() -> Any:
            for number in range(3):
                asked.append(number)
                yield b"%d" % number * 10

        def application(environ: Any, start_response: Any) -> list[bytes]:
            assert "CONTENT_LENGTH" not in environ
            assert environ["wsgi.input_terminated"] is True
            body = environ["wsgi.input"]
            assert not asked
            assert body.read(10) == b"0" * 10
            assert body.read(5) == b"1" * 5
            assert asked == [0, 1]
            assert body.readline() == b"1" * 5 + b"2" * 10
            assert body.read() == body.read(1) == b""
            start_response("200 OK", [TEXT])
            return []

        Client(application).put("/", content=blocks())


class TestBlocks:
    def test_as_yielded(self) -> None:
        """Each block is asked for when the test does; the first one comes with the head."""
        counted = Counted(b"", b"one", b"two", b"three")
        with Client(counted).get("/", stream=True) as response:
            assert counted.yielded == 2
            blocks = response.blocks()
            assert next(blocks) == b"one"
            assert counted.yielded == 2
            assert next(blocks) == b"two"
            assert (counted.yielded, counted.closed) == (3, 0)
        assert (counted.yielded, counted.closed) == (3, 1)

    def test_closed_at_the_end(self) -> None:
        """close() is called once, when the content has ended."""
        counted = Counted(b"one", b"two")
        response = Client(counted).get("/", stream=True)
        assert list(response.blocks()) == [b"one", b"two"]
        assert counted.closed == 1
        response.close()
        assert counted.closed == 1

    def test_closed_with_the_client(self) -> None:
        """The client closes what the test has left open."""
        counted = Counted(b"one", b"two")
        with Client(counted) as client:
            client.get("/", stream=True)
            assert counted.closed == 0
        assert counted.closed == 1

    @pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content")])
    def test_without_content(self, method: str, status: str) -> None:
        """Where no server sends content nobody asks for more of it."""
        counted = Counted(b"one", b"two", status=status)
        counted.application = counted._application  # without wsgiref's checks
        response = Client(counted).request(method, "/")
        assert response.content == b""
        assert (counted.yielded, counted.closed) == (1, 1)


class TestFaults:
    """What an application does wrong is told also without lint."""

    @pytest.mark.parametrize(
        ("application", "message"),
        [
            (lambda environ, start: [b"x"], "before start_response"),
            (lambda environ, start: [], "has not called"),
            (lambda environ, start: [start("200 OK", []), start("200 OK", [])], "second time"),
            (lambda environ, start: start(200, []) or [], "status is like"),
            (lambda environ, start: start("200", []) or [], "status is like"),
            (lambda environ, start: start("100 Continue", []) or [], "status is like"),
            (lambda environ, start: start("200 OK\r\nA: b", []) or [], "status is like"),
            (lambda environ, start: start("200 OK", [("A", 1)]), "pairs of str"),
            (lambda environ, start: start("200 OK", [("A b", "")]) or [], "no server sends"),
            (lambda environ, start: start("200 OK", [("A", "b\r\nC: d")]) or [], "no server sends"),
            (lambda environ, start: start("200 OK", [("A", "\u20ac")]) or [], "no server sends"),
            (lambda environ, start: start("200 OK", [("Connection", "close")]) or [], "server's"),
            (lambda environ, start: start("200 OK", []) and ["text"], "not bytes"),
        ],
    )
    def test_told(self, application: Any, message: str) -> None:
        """An AssertionError says what."""
        with pytest.raises(AssertionError, match=message):
            Client(application).get("/")

    def test_error_after_the_head(self, capsys: pytest.CaptureFixture[str]) -> None:
        """start_response with exc_info raises when it is too late."""

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [TEXT])
            yield b"begun"
            try:
                raise LookupError("too late")
            except LookupError:
                start_response("500 No", [TEXT], sys.exc_info())
            yield b"never"

        with pytest.raises(LookupError, match="too late"):
            Client(application).get("/")
        with pytest.raises(IncompleteResponseError) as caught:
            Client(application, raise_errors=False).get("/")
        assert isinstance(caught.value.__cause__, LookupError)
        assert "LookupError: too late" in capsys.readouterr().err

    def test_close_that_fails(self, capsys: pytest.CaptureFixture[str]) -> None:
        """An error of close() counts less than the one before, and nothing if none is wanted."""

        class Blocks:
            def __init__(self, fails: bool) -> None:
                self.fails = fails

            def __iter__(self) -> Any:
                yield b"block"
                if self.fails:
                    raise LookupError("in the content")

            def close(self) -> None:
                raise ValueError("of close()")

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [TEXT])
            return Blocks(environ["PATH_INFO"] == "/fails")

        with pytest.raises(LookupError):
            Client(application).get("/fails")
        assert "ValueError: of close()" in capsys.readouterr().err
        assert Client(application, raise_errors=False).get("/").content == b"block"
        assert "ValueError: of close()" in capsys.readouterr().err

    def test_written_before_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What was written has gone, and no 500 can take its place."""

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [TEXT])(b"begun")
            raise LookupError

        with pytest.raises(IncompleteResponseError):
            Client(application, raise_errors=False).get("/")

    def test_interrupts_go_through(self) -> None:
        """What is no Exception is nobody's to catch."""

        def application(environ: Any, start_response: Any) -> Any:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Client(application, raise_errors=False).get("/")

    def test_iterator_again(self) -> None:
        """A redirect cannot send an iterator a second time."""

        def application(environ: Any, start_response: Any) -> list[bytes]:
            if environ["PATH_INFO"] == "/":
                body_of(environ)
                start_response("307 Elsewhere", [TEXT, ("Location", "/x")])
                return []
            return site(environ, start_response)  # type: ignore[no-any-return]

        with pytest.raises(RuntimeError, match="iterator"):
            Client(application).put("/", content=iter([b"a"]), follow_redirects=True)

    def test_no_application(self) -> None:
        """What is none is refused at once."""
        with pytest.raises(TypeError, match="callable"):
            Client(None)  # type: ignore[arg-type]


class TestHosts:
    def test_named(self) -> None:
        """Redirects to hosts that are named are followed, without what was for the first one."""
        client = Client(site, hosts=["Other.test"], auth=("a", "b"))
        params = {"status": 307, "to": "http://other.test/x"}
        found = client.get(
            "/redirect",
            params=params,
            headers={"X-Kept": "1", "Origin": "http://localhost"},
            cookies={"c": "1"},
            follow_redirects=True,
        ).json()
        assert (found["HTTP_HOST"], found["PATH_INFO"], found["HTTP_X_KEPT"]) == (
            "other.test",
            "/x",
            "1",
        )
        assert not {"HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_ORIGIN"} & found.keys()
        params["to"] = "http://third.test/"
        with pytest.raises(RedirectError):
            client.get("/redirect", params=params, follow_redirects=True)
        response = Client(site, hosts="*").get("/redirect", params=params, follow_redirects=True)
        assert response.url == "http://third.test/"

    @pytest.mark.parametrize("target", ["http://[::1/", "http://localhost:99999/"])
    def test_nowhere(self, target: str) -> None:
        """A redirect to what is no URL is told."""
        params = {"status": 302, "to": target}
        with pytest.raises(RedirectError, match="leads to"):
            Client(site).get("/redirect", params=params, follow_redirects=True)

    def test_to_https(self) -> None:
        """The same host over https is no other one."""
        params = {"status": 308, "to": "https://localhost/x"}
        found = Client(site).get("/redirect", params=params, follow_redirects=True).json()
        assert (found["scheme"], found["SERVER_PORT"]) == ("https", "443")

    def test_asked(self) -> None:
        """A request may name any host; a user in a URL is refused, and dropped from a redirect."""
        client = Client(site, auth="secret")
        found = client.get("http://other.test:81/x").json()
        assert (found["HTTP_HOST"], found["SERVER_PORT"]) == ("other.test:81", "81")
        assert "HTTP_AUTHORIZATION" not in found
        with pytest.raises(ValueError, match="auth"):
            client.get("http://a:b@localhost/")
        params = {"status": 302, "to": "http://a:b@localhost/x"}
        response = client.get("/redirect", params=params, follow_redirects=True)
        assert response.url == "http://localhost/x"
