"""The demo in process: every page, under wsgiref.validate."""

import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

from breezeway.demo import application, failures, live, upload
from breezeway.demo.routes import ROUTES

PAGES = ["/", "/request", "/upload", "/stream", "/download", "/error", "/slow"]
FORM = b"multipart/form-data; boundary=XyZ"


class Response(NamedTuple):
    """What a request was answered with."""

    status: str
    headers: dict[str, str]
    body: bytes


def environ_of(method: str, path: str, body: bytes, extra: dict[str, Any]) -> dict[str, Any]:
    """Return the environ of a request, as a server would make it."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "demo.test",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "50000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ | extra


def stream(
    method: str, path: str, body: bytes = b"", **extra: Any
) -> tuple[str, dict[str, str], Any]:
    """Call the application; return status, headers and the response iterable."""
    seen: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        seen[:] = [status, dict(headers)]
        return lambda data: None

    # The validator asks for the bare call, without keywords.
    iterable = validator(application)(environ_of(method, path, body, extra), start_response)
    return seen[0], seen[1], iterable


def ask(method: str, path: str, body: bytes = b"", **extra: Any) -> Response:
    """Call the application and collect the whole response."""
    status, headers, iterable = stream(method, path, body, **extra)
    try:
        return Response(status, headers, b"".join(iterable))
    finally:
        iterable.close()


def part(disposition: bytes, content: bytes, *more: bytes) -> bytes:
    """Return one part of a multipart body."""
    lines = [b"--XyZ", b"Content-Disposition: form-data; " + disposition, *more, b"", content, b""]
    return b"\r\n".join(lines)


def post_form(body: bytes, **extra: Any) -> Response:
    """Upload a multipart body."""
    return ask("POST", "/upload", body, CONTENT_TYPE=FORM.decode(), **extra)


@pytest.mark.parametrize("path", PAGES)
def test_page(path: str) -> None:
    """Each page is whole HTML of its stated length, marked as the current one, under the policy."""
    status, headers, body = ask("GET", path)
    assert status == "200 OK"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Length"] == str(len(body))
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert body.startswith(b"<!doctype html>")
    assert body.count(b'aria-current="page"') == 1
    assert f'<a href="{path}" aria-current="page">'.encode() in body
    assert b"$" not in body


@pytest.mark.parametrize("path", PAGES)
def test_page_obeys_its_own_policy(path: str) -> None:
    """No page holds a script, a style or an address of another host."""
    body = ask("GET", path).body
    for forbidden in (b"<style", b"style=", b"onclick", b"http://", b"https://", b'href="//'):
        assert forbidden not in body
    assert body.count(b"<script") == body.count(b"<script src=") == 1


@pytest.mark.parametrize("path", sorted(set(ROUTES) - {"/error/before"}))
def test_head_is_get_without_a_body(path: str) -> None:
    """HEAD gives the status and headers of GET, no body, and leaves no file open."""
    head = ask("HEAD", path)
    status, headers, iterable = stream("GET", path)
    iterable.close()
    if path == "/request":  # which shows the method, and one is longer
        del head.headers["Content-Length"], headers["Content-Length"]
    assert (head.status, head.headers, head.body) == (status, headers, b"")


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record what the demo would sleep, instead of sleeping."""
    taken: list[float] = []
    for module in (live, failures):
        monkeypatch.setattr(module, "sleep", taken.append)
    return taken


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/demo.css", "text/css; charset=utf-8"),
        ("/demo.js", "text/javascript; charset=utf-8"),
        ("/mark.svg", "image/svg+xml"),
        ("/favicon.ico", "image/svg+xml"),
    ],
)
def test_asset(path: str, content_type: str) -> None:
    """What the pages refer to is there, with its type."""
    status, headers, body = ask("GET", path)
    assert status == "200 OK"
    assert headers["Content-Type"] == content_type
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert body


def test_links_start_with_script_name() -> None:
    """Behind a prefix every link of a page keeps it, encoded."""
    body = ask("GET", "", SCRIPT_NAME='/a "b"').body
    links = body.count(b'href="') - body.count(b'href="#')
    assert body.count(b'href="/a%20%22b%22/') == links > 10
    assert b'src="/' not in body.replace(b'src="/a%20%22b%22/', b"")


def test_unknown_path() -> None:
    """A path that is not there is a 404, as a page."""
    response = ask("GET", "/<script>")
    assert response.status == "404 Not Found"
    assert b"no page" in response.body


@pytest.mark.parametrize(("path", "allow"), [("/", "GET, HEAD"), ("/upload", "GET, HEAD, POST")])
def test_other_method(path: str, allow: str) -> None:
    """A method that a page does not take is a 405 that names those it takes."""
    response = ask("DELETE", path)
    assert response.status == "405 Method Not Allowed"
    assert response.headers["Allow"] == allow


def test_request_shows_environ_escaped() -> None:
    """The request page shows names and values of the environ, and no value becomes markup."""
    body = ask("GET", "/request?q=<script>", HTTP_X_TEST="\"'><b>", HTTP_USER_AGENT="").body
    assert b"<dt>QUERY_STRING</dt><dd><code>q=&lt;script&gt;</code>" in body
    assert b"<dt>HTTP_X_TEST</dt><dd><code>&quot;&#x27;&gt;&lt;b&gt;</code>" in body
    assert b"<dt>wsgi.version</dt><dd><code>(1, 0)</code>" in body


def test_request_tells_no_addresses() -> None:
    """Of an object the request page tells the type, of a method the name, not the repr."""
    body = ask("GET", "/request", **{"vendor.a": object(), "vendor.b": io.StringIO().read}).body
    assert b'<dt>vendor.a</dt><dd><code class="type">builtins.object</code>' in body
    assert b'<dt>vendor.b</dt><dd><code class="type">StringIO.read</code>' in body
    assert b" at 0x" not in body


def test_request_hides_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment variables that a server puts into environ are not shown."""
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    body = ask("GET", "/request", DATABASE_PASSWORD="hunter2").body
    assert b"hunter2" not in body


def test_upload_multipart() -> None:
    """An upload is answered with name, size and checksum of each part."""
    content = bytes(range(256)) * 5 + b"\r\n--XyQ\r\n"
    body = (
        part(b'name="note"', "grüß".encode())
        + part(b'name="f"; filename="a.bin"', content, b"Content-Type: image/png")
        + b"--XyZ--\r\n"
    )
    response = post_form(body)
    assert response.status == "200 OK"
    assert "“grüß”, text/plain, 6 bytes".encode() in response.body
    assert b"<dt>a.bin</dt>" in response.body
    assert f"image/png, {len(content):,} bytes".encode() in response.body
    assert hashlib.sha256(content).hexdigest().encode() in response.body


def test_upload_escapes_names() -> None:
    """A hostile file name is shown as text, with the browsers' escapes undone."""
    body = part(b'name="f"; filename="%22><img src=x>"', b"") + b"--XyZ--"
    assert b"<dt>&quot;&gt;&lt;img src=x&gt;</dt>" in post_form(body).body


def test_upload_urlencoded() -> None:
    """A form without files may come urlencoded."""
    response = ask(
        "POST", "/upload", b"a=1+2&b=%C3%BC", CONTENT_TYPE="application/x-www-form-urlencoded"
    )
    assert response.status == "200 OK"
    assert "“1 2”, text/plain, 3 bytes".encode() in response.body
    assert "“ü”, text/plain, 2 bytes".encode() in response.body


def test_upload_without_length() -> None:
    """A chunked upload is read where the server says that its input ends, and only there."""
    body = part(b'name="f"; filename="a"', b"12345") + b"--XyZ--"
    chunked = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    assert b"text/plain, 5 bytes" in post_form(body, **chunked).body
    assert post_form(body, CONTENT_LENGTH="").status == "400 Bad Request"


MALFORMED = {
    "nothing": b"",
    "no boundary": b"hello",
    "preamble": b"hello\r\n" + part(b'name="a"', b"") + b"--XyZ--",
    "epilogue": part(b'name="a"', b"") + b"--XyZ--\r\nhello",
    "cut short": part(b'name="a"', b"12345"),
    "bare LF": (part(b'name="a"', b"") + b"--XyZ--").replace(b"\r", b""),
    "no name": part(b'filename="a"', b"") + b"--XyZ--",
    "two names": part(b'name="a"', b"", b'Content-Disposition: form-data; name="b"') + b"--XyZ--",
    "no empty line": b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n--XyZ--',
    "longer boundary": b'--XyZ1\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n--XyZ--',
    "not UTF-8": part(b'name="\xff"', b"") + b"--XyZ--",
    "too many": part(b'name="a"', b"") * (upload.MAX_PARTS + 1) + b"--XyZ--",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_upload_refuses_malformed(body: bytes) -> None:
    """A multipart body that is not as RFC 7578 has it is a 400."""
    assert post_form(body).status == "400 Bad Request"


@pytest.mark.parametrize(
    "body", [b"a=%FF", b"a=\xff", b"&".join([b"a=1"] * (upload.MAX_PARTS + 1))]
)
def test_upload_refuses_malformed_urlencoded(body: bytes) -> None:
    """A urlencoded body that is not UTF-8, not ASCII or too long is a 400."""
    response = ask("POST", "/upload", body, CONTENT_TYPE="application/x-www-form-urlencoded")
    assert response.status == "400 Bad Request"


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data"])
def test_upload_refuses_other_types(content_type: str) -> None:
    """A body of another type, or a multipart one without boundary, is a 415."""
    extra = {"CONTENT_TYPE": content_type} if content_type else {}
    assert ask("POST", "/upload", b"x", **extra).status == "415 Unsupported Media Type"


def test_upload_bound() -> None:
    """A body of the largest size is taken; one byte more is a 413, with and without a length."""
    frame = len(part(b'name="a"', b"") + b"--XyZ--")
    most = part(b'name="a"', b"x" * (upload.MAX_BODY_SIZE - frame)) + b"--XyZ--"
    assert len(most) == upload.MAX_BODY_SIZE
    chunked = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    assert post_form(most).status == post_form(most, **chunked).status == "200 OK"
    for extra in ({}, chunked):
        assert post_form(most + b"\r", **extra).status == "413 Content Too Large"


def test_stream_block_by_block(naps: list[float]) -> None:
    """The streamed response makes a block only when it is asked for, and pauses in between."""
    _, headers, iterable = stream("GET", "/stream/blocks?blocks=3")
    assert "Content-Length" not in headers
    blocks: Iterator[bytes] = iter(iterable)
    assert next(blocks).startswith(b"block 1 of 3, ")
    assert naps == []
    assert next(blocks).startswith(b"block 2 of 3, ")
    assert naps == [live.BLOCK_PAUSE]
    assert len(list(blocks)) == 1
    iterable.close()


def test_slow(naps: list[float]) -> None:
    """The slow request sleeps as long as it was asked to; the fast one does not."""
    assert ask("GET", "/slow/answer?seconds=5").body.startswith(b"Slept for 5 s in ")
    assert ask("GET", "/slow/ping").body == b"pong\n"
    assert naps == [5]


@pytest.mark.parametrize("value", ["0", "6", "-1", "1.5", "٣", "99999", "x", "1&seconds=9"])
def test_slow_bound(value: str, naps: list[float]) -> None:
    """A time that is too long, or no time, is a 400."""
    path = f"/slow/answer?seconds={value}".encode().decode("latin-1")
    assert ask("GET", path).status == "400 Bad Request"
    assert naps == []


@pytest.mark.parametrize("extra", [{}, {"wsgi.file_wrapper": FileWrapper}])
def test_download(extra: dict[str, Any]) -> None:
    """The example application comes as a file, with the server's file wrapper and without."""
    status, headers, body = ask("GET", "/download/hello.py", **extra)
    assert status == "200 OK"
    assert headers["Content-Length"] == str(len(body))
    assert headers["Content-Disposition"] == 'attachment; filename="hello.py"'
    module: dict[str, Any] = {}
    exec(compile(body, "hello.py", "exec"), module)  # it is our own file
    seen: list[str] = []
    environ = environ_of("GET", "/Jürgen".encode().decode("latin-1"), b"", {})
    greeting = validator(module["application"])(environ, lambda *args: seen.append(args[0]))
    assert [*greeting] == ["Hello, Jürgen!\n".encode()]
    greeting.close()
    assert seen == ["200 OK"]


def test_large_download() -> None:
    """The large file is as long as it says, and all zeros."""
    response = ask("GET", "/download/zeros.bin")
    assert response.headers["Content-Length"] == str(live.ZEROS_SIZE)
    assert response.body == bytes(live.ZEROS_SIZE)


def test_failures() -> None:
    """The failing routes fail: before the response, after a block, and short of the length."""
    with pytest.raises(Exception, match="before its response"):
        ask("GET", "/error/before")
    _, _, iterable = stream("GET", "/error/during")
    blocks = iter(iterable)
    assert next(blocks)
    with pytest.raises(Exception, match="in the middle"):
        next(blocks)
    iterable.close()
    short = ask("GET", "/error/short")
    assert len(short.body) < int(short.headers["Content-Length"])


def test_imports_standard_library_alone() -> None:
    """Importing the demo brings in the standard library and nothing else of Breezeway."""
    program = (
        "import sys; import breezeway.demo; "
        "print(*(name for name in sys.modules if name.startswith('breezeway')));"
        "print(*(m for m in ('click', 'hashlib', 'tempfile', 'socket') if m in sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    ours, heavy = run.stdout.splitlines()
    others = {name for name in ours.split() if not name.startswith("breezeway.demo")}
    assert others == {"breezeway", "breezeway.errors"}
    assert heavy == ""
