"""Static: files of a directory, whatever is asked for and whatever lies there."""

from __future__ import annotations

import gzip
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import pytest

from breezeway.middleware import Static, stack
from breezeway.middleware.static.manifest import NAME
from breezeway.testing import LiveServer

from .calling import Counted, Result, call, make_environ

CSS = b"body { color: teal }\n" * 10
LARGE = bytes(range(256)) * 1024  # more than is kept in memory
HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
OLD = time.time() - 1000
FINGERPRINTED = "app.3f2a9c1b7d04.js"

Make = Callable[..., WSGIApplication]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a directory with the files of a site, and something beside it."""
    root = tmp_path / "root"
    (root / "css").mkdir(parents=True)
    (root / "docs").mkdir()
    (root / ".well-known").mkdir()
    (root / ".git").mkdir()
    (root / ".well-known" / "security.txt").write_bytes(b"mail")
    for name, content in {
        "css/site.css": CSS,
        "large.bin": LARGE,
        FINGERPRINTED: b"go()",
        ".env": b"SECRET=1",
        ".git/config": b"secret",
        "docs/index.html": b"<p>docs",
        "index.html": b"<p>home",
        "empty.txt": b"",
        "ä b.txt": b"umlaut",
    }.items():
        (root / name).write_bytes(content)
        os.utime(root / name, (OLD, OLD))
    (tmp_path / "outside.txt").write_bytes(b"secret")
    return root


@pytest.fixture(params=[False, True], ids=["table", "refresh"])
def make(request: pytest.FixtureRequest, root: Path) -> Make:
    """Make a piece around an application that answers in text, in both ways of finding files."""

    def made(**options: Any) -> WSGIApplication:
        options.setdefault("directory", root)
        return Static(Counted(b"application"), refresh=request.param, **options)

    return made


def test_file(make: Make) -> None:
    """A file has its type, validators and caching."""
    result = call(make(), "/static/css/site.css")
    assert (result.code, result.body) == (200, CSS)
    assert result["content-type"] == "text/css; charset=utf-8"
    assert result["content-length"] == str(len(CSS))
    assert result["cache-control"] == "no-cache"
    assert result["x-content-type-options"] == "nosniff"
    assert result["accept-ranges"] == "bytes"
    assert result["etag"]
    assert result["last-modified"]
    assert result["vary"] is None


def test_refresh(root: Path) -> None:
    """A piece that has made its list, and keeps small files, can be told to look at the disk instead."""
    piece = Static(Counted(b"application"), directory=root)
    assert call(piece, "/static/css/site.css").body == CSS
    piece.refresh()
    (root / "css" / "site.css").write_bytes(b"new")
    (root / "new.txt").write_bytes(b"there")
    assert call(piece, "/static/css/site.css").body == b"new"
    assert call(piece, "/static/new.txt").body == b"there"


def test_large_file_goes_by_the_wrapper_of_the_server(make: Make) -> None:
    """A file that is not kept reaches the server as what it can send by sendfile."""

    class Wrapper:
        def __init__(self, file: Any, block_size: int) -> None:
            self.file = file

        def __iter__(self) -> Iterator[bytes]:
            return iter(lambda: self.file.read(1000), b"")

        def close(self) -> None:
            self.file.close()

    for fields, start in (({}, 0), ({"Range": "bytes=1000-"}, 1000)):
        environ = make_environ("/static/large.bin", fields=fields, **{"wsgi.file_wrapper": Wrapper})
        found: Any = make()(environ, lambda *args: print)
        assert type(found) is Wrapper
        assert found.file.tell() == start
        assert b"".join(found) == LARGE[start:]
        found.close()
    environ = make_environ("/static/large.bin", fields={"Range": "bytes=5-9"})
    found = make()(environ, lambda *args: print)
    assert found == [LARGE[5:10]]
    environ = make_environ("/static/large.bin", fields={"Range": "bytes=5-99999"})
    found = make()(environ, lambda *args: print)
    assert b"".join(found) == LARGE[5:100_000]
    found.close()
    environ = make_environ("/static/large.bin")
    del environ["wsgi.file_wrapper"]
    found = make()(environ, lambda *args: print)
    assert b"".join(found) == LARGE
    found.close()
    found.close()


def test_head(make: Make) -> None:
    """A HEAD has the fields of a GET and no content."""
    application = make()
    for path in ("/static/css/site.css", "/static/large.bin", "/static/css/site.css"):
        head, get = call(application, path, method="HEAD"), call(application, path)
        assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


def test_conditional(make: Make) -> None:
    """Conditions are evaluated as RFC 9110 has them, for small files and large ones, twice each."""
    application = make()
    for path in ("/static/css/site.css", "/static/large.bin") * 2:
        first = call(application, path)
        etag, date = first["etag"], first["last-modified"]
        assert etag is not None
        for condition in (
            {"If-None-Match": etag},
            {"If-None-Match": f'"x", W/{etag}'},
            {"If-None-Match": "*"},
            {"If-Modified-Since": date},
        ):
            result = call(application, path, fields=condition)
            assert (result.code, result.body) == (304, b"")
            assert result["etag"] == etag
            assert result["cache-control"] == "no-cache"
            assert result["content-length"] is None
        assert call(application, path, fields={"If-None-Match": '"x"'}).code == 200
        assert call(application, path, fields={"If-Match": '"x"'}).code == 412
        both = {"If-Match": '"x"', "If-None-Match": etag}
        assert call(application, path, fields=both).code == 412


def test_ranges(make: Make) -> None:
    """One range, several, the last bytes, one beyond the end, and If-Range."""
    application = make()
    for path, content in (("css/site.css", CSS), ("large.bin", LARGE), ("css/site.css", CSS)):
        path = f"/static/{path}"
        etag = call(application, path)["etag"]
        assert call(application, path, fields={"Range": "bytes=0-0"}).body == content[:1]
        last = call(application, path, fields={"Range": "bytes=-7", "If-Range": etag})
        assert (last.code, last.body) == (206, content[-7:])
        assert (
            last["content-range"] == f"bytes {len(content) - 7}-{len(content) - 1}/{len(content)}"
        )
        several = call(application, path, fields={"Range": "bytes=0-4,150-159"})
        assert (several["content-type"] or "").startswith("multipart/byteranges")
        assert several["content-length"] == str(len(several.body))
        assert content[:5] in several.body
        assert call(application, path, fields={"Range": "bytes=999999-"}).code == 416
        whole = call(application, path, fields={"Range": "bytes=0-0", "If-Range": '"x"'})
        assert (whole.code, whole.body) == (200, content)


def test_precompressed_siblings(make: Make, root: Path) -> None:
    """The client gets the best that it accepts; each variant has a tag of its own."""
    (root / "css" / "site.css.gz").write_bytes(gzip.compress(CSS))
    (root / "css" / "site.css.br").write_bytes(b"brotli")
    application = make()

    def get(accepted: str | None) -> Result:
        fields = {} if accepted is None else {"Accept-Encoding": accepted}
        return call(application, "/static/css/site.css", fields=fields)

    tags = set()
    for accepted, coding in (
        ("gzip, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0.5, gzip", "gzip"),
        ("gzip;q=0, br;q=0", None),
        ("*;q=0", None),
        (None, None),
        ("zstd", None),
        (f"gzip;q=1{', x' * 200}", "gzip"),
    ):
        for _ in range(2):
            result = get(accepted)
            assert result["content-encoding"] == coding
            assert result["content-type"] == "text/css; charset=utf-8"
            assert result["vary"] == "Accept-Encoding"
            assert result["content-length"] == str(len(result.body))
        tags.add(result["etag"])
    assert len(tags) == 3
    (root / "css" / "site.css.br").unlink()
    if isinstance(application, Static) and application._table is None:
        assert get("br")["content-encoding"] is None


def test_sibling_that_has_gone(root: Path) -> None:
    """When a variant is not there any more, the file itself goes out."""
    sibling = root / "large.bin.gz"
    sibling.write_bytes(gzip.compress(LARGE))
    application = Static(Counted(b"a"), directory=root)
    sibling.unlink()
    result = call(application, "/static/large.bin", fields={"Accept-Encoding": "gzip"})
    assert (result["content-encoding"], result.body) == (None, LARGE)


def test_stale_sibling(make: Make, root: Path) -> None:
    """A sibling that is much older than its file was made of another version."""
    sibling = root / "css" / "site.css.gz"
    sibling.write_bytes(b"old")
    os.utime(sibling, (OLD - 100, OLD - 100))
    result = call(make(), "/static/css/site.css", fields={"Accept-Encoding": "gzip"})
    assert result["content-encoding"] is None


def test_what_is_not_there_is_the_applications(make: Make) -> None:
    """The application answers for all else, with any method; or 404 does by option."""
    for path in (
        "/",
        "/static",
        "/static/",
        "/static/no.css",
        "/statics/css/site.css",
        "/static/css",
    ):
        assert call(make(), path).body == b"application"
    assert call(make(), "/static/no.css", method="POST").body == b"application"
    strict = make(missing="404")
    assert call(strict, "/static/no.css").code == 404
    assert call(strict, "/static").code == 404
    assert call(strict, "/static/no.css", method="POST").code == 405
    assert call(strict, "/statics").code == 200


def test_other_methods(make: Make) -> None:
    """What is no GET or HEAD is refused for a file, and below / it is the application's."""
    refused = call(make(), "/static/css/site.css", method="POST", body=b"x")
    assert (refused.code, refused["allow"]) == (405, "GET, HEAD, OPTIONS")
    options = call(make(), "/static/css/site.css", method="OPTIONS")
    assert (options.code, options["allow"], options.body) == (204, "GET, HEAD, OPTIONS", b"")
    assert call(make(prefix="/"), "/css/site.css", method="POST").body == b"application"


@pytest.mark.parametrize(
    "path",
    [
        "../outside.txt",
        "css/../../outside.txt",
        "css/../css/site.css",
        "/etc/passwd",
        "//etc/passwd",
        "css//site.css",
        "css/./site.css",
        "css/site.css/",
        "css/site.css\0",
        "css/site.css\0.png",
        "..\\outside.txt",
        ".env",
        ".git/config",
        "x" * 300,
        "x/" * 3000,
        "\xff\xfe",
        "\xc0\xae\xc0\xae/outside.txt",
        "link/outside.txt",
        "outside.txt",
        "pipe",
        "socket",
        "css",
    ],
)
def test_nothing_else_is_served(make: Make, root: Path, path: str) -> None:
    """No path leads out of the directory, to a name with a dot, or to what is no regular file."""
    (root / "link").symlink_to(root.parent)
    (root / "outside.txt").symlink_to("../outside.txt")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "socket"))
        assert call(make(), f"/static/{path}").body == b"application"


def test_links(make: Make, root: Path) -> None:
    """Links that stay within are followed, others by option; one that leads up is no endless way."""
    (root / "styles").symlink_to("css")
    (root / "same.css").symlink_to("css/site.css")
    (root / "css" / "up").symlink_to("..")
    (root / "outside.txt").symlink_to("../outside.txt")
    for path in ("styles/site.css", "same.css"):
        assert call(make(), f"/static/{path}").body == CSS
    assert call(make(), "/static/outside.txt").body == b"application"
    assert call(make(symlinks=True), "/static/outside.txt").body == b"secret"


def test_swapped_for_a_link(root: Path) -> None:
    """A file of the table that has become a link out of the directory is not read."""
    application = Static(Counted(b"application"), directory=root)
    (root / "large.bin").unlink()
    (root / "large.bin").symlink_to("../outside.txt")
    assert call(application, "/static/large.bin").body == b"application"
    (root / "css").rename(root.parent / "css")
    (root / "css").symlink_to("../css")
    (root.parent / "css" / "site.css").write_bytes(b"secret")
    assert call(application, "/static/css/site.css").body == b"application"


def test_another_version(root: Path) -> None:
    """A file of the table that was replaced goes out with its own length and tag."""
    application = Static(Counted(b"application"), directory=root)
    before = call(application, "/static/large.bin", method="HEAD")
    (root / "new").write_bytes(LARGE + b"more")
    (root / "new").replace(root / "large.bin")
    for _ in range(2):
        after = call(application, "/static/large.bin")
        assert (after.body, after["content-length"]) == (LARGE + b"more", str(len(LARGE) + 4))
        assert after["etag"] != before["etag"]


def test_gone(make: Make, root: Path) -> None:
    """A file that was removed is not there."""
    application = make()
    (root / "large.bin").unlink()
    assert call(application, "/static/large.bin").body == b"application"


def test_shorter_while_it_is_sent(root: Path) -> None:
    """A file that is cut off while a part of it goes out ends the part."""
    environ = make_environ("/static/large.bin", fields={"Range": "bytes=0-199999"})
    found: Any = Static(Counted(b"a"), directory=root)(environ, lambda *args: print)
    blocks = iter(found)
    first = next(blocks)
    os.truncate(root / "large.bin", 70_000)
    assert first + b"".join(blocks) == LARGE[:70_000]
    found.close()


def test_fails(root: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Without a file descriptor it is 503, with a failing disk 500; both are logged."""
    import errno

    from breezeway.middleware.static import file_answer as static_answer

    application = Static(Counted(b"application"), directory=root)
    for number, status in ((errno.EMFILE, 503), (errno.EIO, 500), (errno.ENOMEM, 503)):

        def fail(*args: Any, number: int = number, **kwargs: Any) -> Any:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(static_answer, "reopen", fail)
        assert call(application, "/static/large.bin").code == status
    assert len(caplog.records) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(make: Make, root: Path) -> None:
    """A file that may not be read is not there."""
    (root / "large.bin").chmod(0)
    assert call(make(), "/static/large.bin").body == b"application"


def test_descriptors_are_closed(make: Make) -> None:
    """Every way of answering closes what it has opened."""
    application = make(memory=0)
    before = len(os.listdir("/proc/self/fd"))
    for fields in (
        {},
        {"Range": "bytes=0-4"},
        {"Range": "bytes=0-4,900-"},
        {"Range": "bytes=999999-"},
        {"If-Match": '"x"'},
        {"If-None-Match": "*"},
    ):
        for method in ("GET", "HEAD"):
            call(application, "/static/large.bin", method=method, fields=fields)

    def fail(*args: Any) -> Any:
        raise LookupError

    with pytest.raises(LookupError):
        application(make_environ("/static/large.bin"), fail)
    assert len(os.listdir("/proc/self/fd")) == before


def test_memory(root: Path) -> None:
    """Small files are kept up to the bound, and sent without another look."""
    application = Static(Counted(b"application"), directory=root, memory=len(CSS) + 1)
    call(application, "/static/css/site.css")
    call(application, "/static/index.html")
    (root / "css" / "site.css").unlink()
    (root / "index.html").unlink()
    assert call(application, "/static/css/site.css").body == CSS
    assert call(application, "/static/index.html").body == b"application"


def test_immutable(make: Make) -> None:
    """Names with a fingerprint may be kept for ever, others for as long as the option says."""
    for_ever = "public, max-age=31536000, immutable"
    assert call(make(), f"/static/{FINGERPRINTED}")["cache-control"] == for_ever
    application = make(immutable=r"^css/", max_age=60)
    assert call(application, "/static/css/site.css")["cache-control"] == for_ever
    assert call(application, "/static/large.bin")["cache-control"] == "public, max-age=60"


def test_fields_and_types(make: Make, root: Path) -> None:
    """Further fields replace those of the piece, but for Vary, which they add to."""
    (root / "css" / "site.css.gz").write_bytes(b"gz")
    fields = {"Access-Control-Allow-Origin": "*", "vary": "Origin", "cache-control": "no-store"}
    application = make(fields=fields, types={"CSS": "text/plain", ".bin": "x/y"})
    result = call(application, "/static/css/site.css")
    assert result["access-control-allow-origin"] == "*"
    assert result["vary"] == "Accept-Encoding, Origin"
    assert result["cache-control"] == "no-store"
    assert result["content-type"] == "text/plain"
    assert call(application, "/static/large.bin")["content-type"] == "x/y"


def test_index(make: Make) -> None:
    """A directory is answered by its index, after a redirection if its slash is missing."""
    application = make(index="index.html")
    assert call(application, "/static/docs/").body == b"<p>docs"
    assert call(application, "/static/").body == b"<p>home"
    redirect = call(application, "/static/docs?a=1", SCRIPT_NAME="/mount \xc3\xa4")
    assert (redirect.code, redirect["location"]) == (302, "/mount%20%C3%A4/static/docs/?a=1")
    assert call(application, "/static")["location"] == "/static/"
    assert call(application, "/static/css/").body == b"application"
    assert call(make(prefix="/", index="index.html"), "/").body == b"<p>home"
    assert call(make(prefix="/", index="index.html"), "/", method="POST").body == b"application"
    assert call(make(), "/static/docs/").body == b"application"


def test_fallback(make: Make) -> None:
    """Pages of a single-page application get its index; data, assets and the API do not."""
    application = make(prefix="/", fallback="index.html", fallback_except=["/api/"])

    def get(path: str, method: str = "GET", **fields: str) -> bytes:
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        return call(application, path, method=method, fields=given).body

    for path in ("/", "/users/7", "/a.b/c", "/apis"):
        assert get(path, **HTML) == b"<p>home"
    assert get("/users", Sec_Fetch_Mode="navigate", **HTML) == b"<p>home"
    assert get("/css/site.css", **HTML) == CSS
    for path in ("/no.css", "/users/7.json", "/api", "/api/users"):
        assert get(path, **HTML) == b"application"
    assert get("/users", Sec_Fetch_Mode="cors", **HTML) == b"application"
    for accept in ("", "*/*", "application/json", "text/html;q=0", "text/html ; q=0.000"):
        assert get("/users", Accept=accept) == b"application"
    assert get("/users", "POST", **HTML) == b"application"
    assert get("/users", "HEAD", **HTML) == b""
    assert call(application, "/users", fields=HTML)["vary"] == "Accept, Sec-Fetch-Mode"
    assert call(application, "/index.html", fields=HTML)["vary"] is None


def test_names_of_options_beyond_ascii(make: Make, root: Path) -> None:
    """Options name files and paths as people write them."""
    (root / "ä").mkdir()
    (root / "ä" / "ö.html").write_bytes(b"<p>page")
    application: Any = make(
        prefix="/ü", index="ö.html", fallback="ä/ö.html", fallback_except=["/ü/ß"]
    )

    def get(path: str) -> bytes:
        return call(application, path.encode().decode("latin-1"), fields=HTML).body

    assert get("/ü/ä/") == get("/ü/ä/ö.html") == get("/ü/x") == b"<p>page"
    assert get("/ü/ß/x") == b"application"
    assert application.url("ä/ö.html") == "/%C3%BC/%C3%A4/%C3%B6.html"


def test_several_directories(make: Make, root: Path, tmp_path: Path) -> None:
    """The first directory that has a file counts."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "more.txt").write_bytes(b"more")
    (other / "large.bin").write_bytes(b"another")
    application = make(directory=[str(root), str(other)])
    assert call(application, "/static/more.txt").body == b"more"
    assert call(application, "/static/large.bin").body == LARGE


def test_names_beyond_ascii(make: Make) -> None:
    """A name is the bytes of the path."""
    application: Any = make()
    assert call(application, "/static/\xc3\xa4 b.txt").body == b"umlaut"
    assert application.url("ä b.txt") == "/static/%C3%A4%20b.txt"
    assert call(application, "/static/.well-known/security.txt").body == b"mail"
    assert call(application, "/static/empty.txt").body == b""


def write_manifest(root: Path, **names: str) -> None:
    """Write a manifest with these names; `css_site` is css/site.css."""
    files = {name.replace("__", "/").replace("_", "."): {"name": to} for name, to in names.items()}
    (root / NAME).write_text(json.dumps({"version": 1, "files": files}))


def test_manifest(make: Make, root: Path) -> None:
    """The manifest gives URLs and says what may be kept for ever; it is not served itself."""
    (root / "css" / "site.v2.css").write_bytes(CSS)
    write_manifest(root, css__site_css="css/site.v2.css")
    application: Any = make()
    assert application.url("css/site.css") == "/static/css/site.v2.css"
    with pytest.raises(ValueError, match=r"no 'css/none.css'"):
        application.url("css/none.css")
    assert "immutable" in call(application, "/static/css/site.v2.css")["cache-control"]
    assert call(application, f"/static/{NAME}").body == b"application"


def test_url_in_the_environ(make: Make, root: Path) -> None:
    """The application finds the function in the environ; it knows where the piece is mounted."""
    inner = Counted(b"a")
    outer: Any = make()
    outer.application = inner
    call(outer, "/", SCRIPT_NAME="/shop")
    assert inner.environ["breezeway.static_url"]("a.css") == "/shop/static/a.css"
    write_manifest(root, a_css="a.1.css")
    with_manifest: Any = make(prefix="/assets/")
    with_manifest.application = inner
    outer.application = with_manifest
    call(outer, "/")
    assert inner.environ["breezeway.static_url"]("a.css") == "/assets/a.1.css"
    with_manifest.application, outer.application = outer, inner
    call(with_manifest, "/")
    assert inner.environ["breezeway.static_url"]("a.css") == "/assets/a.1.css"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"directory": "/nowhere/at/all"}, "not there"),
        ({"directory": []}, "directory"),
        ({"directory": 5}, "directory"),
        ({"prefix": "static"}, "prefix"),
        ({"prefix": "/a//b"}, "prefix"),
        ({"missing": "500"}, "missing"),
        ({"missing": "404", "prefix": "/"}, "missing"),
        ({"memory": -1}, "memory"),
        ({"max_age": -1}, "max_age"),
        ({"max_age": True}, "max_age"),
        ({"immutable": "("}, "immutable"),
        ({"fields": {"a b": "c"}}, "fields"),
        ({"fields": {"a": "c\r\nd: e"}}, "fields"),
        ({"fields": {"ETag": "c"}}, "ETag"),
        ({"fields": ["a"]}, "fields"),
        ({"types": {".css": "css"}}, "types"),
        ({"index": "/index.html"}, "index"),
        ({"fallback": 5}, "fallback"),
        ({"fallback": "none.html"}, "fallback"),
        ({"fallback_except": "/api"}, "fallback_except"),
        ({"fallback_except": ["api"]}, "fallback_except"),
        ({"fallback_except": 5}, "fallback_except"),
        ({"manifest": "/nowhere.json"}, "manifest"),
        ({"manifest": True}, "manifest"),
        ({"immutable": ["a"]}, "immutable"),
        ({"immutable": b"a"}, "immutable"),
        ({"fields": []}, "fields"),
        ({"fields": {1: "a"}}, "fields"),
        ({"types": []}, "types"),
        ({"types": {1: "text/css"}}, "types"),
        ({"symlinks": "false"}, "symlinks must be true or false, not 'false'"),
        ({"refresh": 1}, "refresh must be true or false"),
    ],
)
def test_options_are_checked(root: Path, options: dict[str, Any], words: str) -> None:
    """An option that is wrong is told at construction, by its name."""
    with pytest.raises(ValueError, match=words):
        Static(**{"directory": root, **options})


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 1, "files": {"a": {}}}', '{"files": 5}']
)
def test_broken_manifest(root: Path, text: str) -> None:
    """A manifest that is none, or of a later version, is told."""
    (root / NAME).write_text(text)
    with pytest.raises(ValueError, match="no manifest"):
        Static(directory=root)
    (root / NAME).write_text('{"version": 2, "files": {}}')
    with pytest.raises(ValueError, match="version 2"):
        Static(directory=root)


def test_threads(root: Path) -> None:
    """Many threads get the same bytes."""
    (root / "css" / "site.css.gz").write_bytes(gzip.compress(CSS))
    application = Static(Counted(b"application"), directory=root)
    wrong: list[Any] = []

    def ask() -> None:
        for _ in range(20):
            for path, content in (
                ("large.bin", LARGE),
                ("css/site.css", CSS),
                ("no", b"application"),
            ):
                if call(application, f"/static/{path}").body != content:
                    wrong.append(path)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_on_the_wire(root: Path) -> None:
    """A real server sends the files, whole and in parts."""
    import urllib.request

    application = stack(Counted(b"application"), Static(directory=root))
    with LiveServer(application) as server:
        for path, content in (("large.bin", LARGE), ("css/site.css", CSS)):
            for value, expected in (
                ("bytes=0-", content),
                ("bytes=100-", content[100:]),
                ("bytes=7-99", content[7:100]),
            ):
                request = urllib.request.Request(
                    f"{server.url}/static/{path}", headers={"Range": value}
                )
                with urllib.request.urlopen(request) as response:
                    assert response.read() == expected
