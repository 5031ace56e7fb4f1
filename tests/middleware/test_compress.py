"""Compress: which responses, with which coding, what becomes of the head, and streaming."""

from __future__ import annotations

import builtins
import io
import threading
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import FileWrapper

import brotli
import flask
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from breezeway.middleware import Compress, Conditional
from breezeway.testing import LiveServer

from .calling import Counted, Result, call, make_environ

PAGE = b"<p>Breezeway</p>\n" * 100
HTML = ("Content-Type", "text/html; charset=utf-8")
ALL = {"Accept-Encoding": "gzip, deflate, br, zstd"}
NAMES = ["zstd", "br", "gzip"]


def decoded(result: Result) -> bytes:
    """Decode a response by its Content-Encoding."""
    return DECODERS[result["content-encoding"] or "identity"]().decompress(result.body)


class _Identity:
    def decompress(self, data: bytes) -> bytes:
        return data


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    def decompress(self, data: bytes) -> bytes:
        return self._decompressor.process(data)

    @property
    def eof(self) -> bool:
        return self._decompressor.is_finished()


DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "br": _Brotli,
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=1 << 23).decompressobj(),
    "identity": _Identity,
}


def page(
    *fields: tuple[str, str], status: str = "200 OK", body: Any = PAGE, type_: str = HTML[1]
) -> WSGIApplication:
    """Make an application that answers with a list."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response(status, [("Content-Type", type_), *fields])
        return [body] if isinstance(body, bytes) else body

    return application


def get(application: WSGIApplication, accept: str | None = "gzip", **options: Any) -> Result:
    """Ask through the piece."""
    more = {key: options.pop(key) for key in ("method", "path", "fields") if key in options}
    fields = dict(more.pop("fields", {}))
    if accept is not None:
        fields["Accept-Encoding"] = accept
    return call(Compress(application, **options), **more, fields=fields)


# --- which coding -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("GZIP;Q=0.5", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "zstd"),
        ("gzip;q=1, zstd;q=0.5, br;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0, *", "zstd"),
        ("*;q=0", None),
        ("identity", None),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0, compress", None),
        ("gzip;q=0.3, identity;q=0.7", None),
        ("deflate", None),
        ("", None),
        (None, None),
        ("gzip" + " " * 300, "gzip"),
        ("gzip;q=oh", None),
    ],
)
def test_coding(accept: str | None, expected: str | None) -> None:
    """The client's weights, then the order of the server; Vary in any case."""
    result = get(page(), accept)
    assert result["content-encoding"] == expected
    assert result["vary"] == "Accept-Encoding"
    assert decoded(result) == PAGE


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("blocks", [1, 3])
def test_whole(name: str, blocks: int) -> None:
    """A list becomes one block with its length, and a browser's decoder reads it."""
    fields = ("Content-Length", str(len(PAGE) * blocks))
    result = get(page(fields, body=[PAGE] * blocks), name)
    assert len(result.blocks) == 1
    assert result["content-length"] == str(len(result.body))
    assert len(result.body) < len(PAGE) / 4
    assert decoded(result) == PAGE * blocks


def test_preference() -> None:
    """`codings` is the order among what the client likes as much, and all there is."""
    assert get(page(), ALL["Accept-Encoding"], codings=["gzip", "br"])["content-encoding"] == "gzip"
    assert get(page(), "zstd", codings=["gzip", "br"])["content-encoding"] is None


@pytest.mark.parametrize("name", NAMES)
def test_levels(name: str) -> None:
    """A higher level is smaller."""
    body = b"".join(b'{"id": %d, "n": "%x"}' % (n, n * n) for n in range(5000))
    low, high = (
        len(get(page(body=body), name, levels={name: level}).body)
        for level in ((1, 9) if name != "br" else (0, 9))
    )
    assert high < low


def test_window_of_zstd() -> None:
    """At any level a browser's window of 8 MiB is enough."""
    for level in (3, 19, 20):
        encoder = Compress(levels={"zstd": level}).codings["zstd"].encoder()
        start = encoder.block(b"x", True)
        assert zstandard.get_frame_parameters(start).window_size <= 1 << 23
    content = bytes(9_000_000)
    whole = Compress(levels={"zstd": 20}).codings["zstd"].whole(content)
    assert zstandard.get_frame_parameters(whole).window_size == 1 << 23
    assert DECODERS["zstd"]().decompress(whole) == content


# --- which responses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "type_",
    [
        "text/html",
        "TEXT/HTML;charset=utf-8",
        "text/event-stream",
        "application/json",
        "application/problem+json",
        "application/javascript",
        "text/javascript",
        "image/svg+xml",
        "application/atom+xml",
        "application/wasm",
        "font/ttf",
    ],
)
def test_types(type_: str) -> None:
    """What gets smaller is compressed."""
    assert get(page(type_=type_))["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "application",
    [
        *(
            page(type_=type_)
            for type_ in [
                "image/png",
                "image/webp",
                "video/mp4",
                "application/zip",
                "application/pdf",
                "application/octet-stream",
                "font/woff2",
                "application/textile",
                "",
            ]
        ),
        page(("Content-Encoding", "br")),
        page(("content-ENCODING", "identity")),
        page(("Content-Range", "bytes 0-9/10"), status="206 Partial Content"),
        page(status="206 Partial Content"),
        page(("Content-Range", "bytes */10"), status="416 Range Not Satisfiable"),
        page(("Cache-Control", "public, No-Transform")),
        page(("Content-Length", "499"), body=b"x" * 499),
    ],
)
def test_left_alone(application: WSGIApplication) -> None:
    """What would go as it is to anybody, goes as it is: the same fields, no Vary."""
    bare = call(application, fields=ALL)
    assert get(application) == bare


def test_small_without_length() -> None:
    """What turns out small goes as it is."""
    result = get(page(body=[b"x" * 400, b"y" * 99]))
    assert (result["content-encoding"], result.blocks) == (None, [b"x" * 400, b"y" * 99])
    assert get(page(body=[b"x" * 400, b"y" * 100]))["content-encoding"] == "gzip"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_without_content(status: str) -> None:
    """A response without content has none to compress."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response(status, [("ETag", '"a"')])
        return []

    assert get(application).headers == [("ETag", '"a"')]


def test_errors_are_compressed() -> None:
    """A page of an error is a page."""
    assert get(page(status="404 Not Found"))["content-encoding"] == "gzip"


def test_options() -> None:
    """`minimum` and `types` are what they say."""
    assert get(page(body=b"x"), minimum=0)["content-encoding"] == "gzip"
    assert get(page(), minimum=len(PAGE) + 1)["content-encoding"] is None
    types = ["image/x-own", "*+own", "model/*"]
    for type_ in ("image/x-own", "a/b+own; x=y", "Model/b"):
        assert get(page(type_=type_), types=types)["content-encoding"] == "gzip"
    assert get(page(), types=types)["content-encoding"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codings": "gzip"}, "codings must be a list of texts, not 'gzip'"),
        ({"codings": []}, "codings must be a list"),
        ({"codings": 5}, "codings must be a list"),
        ({"codings": [["gzip"]]}, "codings must be a list"),
        ({"levels": []}, "levels must be a table"),
        ({"levels": "gzip"}, "levels must be a table"),
        ({"codings": ["deflate"]}, "zstd, br, gzip, and not of 'deflate'"),
        ({"levels": {"lz4": 1}}, "not of 'lz4'"),
        ({"levels": {"gzip": 10}}, "the level of gzip is from 1 to 9, not 10"),
        ({"levels": {"br": -1}}, "from 0 to 11"),
        ({"levels": {"zstd": 23}}, "from 1 to 22"),
        ({"levels": {"gzip": True}}, "not True"),
        ({"levels": {"gzip": 10}, "codings": ["br"]}, "the level of gzip"),
        ({"levels": {"gzip": "6"}}, "not '6'"),
        ({"minimum": -1}, "minimum must be a number of bytes, at least 0, not -1"),
        ({"minimum": "1k"}, "minimum must be"),
        ({"types": "text/html"}, "types must be a list"),
        ({"types": 5}, "types must be a list"),
        ({"types": [5]}, "types must be a list"),
        ({"cross_site": "false"}, "cross_site must be true or false, not 'false'"),
        ({"types": ["*"]}, "types are as text/css"),
        ({"types": ["html"]}, "types are as"),
        ({"types": ["text/*/x"]}, "types are as"),
        ({"types": [""]}, "types are as"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    """An option that makes no sense is told at once."""
    with pytest.raises(ValueError, match=message):
        Compress(**options)


def test_without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed is left out, unless somebody asks for it."""
    real = builtins.__import__

    def fail(name: str, *args: Any, **kwargs: Any) -> Any:
        if name in ("brotli", "zstandard"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fail)
    assert list(Compress().codings) == ["gzip"]
    with pytest.raises(ValueError, match=r"br needs a package: pip install 'breezeway\[brotli\]'"):
        Compress(codings=["br", "gzip"])
    with pytest.raises(ValueError, match=r"breezeway\[zstd\]"):
        Compress(levels={"zstd": 3})


# --- the head ---------------------------------------------------------------------------------------


def test_fields() -> None:
    """What was said of the application's bytes is gone or weak; what was not stays."""
    result = get(
        page(
            ("ETag", '"a"'),
            ("Accept-Ranges", "bytes"),
            ("Content-Length", str(len(PAGE))),
            ("Repr-Digest", "sha-256=:x:"),
            ("Vary", "Cookie"),
            ("X-Other", "1"),
        )
    )
    assert result["etag"] == 'W/"a"'
    assert result["vary"] == "Cookie, Accept-Encoding"
    assert result["x-other"] == "1"
    assert result.all("accept-ranges") == result.all("repr-digest") == []
    assert result["content-length"] == str(len(result.body))


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "Accept-Encoding"), ("*", "*"), ("accept-encoding, X", "accept-encoding, X")],
)
def test_vary(before: str, after: str) -> None:
    """Vary names the field once, unless it says that anything counts."""
    for accept in ("gzip", None):
        assert get(page(("vary", before)), accept)["vary"] == after


def test_fields_of_identity() -> None:
    """Who takes no coding gets everything, and Vary."""
    fields = [("ETag", '"a"'), ("Accept-Ranges", "bytes"), ("Content-Length", str(len(PAGE)))]
    result = get(page(*fields), None)
    assert result.headers == [HTML, *fields, ("Vary", "Accept-Encoding")]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("body", [[], (), iter(())])
def test_head(known: bool, body: Any) -> None:
    """HEAD has the fields of GET, less the length that nobody knows."""
    length = [("Content-Length", str(len(PAGE)))] if known else []
    result = get(page(("ETag", '"a"'), *length, body=body), method="HEAD")
    assert result.headers == [
        HTML,
        ("ETag", 'W/"a"'),
        ("Vary", "Accept-Encoding"),
        ("Content-Encoding", "gzip"),
    ]
    assert result.body == b""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_head_of_small_content(method: str) -> None:
    """A HEAD that the application answers as a GET gets the fields of the GET, small or not."""
    result = get(page(("ETag", '"1"'), body=b"x" * 10), method=method)
    assert (result["content-encoding"], result["etag"]) == (None, '"1"')
    result = get(page(("ETag", '"1"')), method=method)
    assert (result["content-encoding"], result["etag"]) == ("gzip", 'W/"1"')


def test_head_of_small() -> None:
    """A HEAD of what is small has its length."""
    result = get(page(("Content-Length", "3"), body=[]), method="HEAD")
    assert (result["content-length"], result["content-encoding"]) == ("3", None)


def test_etag_through_flask() -> None:
    """The weak tag that the client has got makes a 304 with that tag, through a real framework."""
    app = flask.Flask(__name__)

    @app.get("/")
    def index() -> Any:
        response = flask.Response(PAGE, mimetype="text/html")
        response.set_etag("a")
        return response.make_conditional(flask.request.environ)

    first = get(app)
    tag = first["etag"]
    assert tag.startswith('W/"')
    again = get(app, fields={"If-None-Match": f'"other", {tag}'})
    assert (again.code, again["etag"], again["vary"]) == (304, tag, "Accept-Encoding")
    plain = get(app, None)
    again = get(app, None, fields={"If-None-Match": plain["etag"]})
    assert (again.code, again["etag"]) == (304, tag[2:])


# --- BREACH -----------------------------------------------------------------------------------------

CROSS = {"Sec-Fetch-Site": "cross-site"}


@pytest.mark.parametrize(
    ("fields", "compressed"),
    [
        (CROSS, True),
        ({**CROSS, "Cookie": "a=b"}, False),
        ({**CROSS, "Authorization": "Basic eA=="}, False),
        ({**CROSS, "Authorization": "Bearer x"}, True),
        ({**CROSS, "Authorization": "Bearer x", "Cookie": "a=b"}, False),
        ({**CROSS, "Cookie": "a=b", "Sec-Fetch-User": "?1", "Sec-Fetch-Dest": "document"}, True),
        ({**CROSS, "Cookie": "a=b", "Sec-Fetch-User": "?1", "Sec-Fetch-Dest": "iframe"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Cookie": "a=b"}, True),
        ({"Sec-Fetch-Site": "same-site", "Cookie": "a=b"}, True),
        ({"Cookie": "a=b"}, True),
    ],
)
def test_other_sites(fields: dict[str, str], compressed: bool) -> None:
    """A page of another site that asks with the user's credentials learns no compressed length."""
    result = get(page(), fields=fields)
    assert result["content-encoding"] == ("gzip" if compressed else None)
    assert result["vary"] == "Accept-Encoding"
    assert get(page(), fields=fields, cross_site=True)["content-encoding"] == "gzip"


def test_switched_off_by_the_application() -> None:
    """A key of the environ leaves one response out."""

    def application(environ: Any, start_response: Any) -> Any:
        environ["breezeway.compress"] = environ["PATH_INFO"] != "/secret"
        start_response("200 OK", [HTML])
        return [PAGE]

    assert get(application)["content-encoding"] == "gzip"
    assert get(application, path="/secret").headers == [HTML, ("Vary", "Accept-Encoding")]


# --- streaming --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_blocks_can_be_read_at_once(name: str) -> None:
    """What the client has got after a block is all of it."""
    application = Counted(b"one ", b"", b"two ", b"three")
    blocks = iter(Compress(application)(make_environ(fields={"Accept-Encoding": name}), _start))
    decoder = DECODERS[name]()
    for number, expected in enumerate([b"one ", b"", b"two ", b"three"], 1):
        block = next(blocks)
        assert application.yielded == number
        assert decoder.decompress(block) == expected
        assert bool(block) == bool(expected)
    assert decoder.decompress(b"".join(blocks)) == b""
    blocks.close()  # type: ignore[attr-defined]
    assert application.closed == 1


def _start(status: str, headers: Any, exc_info: Any = None) -> Any:
    return lambda data: None


@pytest.mark.parametrize("name", NAMES)
def test_streamed(name: str) -> None:
    """A response in blocks has no length, and ends well."""
    application = Counted(*[PAGE] * 9, fields=[("Content-Length", str(9 * len(PAGE)))])
    result = get(application, name)
    assert result["content-length"] is None
    assert result["content-encoding"] == name
    assert decoded(result) == PAGE * 9
    assert application.closed == 1


def test_streamed_as_it_is() -> None:
    """Who takes no coding gets the blocks, with Vary."""
    result = get(Counted(b"a", b"b"), None)
    assert (result.blocks, result["vary"]) == ([b"a", b"b"], "Accept-Encoding")


def test_empty_stream() -> None:
    """A stream without a block is none of many codings: it goes as it is."""
    result = get(Counted())
    assert (result.body, result["content-encoding"]) == (b"", None)


def test_write() -> None:
    """What is given to write() is compressed, flushed, and comes first."""

    def application(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [HTML])
        write(b"a")
        write(b"b")
        return [b"c", b"d"]

    result = get(application)
    assert decoded(result) == b"abcd"
    assert zlib.decompressobj(31).decompress(result.blocks[0]) == b"a"


@pytest.mark.parametrize("type_", ["image/png", "text/html"])
def test_exc_info(type_: str) -> None:
    """A page of an error that takes the place of a response is the one that counts."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", type_), ("ETag", '"a"')])
        error = LookupError()
        start_response("500 Oh", [HTML], (LookupError, error, None))
        return [PAGE]

    result = get(application)
    assert (result.status, result["etag"], decoded(result)) == ("500 Oh", None, PAGE)


def test_exc_info_within_a_generator() -> None:
    """The head of an error page is the one that is compressed."""

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "image/png")])
        yield b""
        start_response("500 Oh", [HTML], (LookupError, LookupError(), None))
        yield PAGE

    result = get(application)
    assert (result.status, result["content-encoding"], decoded(result)) == ("500 Oh", "gzip", PAGE)


def test_failing_application() -> None:
    """What an application raises goes on, and nothing is left open."""
    application = Counted(b"a", 5)  # type: ignore[arg-type]
    blocks = Compress(application._application)(make_environ(fields=ALL), _start)
    with pytest.raises((AttributeError, TypeError)):
        list(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert application.closed == 1


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "accept", "length"),
    [("image/png", "gzip", 1700), ("text/html", None, 1700), ("text/html", "gzip", 10)],
)
def test_files_left_alone(type_: str, accept: str | None, length: int) -> None:
    """A file that is not compressed reaches the server as a file."""
    file = FileWrapper(io.BytesIO(PAGE[:length]))

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", type_), ("Content-Length", str(length))])
        return file

    fields = {"Accept-Encoding": accept} if accept else {}
    assert Compress(application)(make_environ(fields=fields), _start) is file
    file.close()


def test_files_are_compressed() -> None:
    """A file is compressed in blocks that are not flushed each, and closed."""
    content = io.BytesIO(PAGE * 100)

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [HTML])
        return environ["wsgi.file_wrapper"](content)

    result = get(application)
    assert decoded(result) == PAGE * 100
    assert content.closed
    assert len(result.body) < 1.1 * len(zlib.compress(PAGE * 100, 6))


# --- whatever an application does -------------------------------------------------------------------

contents = st.lists(st.sampled_from([b"", b"a", b"<p>", PAGE]), max_size=6)


@given(
    name=st.sampled_from([*NAMES, "identity"]),
    written=contents,
    returned=contents,
    how=st.sampled_from([list, tuple, iter, "late", "closing"]),
    known=st.booleans(),
    type_=st.sampled_from(["text/html", "image/png"]),
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_content_is_the_same(
    name: str,
    written: list[bytes],
    returned: list[bytes],
    how: Any,
    known: bool,
    type_: str,
    method: str,
) -> None:
    """In every way that PEP 3333 has for a response, the client reads what the application sent."""
    fields = [("Content-Type", type_)]
    expected = b"".join(returned if how == "late" else written + returned)
    if known:
        fields.append(("Content-Length", str(len(expected))))
    closing = Counted(*returned)

    def application(environ: Any, start_response: Any) -> Any:
        if how == "late":
            return late(start_response)
        write = start_response("200 OK", fields[:])
        for data in written:
            write(data)
        if how == "closing":
            return closing._application(environ, lambda *args: write)
        return how(returned)

    def late(start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", fields[:])
        yield from returned

    result = get(application, name, method=method)
    length = result["content-length"]
    if method == "GET":
        assert decoded(result) == expected
        assert length is None or int(length) == len(result.body)
    elif result["content-encoding"] is not None:
        assert length is None
    assert closing.closed == (how == "closing")
    assert ("Accept-Encoding" in result.all("vary")) >= (result["content-encoding"] is not None)


def test_events_on_the_wire() -> None:
    """An event reaches the client before the next one is made."""
    goes_on = threading.Event()

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b"data: one\n\n"
        assert goes_on.wait(10)
        yield b"data: two\n\n"

    with LiveServer(Compress(application)) as server:
        request = urllib.request.Request(server.url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=10) as response:
            decoder = zlib.decompressobj(31)
            found = b""
            while not found:
                found = decoder.decompress(response.read1(100))
            assert found == b"data: one\n\n"
            goes_on.set()
            assert decoder.decompress(response.read()) == b"data: two\n\n"


# --- many at once -----------------------------------------------------------------------------------


def test_threads() -> None:
    """Sixteen threads share one."""
    piece = Compress(page(body=[PAGE] * 20))
    wrong: list[Any] = []

    def ask(name: str) -> None:
        for _ in range(20):
            result = call(piece, fields={"Accept-Encoding": name})
            if decoded(result) != PAGE * 20 or result["content-encoding"] != name:
                wrong.append(result)

    threads = [threading.Thread(target=ask, args=(NAMES[n % 3],)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Shrinking(io.BytesIO):
    """A file that has become shorter when it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return nothing after the first block."""
        return b"" if self.tell() else super().read(10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "make",
    [
        lambda: [b"too short"],
        lambda: iter([b"too ", b"short"]),
        lambda: FileWrapper(Shrinking(PAGE)),
    ],
    ids=["list", "blocks", "file"],
)
def test_cut_short_never_looks_whole(name: str, make: Callable[[], Any]) -> None:
    """Content that is shorter than its Content-Length is an error, as it is without a coding."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [HTML, ("Content-Length", str(len(PAGE)))])
        return make()

    environ = make_environ(fields={"Accept-Encoding": name})
    sent: list[bytes] = []
    with pytest.raises(ValueError, match="shorter than its Content-Length"):
        sent.extend(Compress(application)(environ, lambda *given: sent.append))
    decoder = DECODERS[name]()
    decoder.decompress(b"".join(sent))
    assert not decoder.eof
    assert call(Compress(application), method="HEAD", fields={"Accept-Encoding": name}).code == 200


@pytest.mark.parametrize("name", NAMES)
def test_no_end_after_a_failure(name: str) -> None:
    """Who goes on asking after an error gets no end of the coding."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [HTML])
        yield PAGE
        raise LookupError("on purpose")

    environ = make_environ(fields={"Accept-Encoding": name})
    blocks = iter(Compress(application)(environ, lambda *given: bool))
    next(blocks)
    with pytest.raises(LookupError):
        next(blocks)
    assert next(blocks, None) is None


@pytest.mark.parametrize(
    ("accept", "fields", "is_part"),
    [
        ("gzip", {"If-Range": "Wed, 21 Oct 2015 07:28:00 GMT", "Range": "bytes=5-9"}, False),
        ("gzip", {"If-Range": "nonsense"}, False),
        ("identity", {"If-Range": "Wed, 21 Oct 2015 07:28:00 GMT", "Range": "bytes=5-9"}, True),
        ("gzip", {"If-Range": '"tag"', "Range": "bytes=5-9"}, True),
        ("gzip", {"Range": "bytes=5-9"}, True),
    ],
)
def test_no_part_of_another_coding(accept: str, fields: dict[str, str], is_part: bool) -> None:
    """What came compressed, and broke off, is not continued with what is not compressed."""
    modified = ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
    application = Compress(Conditional(page(modified, ("ETag", '"tag"'))))
    first = call(application, fields={"Accept-Encoding": accept})
    assert (first["Content-Encoding"] is None) == (accept == "identity")
    result = call(application, fields={"Accept-Encoding": accept, **fields})
    assert result.code == (206 if is_part else 200)
    assert result["Content-Encoding"] == (None if is_part else "gzip")
