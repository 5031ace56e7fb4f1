"""Static files without a socket: who answers for a path, what is kept, and what goes wrong."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway import beneath
from breezeway.config.settings import Settings
from breezeway.worker import static_files
from breezeway.worker.static_files import CACHE_BYTES, StaticFiles

OLD = 1_000_000_000
"""A time of modification so long ago that the content may be kept."""


class Site:
    """A directory that is served below /static."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.directory = directory
        self.notes: list[str] = []
        settings.setdefault("static", (f"/static={directory}",))
        self.files = StaticFiles(Settings(**settings), self._note)

    def _note(self, kind: str, message: str, *args: object) -> None:
        self.notes.append(f"{kind}: {message % args}")

    def write(self, name: str, content: bytes, modified: float = OLD) -> Path:
        """Make a file."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (modified, modified))
        return path

    def handler(self, path: str, method: str = "GET", **fields: str) -> Callable[[], Answer] | None:
        """Return what answers a head, again and again."""
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path}
        environ |= {f"HTTP_{name.upper()}": value for name, value in fields.items()}
        application = self.files.local(environ)
        return None if application is None else lambda: Answer(application, environ.copy())

    def get(self, path: str, method: str = "GET", **fields: str) -> Answer:
        """Ask once."""
        handler = self.handler(path, method, **fields)
        assert handler is not None
        return handler()


class Answer:
    """What an application answered."""

    def __init__(self, application: Callable[..., Iterable[bytes]], environ: Any) -> None:
        result = application(environ, self._start)
        self.body = b"".join(result)
        self.in_memory = isinstance(result, list)
        close = getattr(result, "close", None)
        if close is not None:
            close()

    def _start(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status = int(status[:3])
        self.fields = dict(headers)
        assert len(self.fields) == len(headers)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have files count as settled that were made a moment ago."""
    monkeypatch.setattr(static_files, "SETTLED_NS", 0)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Serve a directory with one file in it."""
    site = Site(tmp_path)
    site.write("a.css", b"body{}")
    return site


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note which files are opened."""
    names: list[str] = []

    def noting(root: str, path: str, *, anywhere: bool = False) -> beneath.OpenFile:
        names.append(path)
        return beneath.open_beneath(root, path, anywhere=anywhere)

    monkeypatch.setattr(static_files, "open_beneath", noting)
    yield names
    assert not [fd for fd in os.listdir("/proc/self/fd") if _leads_to(fd, names)]


def _leads_to(fd: str, names: list[str]) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").endswith(tuple(f"/{name}" for name in names))
    except OSError:
        return False


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/static/a.css", True),
        ("/static/", True),
        ("/static", True),
        ("/staticx", False),
        ("/static.css", False),
        ("/", False),
        ("", False),
        ("*", False),
        ("/x/static/a.css", False),
        ("//static/a.css", False),
        ("/STATIC/a.css", False),
    ],
)
def test_prefix(site: Site, path: str, ours: bool) -> None:
    """A prefix ends at a slash, and what is below it is the server's, found or not."""
    assert (site.handler(path) is not None) is ours


def test_longest_prefix_wins(tmp_path: Path) -> None:
    """Of two prefixes the longer one is asked, also when only the other one has the file."""
    specs = (f"/s={tmp_path}/a", f"/s/b/={tmp_path}/b")
    site = Site(tmp_path, static=specs)
    site.write("a/b/x", b"a")
    site.write("a/y", b"a")
    site.write("b/x", b"b")
    assert site.get("/s/b/x").body == b"b"
    assert site.get("/s/y").body == b"a"
    assert site.get("/s/b/y").status == 404
    assert site.get("/s/bx").status == 404


def test_prefix_of_any_bytes(tmp_path: Path) -> None:
    """A prefix is written as in a URL, and is that path."""
    (tmp_path / "a").write_text("a")
    files = StaticFiles(Settings(static=(f"/%c3%a9%20x={tmp_path}",)), lambda *_: None)
    assert files.local({"PATH_INFO": "/\xc3\xa9 x/a", "REQUEST_METHOD": "GET"}) is not None


def test_root_prefix_takes_what_there_is(tmp_path: Path) -> None:
    """The prefix `/` serves files, and leaves the rest to the application."""
    site = Site(tmp_path, static=(f"/={tmp_path}", f"/s={tmp_path}"))
    site.write("robots.txt", b"robots")
    site.write("sub/x", b"x")
    site.write(".env", b"secret")
    assert site.get("/robots.txt").body == b"robots"
    assert site.get("/sub/x").body == b"x"
    for path in ("/", "/nothing", "/sub", "/sub/", "/.env", "/../x", "//robots.txt", ""):
        assert site.handler(path) is None
    assert site.handler("/robots.txt", "POST") is None
    assert site.handler("/robots.txt", "OPTIONS") is None
    assert site.get("/s/nothing").status == 404


def test_methods(site: Site) -> None:
    """GET and HEAD; OPTIONS tells that; others are 405."""
    assert site.get("/static/a.css", "HEAD").fields["Content-Length"] == "6"
    assert site.get("/static/a.css", "HEAD").body == b""
    for method in ("POST", "PUT", "DELETE", "get", "PROPFIND"):
        refused = site.get("/static/a.css", method)
        assert refused.status == 405
        assert refused.fields["Allow"] == "GET, HEAD, OPTIONS"
    told = site.get("/static/a.css", "OPTIONS")
    assert (told.status, told.fields) == (204, {"Allow": "GET, HEAD, OPTIONS"})


def test_fields(site: Site) -> None:
    """What a response says of a file."""
    fields = site.get("/static/a.css").fields
    assert fields.pop("ETag").startswith('"')
    assert fields == {
        "Content-Type": "text/css; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
        "Last-Modified": "Sun, 09 Sep 2001 01:46:40 GMT",
        "Accept-Ranges": "bytes",
        "Content-Length": "6",
    }


def test_fingerprinted(site: Site) -> None:
    """A name with a hash in it may be kept for ever."""
    site.write("app.3f2a9c1b.css", b"x")
    answer = site.get("/static/app.3f2a9c1b.css")
    assert answer.fields["Cache-Control"] == "public, max-age=31536000, immutable"


def test_machines_agree(tmp_path: Path) -> None:
    """Two copies of one tree have the same validators."""
    one, two = Site(tmp_path / "one"), Site(tmp_path / "two")
    one.write("x", b"abc", OLD + 0.123456789)
    two.write("x", b"abc", OLD + 0.123456789)
    assert one.get("/static/x").fields == two.get("/static/x").fields


def test_names_of_any_bytes(site: Site) -> None:
    """A path is the bytes of a name; in an environ each is a latin-1 character."""
    site.write("grüße.txt", b"x")
    (site.directory / os.fsdecode(b"\xff.txt")).write_bytes(b"y")
    assert site.get("/static/" + "grüße.txt".encode().decode("latin-1")).body == b"x"
    assert site.get("/static/\xff.txt").body == b"y"
    assert site.get("/static/grüße.txt").status == 404


def test_small_file_is_read_once(site: Site, opened: list[str]) -> None:
    """A small file that is asked for again is not opened again, with the same head or another."""
    ask = site.handler("/static/a.css")
    assert ask is not None
    assert [ask().body, ask().body, site.get("/static/a.css").body] == [b"body{}"] * 3
    etag = site.get("/static/a.css").fields["ETag"]
    assert site.get("/static/a.css", if_none_match=etag).status == 304
    assert site.get("/static/a.css", range="bytes=1-2").body == b"od"
    assert site.get("/static/a.css", range="bytes=9-").status == 416
    assert opened == ["a.css"]


def test_change_is_seen_at_once(site: Site) -> None:
    """Whatever happens to a file, the next answer knows."""
    ask = site.handler("/static/a.css")
    assert ask is not None
    first = ask()
    assert ask().body == b"body{}"
    site.write("a.css", b"BODY{}", OLD + 1)
    assert ask().body == b"BODY{}"
    assert ask().fields["ETag"] != first.fields["ETag"]
    site.write("a.css", b"longer now", OLD)
    assert ask().body == b"longer now"
    site.write("new", b"in its place", OLD).rename(site.directory / "a.css")
    assert ask().body == b"in its place"
    (site.directory / "a.css").unlink()
    assert ask().status == 404
    site.write("a.css", b"back", OLD)
    assert ask().body == b"back"


def test_change_that_another_connection_has_seen(site: Site) -> None:
    """Fields and content of an answer are of one version, whoever has asked in between."""
    ask = site.handler("/static/a.css")
    assert ask is not None
    assert [ask().body, ask().body] == [b"body{}"] * 2
    site.write("a.css", b"longer now", OLD + 1)
    fresh = site.get("/static/a.css")
    again = ask()
    assert (again.body, again.fields) == (fresh.body, fresh.fields)
    assert again.fields["Content-Length"] == "10"


def test_large_file_that_changes(site: Site) -> None:
    """A large file is opened each time, and its plan made anew when it is another one."""
    site.write("large", b"a" * 50_000)
    ask = site.handler("/static/large")
    assert ask is not None
    assert ask().fields == ask().fields
    site.write("large", b"b" * 60_000)
    assert ask().body == b"b" * 60_000
    assert ask().fields["Content-Length"] == "60000"
    site.write("large", b"c")
    assert [ask().body, ask().body] == [b"c"] * 2
    (site.directory / "large").unlink()
    assert ask().status == 404


def test_fresh_file_is_not_kept(
    site: Site, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of this moment may change again without any sign; it is read each time."""
    ask = site.handler("/static/a.css")
    assert ask is not None
    monkeypatch.setattr(static_files, "SETTLED_NS", 10**18)
    ask()
    ask()
    assert len(opened) == 2


def test_kept_content_is_bounded(tmp_path: Path) -> None:
    """Of many small files the last ones are kept, and no more than the limit."""
    site = Site(tmp_path)
    count = CACHE_BYTES // 16_000 + 50
    for number in range(count):
        site.write(f"{number}", b"%05d" % number * 3200)
        assert site.get(f"/static/{number}").body[:5] == b"%05d" % number
    kept = site.files._contents
    assert sum(len(content) for _, content in kept.values()) == site.files._size <= CACHE_BYTES
    assert count - 100 < len(kept) < count


def test_large_file_is_sent_from_the_disk(site: Site) -> None:
    """A large file is not read into memory, nor is a large range of it."""
    content = os.urandom(100_000)
    site.write("large", content)
    whole = site.get("/static/large")
    assert (whole.body == content, whole.in_memory) == (True, False)
    part = site.get("/static/large", range="bytes=10000-89999")
    assert (part.body == content[10000:90000], part.in_memory) == (True, False)
    small = site.get("/static/large", range="bytes=10000-10009")
    assert (small.body == content[10000:10010], small.in_memory) == (True, True)
    several = site.get("/static/large", range="bytes=0-9999,50000-59999,-1")
    assert several.status == 206
    assert several.body.count(content[50000:60000]) == 1
    assert len(several.body) == int(several.fields["Content-Length"])


class TestSiblings:
    """Precompressed files beside the file."""

    @pytest.fixture
    def app(self, site: Site) -> Site:
        """Give a file in three codings."""
        site.write("app.js", b"plain" * 100)
        for extension in ("br", "zst"):
            site.write(f"app.js.{extension}", extension.encode())
        site.write("app.js.gz", gzip.compress(b"plain" * 100))
        return site

    @pytest.mark.parametrize(
        ("accepted", "coding"),
        [
            ("gzip, br, zstd", "br"),
            ("gzip, zstd;q=0.9", "gzip"),
            ("zstd", "zstd"),
            ("br;q=0, *;q=0.5", "zstd"),
            ("gzip;q=0", None),
            ("deflate", None),
            ("identity, gzip;q=0.5", None),
        ],
    )
    def test_choice(self, app: Site, accepted: str, coding: str | None) -> None:
        """The variant by quality, with the file's own type and a tag of its own."""
        plain = app.get("/static/app.js")
        found = app.get("/static/app.js", accept_encoding=accepted)
        assert found.fields.get("Content-Encoding") == coding
        assert found.fields["Content-Type"] == "text/javascript; charset=utf-8"
        assert found.fields["Vary"] == plain.fields["Vary"] == "Accept-Encoding"
        assert (found.fields["ETag"] == plain.fields["ETag"]) is (coding is None)

    def test_condition_and_range(self, app: Site) -> None:
        """Tag and range are those of the variant."""
        content = (app.directory / "app.js.gz").read_bytes()
        found = app.get("/static/app.js", accept_encoding="gzip")
        etag = found.fields["ETag"]
        assert gzip.decompress(found.body) == b"plain" * 100
        assert app.get("/static/app.js", accept_encoding="gzip", if_none_match=etag).status == 304
        assert app.get("/static/app.js", if_none_match=etag).status == 200
        part = app.get("/static/app.js", accept_encoding="gzip", range="bytes=0-3")
        assert part.body == content[:4]
        assert part.fields["Content-Range"] == f"bytes 0-3/{len(content)}"
        assert part.fields["Content-Encoding"] == "gzip"
        assert part.fields["Vary"] == "Accept-Encoding"

    def test_without_any(self, site: Site) -> None:
        """Where there are no siblings nothing varies."""
        assert "Vary" not in site.get("/static/a.css", accept_encoding="gzip").fields

    def test_asked_for_by_name(self, app: Site) -> None:
        """A sibling that is asked for itself is a file like others."""
        found = app.get("/static/app.js.gz", accept_encoding="gzip")
        assert found.fields["Content-Type"] == "application/gzip"
        assert "Content-Encoding" not in found.fields

    def test_alone(self, site: Site) -> None:
        """A sibling without its file is not found under the file's name."""
        site.write("b.js.gz", b"x")
        assert site.get("/static/b.js", accept_encoding="gzip").status == 404

    def test_of_an_older_version(self, app: Site) -> None:
        """A sibling that is much older than its file is left alone."""
        app.write("app.js", b"new", OLD + 3600)
        found = app.get("/static/app.js", accept_encoding="gzip, br")
        assert (found.body, "Content-Encoding" in found.fields) == (b"new", False)

    def test_that_goes(self, app: Site) -> None:
        """When a sibling cannot be had the file itself is sent."""
        ask = app.handler("/static/app.js", accept_encoding="gzip")
        assert ask is not None
        assert ask().fields["Content-Encoding"] == "gzip"
        (app.directory / "app.js.gz").unlink()
        assert "Content-Encoding" not in ask().fields
        (app.directory / "app.js.gz").symlink_to("/etc/passwd")
        assert "Content-Encoding" not in ask().fields

    def test_that_comes(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """A new sibling is noticed when the list of them is made anew."""
        monkeypatch.setattr(static_files, "LOOK_SECONDS", 0.0)
        ask = site.handler("/static/a.css", accept_encoding="gzip")
        assert ask is not None
        assert "Vary" not in ask().fields
        site.write("a.css.gz", gzip.compress(b"body{}"))
        assert ask().fields["Content-Encoding"] == "gzip"

    def test_directory(self, site: Site) -> None:
        """A directory of such a name is none."""
        (site.directory / "a.css.br").mkdir()
        assert site.get("/static/a.css", accept_encoding="br").body == b"body{}"

    def test_of_a_directory(self, site: Site) -> None:
        """A directory has none: what is packed beside it is another file."""
        (site.directory / "old").mkdir()
        site.write("old.gz", b"packed")
        assert site.get("/static/old", accept_encoding="gzip").status == 404

    def test_lists_are_bounded(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """No more lists are kept than there may be."""
        monkeypatch.setattr(static_files, "MOST_LISTS", 3)
        for number in range(10):
            site.write(f"{number}", b"x")
            site.get(f"/static/{number}")
        assert len(site.files._lists) <= 3


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Serve a tree with a file of the same name beside its root."""
    top = tmp_path_factory.mktemp("top")
    (top / "x.txt").write_bytes(b"outside")
    site = Site(top / "public")
    site.write("sub/deep/x.txt", b"x")
    site.write("sub/y.txt", b"y")
    site.write("x.txt", b"top")
    return site


SEGMENTS = st.sampled_from(
    [
        "",
        ".",
        "..",
        "sub",
        "deep",
        "x.txt",
        "y.txt",
        "...",
        "..\\",
        "%2e%2e",
        "\0",
        "a" * 300,
        "/",
        ".",
    ]
)
"""What paths below a prefix are put together from, in a tree with sub/deep/x.txt and sub/y.txt."""


@given(st.lists(SEGMENTS, max_size=8))
def test_each_file_has_one_path(tree: Site, parts: list[str]) -> None:
    """Whatever the path, what is not the name of a file, letter for letter, is 404."""
    path = "/".join(parts)
    found = tree.get(f"/static/{path}")
    names = {"sub/deep/x.txt": b"x", "sub/y.txt": b"y", "x.txt": b"top"}
    if path in names:
        assert (found.status, found.body) == (200, names[path])
    else:
        assert found.status == 404


@pytest.mark.parametrize(
    ("number", "status", "kind"),
    [
        (errno.ENOENT, 404, None),
        (errno.ENOTDIR, 404, None),
        (errno.ENAMETOOLONG, 404, None),
        (errno.ELOOP, 404, None),
        (errno.EACCES, 403, None),
        (errno.EMFILE, 503, "static.busy"),
        (errno.ENFILE, 503, "static.busy"),
        (errno.EIO, 500, "static.failed"),
    ],
)
def test_errors(
    site: Site, monkeypatch: pytest.MonkeyPatch, number: int, status: int, kind: str | None
) -> None:
    """Each error has its status; what the operator has to know is noted."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(static_files, "open_beneath", fail)
    found = site.get("/static/a.css")
    assert found.status == status
    assert ("Retry-After" in found.fields) is (status == 503)
    assert [note.partition(":")[0] for note in site.notes] == ([kind] if kind else [])
    assert str(site.directory) not in found.body.decode()


def test_file_that_shrinks_while_it_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that has become shorter since its size was asked for is 500, not half of it."""
    monkeypatch.setattr(os, "pread", lambda *_: b"bo")
    assert site.get("/static/a.css").status == 500
    assert "shorter" in site.notes[0]


def test_links(site: Site, tmp_path: Path) -> None:
    """Links within are followed; links out by setting alone."""
    (tmp_path.parent / "beside").write_bytes(b"beside")
    (site.directory / "in").symlink_to("a.css")
    (site.directory / "out").symlink_to(tmp_path.parent / "beside")
    assert site.get("/static/in").body == b"body{}"
    assert site.get("/static/out").status == 404
    assert Site(tmp_path, static_symlinks=True).get("/static/out").body == b"beside"


def test_link_that_is_turned_outside(site: Site, tmp_path: Path) -> None:
    """A link that was good and is turned to the outside is refused, also when it was kept."""
    (tmp_path.parent / "beside").write_bytes(b"beside")
    (site.directory / "link").symlink_to("a.css")
    ask = site.handler("/static/link")
    assert ask is not None
    assert [ask().body, ask().body] == [b"body{}"] * 2
    (site.directory / "link").unlink()
    (site.directory / "link").symlink_to(tmp_path.parent / "beside")
    assert ask().status == 404


def test_directory_that_is_moved(site: Site) -> None:
    """A deploy that turns a link to another directory is seen at once."""
    current = site.directory / "current"
    site.write("one/x", b"one")
    site.write("two/x", b"two")
    current.symlink_to("one")
    deployed = Site(site.directory, static=(f"/static={current}",))
    ask = deployed.handler("/static/x")
    assert ask is not None
    assert [ask().body, ask().body] == [b"one"] * 2
    (site.directory / "next").symlink_to("two")
    (site.directory / "next").rename(current)
    assert ask().body == b"two"
