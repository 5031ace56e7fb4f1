"""Static files on the wire: whole answers, ways out of the directory, slow clients, busy threads."""

from __future__ import annotations

import email
import email.policy
import logging
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..live import Live, eventually, serving
from .client import Truncated, request

CORPUS = Path(__file__).parent.parent / "corpus" / "static" / "traversal.txt"
LARGE = os.urandom(3_000_000)
SECRET = b"do not tell"


def targets() -> list[str]:
    """Read the corpus."""
    lines = CORPUS.read_text(encoding="ascii").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Say that the application was asked."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"application"]


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tree that the corpus of ways out is about."""
    top = tmp_path_factory.mktemp("top")
    public = top / "public"
    for place in ("public/sub/.well-known", "public/.git", "public/.well-known", "public-not"):
        (top / place).mkdir(parents=True)
    for place in ("secret.txt", "public-not/secret.txt", "public/.git/config", "public/.env"):
        (top / place).write_bytes(SECRET)
    for place in ("sub/.hidden", "sub/.well-known/x.txt", ".well-known/.hidden", ".htaccess"):
        (public / place).write_bytes(SECRET)
    (public / "sub" / "x.txt").write_bytes(b"public")
    (public / ".well-known" / "security.txt").write_bytes(b"contact")
    (public / "large.bin").write_bytes(LARGE)
    (public / "empty.txt").write_bytes(b"")
    for name, target in (
        ("out.txt", "../secret.txt"),
        ("out", ".."),
        ("out-absolute.txt", str(top / "secret.txt")),
        ("out-absolute", str(top)),
        ("out-and-in", "../public"),
        ("loop", "loop"),
        ("dangling", "nothing"),
        ("chain", "sub/chain"),
        ("sub/chain", "../chain-end"),
        ("chain-end", ".."),
        ("up", "sub/../.."),
        ("proc", "/proc"),
        ("root", "/"),
    ):
        (public / name).symlink_to(target)
    os.mkfifo(public / "fifo")
    with socket.socket(socket.AF_UNIX) as odd:
        odd.bind(str(public / "socket"))
    return top


@pytest.fixture(scope="module")
def site(poller: None, top: Path) -> Iterator[Live]:
    """Serve it."""
    with serving(static=(f"/static={top}/public",), root_path="/shop", threads=2) as running:
        running.play(application)
        yield running


def test_no_way_out(site: Live) -> None:
    """No target of the corpus is answered with a file, and none stops the server."""
    assert len(targets()) > 120
    for target in targets():
        for prefix in ("", "/shop"):
            with site.connect() as client:
                client.send(request("GET", "/x").replace(b"/x", (prefix + target).encode(), 1))
                response = client.response()
            told = (target, response.status, response.body)
            assert SECRET not in response.body, told
            assert response.status in (400, 404) or response.body == b"application", told
            if response.body == b"application":
                assert not target.startswith(("/static/", "/static?")), told
    assert site.get("/static/sub/x.txt").body == b"public"


def test_file_and_application(site: Live) -> None:
    """Files come from the server, with the root path or without it; the rest is the application's."""
    assert site.get("/static/sub/x.txt").body == b"public"
    assert site.get("/shop/static/sub/x.txt").body == b"public"
    assert site.get("/static/.well-known/security.txt").body == b"contact"
    assert site.get("/static/nothing").status == 404
    assert site.get("/elsewhere").body == b"application"
    assert site.get("/staticx").body == b"application"


def test_on_one_connection(site: Live) -> None:
    """Files, refusals and the application take turns on one connection, pipelined too."""
    asked = ["/static/sub/x.txt", "/x", "/static/nothing", "/static/sub/x.txt", "/static/large.bin"]
    with site.connect() as client:
        for _ in range(3):
            statuses = [client.get(target).status for target in asked]
            assert statuses == [200, 200, 404, 200, 200]
        client.send(b"".join(request("GET", target) for target in asked * 2))
        bodies = [client.response().body for _ in asked * 2]
    assert bodies[:5] == bodies[5:]
    assert bodies[:2] == [b"public", b"application"]
    assert bodies[4] == LARGE


def test_head(site: Live) -> None:
    """HEAD is as GET, without the content, for large files and small."""
    with site.connect() as client:
        for target in ("/static/large.bin", "/static/sub/x.txt", "/static/empty.txt", "/static/"):
            whole = client.get(target)
            client.send(request("HEAD", target))
            head = client.response("HEAD")
            assert head.status == whole.status
            differ = {"Date"}
            assert {f for f in head.fields if f[0] not in differ} == {
                f for f in whole.fields if f[0] not in differ
            }


def test_methods(site: Live) -> None:
    """OPTIONS tells the methods; others are 405, with their body read, and the connection stays."""
    with site.connect() as client:
        client.send(request("OPTIONS", "/static/sub/x.txt"))
        told = client.response("OPTIONS")
        assert (told.status, told.value("Allow")) == (204, "GET, HEAD, OPTIONS")
        client.send(request("POST", "/static/sub/x.txt", body=b"x" * 100_000))
        refused = client.response("POST")
        assert (refused.status, refused.value("Allow")) == (405, "GET, HEAD, OPTIONS")
        assert client.get("/static/sub/x.txt").body == b"public"
        client.send(request("GET", "/static/sub/x.txt", body=b"body"))
        assert client.response().body == b"public"


def test_body_that_waits(site: Live) -> None:
    """A client that waits for 100 Continue is refused without having sent its body."""
    fields = (("Expect", "100-continue"), ("Content-Length", "10"))
    assert site.send(request("PUT", "/static/sub/x.txt", *fields), "PUT").status == 405


def test_old_client(site: Live) -> None:
    """A client of HTTP/1.0 gets the file and the end of the connection."""
    with site.connect() as client:
        client.send(request("GET", "/static/large.bin", version="1.0"))
        assert client.response().body == LARGE
        assert client.rest() == b""


def test_conditions(site: Live) -> None:
    """304 and 412, on a connection that goes on."""
    with site.connect() as client:
        for target in ("/static/large.bin", "/static/sub/x.txt"):
            found = client.get(target)
            etag, date = found.value("ETag"), found.value("Last-Modified")
            assert etag is not None
            assert date is not None
            for field in (("If-None-Match", etag), ("If-Modified-Since", date)):
                again = client.get(target, field)
                assert (again.status, again.body) == (304, b"")
                assert again.value("ETag") == etag
                assert again.value("Content-Type") is None
            assert client.get(target, ("If-Match", '"x"')).status == 412
            assert client.get(target, ("If-None-Match", '"x"')).status == 200


@pytest.mark.parametrize(
    ("value", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=-1", 2_999_999, 3_000_000),
        ("bytes=1000000-", 1_000_000, 3_000_000),
        ("bytes=5-1000004,1000000-2000004", 5, 2_000_005),
    ],
)
def test_range(site: Live, value: str, start: int, stop: int) -> None:
    """One range of a large file."""
    found = site.get("/static/large.bin", ("Range", value))
    assert found.status == 206
    assert found.value("Content-Range") == f"bytes {start}-{stop - 1}/3000000"
    assert found.body == LARGE[start:stop]


def test_several_ranges(site: Live) -> None:
    """Several ranges, large ones too, are a multipart that mail programs could read."""
    wanted = [(0, 1), (1_000_000, 2_000_000), (2_999_000, 3_000_000), (500, 600)]
    value = "bytes=" + ",".join(f"{start}-{stop - 1}" for start, stop in wanted)
    with site.connect() as client:
        found = client.get("/static/large.bin", ("Range", value))
        assert client.get("/static/sub/x.txt").status == 200
    assert found.status == 206
    kind = found.value("Content-Type")
    assert kind is not None
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = email.message_from_bytes(head + found.body, policy=email.policy.HTTP)
    parts = list(message.iter_parts())
    assert [part["Content-Range"] for part in parts] == [
        f"bytes {start}-{stop - 1}/3000000" for start, stop in wanted
    ]
    assert all(found.body.count(LARGE[start:stop]) for start, stop in wanted)


def test_many_tiny_ranges(site: Live) -> None:
    """CVE-2011-3192: the answer is never larger than the file."""
    value = "bytes=0-," + ",".join(f"5-{number}" for number in range(6, 1000))
    found = site.get("/static/large.bin", ("Range", value[:8000]))
    assert (found.status, len(found.body)) == (200, len(LARGE))


def test_unsatisfiable(site: Live) -> None:
    """416 tells the size, and the connection goes on."""
    with site.connect() as client:
        found = client.get("/static/large.bin", ("Range", "bytes=3000000-"))
        assert (found.status, found.value("Content-Range")) == (416, "bytes */3000000")
        assert client.get("/static/sub/x.txt").status == 200


def test_if_range(site: Live) -> None:
    """A range of a version that is no more is the whole file."""
    found = site.get("/static/large.bin", ("Range", "bytes=0-0"), ("If-Range", '"old"'))
    assert (found.status, len(found.body)) == (200, len(LARGE))


def test_busy_threads(site: Live) -> None:
    """Files are served while every thread is in the application."""
    release = threading.Event()
    entered: list[None] = []

    def waiting(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        entered.append(None)
        release.wait(5)
        return application(environ, start_response)

    site.play(waiting)
    clients = [site.connect() for _ in range(2)]
    try:
        for client in clients:
            client.send(request("GET", "/x"))
        eventually(lambda: len(entered) == 2, "both threads are in the application")
        assert site.get("/static/sub/x.txt").body == b"public"
        assert site.get("/static/large.bin").body == LARGE
    finally:
        release.set()
        for client in clients:
            client.response()
            client.close()
        site.play(application)


def test_slow_client(site: Live) -> None:
    """A client that does not read yet keeps nobody, and gets the whole file in the end."""
    with site.connect(window=4096) as slow:
        slow.send(request("GET", "/static/large.bin", ("Range", "bytes=0-999999,1500000-2999999")))
        for _ in range(20):
            assert site.get("/static/sub/x.txt").status == 200
        body = slow.response().body
    assert LARGE[:1_000_000] in body
    assert LARGE[1_500_000:] in body


def test_file_that_shrinks(site: Live, top: Path) -> None:
    """A file that becomes shorter while it is sent breaks the connection off."""
    path = top / "public" / "shrinks.bin"
    size = 50_000_000
    with path.open("wb") as file:
        file.truncate(size)
    with site.connect(window=4096) as client:
        client.send(request("GET", "/static/shrinks.bin"))
        assert client.head().status == 200
        client.take(1000)
        os.truncate(path, 1_000_000)
        with pytest.raises(Truncated):
            client.take(size)
    assert site.get("/static/sub/x.txt").status == 200


def test_descriptors_are_closed(site: Live) -> None:
    """However a request ends, no file stays open."""

    def still_open() -> int:
        count = 0
        for fd in os.listdir("/proc/self/fd"):
            try:
                count += os.readlink(f"/proc/self/fd/{fd}").endswith("large.bin")
            except OSError:
                pass
        return count

    for _ in range(3):
        with site.connect(window=4096) as client:
            client.send(request("GET", "/static/large.bin", ("Range", "bytes=0-9,1000000-")))
            client.head()
            client.reset()
    site.get("/static/large.bin", ("If-Match", '"x"'))
    site.send(request("HEAD", "/static/large.bin"), "HEAD")
    eventually(lambda: still_open() == 0, "the files are closed")


def test_no_descriptors(
    site: Live, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a descriptor for the file it is 503, with a line in the log, and then it works again."""
    from breezeway.worker import static_files

    def fail(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(static_files, "open_beneath", fail)
        refused = site.get("/static/large.bin")
        assert (refused.status, refused.value("Retry-After")) == (503, "1")
    assert "a static file cannot be opened: Too many open files" in log.text
    assert site.get("/static/large.bin").status == 200


def test_symlinks_by_setting(top: Path) -> None:
    """With --static-symlinks links may lead out; directories and names with a dot stay refused."""
    with serving(static=(f"/s={top}/public",), static_symlinks=True) as live:
        live.play(application)
        assert live.get("/s/out.txt").body == SECRET
        assert live.get("/s/out/secret.txt").body == SECRET
        for target in ("/s/out", "/s/loop", "/s/../secret.txt", "/s/.env", "/s/fifo", "/s/out/.."):
            assert live.get(target).status == 404


def test_root_prefix(top: Path) -> None:
    """The prefix `/` serves what there is; everything else is the application's."""
    with serving(static=(f"/={top}/public",)) as live:
        live.play(application)
        with live.connect() as client:
            assert client.get("/sub/x.txt").body == b"public"
            for target in ("/", "/sub/", "/nothing", "/.env", "/../secret.txt", "/sub/x.txt/"):
                assert client.get(target).body == b"application"
            client.send(request("POST", "/sub/x.txt"))
            assert client.response("POST").body == b"application"
            assert client.get("/out.txt").status == 404


def test_access_log(top: Path, tmp_path: Path) -> None:
    """A file is a request like any other to the access log."""
    with serving(
        static=(f"/static={top}/public",), access_log_file=str(tmp_path / "access")
    ) as live:
        live.play(application)
        live.get("/static/sub/x.txt")
        live.get("/static/large.bin")
        live.get("/static/nothing")
    lines = (tmp_path / "access").read_text().splitlines()
    assert [line.split('"')[2].split() for line in lines] == [
        ["200", "6"],
        ["200", "3000000"],
        ["404", "14"],
    ]


def test_x_sendfile(top: Path, log: pytest.LogCaptureFixture) -> None:
    """An application's X-Sendfile below the root is the file; without the setting it is a field."""

    def sends(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name = environ["QUERY_STRING"]
        start_response("200 OK", [("Content-Type", "image/png"), ("X-Sendfile", name)])
        return [b"not sent"]

    with serving(sendfile_root=f"{top}/public") as live:
        live.play(sends)
        with live.connect() as client:
            for _ in range(2):
                whole = client.get(f"/?{top}/public/large.bin")
                assert (whole.body, whole.value("Content-Type")) == (LARGE, "image/png")
                assert whole.value("X-Sendfile") is None
                part = client.get("/?large.bin", ("Range", "bytes=10-19,1000000-1999999"))
                assert part.status == 206
                assert LARGE[1_000_000:2_000_000] in part.body
                assert client.get("/?../secret.txt").status == 500
                assert client.get("/?nothing").status == 404
    with serving() as live:
        live.play(sends)
        passed = live.get("/?large.bin")
        assert (passed.body, passed.value("X-Sendfile")) == (b"not sent", "large.bin")
    assert [record.levelno for record in log.records].count(logging.ERROR) == 2
