"""`Client`: one suite, in the process and over a live server."""

from __future__ import annotations

import enum
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from breezeway.middleware.lint.faults import LintError
from breezeway.testing import Client, Event, IncompleteResponseError, RedirectError, StatusError

from .applications import TEXT, site
from .conftest import MakeClient


@pytest.fixture
def client(make: MakeClient) -> Client:
    """Make a client of the site, whose exchanges are all checked."""
    return make(site, lint=True)


class TestRequest:
    @pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
    def test_methods(self, client: Client, method: str) -> None:
        """Each method has its function."""
        response = getattr(client, method)("/echo")
        assert response.status == 200
        assert response.reason == "OK"
        assert response.json()["REQUEST_METHOD"] == method.upper()

    def test_other_methods(self, client: Client) -> None:
        """Any method can be sent."""
        assert client.request("QUERY", "/x").json()["REQUEST_METHOD"] == "QUERY"

    def test_head_has_no_content(self, client: Client) -> None:
        """HEAD gives headers alone."""
        response = client.head("/slow")
        assert response.headers["content-type"] == TEXT[1]
        assert response.content == b""

    def test_head_of_a_stream_that_never_ends(self, make: MakeClient) -> None:
        """HEAD asks for no content."""

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [TEXT])
            while True:
                yield b"tick"

        assert make(application).head("/").status == 200

    @pytest.mark.parametrize(
        ("url", "path", "query"),
        [
            ("", "/", ""),
            ("?a=b", "/", "a=b"),
            ("users/42", "/users/42", ""),
            ("/a%2Fb/ü?q=ä b&c=%C3%A4", "/a/b/ü", "q=%C3%A4%20b&c=%C3%A4"),
            ("//other.test/x", "//other.test/x", ""),
            ("/a/../b", "/a/../b", ""),
            ("/100%", "/100%", ""),
            ("/x#fragment", "/x", ""),
        ],
    )
    def test_url(self, make: MakeClient, url: str, path: str, query: str) -> None:
        """A URL is a path below the base, and is encoded as far as it is not."""
        found = make(site).get(url).json()
        assert found["PATH_INFO"].encode("latin-1").decode() == path
        assert found["QUERY_STRING"] == query

    def test_params(self, client: Client) -> None:
        """Names and values are added to the query; lists give several, None gives none."""
        found = client.get("/echo?a=1", params={"b": [2, "ü&"], "c": True, "d": None}).json()
        assert found["QUERY_STRING"] == "a=1&b=2&b=%C3%BC%26&c=true"
        kind = enum.Enum("Kind", {"FILM": "film"})
        assert client.get("/echo", params={"a": kind.FILM}).json()["QUERY_STRING"] == "a=film"
        assert client.get("/echo", params="x=y z").json()["QUERY_STRING"] == "x=y%20z"
        assert client.get("/", params=[("b", 1), ("a", 2)]).json()["QUERY_STRING"] == "b=1&a=2"

    def test_headers(self, make: MakeClient) -> None:
        """A request's fields take the place of the client's; several lines of a name are joined."""
        client = make(site, headers={"X-One": "1", "X-Two": "2"})
        found = client.get("/", headers=[("x-two", "3"), ("X-Two", "4")]).json()
        assert (found["HTTP_X_ONE"], found["HTTP_X_TWO"]) == ("1", "3, 4")
        assert client.get("/", headers={"Host": "other.test"}).json()["HTTP_HOST"] == "other.test"

    @pytest.mark.parametrize(
        ("name", "value"), [("X_A", "1"), ("a b", "1"), ("A", "1\n"), ("A", "€")]
    )
    def test_impossible_headers(self, client: Client, name: str, value: str) -> None:
        """What no server hands on is refused."""
        with pytest.raises(ValueError, match="header"):
            client.get("/", headers={name: value})

    def test_auth(self, make: MakeClient) -> None:
        """User and password, or a bearer token; a request may have its own."""
        client = make(site, auth=("user", "pässword"))
        assert client.get("/").json()["HTTP_AUTHORIZATION"] == "Basic dXNlcjpww6Rzc3dvcmQ="
        assert client.get("/", auth="token").json()["HTTP_AUTHORIZATION"] == "Bearer token"
        assert "HTTP_AUTHORIZATION" not in client.get("/", auth=None).json()

    def test_unknown_options(self, client: Client) -> None:
        """A slip of the pen is told."""
        with pytest.raises(TypeError, match="no option jsn"):
            client.post("/", jsn={})  # type: ignore[call-arg]


class TestBody:
    def test_json(self, client: Client) -> None:
        """JSON, null too."""
        found = client.post("/echo", json={"name": "ü"}).json()
        assert json.loads(found["body"]) == {"name": "ü"}
        assert found["CONTENT_TYPE"] == "application/json"
        assert client.post("/echo", json=None).json()["body"] == "null"

    def test_form(self, client: Client) -> None:
        """A form is urlencoded."""
        found = client.post("/echo", data={"a": "ü &", "b": ["1", "2"], "c": None}).json()
        assert found["body"] == "a=%C3%BC+%26&b=1&b=2"
        assert found["CONTENT_TYPE"] == "application/x-www-form-urlencoded"
        assert found["CONTENT_LENGTH"] == "20"

    def test_content(self, client: Client) -> None:
        """Bytes, with no media type unless it is said; text, with one."""
        found = client.put("/echo", content=b"\x00\xff").json()
        assert found["body"] == "\x00\xff"
        assert not found.get("CONTENT_TYPE")
        found = client.put("/echo", content="ü", headers={"content-type": "text/x"}).json()
        assert (found["body"], found["CONTENT_TYPE"]) == ("Ã¼", "text/x")
        assert client.put("/", content="ü").json()["CONTENT_TYPE"] == "text/plain; charset=utf-8"

    def test_no_body(self, client: Client) -> None:
        """A POST without a body says that it has none; a GET says nothing."""
        assert client.post("/echo").json()["CONTENT_LENGTH"] == "0"
        assert not client.get("/echo").json().get("CONTENT_LENGTH")

    @pytest.mark.parametrize("again", [False, True])
    def test_streams(self, client: Client, again: bool) -> None:
        """An iterable is sent as it comes."""
        blocks = [b"one ", b"", b"two " * 20_000]
        found = client.put("/echo", content=blocks if again else iter(blocks)).json()
        assert found["body"] == b"".join(blocks).decode()

    def test_file_as_content(self, client: Client, tmp_path: Any) -> None:
        """A file is sent from where it stands, with its length."""
        path = tmp_path / "file"
        path.write_bytes(b"0123456789")
        with path.open("rb") as file:
            file.seek(4)
            found = client.put("/echo", content=file).json()
        assert (found["body"], found["CONTENT_LENGTH"]) == ("456789", "6")
        assert client.put("/echo", content=path).json()["body"] == "0123456789"

    def test_multipart(self, make: MakeClient, tmp_path: Any) -> None:
        """Files come from bytes, paths, open files and tuples; Werkzeug reads what is sent."""
        request = pytest.importorskip("werkzeug.wrappers").Request
        forms: list[Any] = []

        def application(environ: Any, start_response: Any) -> list[bytes]:
            with request(environ) as form:
                forms.append(form.form.to_dict(flat=False))
                files = form.files.items(True)
                forms.append([(n, f.filename, f.content_type, f.read()) for n, f in files])
            start_response("200 OK", [TEXT])
            return []

        path = tmp_path / "päge.html"
        path.write_bytes(b"<p>")
        with path.open("rb") as opened:
            files = [
                ("bytes", b"raw"),
                ("path", path),
                ("open", opened),
                ("memory", io.BytesIO(b"in memory")),
                ("many", [("a.txt", "text"), ("b", b"bytes", "text/x-own")]),
                ("ödd", ('q"\r\n.png', b"\x89PNG")),
            ]
            make(application).post("/", data={"title": "ü", "n": [1, 2]}, files=files)
        assert forms[0] == {"title": ["ü"], "n": ["1", "2"]}
        unknown = "application/octet-stream"
        assert forms[1] == [
            ("bytes", "bytes", unknown, b"raw"),
            ("path", "päge.html", "text/html; charset=utf-8", b"<p>"),
            ("open", "päge.html", "text/html; charset=utf-8", b"<p>"),
            ("memory", "memory", unknown, b"in memory"),
            ("many", "a.txt", "text/plain; charset=utf-8", b"text"),
            ("many", "b", "text/x-own", b"bytes"),
            ("ödd", 'q"%0D%0A.png', "image/png", b"\x89PNG"),
        ]

    def test_wrong_bodies(self, client: Client) -> None:
        """What cannot be meant is a TypeError."""
        with pytest.raises(TypeError, match="one body"):
            client.post("/", json={}, data={})
        with pytest.raises(TypeError, match="content="):
            client.post("/", data="a=b")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a Path"):
            client.post("/", files={"a": "file.txt"})
        with pytest.raises(TypeError, match="binary"):
            client.post("/", files={"a": ("a", io.StringIO("text"))})
        for value in (b"bytes", {"b": 1}, {1, 2}, [b"bytes"]):
            with pytest.raises(TypeError, match="the value of 'a' is a text, or what has one"):
                client.post("/", data={"a": value})
            with pytest.raises(TypeError, match="the value of 'a'"):
                client.get("/", params={"a": value})


class TestResponse:
    def test_headers(self, client: Client) -> None:
        """Fields are found in any case, and each line is there."""
        headers = client.get("/cookie?c=a%3D1&c=b%3D2").headers
        assert headers["SET-COOKIE"] == headers.get("set-cookie") == "a=1, b=2"
        assert headers.all("Set-Cookie") == ["a=1", "b=2"]
        assert "content-type" in headers
        assert headers.all("X-None") == []
        assert len(headers) == len(set(headers))
        with pytest.raises(KeyError):
            headers["X-None"]
        assert {"content-type", "set-cookie"} <= set(headers)

    def test_text(self, client: Client) -> None:
        """Text has the charset of its type."""
        assert client.get("/charset").text == "Käse"

    def test_no_json(self, client: Client) -> None:
        """What is no JSON is shown."""
        with pytest.raises(ValueError, match="the content"):
            client.get("/status?200").json()

    @pytest.mark.parametrize("status", ["204", "304"])
    def test_empty(self, client: Client, status: str) -> None:
        """Statuses without content have none, and the next request is answered."""
        assert client.get(f"/status?{status}").content == b""
        assert client.get("/status?200").content == b"the content"

    def test_write_and_replaced_heads(self, make: MakeClient) -> None:
        """write() and a head that was replaced arrive as from a server."""
        response = make(site).get("/written")
        assert (response.status, response.text) == (202, "written, returned")

    def test_raise_for_status(self, client: Client) -> None:
        """A 400 or above fails the test, and shows what was said."""
        assert client.get("/status?299").raise_for_status().is_success
        with pytest.raises(StatusError, match=r"404 As You Like to GET .*/status.*the content"):
            client.get("/status?404").raise_for_status()

    def test_facts(self, client: Client) -> None:
        """It knows what was asked, and how long it took."""
        response = client.get("/echo", params={"a": 1})
        assert response.url == f"{client.base_url}/echo?a=1"
        assert response.request.method == "GET"
        assert response.request.headers["user-agent"] == "breezeway.testing"
        assert response.elapsed is not None
        assert 0 < response.elapsed < 10
        assert repr(response).startswith("<Response 200 OK to GET http://")


class TestRedirects:
    @pytest.mark.parametrize(
        ("status", "method", "then", "body"),
        [
            (301, "POST", "GET", ""),
            (302, "POST", "GET", ""),
            (301, "PUT", "PUT", "body"),
            (303, "POST", "GET", ""),
            (303, "DELETE", "GET", ""),
            (307, "POST", "POST", "body"),
            (308, "PUT", "PUT", "body"),
        ],
    )
    def test_methods(self, client: Client, status: int, method: str, then: str, body: str) -> None:
        """The method and the body stay or go as RFC 9110 section 15.4 has it."""
        response = client.request(
            method, f"/redirect?status={status}&to=/echo", content="body", follow_redirects=True
        )
        found = response.json()
        assert (found["REQUEST_METHOD"], found["body"]) == (then, body)
        assert bool(found.get("CONTENT_TYPE")) is bool(body)
        assert [(r.status, r.content) for r in response.history] == [(status, b"elsewhere")]
        assert response.url == f"{client.base_url}/echo"

    def test_head_stays(self, client: Client) -> None:
        """HEAD stays HEAD after a 303."""
        response = client.head("/redirect?status=303&to=/echo", follow_redirects=True)
        assert (response.request.method, response.status) == ("HEAD", 200)

    def test_not_followed(self, client: Client) -> None:
        """Nothing is followed unless it was said."""
        response = client.get("/redirect?status=302&to=/echo")
        assert response.is_redirect
        assert response.headers["location"] == "/echo"

    def test_relative(self, make: MakeClient) -> None:
        """Location is relative to the URL that has answered; a fragment is handed down."""
        client = make(site, follow_redirects=True)
        response = client.get("/redirect?status=302&to=../x/y%3Fz#here")
        assert response.url == f"{client.base_url}/x/y?z#here"
        assert not client.get("/redirect?status=302&to=/", follow_redirects=False).is_success

    def test_streams_again(self, client: Client) -> None:
        """A body that can be read again is sent again; an iterator cannot."""
        url = "/redirect?status=307&to=/echo"
        response = client.put(url, content=[b"a", b"b"], follow_redirects=True)
        assert response.json()["body"] == "ab"
        files = {"f": io.BytesIO(b"the file")}
        response = client.post(url, files=files, follow_redirects=True)
        assert "the file" in response.json()["body"]

    def test_circle(self, client: Client) -> None:
        """A circle ends."""
        with pytest.raises(RedirectError, match="more than 20") as caught:
            client.get("/circle", follow_redirects=True)
        assert len(caught.value.response.history) == 20

    @pytest.mark.parametrize("target", ["http://other.test/x", "//other.test/", "mailto:a@b.c"])
    def test_other_hosts(self, client: Client, target: str) -> None:
        """A redirect to another host is refused."""
        with pytest.raises(RedirectError, match=r"another host|neither http nor https") as caught:
            client.get("/redirect", params={"status": 302, "to": target}, follow_redirects=True)
        assert caught.value.response.headers["location"] == target


class TestCookies:
    def test_kept(self, client: Client) -> None:
        """Cookies come back, those of their path alone."""
        url = "/cookie?c=a%3D1&c=b%3D2%3BPath%3D/a&c=__Host-bad%3D3"
        assert client.get(url).cookies == {"a": "1", "b": "2"}
        assert client.get("/cookie").text == "a=1"
        assert client.get("/a/b/cookie").text == "b=2; a=1"
        assert client.cookies["a"] == "1"
        client.get("/cookie?c=a%3D%3BMax-Age%3D0")
        assert "a" not in client.cookies

    def test_of_one_request(self, client: Client) -> None:
        """A request may have cookies of its own."""
        client.cookies.set("a", "1")
        assert client.get("/cookie", cookies={"a": "2", "b": "3"}).text == "a=2; b=3"
        assert client.get("/cookie").text == "a=1"

    def test_of_redirects(self, client: Client) -> None:
        """A redirect may set one for what follows it."""
        client.get("/cookie?c=a%3D1")
        found = client.get("/redirect?status=303&to=/echo", follow_redirects=True).json()
        assert found["HTTP_COOKIE"] == "a=1"


def test_threads(client: Client) -> None:
    """Threads may share a client."""

    def work(number: int) -> set[str]:
        url = f"/cookie?c=c{number}%3D{number}"
        return {
            client.get("/echo", params={"n": number}).json()["QUERY_STRING"] for _ in range(20)
        } | {client.get(url).cookies[f"c{number}"]}

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert found == [{f"n={number}", str(number)} for number in range(8)]
    assert len(client.cookies) == 8


class TestStreams:
    def test_lines_and_blocks(self, client: Client) -> None:
        """A response can be read as it comes."""
        with client.get("/slow", stream=True) as response:
            assert response.elapsed is None
            assert list(response.lines()) == ["block 0", "block 1", "block 2"]
        assert b"".join(client.get("/slow", stream=True).blocks()) == client.get("/slow").content
        assert client.get("/slow", stream=True).text.startswith("block 0")

    def test_events(self, client: Client) -> None:
        """Server-sent events; what is cut off at the end is none."""
        assert list(client.get("/events", stream=True).events()) == [
            Event("first", "add", "1", 10),
            Event("second\nline", "message", "1", 10),
        ]

    def test_as_it_comes(self, make: MakeClient) -> None:
        """Each block is there before the next one is asked for."""
        goes_on = threading.Semaphore(0)

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [TEXT])
            for number in range(3):
                yield b"%d" % number
                assert goes_on.acquire(timeout=10)

        with make(application, lint=True).get("/", stream=True) as response:
            blocks = response.blocks()
            found = []
            for _ in range(3):
                found.append(next(blocks))
                goes_on.release()
            assert found == [b"0", b"1", b"2"]
            assert next(blocks, None) is None

    def test_closed_early(self, client: Client) -> None:
        """A response can be left, and read no more; others come meanwhile."""
        response = client.get("/slow", stream=True)
        assert client.get("/echo").status == 200
        response.close()
        response.close()
        with pytest.raises(RuntimeError, match="once"):
            response.content


class TestErrors:
    def test_raised(self, make: MakeClient) -> None:
        """What the application raises comes out of the test's own call, with its traceback."""
        client = make(site)
        for url, message in (("/broken", "from the start"), ("/breaking", "in the middle")):
            with pytest.raises(LookupError, match=message) as caught:
                client.get(url)
            assert "applications.py" in str(caught.traceback[-1].path)
        assert client.get("/echo").status == 200

    def test_not_raised(self, make: MakeClient, capfd: pytest.CaptureFixture[str]) -> None:
        """If that is not wanted, it is what a client sees of it."""
        client = make(site, raise_errors=False)
        response = client.get("/broken")
        assert (response.status, response.reason) == (500, "Internal Server Error")
        with client.get("/breaking", stream=True) as response:
            assert response.status == 200
            with pytest.raises(IncompleteResponseError):
                response.content
        assert client.get("/echo").status == 200

    @pytest.mark.parametrize("where", ["call", "iteration", "close"])
    def test_closed_once(self, make: MakeClient, where: str) -> None:
        """close() is called once, and what it raises is raised."""
        closed = []

        class Blocks:
            def __iter__(self) -> Any:
                yield b"block"
                if where == "iteration":
                    raise LookupError(where)

            def close(self) -> None:
                closed.append(1)
                if where == "close":
                    raise LookupError(where)

        def application(environ: Any, start_response: Any) -> Any:
            if where == "call":
                raise LookupError(where)
            start_response("200 OK", [TEXT])
            return Blocks()

        with pytest.raises(LookupError, match=where):
            make(application).get("/")
        assert len(closed) == (where != "call")

    def test_lint(self, make: MakeClient) -> None:
        """A breach of PEP 3333 fails the test."""

        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "9")])
            return [b"short"]

        with pytest.raises(LintError, match="Content-Length says 9"):
            make(application, lint=True).get("/")

    def test_lint_is_not_swallowed(self, make: MakeClient) -> None:
        """Not even if the application catches all."""

        def application(environ: Any, start_response: Any) -> list[bytes]:
            try:
                environ["wsgi.input"].close()
            except AssertionError:
                pass
            start_response("200 OK", [TEXT])
            return [b"as if nothing was"]

        with pytest.raises(LintError, match=r"wsgi\.input was closed"):
            make(application, lint=True).get("/")


class TestWhatCannotBeSent:
    """It is told in the test, before the application is asked."""

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"content": {"a": 1}}, "for a form there is data=, for JSON json="),
            ({"content": 5}, "content= is bytes, text, a Path, a file, or an iterable"),
            ({"content": io.StringIO("a")}, "a file is opened in binary mode"),
            ({"files": {"a": ("a.txt", io.StringIO("a"))}}, "a file is opened in binary mode"),
            ({"headers": "X-A: 1"}, "headers are a mapping or pairs"),
        ],
    )
    def test_types(self, options: Any, says: str) -> None:
        """A value of another type."""
        with pytest.raises(TypeError, match=says):
            Client(untouched, raise_errors=False).post("/", **options)

    def test_text_in_an_iterable(self) -> None:
        """A text among the bytes is told when it is its turn."""

        def read(environ: Any, start_response: Any) -> list[bytes]:
            environ["wsgi.input"].read()
            return []

        with pytest.raises(TypeError, match="content= is an iterable of bytes, and it has 'b'"):
            Client(read).post("/", content=[b"a", "b"])  # type: ignore[list-item]

    @pytest.mark.parametrize("method", ["", "G T", "GET\r\n", "GÉT"])
    def test_methods(self, method: str) -> None:
        """A method that is no token."""
        with pytest.raises(ValueError, match="is no method of a request"):
            Client(untouched).request(method, "/")

    def test_url(self) -> None:
        """A URL that is none."""
        with pytest.raises(TypeError, match="a URL is a text, not 5"):
            Client(untouched).get(5)  # type: ignore[arg-type]

    def test_redirect_to_another_scheme(self) -> None:
        """A redirect that no hosts= could let pass."""

        def elsewhere(environ: Any, start_response: Any) -> list[bytes]:
            start_response("302 Found", [("Location", "javascript:alert(1)")])
            return [b""]

        with pytest.raises(RedirectError, match="which is neither http nor https"):
            Client(elsewhere, hosts="*").get("/", follow_redirects=True)


def untouched(environ: Any, start_response: Any) -> list[bytes]:
    """Is an application that nobody asks."""
    raise AssertionError("it was asked")
