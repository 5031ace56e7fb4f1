"""multipart/form-data: what is read, and what is refused."""

from __future__ import annotations

import errno
import gc
import io
import os
import random
import subprocess
import sys
import tempfile
import threading
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from breezeway.web import App, BadRequest, ContentTooLarge, Form, HTTPError, Limits, Upload
from breezeway.web import UnsupportedMediaType as Unsupported

from .forms import BOUNDARY, Dribble, body_of, part, request_of
from .hostile_forms import STATUSES, Hostile

BROWSER = body_of(
    part("title", "Größe"),
    part("empty", ""),
    part("lines", "a\r\nb\r\n--no boundary\r\n"),
    part("file", b"\x00\xff\r\n--", "caf\u00e9.png", "Content-Type: image/png"),
    part("none", b"", "", "Content-Type: application/octet-stream"),
    part("file", b"", "empty.txt", "Content-Type: text/plain;charset=UTF-8"),
)


def status(body: bytes, *args, **kwargs) -> int:
    """Return the status of the error that a body ends in, 0 for none."""
    try:
        request_of(body, *args, **kwargs).form()
    except HTTPError as error:
        return error.code
    return 0


class TestRead:
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 64, 1000, 1 << 20])
    def test_browser(self, size):
        """What a browser sends, in pieces of any size."""
        length = str(len(BROWSER))
        made = request_of(b"", **{"wsgi.input": Dribble(BROWSER, size), "CONTENT_LENGTH": length})
        form = made.form()
        assert form == {"title": "Größe", "empty": "", "lines": "a\r\nb\r\n--no boundary\r\n"}
        assert len(form.files) == 1
        picture, empty = form.files.all("file")
        assert (picture.filename, picture.content_type, picture.size) == (
            "café.png",
            "image/png",
            6,
        )
        assert picture.read() == b"\x00\xff\r\n--"
        assert (empty.filename, empty.content_type, empty.read()) == (
            "empty.txt",
            "text/plain",
            b"",
        )
        assert made.files is form.files
        assert form is made.form()

    def test_any_content(self):
        """Whatever is in the parts comes out of them, in pieces of any size."""
        chance = random.Random(6)
        pieces = [
            b"\r",
            b"\n",
            b"-",
            f"\r\n--{BOUNDARY}".encode()[:-1],
            b"--",
            b"x",
            b"\x00",
            b"\r\n\r\n",
        ]
        for _ in range(300):
            contents = [b"".join(chance.choices(pieces, k=chance.randrange(9))) for _ in range(4)]
            body = body_of(*[part(f"f{n}", content, "f") for n, content in enumerate(contents)])
            stream = Dribble(body, chance.choice([1, 2, 5, 41, 42, 43, 100, 1000]))
            made = request_of(b"", **{"wsgi.input": stream, "CONTENT_LENGTH": str(len(body))})
            made.limits = Limits(memory_bytes=chance.choice([0, 20, 1000]))
            assert [file.read() for _, file in made.files.pairs] == contents
            made.close()

    def test_terminated_input(self):
        """A form in chunks has no length."""
        more = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        assert request_of(BROWSER, **more).form()["title"] == "Größe"

    def test_body_that_was_read(self):
        """The body may have been read before."""
        made = request_of(BROWSER)
        assert made.body == BROWSER
        assert made.form()["title"] == "Größe"

    def test_body_after_the_form(self):
        """It is not there any more as a whole."""
        made = request_of(BROWSER)
        made.form()
        with pytest.raises(RuntimeError, match="has been read already"):
            made.body

    def test_empty(self):
        """A form without parts."""
        assert request_of(body_of()).form() == {}

    def test_preamble_and_epilogue(self):
        """What is before and after is not read, and bounded."""
        assert request_of(b"before\r\n" + BROWSER + b"\r\nafter").form()["title"] == "Größe"
        assert status(b"x" * 400_000 + b"\r\n" + BROWSER) == 400
        assert status(BROWSER + b"x" * 400_000) == 400
        for size in (1, 100):  # the bound is the same in pieces
            for body in (b"x" * 70_000 + b"\r\n" + BROWSER, BROWSER + b"x" * 70_000):
                more = {"wsgi.input": Dribble(body, size), "CONTENT_LENGTH": str(len(body))}
                assert status(b"", **more) == 400

    def test_quoted_boundary(self):
        """A boundary of all characters that there may be."""
        boundary = "'()+_,-./:=? 0aZ"
        content_type = f'Multipart/Form-Data; charset=utf-8; Boundary="{boundary}"'
        made = request_of(body_of(part("a", "1"), boundary=boundary), content_type)
        assert made.form() == {"a": "1"}

    def test_names(self):
        """Names with quotes, ends of lines, and other characters."""
        body = body_of(part("a%22%0D%0A", "1"), part("é\U0001f600", "2"), part("", "3"))
        assert request_of(body).form() == {'a"\r\n': "1", "é\U0001f600": "2", "": "3"}

    def test_file_without_a_name(self):
        """A file that has content is one; without a type it is of none that is known."""
        upload = request_of(body_of(part("f", "x", ""))).files["f"]
        assert (upload.filename, upload.client_filename) == ("file", "")
        assert upload.content_type == "application/octet-stream"

    def test_type_of_file(self):
        """A client may call a file what it likes."""
        for line in ("Content-Type: pdf", "Content-Type: ", "Content-Type: a/b; x", "X: y"):
            upload = request_of(body_of(part("f", "x", "f", line))).files["f"]
            assert upload.content_type == "application/octet-stream"
        nested = part("f", "x", "f.mht", "Content-Type: multipart/related; boundary=x")
        assert request_of(body_of(nested)).files["f"].content_type == "multipart/related"

    def test_names_are_made_safe(self):
        """The name of a file has no directory; what the client said is there, too."""
        upload = request_of(body_of(part("f", "x", "../../etc/passwd"))).files["f"]
        assert (upload.filename, upload.client_filename) == ("passwd", "../../etc/passwd")

    def test_extended_names(self):
        """`filename*` counts, where programs send it."""
        made = request_of(body_of(part("f", "x", "=?utf-8?B?w6k=?=\"; filename*=\"utf-8''%C3%A9")))
        assert made.files["f"].filename == "é"

    @pytest.mark.parametrize("coding", ["binary", "8bit", "7BIT "])
    def test_identity_codings(self, coding):
        """A Content-Transfer-Encoding that changes nothing is ignored."""
        body = body_of(part("a", "1", None, f"Content-Transfer-Encoding: {coding}"))
        assert request_of(body).form() == {"a": "1"}

    def test_charset_field_is_a_field(self):
        """`_charset_` says nothing about the others (RFC 7578 section 4.6)."""
        body = body_of(part("_charset_", "iso-8859-1"), part("a", "é"))
        assert request_of(body).form() == {"_charset_": "iso-8859-1", "a": "é"}

    @pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"us-ascii"'])
    def test_charset_of_a_field(self, charset):
        """A field may say that it is UTF-8."""
        body = body_of(part("a", "é", None, f"Content-Type: text/plain; charset={charset}"))
        assert request_of(body).form() == {"a": "é"}


TWICE = 'Content-Disposition: form-data; name="b"'
LATIN = "Content-Type: text/plain; charset=iso-8859-1"
NESTED = "Content-Type: multipart/mixed; boundary=x"

REFUSED = {
    "no boundary": (400, BROWSER, "multipart/form-data"),
    "an empty boundary": (400, BROWSER, 'multipart/form-data; boundary=""'),
    "a long boundary": (400, BROWSER, "multipart/form-data; boundary=" + "x" * 71),
    "a boundary with a tab": (400, BROWSER, 'multipart/form-data; boundary="a\tb"'),
    "a boundary with a star": (400, BROWSER, "multipart/form-data; boundary=a*b"),
    "a boundary with a blank last": (400, BROWSER, 'multipart/form-data; boundary="a "'),
    "two boundaries": (400, BROWSER, "multipart/form-data; boundary=a; boundary=b"),
    "another boundary": (400, BROWSER, "multipart/form-data; boundary=other"),
    "nothing": (400, b"", None),
    "not a form": (400, b"{}", None),
    "the end alone": (400, f"--{BOUNDARY}".encode(), None),
    "a bare LF": (400, BROWSER.replace(b"\r\n", b"\n"), None),
    "a boundary after something": (400, b"x" + BROWSER, None),
    "a boundary after a hundred bytes": (400, b"x" * 100 + BROWSER, None),
    "a boundary after a bare LF": (400, b"x" * 99 + b"\n" + BROWSER, None),
    "a bare LF in a header": (400, body_of(part("a", "1", None, "X: y\nZ: z")), None),
    "a bare LF before a header": (400, body_of(part("a", "1", None, "\nX: y")), None),
    "a bare LF after a name": (400, body_of(part("a", "1", None, "X\n: y")), None),
    "a bare CR in a header": (400, body_of(part("a", "1", None, "X: y\rZ: z")), None),
    "a NUL in a filename": (400, body_of(part("a", "1", "a.txt\0.exe")), None),
    "a blank before the colon": (400, body_of(part("a", "1", None, "X : y")), None),
    "something after a boundary": (400, f"--{BOUNDARY}x\r\n".encode() + BROWSER, None),
    "no disposition": (400, body_of(b"X: y\r\n\r\n1"), None),
    "no name": (400, body_of(b"Content-Disposition: form-data\r\n\r\n1"), None),
    "a disposition twice": (400, body_of(part("a", "1", None, TWICE)), None),
    "a name twice": (400, body_of(part('a"; name="b', "1")), None),
    "a filename twice": (400, body_of(part("a", "1", 'b"; filename="c')), None),
    "another disposition": (400, body_of(b"Content-Disposition: attachment; name=a\r\n\r\n1"), None),
    "a line without a colon": (400, body_of(part("a", "1", None, "nothing")), None),
    "a name of a header with a blank": (400, body_of(part("a", "1", None, "X y: z")), None),
    "a header that is not UTF-8": (400, body_of(part("e", "1").replace(b"e\"", b"\xe9\"")), None),
    "a field that is not UTF-8": (400, body_of(part("a", b"\xe9")), None),
    "a lone surrogate": (400, body_of(part("a", b"\xed\xa0\x80")), None),
    "a charset": (415, body_of(part("a", "1", None, LATIN)), None),
    "a malformed type": (400, body_of(part("a", "1", None, "Content-Type: text")), None),
    "base64": (415, body_of(part("a", "MQ==", None, "Content-Transfer-Encoding: base64")), None),
    "nested": (400, body_of(part("a", body_of(boundary="x"), None, NESTED)), None),
    "a wrong length": (400, body_of(part("a", "1", None, "Content-Length: 2")), None),
    "a length that is none": (400, body_of(part("a", "1", None, "Content-Length: -1")), None),
    "a long header": (413, body_of(part("a" * 5000, "1")), None),
    "a long name": (413, body_of(part("a" * 1025, "1")), None),
    "many headers": (413, body_of(part("a", "1", None, *[f"X-{n}: y" for n in range(20)])), None),
    "one very long header": (413, body_of(part("a", "1", None, "X: " + "y" * 400_000)), None),
    "many fields": (413, body_of(*[part("a", "1")] * 1001), None),
    "many files": (413, body_of(*[part("a", "1", "f")] * 101), None),
    "large fields": (413, body_of(part("a", "1" * 600_000), part("b", "1" * 600_000)), None),
}  # fmt: skip


class TestRefused:
    @pytest.mark.parametrize("name", REFUSED)
    def test_body(self, name):
        """Each ends in its status, however it comes, and the second call says the same."""
        code, body, content_type = REFUSED[name]
        more = {} if content_type is None else {"content_type": content_type}
        for size in (1 << 20, 100, 50):
            stream = {"wsgi.input": Dribble(body, size), "CONTENT_LENGTH": str(len(body))}
            made = request_of(body, **more, **stream)
            for _ in range(2):
                with pytest.raises(HTTPError) as caught:
                    made.form()
                assert caught.value.code == code
            assert not made.holds_files

    def test_truncated_anywhere(self):
        """A form that is cut off is 400 at every place."""
        for end in range(len(BROWSER) - 2):
            assert status(BROWSER[:end]) == 400, end
            more = {"CONTENT_LENGTH": str(len(BROWSER))}
            assert status(BROWSER[:end], **more) == 400, end
        assert status(BROWSER[:-2]) == 0

    @pytest.mark.parametrize(
        ("limits", "body"),
        [
            (Limits(fields=2), body_of(*[part("a", "")] * 3)),
            (Limits(files=2), body_of(*[part("a", "x", "f")] * 3)),
            (Limits(fields=0, files=1), body_of(part("a", "x", "f"), part("a", ""))),
            (Limits(field_bytes=10), body_of(part("a", "x" * 10))),
            (Limits(field_bytes=10), body_of(part("a" * 11, ""))),
            (Limits(file_bytes=10), body_of(part("a", "x" * 11, "f"))),
            (Limits(files_bytes=10), body_of(*[part("a", "x" * 6, "f")] * 2)),
            (Limits(files=1), body_of(*[part("a", "", "")] * 1002)),
        ],
    )
    def test_bounds(self, limits, body):
        """One more than a bound is 413."""
        with pytest.raises(ContentTooLarge):
            request_of(body, limits=limits).form()

    def test_at_the_bounds(self):
        """What is just within is taken."""
        parts = [part("a", "x" * 9), part("f", "y" * 10, "f"), part("f", "z" * 10, "f")]
        limits = Limits(fields=1, files=2, field_bytes=10, file_bytes=10, files_bytes=20)
        assert len(request_of(body_of(*parts), limits=limits).files.all("f")) == 2

    def test_too_large_is_not_read(self):
        """A body that says that it is larger than all bounds together is refused unread."""
        stream = Dribble(b"", 1)
        with pytest.raises(ContentTooLarge):
            request_of(b"", **{"wsgi.input": stream, "CONTENT_LENGTH": "100000000"}).form()
        assert stream.asked == 0

    @pytest.mark.parametrize(
        ("number", "code"), [(errno.ENOSPC, 507), (errno.EFBIG, 507), (errno.EMFILE, 503)]
    )
    def test_no_room(self, monkeypatch, caplog, number, code):
        """RFC 4918 section 11.5: what the disk does not take is 507, with a line in the log."""

        def fail(*_: Any, **__: Any) -> Any:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(tempfile, "TemporaryFile", fail)
        made = request_of(body_of(part("a", b"x" * 100, "a.txt")), limits=Limits(memory_bytes=10))
        for _ in range(2):
            with pytest.raises(HTTPError) as caught:
                made.form()
            assert caught.value.code == code
            assert os.strerror(number) not in caught.value.detail
            assert (("Retry-After", "1") in caught.value.headers) is (code == 503)
        (line,) = [record.getMessage() for record in caplog.records]
        assert line == f"POST '/': cannot keep the files of a form: {os.strerror(number)}"

    def test_without_the_library(self, monkeypatch):
        """Without the extra there is an error that names it."""
        monkeypatch.setitem(sys.modules, "multipart", None)
        with pytest.raises(RuntimeError, match=r"breezeway\[forms\]"):
            request_of(BROWSER).form()

    def test_route_without_the_library(self, monkeypatch):
        """Without it, a handler that takes a file is refused when it is added, by itself or in a form."""

        def one(file: Upload | None = None):
            raise AssertionError

        def several(files: list[Upload]):
            raise AssertionError

        def member(form: Annotated[Picture, Form()]):
            raise AssertionError

        monkeypatch.setitem(sys.modules, "multipart", None)
        for handler in (one, several, member):
            with pytest.raises(
                RuntimeError, match=rf"of .*{handler.__name__}: .*breezeway\[forms\]"
            ):
                App().post("/")(handler)


@dataclass
class Picture:
    """A form with a file."""

    file: Upload


def upload_of(content: bytes, memory: int = 1 << 18):
    """Return a request and a file of its form."""
    made = request_of(
        body_of(part("a", "1"), part("x", "before", "x"), part("f", content, "f.bin"))
    )
    made.limits = Limits(memory_bytes=memory)
    return made, made.files["f"]


@pytest.mark.parametrize("memory", [0, 10, 1 << 18], ids=["disk", "both", "memory"])
class TestUpload:
    def test_like_a_file(self, memory):
        """It reads as `io.BytesIO` does."""
        content = b"one\ntwo\n\n" + bytes(range(256)) * 100 + b"\nend"
        _, upload = upload_of(content, memory)
        like = io.BytesIO(content)
        assert (upload.readable(), upload.seekable(), upload.writable()) == (True, True, False)
        calls = [
            ("read", 2),
            ("readline",),
            ("readline", 2),
            ("tell",),
            ("read1", 5),
            ("seek", 0, 2),
            ("read",),
            ("seek", -3, 1),
            ("read", 10),
            ("seek", 30_000),
            ("read",),
            ("readline",),
            ("seek", 5),
            ("readlines",),
            ("seek", 1),
            ("read", None),
        ]
        for name, *arguments in calls:
            assert getattr(upload, name)(*arguments) == getattr(like, name)(*arguments)
        upload.seek(0)
        assert [*upload] == [*io.BytesIO(content)]
        chance = random.Random(memory)
        for _ in range(500):
            place = chance.randrange(len(content) + 10)
            for name, argument in [
                ("seek", place),
                (chance.choice(["read", "readline"]), chance.choice([-1, 0, 1, 50, 20_000])),
                ("readline", chance.choice([-1, 3])),
                ("seek", chance.choice([place, max(0, place - 30)])),
                ("readline", -1),
            ]:
                assert getattr(upload, name)(argument) == getattr(like, name)(argument)
        with pytest.raises(ValueError, match="no place"):
            upload.seek(-1)
        with pytest.raises(io.UnsupportedOperation):
            upload.write(b"x")

    def test_in_libraries(self, memory):
        """The modules of the library take it for a file."""
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            archive.writestr("a.txt", "text" * 100)
        _, upload = upload_of(written.getvalue(), memory)
        with zipfile.ZipFile(upload) as archive:
            assert archive.read("a.txt") == b"text" * 100
        _, upload = upload_of("é\nb".encode(), memory)
        assert [*io.TextIOWrapper(upload, "utf-8")] == ["é\n", "b"]

    def test_save(self, memory, tmp_path):
        """It is saved whole, wherever it was read to, and over nothing unless that is wanted."""
        content = bytes(range(256)) * 3000
        _, upload = upload_of(content, memory)
        upload.read(10)
        target = tmp_path / upload.filename
        assert upload.save(target) == target
        assert target.read_bytes() == content
        with pytest.raises(FileExistsError):
            upload.save(str(target))
        target.write_bytes(b"")
        upload.save(target, overwrite=True)
        assert target.read_bytes() == content
        assert b"".join(upload.blocks(1000)) == content
        assert upload.tell() == 10

    def test_save_too_late(self, memory, tmp_path):
        """After the end nothing is written, and nothing is taken away."""
        made, upload = upload_of(b"content", memory)
        (tmp_path / "there").write_bytes(b"old")
        made.close()
        for overwrite, name in ((True, "there"), (False, "new")):
            with pytest.raises(ValueError, match="request is over"):
                upload.save(tmp_path / name, overwrite=overwrite)
        assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]

    def test_save_fails(self, memory, tmp_path, monkeypatch):
        """Half a file does not stay."""
        made, upload = upload_of(b"x" * 1_000_000, memory)
        blocks = upload.blocks()

        def broken():
            yield next(blocks)
            raise OSError("disk full")

        monkeypatch.setattr(upload, "blocks", broken)
        with pytest.raises(OSError, match="disk full"):
            upload.save(tmp_path / "half")
        assert not [*tmp_path.iterdir()]
        made.close()

    def test_close(self, memory):
        """What is closed cannot be read; the others can."""
        made, upload = upload_of(b"content", memory)
        with upload:
            assert upload.read(3) == b"con"
        for use in (upload.read, upload.readline, lambda: upload.seek(0), lambda: [*upload]):
            with pytest.raises(ValueError, match="closed"):
                use()
        other = made.files["x"]
        assert other.read() == b"before"
        made.close()
        made.close()
        other.seek(0)
        with pytest.raises(ValueError, match="request is over"):
            other.read()

    def test_threads(self, memory):
        """Several threads read files of one form at once."""
        content = bytes(range(256)) * 200
        made = request_of(body_of(*[part("f", content, "f")] * 8))
        made.limits = Limits(memory_bytes=memory)
        results = []

        def read(upload):
            results.append(b"".join(iter(lambda: upload.read(100), b"")) == content)

        threads = [threading.Thread(target=read, args=(each,)) for each in made.files.all("f")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [True] * 8


@pytest.fixture
def spools(tmp_path, monkeypatch):
    """Count the temporary files that are open."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def count() -> int:
        assert not [*tmp_path.iterdir()], "a temporary file has a name"
        directory = Path("/proc/self/fd")
        links = [os.readlink(each) for each in directory.iterdir() if each.is_symlink()]
        return sum(link.startswith(str(tmp_path)) for link in links)

    return count


class TestSpool:
    def test_one_descriptor(self, spools):
        """All files of a form are in one file without a name, which goes with the request."""
        made = request_of(body_of(*[part("f", b"x" * 10_000, "f")] * 60))
        made.form()
        assert made.holds_files
        assert spools() == 1
        made.close()
        assert spools() == 0

    def test_garbage(self, spools):
        """A request that nobody closes takes its file along, without a warning."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made = request_of(body_of(part("f", b"x" * 1_000_000, "f")))
            made.form()
            assert spools() == 1
            del made
            gc.collect()
        assert spools() == 0

    @pytest.mark.parametrize("end", [b"", b"\r\n--" + BOUNDARY.encode() + b"x"])
    def test_refused(self, end, spools):
        """A form that is refused in the middle leaves nothing."""
        made = request_of(body_of(part("f", b"x" * 1_000_000, "f"))[:-50] + end)
        with pytest.raises(BadRequest):
            made.form()
        assert spools() == 0

    def test_small_files_need_none(self, spools):
        """Small files stay in memory, together up to the bound."""
        made = request_of(body_of(*[part("f", b"x" * 2000, "f")] * 100))
        assert len(made.files.all("f")) == 100
        assert spools() == 0


def test_charset_is_415():
    """The charset of the whole form does not count: RFC 7578 section 5.1.2 lets each part say its own."""
    assert request_of(BROWSER, f"multipart/form-data; charset=x; boundary={BOUNDARY}").form()
    with pytest.raises(Unsupported):
        request_of(BROWSER, "multipart/mixed; boundary=x").form()


MEMORY = """
import sys
sys.path.insert(0, {bench!r})
import upload
upload.measure("breezeway", {content!r}, {mib} << 20)
"""


@pytest.mark.parametrize("content", ["film", "nearly boundaries"])
def test_memory(content):
    """A large file takes a few MiB of memory, and so much time as its bytes (bench/web/upload.py)."""
    bench = Path(__file__).parents[2] / "bench" / "web"
    program = MEMORY.format(bench=str(bench), content=content, mib=96)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    added = done.stdout.rpartition("+")[2].removesuffix("MiB\n")
    assert float(added) < 5


@pytest.mark.parametrize("start", range(0, 2000, 500))
def test_hostile(start):
    """Hostile bodies end in a clean 4xx, or in what is right (`tests.web.hostile_forms`)."""
    codes = {Hostile(seed).send()[0] for seed in range(start, start + 500)}
    assert codes == {*STATUSES}
