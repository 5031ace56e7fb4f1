"""Files as responses: ranges, conditions, names, roots, and their ends."""

from __future__ import annotations

import errno
import gc
import gzip
import io
import os
import socket
import threading
import urllib.request
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from breezeway.gateway.file_wrapper import FileWrapper as Wrapper
from breezeway.testing import LiveServer
from breezeway.web import App, FileResponse, Forbidden, HTTPError, NotFound, files

from ..middleware.calling import call, make_environ

LARGE = bytes(range(256)) * 1024  # 256 KiB: not read at once


class Noted(io.BytesIO):
    """A file that knows whether it is closed, and cannot be read after that."""

    closes = 0

    def close(self) -> None:
        self.closes += 1
        super().close()


@pytest.fixture
def path(tmp_path):
    """Make a small file."""
    found = tmp_path / "data.txt"
    found.write_bytes(b"0123456789")
    return found


@pytest.fixture
def large(tmp_path):
    """Make one that is not read at once."""
    found = tmp_path / "large.bin"
    found.write_bytes(LARGE)
    return found


def descriptors() -> int:
    """Count what is open."""
    return len(os.listdir("/proc/self/fd"))


class TestPath:
    def test_whole(self, path):
        """The fields are those of the file, and browsers ask whether it has changed."""
        result = call(FileResponse(path))
        assert (result.code, result.body) == (200, b"0123456789")
        assert result["content-type"] == "text/plain; charset=utf-8"
        assert result["content-length"] == "10"
        assert result["cache-control"] == "no-cache"
        assert result["x-content-type-options"] == "nosniff"
        assert result["accept-ranges"] == "bytes"
        assert result["etag"]
        assert result["last-modified"]
        assert result["content-disposition"] is None

    @pytest.mark.parametrize(
        ("asked", "code", "body", "told"),
        [
            ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
            ("bytes=-3", 206, b"789", "bytes 7-9/10"),
            ("bytes=5-", 206, b"56789", "bytes 5-9/10"),
            ("bytes=10-", 416, None, "bytes */10"),
            ("bytes=x", 200, b"0123456789", None),
        ],
    )
    def test_ranges(self, path, asked, code, body, told):
        """A part is sent, or the whole."""
        result = call(FileResponse(path), fields={"Range": asked})
        assert (result.code, result["content-range"]) == (code, told)
        if body is not None:
            assert result.body == body

    def test_ranges_of_a_large_one(self, large):
        """Parts of what is sent while it is read, one and several."""
        result = call(FileResponse(large), fields={"Range": "bytes=1000-199999"})
        assert result.body == LARGE[1000:200000]
        result = call(FileResponse(large), fields={"Range": "bytes=200000-"})
        assert result.body == LARGE[200000:]
        result = call(FileResponse(large), fields={"Range": "bytes=0-99999,110000-250000"})
        assert LARGE[110000:250001] in result.body
        assert str(result["content-type"]).startswith("multipart/byteranges; boundary=")
        assert result["content-length"] == str(len(result.body))

    def test_conditions(self, path):
        """A client that has it is told so; one that has another version, too."""
        tag = call(FileResponse(path))["etag"]
        result = call(FileResponse(path), fields={"If-None-Match": str(tag)})
        assert (result.code, result.body, result["etag"]) == (304, b"", tag)
        assert call(FileResponse(path), fields={"If-Match": '"x"'}).code == 412
        fields = {"Range": "bytes=0-0", "If-Range": '"x"'}
        assert call(FileResponse(path), fields=fields).code == 200

    def test_own_fields(self, path):
        """What the application says counts."""
        fields = {"ETag": '"v1"', "Cache-Control": "private", "Content-Type": "text/x"}
        result = call(FileResponse(path, headers=fields))
        assert (result["etag"], result["cache-control"]) == ('"v1"', "private")
        assert result["content-type"] == "text/x"
        assert (
            call(FileResponse(path, headers=fields), fields={"If-None-Match": '"v1"'}).code == 304
        )
        assert call(FileResponse(path, headers={"Content-Length": "3"})).body == b"0123456789"

    @pytest.mark.parametrize("size", [0, 10, len(LARGE)])
    def test_head(self, tmp_path, size):
        """HEAD has the length and opens nothing for long."""
        file = tmp_path / "a"
        file.write_bytes(b"x" * size)
        before = descriptors()
        result = call(FileResponse(file), method="HEAD")
        assert (result["content-length"], result.body) == (str(size), b"")
        assert descriptors() == before

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_other_methods(self, path, method):
        """What a POST has made is sent whole, whatever the conditions say."""
        fields = {"Range": "bytes=0-0", "If-None-Match": "*"}
        result = call(FileResponse(path), method=method, fields=fields)
        assert (result.code, result.body, result["content-length"]) == (200, b"0123456789", "10")

    def test_another_status(self, path):
        """An error page from a file is an error, whole."""
        result = call(FileResponse(path, 404), fields={"Range": "bytes=0-0"})
        assert (result.code, result.body) == (404, b"0123456789")
        response = FileResponse(path)
        response.status = 204
        result = call(response)
        assert (result.code, result.body, result["content-length"]) == (204, b"", None)
        result = call(FileResponse(path, 205))
        assert (result.code, result.body, result["content-length"]) == (205, b"", "0")
        assert call(FileResponse(path, "200 Fine")).status == "200 Fine"

    def test_not_there(self, tmp_path):
        """A path that the application has made is an error of the application."""
        with pytest.raises(FileNotFoundError):
            FileResponse(tmp_path / "none")
        with pytest.raises(FileNotFoundError):
            FileResponse(tmp_path)

    def test_a_pipe_does_not_block(self, tmp_path):
        """What is no regular file is not opened."""
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileNotFoundError, match=r"not a regular file: '.*/pipe'"):
            FileResponse(tmp_path / "pipe")

    def test_relative(self, path, monkeypatch):
        """A path counts from the working directory."""
        monkeypatch.chdir(path.parent)
        assert call(FileResponse("data.txt")).body == b"0123456789"

    def test_becomes_shorter(self, path):
        """A file that lost bytes since it was opened is an error, not a response cut short."""
        response = FileResponse(path)
        path.write_bytes(b"0")
        with pytest.raises(OSError, match="shorter"):
            call(response)

    @pytest.mark.parametrize(
        "options", [{"status": 99}, {"headers": {"a\n": "b"}}, {"content_type": "a\r\n"}]
    )
    def test_wrong_options(self, path, options):
        """The file does not stay open when the rest is wrong."""
        gc.collect()  # what other tests have left
        before = descriptors()
        with pytest.raises(ValueError, match=r"status|header|Content-Type"):
            FileResponse(path, **options)
        gc.collect()
        assert descriptors() == before


class TestRoot:
    @pytest.mark.parametrize("name", ["data.txt", "below/a.css", "below/link", "ü.txt"])
    def test_there(self, path, name):
        """Files below, also by links that stay below."""
        root = path.parent
        (root / "below").mkdir()
        (root / "below" / "a.css").write_bytes(b"0123456789")
        (root / "below" / "link").symlink_to("../data.txt")
        (root / "ü.txt").write_bytes(b"0123456789")
        assert call(FileResponse(name, root=root)).body == b"0123456789"

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "..",
            "/etc/passwd",
            "../secret",
            "a/../../secret",
            "below/../data.txt",
            "below//a",
            "below/",
            "below",
            ".env",
            "below/.git/config",
            "data.txt\0.png",
            "data.txt/",
            "data.txt/a",
            "out",
            "outside/secret",
            "\ud800",
            "x" * 5000,
            "loop",
            "pipe",
        ],
    )
    def test_not_there(self, tmp_path, name):
        """No way leads out; what is none of the files is 404."""
        root = tmp_path / "root"
        (root / "below").mkdir(parents=True)
        (tmp_path / "secret").write_bytes(b"secret")
        (root / "data.txt").write_bytes(b"")
        (root / "below" / "a").write_bytes(b"")
        (root / ".env").write_bytes(b"secret")
        (root / "out").symlink_to(tmp_path / "secret")
        (root / "outside").symlink_to(tmp_path)
        (root / "loop").symlink_to("loop")
        os.mkfifo(root / "pipe")
        with pytest.raises(NotFound):
            FileResponse(name, root=root)

    @pytest.mark.parametrize(
        ("number", "code"), [(errno.EACCES, 403), (errno.EMFILE, 503), (errno.ENOENT, 404)]
    )
    def test_statuses(self, path, monkeypatch, number, code):
        """One that may not be read is 403; without a descriptor to be had it is 503."""

        def fail(*_: Any, **__: Any) -> Any:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(files, "open_beneath", fail)
        with pytest.raises(HTTPError) as caught:
            FileResponse("data.txt", root=path.parent)
        assert caught.value.code == code
        assert isinstance(caught.value, Forbidden) is (code == 403)
        assert (("Retry-After", "1") in caught.value.headers) is (code == 503)

    @pytest.mark.parametrize("is_below", [False, True])
    def test_no_descriptor(self, path, monkeypatch, caplog, is_below):
        """Also for a path of the application's own: everybody may come again; the log has the reason."""

        def fail(*_: Any, **__: Any) -> Any:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        monkeypatch.setattr(files, "open_beneath", fail)
        with pytest.raises(HTTPError) as caught:
            FileResponse("data.txt", root=path.parent) if is_below else FileResponse(path)
        assert (caught.value.code, caught.value.headers) == (503, [("Retry-After", "1")])
        (line,) = [record.getMessage() for record in caplog.records]
        assert "data.txt' cannot be opened: Too many open files" in line

    def test_a_broken_disk(self, path, monkeypatch):
        """What is nobody's fault but the machine's stays an error of it."""

        def fail(*_: Any, **__: Any) -> Any:
            raise OSError(errno.EIO, "broken")

        monkeypatch.setattr(files, "open_beneath", fail)
        with pytest.raises(OSError, match="broken"):
            FileResponse("data.txt", root=path.parent)

    def test_an_object_below(self, path):
        """An open file is below nothing."""
        with pytest.raises(TypeError, match="with root"):
            FileResponse(io.BytesIO(), root=path.parent)


class TestNames:
    def test_download(self, path):
        """The browser saves it under its own name, or another one."""
        result = call(FileResponse(path, download=True))
        assert result["content-disposition"] == 'attachment; filename="data.txt"'
        result = call(FileResponse(path, download=True, name="Größe.csv"))
        assert result["content-disposition"] == (
            "attachment; filename=\"Große.csv\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.csv".replace(
                "Große", "Gro_e"
            )
        )
        assert result["content-type"] == "text/csv; charset=utf-8"

    def test_shown(self, path):
        """A name alone does not have it saved."""
        result = call(FileResponse(path, name="a.pdf"))
        assert result["content-disposition"] == 'inline; filename="a.pdf"'
        assert result["content-type"] == "application/pdf"

    def test_no_injection(self, path):
        """A name begins no field."""
        result = call(FileResponse(path, download=True, name='a"\r\nSet-Cookie: b=c'))
        assert result["set-cookie"] is None
        assert len(result.all("content-disposition")) == 1

    def test_unknown(self, tmp_path):
        """What nobody knows is no page."""
        (tmp_path / "thing").write_bytes(b"<script>")
        assert call(FileResponse(tmp_path / "thing"))["content-type"] == "application/octet-stream"
        assert call(FileResponse(io.BytesIO(b"x")))["content-type"] == "application/octet-stream"


class TestObject:
    def test_memory(self):
        """What is in memory has ranges, from where it stands."""
        file = Noted(b"xx0123456789")
        file.seek(2)
        result = call(FileResponse(file), fields={"Range": "bytes=1-2"})
        assert (result.code, result.body, result["content-range"]) == (206, b"12", "bytes 1-2/10")
        assert file.closes == 1
        assert result["etag"] is None

    def test_a_large_one_from_its_middle(self, large):
        """So has one on the disk, and no validators, for they would be the whole file's."""
        with open(large, "rb") as file:
            file.seek(100)
            result = call(FileResponse(file))
        assert (result.body, result["etag"]) == (LARGE[100:], None)
        with open(large, "rb") as file:
            file.seek(100)
            result = call(FileResponse(file), fields={"Range": "bytes=100000-199999"})
        assert result.body == LARGE[100100:200100]

    def test_open_file(self, path):
        """An open file has the validators of its path."""
        tag = call(FileResponse(path))["etag"]
        with open(path, "rb") as file:
            assert call(FileResponse(file))["etag"] == tag
        assert file.closed

    @pytest.mark.parametrize("wrapper", [FileWrapper, None])
    def test_what_cannot_be_sought(self, wrapper):
        """A pipe is sent to its end, without a length."""
        reading, writing = os.pipe()
        os.write(writing, b"abc")
        os.close(writing)
        response = FileResponse(io.FileIO(reading), content_type="text/plain")
        more: dict[str, Any] = {"wsgi.file_wrapper": wrapper} if wrapper else {}
        environ = make_environ(**more)
        if not wrapper:
            del environ["wsgi.file_wrapper"]
        result = call(lambda *_: response(environ, _[1]))
        assert (result.body, result["content-length"]) == (b"abc", None)

    def test_unpacked(self, tmp_path):
        """The length of what is unpacked is not that of the file."""
        path = tmp_path / "a.gz"
        with gzip.open(path, "wb") as file:
            file.write(LARGE)
        result = call(FileResponse(gzip.GzipFile(path), content_type="image/x"))
        assert result.body == LARGE

    def test_conditional(self):
        """A version can be named."""
        for file in (io.BytesIO(b"abc"), io.BufferedReader(Unsought(b"abc"))):
            response = FileResponse(file)
            response.conditional("v1")
            assert call(response, fields={"If-None-Match": '"v1"'}).code == 304
            assert file.closed

    @pytest.mark.parametrize("file", [io.StringIO("a"), 5, None, b"path"])
    def test_no_file(self, file):
        """A text is no file."""
        with pytest.raises(TypeError):
            FileResponse(file)


class Unsought(io.BytesIO):
    """A file that stands where it stands."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation


class TestEnd:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
    @pytest.mark.parametrize("content", [b"", b"abc", LARGE])
    def test_closed(self, method, content):
        """The file is closed and the functions are called, once."""
        order: list[int] = []
        file = Noted(content)
        response = FileResponse(file)
        response.on_close(lambda: order.append(file.closes))
        call(response, method=method)
        assert order == [1]
        assert file.closed

    def test_start_response_fails(self, large):
        """A file is closed when nobody takes it."""
        before = descriptors()
        response = FileResponse(large)

        def start(*_: Any) -> Any:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            response(make_environ(), start)
        assert descriptors() == before

    def test_never_sent(self, large):
        """One that is not sent can be closed."""
        before = descriptors()
        FileResponse(large).close()
        assert descriptors() == before

    def test_a_client_that_leaves(self, large):
        """Half sent, closed."""
        before = descriptors()
        order = []
        response = FileResponse(large)
        response.on_close(lambda: order.append(1))
        found: Any = response(make_environ(**{"wsgi.file_wrapper": FileWrapper}), lambda *_: None)
        assert isinstance(found, FileWrapper)  # so that a server can use sendfile
        next(iter(found))
        found.close()
        assert (descriptors(), order) == (before, [1])

    def test_no_circles(self, large):
        """A file with a function at its end goes without the collector."""
        gc.collect()
        gc.disable()
        try:
            response = FileResponse(large)
            response.on_close(lambda: None)
            call(response)
            del response
            assert not [each for each in gc.get_objects() if isinstance(each, FileResponse)]
        finally:
            gc.enable()


class TestServer:
    @pytest.mark.parametrize("asked", [{}, {"Range": "bytes=70000-"}])
    def test_can_be_sent_by_the_kernel(self, large, asked):
        """With a function at its end the server still finds a plain file, and where to begin."""
        ended = []
        response = FileResponse(large)
        response.on_close(lambda: ended.append(True))
        environ = make_environ(fields=asked, **{"wsgi.file_wrapper": Wrapper})
        blocks: Any = response(environ, lambda *_: None)
        found = blocks.file_range()
        start = 70000 if asked else 0
        assert (found.offset, found.length) == (start, len(LARGE) - start)
        assert not ended
        blocks.close()
        assert ended == [True]

    def test_sendfile(self, large):
        """The server sends it, whole and in part, and the functions are called."""
        ended = threading.Semaphore(0)

        def app(environ, start_response):
            response = FileResponse(large)
            response.on_close(ended.release)
            return response(environ, start_response)

        with LiveServer(app) as server:
            with urllib.request.urlopen(server.url) as response:
                assert response.read() == LARGE
            assert ended.acquire(timeout=5)
            request = urllib.request.Request(server.url, headers={"Range": "bytes=70000-"})
            with urllib.request.urlopen(request) as response:
                assert (response.status, response.read()) == (206, LARGE[70000:])
            assert ended.acquire(timeout=5)
            host, port = server.url.removeprefix("http://").rstrip("/").split(":")
            with socket.create_connection((host, int(port))) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.recv(100)
            assert ended.acquire(timeout=5)


class TestApp:
    """Files of handlers, with what an application does around them."""

    def answered(self, file: Any, handler: Any, hook: Any = None) -> Any:
        """Let an application answer."""
        app = App()
        app.get("/")(handler)
        if hook is not None:
            app.after(hook)
            app.error(LookupError)(lambda request, error: "caught")
        result = call(app, "/")
        assert file.closes == 1
        return result

    def test_status(self):
        """A file with a status beside it is sent with that, and closed once."""
        file = Noted(b"abc")
        result = self.answered(file, lambda: (FileResponse(file), 201, {"X-A": "1"}))
        assert (result.code, result.body, result["x-a"]) == (201, b"abc", "1")

    def test_replaced(self):
        """One in whose place a hook puts another response is closed."""
        file = Noted(b"abc")
        hook = lambda request, response: "other"  # noqa: E731
        assert self.answered(file, lambda: FileResponse(file), hook).body == b"other"

    def test_failing_hook(self):
        """So is one whose hook fails."""
        file = Noted(b"abc")

        def hook(request: Any, response: Any) -> Any:
            raise LookupError

        assert self.answered(file, lambda: FileResponse(file), hook).code == 500
