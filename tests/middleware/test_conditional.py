"""Conditional: tags, conditions and ranges, whatever the body is made of."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from breezeway.middleware import Conditional
from breezeway.semantics.dates import http_date
from breezeway.testing import LiveServer

from .calling import Counted, Result, call, make_environ

BODY = b"0123456789" * 20
LARGE = bytes(range(256)) * 1024
TYPE = ("Content-Type", "text/plain")
DATE = "Sun, 09 Sep 2001 01:46:40 GMT"
MODIFIED = 1_000_000_000
ETAG = '"9b5d2f2a5f3d"'

Make = Callable[[], Any]


def listed(*fields: tuple[str, str], blocks: Any = (BODY[:50], BODY[50:]), status: str = "200 OK"):  # type: ignore[no-untyped-def]
    """Make an application that returns a list."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response(status, [TYPE, *fields])
        return list(blocks)

    return application


def filed(open_file: Make, *fields: tuple[str, str]) -> Any:
    """Make an application that returns a file by the wrapper that it is offered."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TYPE, *fields])
        return environ["wsgi.file_wrapper"](open_file())

    return application


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a file with the body."""
    path = tmp_path / "body.txt"
    path.write_bytes(BODY)
    os.utime(path, (MODIFIED, MODIFIED))
    return path


@pytest.fixture(params=["list", "file", "bytes"])
def application(request: pytest.FixtureRequest, path: Path) -> Any:
    """Give each kind of content that is there as a whole."""
    if request.param == "list":
        return Conditional(listed())
    if request.param == "file":
        return Conditional(filed(lambda: path.open("rb")))
    return Conditional(filed(lambda: io.BytesIO(BODY)))


def test_tag(application: Any) -> None:
    """A response of status 200 gets a strong tag, the same one each time."""
    first, second = call(application), call(application)
    assert (first.code, first.body) == (200, BODY)
    etag = first["etag"]
    assert etag
    assert etag.startswith('"')
    assert second["etag"] == etag
    assert call(application, fields={"If-None-Match": etag}).code == 304


def test_not_modified(application: Any) -> None:
    """If-None-Match is compared weakly, as a list, and answered without content."""
    etag = call(application)["etag"]
    for value in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        result = call(application, fields={"If-None-Match": value})
        assert (result.code, result.body, result["etag"]) == (304, b"", etag)
        assert result["content-type"] is None
        assert result["content-length"] is None
        assert call(application, method="HEAD", fields={"If-None-Match": value}).code in (200, 304)
    assert call(application, fields={"If-None-Match": '"x"'}).body == BODY
    assert call(application, fields={"If-None-Match": "x"}).body == BODY


def test_precondition_failed(application: Any) -> None:
    """If-Match is compared strongly."""
    etag = call(application)["etag"]
    assert call(application, fields={"If-Match": etag}).code == 200
    assert call(application, fields={"If-Match": "*"}).code == 200
    for value in ('"x"', f"W/{etag}"):
        result = call(application, fields={"If-Match": value})
        assert (result.code, result.body) == (412, b"412 Precondition Failed\n")
        assert result["content-length"] == str(len(result.body))


def test_ranges(application: Any) -> None:
    """One range, the first byte, the last ones, several, and none that there is."""

    def get(value: str, **fields: str) -> Result:
        given = {"Range": value, **{k.replace("_", "-"): v for k, v in fields.items()}}
        return call(application, fields=given)

    etag = call(application)["etag"] or ""
    for value, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=150-", 150, 200),
        ("bytes=-7", 193, 200),
        ("bytes=-999", 0, 200),
        ("BYTES=0-999", 0, 200),
    ):
        result = get(value)
        assert (result.code, result.body) == (206, BODY[start:stop])
        assert result["content-range"] == f"bytes {start}-{stop - 1}/200"
        assert result["content-length"] == str(stop - start)
        assert result["etag"] == etag
        assert get(value, If_Range=etag).code == 206
        assert get(value, If_Range='"x"').body == BODY
        assert get(value, If_None_Match=etag).code == 304
    several = get("bytes=0-1,150-159")
    assert (several["content-type"] or "").startswith("multipart/byteranges; boundary=")
    assert several["content-length"] == str(len(several.body))
    assert several.body.count(b"Content-Type: text/plain\r\n") == 2
    assert b"\r\n\r\n0123456789\r\n" in several.body
    beyond = get("bytes=200-")
    assert (beyond.code, beyond["content-range"]) == (416, "bytes */200")
    for value in (
        "bytes=",
        "bytes=2-1",
        "lines=1-2",
        "bytes=a-b",
        "bytes=-",
        f"bytes={'0-0,' * 500}",
    ):
        assert get(value).body == BODY
    head = call(application, method="HEAD", fields={"Range": "bytes=0-0"})
    assert head.code == 200


def test_head(path: Path) -> None:
    """A HEAD has the tag of the GET where it is known, and no other."""
    file = Conditional(filed(lambda: path.open("rb")))
    get, head = call(file), call(file, method="HEAD")
    assert head.headers == get.headers
    assert head.body == b""
    spared = Conditional(listed(("Content-Length", "200"), blocks=[]))
    assert call(spared, method="HEAD")["etag"] is None
    assert call(Conditional(listed(blocks=[])), method="HEAD")["etag"] is None
    assert call(Conditional(listed(blocks=[])))["etag"]
    own = Conditional(listed(("ETag", ETAG), ("Content-Length", "200"), blocks=[]))
    assert call(own, method="HEAD", fields={"If-None-Match": ETAG}).code == 304


def test_list_goes_on_as_it_is() -> None:
    """Without conditions the server gets the very list, and the fields with a tag."""
    blocks = [BODY]

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TYPE])
        return blocks

    heads: list[Any] = []
    found = Conditional(application)(make_environ(), lambda *head: heads.append(head) or print)
    assert found is blocks
    assert [name for name, _ in heads[0][1]] == ["Content-Type", "ETag"]
    fields = {"If-None-Match": '"x"'}
    assert Conditional(application)(make_environ(fields=fields), lambda *head: print) is blocks


def test_file_reaches_the_servers_own_wrapper(path: Path) -> None:
    """A whole file, and the end of one, goes out as what the server can send by sendfile."""

    class Own(FileWrapper):
        pass

    application = Conditional(filed(lambda: path.open("rb")))
    for fields, start in (({}, 0), ({"Range": "bytes=150-"}, 150)):
        heads: list[Any] = []
        environ = make_environ(fields=fields, **{"wsgi.file_wrapper": Own})
        found: Any = application(environ, lambda *head: heads.append(head) or print)
        assert type(found) is Own
        assert found.filelike.tell() == start
        assert ("Content-Length", str(200 - start)) in heads[0][1]
        found.close()
    environ = make_environ()
    del environ["wsgi.file_wrapper"]
    found = application(environ, lambda *head: print)
    assert b"".join(found) == BODY
    found.close()


def test_file_has_its_fields(path: Path) -> None:
    """A regular file says when it was modified, how long it is, and that there are ranges."""
    result = call(Conditional(filed(lambda: path.open("rb"))))
    assert (result["last-modified"], result["content-length"]) == (DATE, "200")
    assert result["accept-ranges"] == "bytes"
    for value, code in ((DATE, 304), (http_date(MODIFIED - 1).decode(), 200), ("x", 200)):
        application = Conditional(filed(lambda: path.open("rb")))
        assert call(application, fields={"If-Modified-Since": value}).code == code
        assert call(application, fields={"If-Unmodified-Since": value}).code == (
            412 if value not in (DATE, "x") else 200
        )


def test_file_from_its_position(path: Path) -> None:
    """The content of a file begins where it stands, and ends where Content-Length says."""

    def opened() -> Any:
        file = path.open("rb")
        file.seek(100)
        return file

    application = Conditional(filed(opened))
    assert call(application).body == BODY[100:]
    result = call(application, fields={"Range": "bytes=1-5"})
    assert (result.body, result["content-range"]) == (BODY[101:106], "bytes 1-5/100")
    application = Conditional(filed(opened, ("Content-Length", "50")))
    assert call(application, fields={"Range": "bytes=-5"}).body == BODY[145:150]
    application = Conditional(filed(opened, ("Content-Length", "500")))
    result = call(application, fields={"Range": "bytes=0-5"})
    assert (result.code, result["etag"]) == (200, None)


class Seekable(io.BytesIO):
    """A file of a type that nobody knows."""


def test_other_files(path: Path) -> None:
    """Of a file of another type the length is known only from the application."""
    plain = Conditional(filed(lambda: Seekable(BODY)))
    result = call(plain, fields={"Range": "bytes=0-5"})
    assert (result.code, result.body, result["etag"]) == (200, BODY, None)
    told = Conditional(filed(lambda: Seekable(BODY), ("Content-Length", "200")))
    result = call(told, fields={"Range": "bytes=-5"})
    assert (result.code, result.body) == (206, BODY[-5:])
    packed = io.BytesIO(gzip.compress(BODY))
    unpacked = Conditional(filed(lambda: gzip.GzipFile(fileobj=packed)))
    result = call(unpacked, fields={"Range": "bytes=0-5"})
    assert (result.code, result.body) == (200, BODY)


def test_files_without_a_size() -> None:
    """A pipe, an empty file and a file of /proc go out as they are."""
    reading, writing = os.pipe()
    os.write(writing, BODY)
    os.close(writing)
    fields = {"Range": "bytes=0-1"}
    application = Conditional(filed(lambda: open(reading, "rb")))  # noqa: SIM115
    assert call(application, fields=fields).body == BODY
    application = Conditional(filed(lambda: Path("/proc/self/status").open("rb")))  # noqa: SIM115
    assert call(application, fields=fields).body.startswith(b"Name:")
    application = Conditional(filed(io.BytesIO))
    assert call(application, fields=fields).code == 200


def test_validators_of_the_application() -> None:
    """They stay, and count; a tag is made beside a date, and none beside a tag."""
    application = Conditional(listed(("etag", ETAG)))
    result = call(application, fields={"If-None-Match": ETAG})
    assert (result.code, result.all("etag")) == (304, [ETAG])
    dated = Conditional(listed(("Last-Modified", DATE)))
    assert call(dated)["etag"]
    assert call(dated, fields={"If-Modified-Since": DATE}).code == 304
    assert call(dated, fields={"If-Modified-Since": DATE, "If-None-Match": '"x"'}).code == 200
    malformed = Conditional(listed(("ETag", "no quotes")))
    assert call(malformed, fields={"If-None-Match": "no quotes"}).code == 200


def test_options(path: Path) -> None:
    """Tags may be weak or none, ranges off, and content too large for a tag."""
    weak = Conditional(listed(), etag="weak")
    etag = call(weak)["etag"] or ""
    assert etag.startswith('W/"')
    assert call(weak, fields={"If-None-Match": etag}).code == 304
    assert call(weak, fields={"Range": "bytes=0-0", "If-Range": etag}).code == 200
    file = filed(lambda: path.open("rb"))
    assert (call(Conditional(file, etag="weak"))["etag"] or "").startswith('W/"')
    none = Conditional(listed(), etag="none")
    assert call(none)["etag"] is None
    assert call(none, fields={"If-Match": '"x"'}).code == 200
    assert call(none, fields={"Range": "bytes=0-0"}).code == 206
    assert call(none, fields={"Range": "bytes=0-0", "If-Range": ETAG}).code == 200
    whole = Conditional(file, ranges=False)
    assert call(whole, fields={"Range": "bytes=0-0"})["accept-ranges"] is None
    assert call(whole, fields={"Range": "bytes=0-0"}).body == BODY
    assert call(Conditional(listed(), maximum=199))["etag"] is None
    assert call(Conditional(listed(), maximum=200))["etag"]
    assert call(Conditional(filed(lambda: io.BytesIO(BODY)), maximum=199))["etag"] is None


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"etag": "both"}, "etag"),
        ({"maximum": -1}, "maximum"),
        ({"maximum": "1 MB"}, "maximum"),
        ({"maximum": True}, "maximum"),
        ({"ranges": "yes"}, "ranges"),
    ],
)
def test_options_are_checked(options: Any, word: str) -> None:
    """An option that is wrong is told at construction."""
    with pytest.raises(ValueError, match=word):
        Conditional(**options)


@pytest.mark.parametrize("fields", [{}, {"If-None-Match": '"a"'}])
def test_what_is_large_is_not_copied(fields: dict[str, str]) -> None:
    """Blocks beyond `maximum` are put together for nothing."""
    blocks = [bytes(4_000_000), bytes(4_000_000)]
    headers = [("Content-Type", "text/plain"), ("ETag", '"a"')][: 2 if fields else 1]

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", headers[:])
        return blocks

    environ = make_environ(fields=fields)
    tracemalloc.start()
    try:
        found: Any = Conditional(application, maximum=1_000_000)(environ, lambda *args: len)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found is blocks) is not bool(fields)
    assert peak < 1_000_000


def test_what_is_left_alone() -> None:
    """Other statuses and methods, what may not be stored, and what has no ranges of bytes."""
    everything = {"If-None-Match": "*", "Range": "bytes=0-0", "If-Match": '"x"'}
    for status in ("404 Not Found", "201 Created", "206 Partial Content"):
        result = call(Conditional(listed(("ETag", ETAG), status=status)), fields=everything)
        assert (result.status, result.body) == (status, BODY)
    for method in ("POST", "PUT", "DELETE"):
        application = Counted(BODY, fields=[("ETag", ETAG)])
        result = call(Conditional(application), method=method, fields=everything)
        assert (result.code, result.body) == (200, BODY)
        assert application.environ["wsgi.file_wrapper"] is FileWrapper
    assert call(Conditional(listed(("Cache-Control", "private, No-Store"))))["etag"] is None
    unwilling = Conditional(listed(("Accept-Ranges", "none")))
    assert call(unwilling, fields={"Range": "bytes=0-0"}).body == BODY
    wrong = Conditional(listed(("Content-Length", "7")))
    assert call(wrong, fields={"Range": "bytes=0-0"})["etag"] is None


def test_blocks_stay_blocks() -> None:
    """What an application yields goes on block by block, and gets no tag."""
    application = Counted(b"a", b"", b"b")
    found = Conditional(application)(make_environ(fields={"Range": "bytes=0-0"}), lambda *a: print)
    iterator = iter(found)
    assert (next(iterator), application.yielded) == (b"a", 1)
    assert [*iterator] == [b"", b"b"]
    found.close()  # type: ignore[attr-defined]
    found.close()  # type: ignore[attr-defined]
    assert application.closed == 1


def test_blocks_with_validators() -> None:
    """Validators of the application's end a response that nobody needs, also one that comes late."""
    for fields, code in (({"If-None-Match": ETAG}, 304), ({"If-Match": '"x"'}, 412)):
        for method in ("GET", "HEAD"):
            application = Counted(b"a", b"b", fields=[("ETag", ETAG), ("Set-Cookie", "a=b")])
            result = call(Conditional(application), method=method, fields=fields)
            assert result.code == code
            assert result.body == (
                b"412 Precondition Failed\n" if (code, method) == (412, "GET") else b""
            )
            assert (application.yielded, application.closed) == (1, 1)
    application = Counted(b"a", fields=[("Last-Modified", DATE)])
    assert call(Conditional(application), fields={"If-Modified-Since": DATE}).code == 304


@pytest.mark.parametrize("late", [False, True])
def test_one_block_that_is_all(late: bool) -> None:
    """A first block as long as Content-Length says is the whole; a shorter one goes out at once."""
    yielded: list[bytes] = []

    def make(*blocks: bytes) -> Any:
        def generated() -> Iterator[bytes]:
            for block in blocks:
                yielded.append(block)
                yield block

        def application(environ: Any, start_response: Any) -> Any:
            head = "200 OK", [TYPE, ("Content-Length", str(sum(map(len, blocks))))]
            if not late:
                start_response(*head)
                return generated()

            def start() -> Iterator[bytes]:
                start_response(*head)
                yield from generated()

            return start()

        return Conditional(application)

    whole = make(BODY)
    etag = call(whole)["etag"]
    assert etag == call(Conditional(listed()))["etag"]
    assert call(whole).body == BODY
    assert call(whole, fields={"If-None-Match": etag or ""}).code == 304
    result = call(whole, fields={"Range": "bytes=-5"})
    assert (result.code, result.body) == (206, BODY[-5:])
    assert call(make(BODY, b""), fields={"Range": "bytes=-5"}).body == BODY[-5:]
    parts = make(b"a", b"b")
    yielded.clear()
    found = iter(parts(make_environ(), lambda *args: print))
    assert (next(found), yielded) == (b"a", [b"a"])
    found.close()  # type: ignore[attr-defined]
    result = call(parts, fields={"Range": "bytes=0-0"})
    assert (result.code, result.body, result["etag"]) == (200, b"ab", None)


def test_early_generator() -> None:
    """A head that is known at once decides before the first block is asked for."""
    closed: list[int] = []

    class Blocks:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a"])

        def close(self) -> None:
            closed.append(1)

    blocks = Blocks()

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TYPE, ("ETag", ETAG)])
        return blocks

    assert Conditional(application)(make_environ(), lambda *a: print) is blocks
    assert call(Conditional(application), fields={"If-None-Match": "*"}).code == 304
    assert closed == [1]


def test_write() -> None:
    """Blocks that are given to write() go out, or are dropped with a 304."""

    def early(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [TYPE, ("ETag", ETAG)])
        write(b"a")
        return [b"b"]

    def late(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TYPE, ("ETag", ETAG)])(b"a")
        yield b"b"

    for application in (early, late):
        result = call(Conditional(application))
        assert (result.code, result.body) == (200, b"ab")
        result = call(Conditional(application), fields={"If-None-Match": "*"})
        assert (result.code, result.body) == (304, b"")
        assert call(Conditional(application), fields={"If-Match": '"x"'}).code == 412


def test_exc_info() -> None:
    """A response that is replaced in time is judged anew; too late, the error is raised."""

    def replaced(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TYPE, ("ETag", ETAG)])
        try:
            raise LookupError
        except LookupError:
            start_response("500 Oh", [TYPE], sys.exc_info())
        return [b"sorry"]

    result = call(Conditional(replaced), fields={"If-None-Match": "*"})
    assert (result.status, result.body) == ("500 Oh", b"sorry")

    def late(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TYPE])
        yield b"a"
        error = LookupError("late")
        start_response("500 Oh", [TYPE], (LookupError, error, None))

    with pytest.raises(LookupError, match="late"):
        call(Conditional(late))

    def twice(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TYPE])
        start_response("200 OK", [TYPE])
        return [b""]

    with pytest.raises(AssertionError, match="a second time"):
        Conditional(twice)(make_environ(), lambda *a: print)


def test_failures() -> None:
    """A failure goes on to the server, before, within and after; what was opened is closed."""

    def before(environ: Any, start_response: Any) -> Any:
        raise LookupError("before")

    with pytest.raises(LookupError, match="before"):
        Conditional(before)(make_environ(), lambda *a: print)
    application = Counted(b"a", 5)  # type: ignore[arg-type]
    found: Any = Conditional(application._application)(make_environ(), lambda *a: print)
    with pytest.raises(AssertionError):
        assert [*found] == [b"a"]
    found.close()
    assert application.closed == 1
    file = io.BytesIO(BODY)

    def refuse(*args: Any) -> Any:
        raise LookupError("refused")

    with pytest.raises(LookupError, match="refused"):
        Conditional(filed(lambda: file))(make_environ(), refuse)
    assert file.closed


@pytest.mark.parametrize(
    "fields", [{}, {"If-None-Match": "*"}, {"Range": "bytes=0-1"}, {"If-Match": '"x"'}]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_files_are_closed(path: Path, fields: dict[str, str], method: str) -> None:
    """Every way of answering closes the file."""
    files: list[Any] = []

    def opened() -> Any:
        files.append(path.open("rb"))
        return files[-1]

    call(Conditional(filed(opened)), method=method, fields=fields)
    assert files[0].closed


def test_one_within_the_other(path: Path) -> None:
    """Two of them do no harm."""
    application = Conditional(Conditional(filed(lambda: path.open("rb"))))
    etag = call(application)["etag"] or ""
    assert call(application, fields={"Range": "bytes=-5"}).body == BODY[-5:]
    assert call(application, fields={"If-None-Match": etag}).code == 304
    assert call(Conditional(Conditional(listed()))).all("etag") == [
        call(Conditional(listed()))["etag"]
    ]


def test_with_flask(path: Path) -> None:
    """Files that Flask sends without its own conditions get ours."""
    flask = pytest.importorskip("flask")
    site = flask.Flask("site")

    @site.get("/")
    def page() -> Any:
        return "hello"

    @site.get("/file")
    def file() -> Any:
        return flask.send_file(path, conditional=False, etag=False)

    application = Conditional(site)
    assert call(application, fields={"Range": "bytes=1-2"}).body == b"el"
    assert call(application, "/file", fields={"Range": "bytes=-5"}).body == BODY[-5:]
    assert call(application, "/file", fields={"If-None-Match": "*"}).code == 304


def test_threads() -> None:
    """One instance serves many threads."""
    application = Conditional(listed())
    wrong: list[Any] = []

    def ask() -> None:
        for number in range(50):
            body = call(application, fields={"Range": f"bytes={number}-{number}"}).body
            if body != BODY[number : number + 1]:
                wrong.append(body)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_on_the_wire(tmp_path: Path) -> None:
    """A real server sends large files, whole and in parts."""
    import urllib.request

    path = tmp_path / "large"
    path.write_bytes(LARGE)
    with LiveServer(Conditional(filed(lambda: path.open("rb")))) as server:
        for value, expected in (
            ("", LARGE),
            ("bytes=1000-", LARGE[1000:]),
            ("bytes=7-99999", LARGE[7:100_000]),
        ):
            request = urllib.request.Request(server.url, headers={"Range": value})
            with urllib.request.urlopen(request) as response:
                assert response.read() == expected
