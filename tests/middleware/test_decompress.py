"""Decompress: codings, bombs, what is malformed, and how it reads."""

from __future__ import annotations

import builtins
import gzip
import http.client
import io
import os
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIApplication

import brotli
import flask
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import BodyLimit, Decompress
from breezeway.middleware.decompress.input import DecodedInput, LikeBytesIO
from breezeway.testing import LiveServer

from .calling import Counted, Result, call, make_environ

TEXT = b"The quick brown fox.\n" * 500
PLAIN = [("Content-Type", "text/plain")]

ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": zstandard.ZstdCompressor().compress,
    "GZip": gzip.compress,
    "identity": bytes,
    "": bytes,
    "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
    "zstd,identity ,deflate": lambda data: zlib.compress(zstandard.compress(data)),
}
NAMES = ["zstd", "br", "gzip", "deflate"]


class Echo:
    """Answers with the body, and keeps the environ."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.environ = environ
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or -1))
        start_response("200 OK", PLAIN[:])
        return [content]


def send(
    body: bytes, coding: str, application: WSGIApplication | None = None, **options: Any
) -> Result:
    """Send a body through the piece, in one of the ways that servers have for it."""
    chunked = options.pop("chunked", False)
    piece = Decompress(application or Echo(), **options)
    fields = {"Content-Encoding": coding}
    if not chunked:
        return call(piece, "/", "POST", fields, body)
    keys = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    return call(piece, "/", "POST", {**fields, "Transfer-Encoding": "chunked"}, **keys)


ways = pytest.mark.parametrize(
    "way",
    [
        {},
        {"chunked": True},
        {"memory": 100},
        {"stream": True},
        {"stream": True, "chunked": True},
    ],
    ids=str,
)


@ways
@pytest.mark.parametrize("coding", ENCODE)
def test_codings(coding: str, way: dict[str, Any]) -> None:
    """The application reads what was encoded, and nothing says that it was."""
    application = Echo()
    result = send(ENCODE[coding](TEXT), coding, application, **way)
    assert (result.code, result.body) == (200, TEXT)
    assert "HTTP_CONTENT_ENCODING" not in application.environ
    if coding not in ("", "identity"):
        length = None if way.get("stream") else str(len(TEXT))
        assert application.environ.get("CONTENT_LENGTH") == length
        assert application.environ["wsgi.input_terminated"] is True


def test_nothing_to_do() -> None:
    """Without a Content-Encoding, the application has the server's input and length."""
    environ = make_environ(method="POST", body=b"abc")
    before = dict(environ)
    seen: list[Any] = []
    list(Decompress(lambda e, s: seen.append(dict(e)) or [])(environ, lambda *a: print))
    assert seen == [before]


@ways
@pytest.mark.parametrize("name", NAMES)
def test_empty_body(name: str, way: dict[str, Any]) -> None:
    """No body at all needs no coding; an encoded nothing is nothing."""
    assert send(b"", name, **way).body == b""
    assert send(ENCODE[name](b""), name, **way).body == b""


def test_no_body_is_not_waited_for() -> None:
    """Where nothing says that there is a body, nothing is read."""
    environ = make_environ(fields={"Content-Encoding": "gzip"})
    environ["wsgi.input"] = None
    assert list(Decompress(lambda e, s: [])(environ, lambda *a: print)) == []
    assert environ["CONTENT_LENGTH"] == "0"


def test_length_is_kept_to() -> None:
    """An input that goes on after the body is not read on."""
    body = gzip.compress(TEXT)
    environ = make_environ(method="POST", body=body, fields={"Content-Encoding": "gzip"})
    environ["wsgi.input"] = io.BytesIO(body + b"GET / HTTP/1.1\r\n")
    application = Echo()
    assert Decompress(application)(environ, lambda *a: print) == [TEXT]


@ways
@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_members(name: str, way: dict[str, Any]) -> None:
    """Several members or frames are one content."""
    body = b"".join(ENCODE[name](part) for part in (b"a" * 1000, b"", b"b" * 1000))
    assert send(body, name, **way).body == b"a" * 1000 + b"b" * 1000


@ways
@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_large_members(name: str, way: dict[str, Any]) -> None:
    """A member that takes several steps may be followed by another in the same piece."""
    parts = [b"a" * 200_000, b"b" * 200_000, b"c"]
    body = b"".join(map(ENCODE[name], parts))
    assert send(body, name, ratio=2000, **way).body == b"".join(parts)


@ways
@pytest.mark.parametrize("name", NAMES)
def test_rubbish_behind_a_large_content(name: str, way: dict[str, Any]) -> None:
    """It is refused, and not looked at for ever."""
    body = ENCODE[name](b"a" * 200_000) + b"rubbish"
    assert send(body, name, **way).code == 400


def test_skippable_frame() -> None:
    """A frame of zstd that says nothing is skipped."""
    skip = b"\x50\x2a\x4d\x18\x05\x00\x00\x00hello"
    body = skip + zstandard.compress(b"a") + skip + zstandard.compress(b"b")
    assert send(body, "zstd").body == b"ab"


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "coding", ["compress", "gzip;q=1", "gzip gzip", "gzip, gzip, gzip", "aes128gcm", "*", "zip"]
)
@ways
def test_unsupported(coding: str, way: dict[str, Any]) -> None:
    """An unknown coding is 415, and the answer says which there are; the body is not read."""
    application = Counted()
    result = send(b"x", coding, application, **way)
    assert result.code == 415
    assert result["accept-encoding"] == "zstd, br, gzip, deflate"
    assert application.calls == 0


def test_chosen_codings() -> None:
    """`codings` are all there is."""
    assert send(gzip.compress(b"a"), "gzip", codings=["gzip"]).code == 200
    result = send(b"", "br", codings=["gzip"])
    assert (result.code, result["accept-encoding"]) == (415, "gzip")


def malformed() -> list[Any]:
    """Return bodies that are none, with their coding."""
    found: list[Any] = []
    for name in NAMES:
        body = ENCODE[name](TEXT)
        found += [
            pytest.param(name, body[:-1], id=f"{name} without its end"),
            pytest.param(name, body[:5], id=f"{name} cut off"),
            pytest.param(name, body + b"xy", id=f"{name} and more"),
            pytest.param(name, b"hello, world", id=f"{name} that is none"),
            pytest.param(name, b"\0", id=f"{name} of a zero"),
        ]
    raw = zlib.compressobj(wbits=-15)
    found.append(pytest.param("deflate", raw.compress(TEXT) + raw.flush(), id="bare deflate"))
    bad = bytearray(gzip.compress(TEXT))
    bad[-5] ^= 1
    found.append(pytest.param("gzip", bytes(bad), id="gzip with a wrong checksum"))
    found.append(pytest.param("gzip", gzip.compress(b"") + b"\0\0", id="gzip with padding"))
    wide = zstandard.ZstdCompressionParameters.from_level(3, window_log=25)
    encoder = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    body = encoder.compress(TEXT) + encoder.flush()
    found.append(pytest.param("zstd", body, id="zstd with a window of 32 MiB"))
    found.append(pytest.param("gzip, br", ENCODE["br"](b"x"), id="br of what is no gzip"))
    return found


@ways
@pytest.mark.parametrize(("coding", "body"), malformed())
def test_malformed(coding: str, body: bytes, way: dict[str, Any]) -> None:
    """What is not well-formed to its end is 400, whatever the application makes of it."""
    result = send(body, coding, **way)
    assert result.code == 400
    assert result.body == b"The request body is not what its Content-Encoding says.\n"


@pytest.mark.parametrize("name", NAMES)
@ways
def test_maximum(name: str, way: dict[str, Any]) -> None:
    """One byte past the bound is 413."""
    body = ENCODE[name](TEXT)
    assert send(body, name, maximum=len(TEXT), **way).code == 200
    result = send(body, name, maximum=len(TEXT) - 1, **way)
    assert result.code == 413
    assert result.body == b"The request body is larger than 10499 bytes when it is decoded.\n"


@pytest.mark.parametrize("name", NAMES)
@ways
def test_ratio(name: str, way: dict[str, Any]) -> None:
    """What grows too much is 413, from 1 MiB on."""
    body = ENCODE[name](bytes(1_100_000))
    result = send(body, name, **way)
    assert result.code == 413
    assert result.body == b"The request body grows more than 100 times when it is decoded.\n"
    assert send(body, name, ratio=1e6, **way).code == 200
    assert send(ENCODE[name](bytes(1_000_000)), name, **way).code == 200


@pytest.mark.parametrize("way", [{}, {"stream": True}], ids=str)
@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "zstd, zstd"])
def test_bomb(name: str, way: dict[str, Any]) -> None:
    """A bomb is refused when some megabytes of it were decoded, however they were stacked."""
    inner = name.partition(",")[0]
    body = ENCODE[inner](bytes(1 << 26))
    if inner == "zstd":  # as small as it can be: a block of 128 KiB in four bytes
        block = (1 << 17 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
        body = bytes.fromhex("28b52ffd 00 58") + block * 4000
    if "," in name:
        body = ENCODE[inner](body)
    tracemalloc.start()
    try:
        result = send(body, name, maximum=1 << 40, **way)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.code == 413
    assert peak < 40_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codings": "gzip"}, "codings must be a list of texts, not 'gzip'"),
        ({"codings": []}, "codings must be"),
        ({"codings": 5}, "codings must be"),
        ({"codings": [["gzip"]]}, "codings must be"),
        ({"stream": "false"}, "stream must be true or false, not 'false'"),
        ({"codings": ["lzma"]}, "zstd, br, gzip, deflate, and not 'lzma'"),
        ({"maximum": -1}, "maximum must be a number of bytes, at least 0, not -1"),
        ({"maximum": "1"}, "maximum must be"),
        ({"memory": 1.5}, "memory must be"),
        ({"ratio": 0.5}, "ratio must be a number from 1 on, not 0.5"),
        ({"ratio": float("nan")}, "ratio must be"),
        ({"ratio": True}, "ratio must be"),
        ({"ratio": "9"}, "ratio must be"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    """An option that makes no sense is told at once."""
    with pytest.raises(ValueError, match=message):
        Decompress(**options)


def test_without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed is left out, unless somebody asks for it."""
    real = builtins.__import__

    def fail(name: str, *args: Any, **kwargs: Any) -> Any:
        if name in ("brotli", "zstandard"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fail)
    result = call(Decompress(), method="POST", fields={"Content-Encoding": "br"})
    assert result["accept-encoding"] == "gzip, deflate"
    with pytest.raises(ValueError, match=r"zstd needs a package: pip install 'breezeway\[zstd\]'"):
        Decompress(codings=["zstd"])


# --- beside others ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_flask(stream: bool, chunked: bool) -> None:
    """Forms and JSON of a real framework."""
    app = flask.Flask(__name__)

    @app.post("/")
    def index() -> Any:
        return flask.request.get_json()

    def ask(body: bytes) -> Result:
        fields = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        if chunked:
            keys = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
            return call(Decompress(app, stream=stream), "/", "POST", fields, **keys)
        return call(Decompress(app, stream=stream), "/", "POST", fields, body)

    assert ask(gzip.compress(b'{"a": 1}')).body == b'{"a":1}\n'
    assert ask(gzip.compress(b'{"a": 1}')[:-1]).code == 400
    assert ask(gzip.compress(bytes(2_000_000))).code == 413


@pytest.mark.parametrize("stream", [False, True])
def test_within_body_limit(stream: bool) -> None:
    """A bound on what is sent holds here, too."""
    piece = BodyLimit(Decompress(Echo(), stream=stream), maximum=50)
    keys = {"wsgi.input_terminated": True}
    for body, code in ((gzip.compress(b"a"), 200), (gzip.compress(os.urandom(100)), 413)):
        keys["wsgi.input"] = io.BytesIO(body)  # type: ignore[assignment]
        assert call(piece, "/", "POST", {"Content-Encoding": "gzip"}, **keys).code == code


# --- the temporary file -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["list", "blocks", "raises", "file"])
def test_temporary_file_is_closed(how: str) -> None:
    """The file is closed when the response is over, and the application's blocks are."""
    files: list[Any] = []
    blocks = Counted(b"a", b"b")

    def application(environ: Any, start_response: Any) -> Any:
        file = environ["wsgi.input"]
        files.append(file.input if hasattr(file, "input") else file)
        if how == "raises":
            raise LookupError
        if how == "blocks":
            return blocks._application(environ, start_response)
        start_response("200 OK", PLAIN[:])
        return environ["wsgi.file_wrapper"](file) if how == "file" else [file.read()]

    if how == "raises":
        with pytest.raises(LookupError):
            send(gzip.compress(TEXT), "gzip", application, memory=10)
    else:
        result = send(gzip.compress(TEXT), "gzip", application, memory=10)
        assert result.body == (b"ab" if how == "blocks" else TEXT)
        assert blocks.closed == (how == "blocks")
    assert isinstance(files[0], LikeBytesIO)
    assert files[0].closed


def test_file_of_the_server_stays_one() -> None:
    """A file that answers a large body goes on as it is, so that sendfile(2) is not lost."""
    bodies: list[Any] = []
    answer = io.BytesIO(b"a file")

    def application(environ: Any, start_response: Any) -> Any:
        bodies.append(environ["wsgi.input"])
        start_response("200 OK", PLAIN[:])
        return environ["wsgi.file_wrapper"](answer)

    fields = {"Content-Encoding": "gzip"}
    environ = make_environ(method="POST", fields=fields, body=gzip.compress(TEXT))
    found: Any = Decompress(application, memory=10)(environ, lambda *args: answer.write)
    assert type(found) is environ["wsgi.file_wrapper"]
    assert b"".join(found) == b"a file"
    assert not bodies[0].closed
    found.close()
    assert bodies[0].closed
    assert answer.closed


# --- reading ----------------------------------------------------------------------------------------

sizes = st.one_of(st.none(), st.integers(-2, 12))
calls = st.lists(st.tuples(st.sampled_from(["read", "readline", "readlines", "next"]), sizes))


@given(st.lists(st.text("ab\n", max_size=9)), calls)
def test_reads_as_bytes_io(parts: list[str], calls: list[tuple[str, Any]]) -> None:
    """However the pieces fall, it cannot be told from io.BytesIO."""
    pieces = [part.encode() for part in parts]
    ours, theirs = DecodedInput(iter(pieces)), io.BytesIO(b"".join(pieces))
    for name, size in calls:
        if name == "next":
            assert next(ours, None) == next(theirs, None)
        else:
            assert getattr(ours, name)(size) == getattr(theirs, name)(size)
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("bad")])
def test_an_end_is_never_pretended(error: Exception) -> None:
    """After a failure, each further read fails as well."""

    def pieces() -> Any:
        yield b"abc"
        raise error

    body = DecodedInput(pieces())
    assert body.read(2) == b"ab"
    for _ in range(3):
        with pytest.raises(type(error)):
            body.read(9)
    with pytest.raises(type(error)):
        body.readlines()


def test_is_decoded_as_it_comes() -> None:
    """With `stream`, what was sent so far can be read; the rest need not be there yet."""
    encoder = zlib.compressobj(wbits=31)
    parts = [encoder.compress(b"one\n") + encoder.flush(zlib.Z_SYNC_FLUSH)]
    parts.append(encoder.compress(b"two\n") + encoder.flush())

    class Coming(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return parts.pop(0) if parts else b""

    def application(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"]
        assert (body.readline(), len(parts)) == (b"one\n", 1)
        assert (body.read(), len(parts)) == (b"two\n", 0)
        return []

    environ = make_environ(method="POST", fields={"Content-Encoding": "gzip"})
    environ.update({"wsgi.input": Coming(), "wsgi.input_terminated": True})
    assert Decompress(application, stream=True)(environ, lambda *a: print) == []


@pytest.mark.parametrize("stream", [False, True])
def test_on_the_wire(stream: bool) -> None:
    """In chunks to a real server; what is refused is refused before the client sends it."""
    with LiveServer(Decompress(Echo(), stream=stream)) as server:
        host, port = server.url.removeprefix("http://").rstrip("/").split(":")
        for body, status in ((gzip.compress(TEXT), 200), (gzip.compress(TEXT)[:-1], 400)):
            connection = http.client.HTTPConnection(host, int(port), timeout=10)
            parts = [body[at : at + 10] for at in range(0, len(body), 10)]
            connection.request("POST", "/", iter(parts), {"Content-Encoding": "gzip"})
            response = connection.getresponse()
            assert response.status == status
            assert status != 200 or response.read() == TEXT
            connection.close()
        with socket.create_connection((host, int(port)), 10) as client:
            client.sendall(
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: compress\r\n"
                b"Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
            )
            assert client.recv(100).startswith(b"HTTP/1.1 415 ")


def test_threads() -> None:
    """Sixteen threads share one."""
    piece = Decompress(Echo(), memory=100)
    wrong: list[Any] = []

    def ask(name: str) -> None:
        body = ENCODE[name](TEXT)
        for _ in range(20):
            result = call(piece, "/", "POST", {"Content-Encoding": name}, body)
            if result.body != TEXT:
                wrong.append(result)

    threads = [threading.Thread(target=ask, args=(NAMES[n % 4],)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
