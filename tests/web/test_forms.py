"""Forms: urlencoded, and as arguments of handlers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest

from breezeway.web import App, BadRequest, ContentTooLarge, Form, Limits, Query, Request, Upload
from breezeway.web import UnsupportedMediaType as Unsupported

from ..middleware.calling import call
from .forms import BOUNDARY, body_of, part, request_of

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


class TestUrlencoded:
    def test_read(self):
        """Names and values, in order, several of one name."""
        made = request_of(b"a=1&b=caf%C3%A9+x&a=2&c", URLENCODED)
        assert made.form() == {"a": "1", "b": "café x", "c": ""}
        assert made.form().all("a") == ["1", "2"]
        assert made.form() is made.form()
        assert made.files == {}
        assert not made.holds_files
        made.close()

    @pytest.mark.parametrize("body", [b"a=%E9", b"\xe9=1", b"a=%C3", b"a=%ED%A0%80"])
    def test_not_utf_8(self, body):
        """What is not UTF-8 is 400."""
        made = request_of(body, URLENCODED)
        for _ in range(2):
            with pytest.raises(BadRequest, match="not UTF-8"):
                made.form()

    def test_charset_field_is_a_field(self):
        """`_charset_` says nothing about the others."""
        form = request_of(b"_charset_=iso-8859-1&a=%C3%A9", URLENCODED).form()
        assert form == {"_charset_": "iso-8859-1", "a": "é"}

    def test_charset(self):
        """Another charset is 415."""
        assert request_of(b"a=1", f"{URLENCODED}; charset=UTF-8").form() == {"a": "1"}
        with pytest.raises(Unsupported):
            request_of(b"a=1", f"{URLENCODED}; charset=iso-8859-1").form()

    def test_bounds(self):
        """Too many names, or too many bytes, are 413."""
        assert len(request_of(b"a=1&" * 1000, URLENCODED).form().pairs) == 1000
        with pytest.raises(ContentTooLarge, match="more than 1000 fields"):
            request_of(b"a=1&" * 1001, URLENCODED).form()
        with pytest.raises(ContentTooLarge, match="more than 2 fields"):
            request_of(b"a&b&c", URLENCODED).form(Limits(fields=2))
        with pytest.raises(ContentTooLarge, match="more than 1048576 bytes"):
            request_of(b"a=" + b"x" * (1 << 20), URLENCODED).form()

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/json", "multipart/mixed", "x/y"]
    )
    def test_other_types(self, content_type):
        """Another type is 415, which says what there may be."""
        with pytest.raises(Unsupported) as caught:
            request_of(b"a=1", content_type).form()
        ((name, value),) = caught.value.headers
        assert (name, value) == ("Accept-Post", f"{URLENCODED}, multipart/form-data")

    def test_nothing(self):
        """No body is an empty form; a body of no type is none."""
        assert request_of(b"", "").form() == {}
        with pytest.raises(Unsupported):
            request_of(b"a=1", "").form()

    def test_another_try(self):
        """A body that is no form may be something else; one that is too large, under another bound not."""
        made = request_of(b"[1]", "application/json")
        with pytest.raises(Unsupported):
            made.form()
        assert made.json() == [1]
        made = request_of(b"a=" + b"x" * 100, URLENCODED)
        with pytest.raises(ContentTooLarge):
            made.form(Limits(body_bytes=10))
        assert len(made.form()["a"]) == 100

    def test_body_is_still_there(self):
        """The body of an urlencoded form is kept."""
        made = request_of(b"a=1", URLENCODED)
        made.form()
        assert made.body == b"a=1"


@dataclass
class Note:
    title: str
    picture: Upload
    more: list[Upload]
    stars: int = 3
    sound: Upload | None = None


@dataclass
class Sound:
    title: str
    file: Upload | None = None


class Film(TypedDict):
    name: str
    film: Upload


def make() -> App:
    """Make an application that takes files."""
    app = App()

    @app.post("/one")
    def one(file: Upload, note: Annotated[str, Form()] = "-") -> Any:
        return {"name": file.filename, "text": file.read().decode(), "note": note}

    @app.post("/some")
    def some(files: list[Upload], other: Annotated[Upload | None, Form("x")] = None) -> Any:
        return {"sizes": [file.size for file in files], "other": other and other.filename}

    @app.post("/note")
    def note(note: Annotated[Note, Form()]) -> Any:
        return [note.title, note.picture.size, len(note.more), note.stars, note.sound is None]

    @app.post("/film")
    def film(film: Annotated[Film, Form()]) -> Any:
        return [film["name"], film["film"].size]

    return app


class TestArguments:
    def test_file(self):
        """A file, and a field beside it."""
        body = body_of(part("note", "é"), part("file", "text", "a.txt"))
        result = call(make(), "/one", "POST", MULTIPART, body)
        assert result.body == '{"name":"a.txt","text":"text","note":"é"}'.encode()

    def test_files(self):
        """All files of a name, and none."""
        body = body_of(part("files", "1", "a"), part("x", "", "b"), part("files", "22", "c"))
        result = call(make(), "/some", "POST", MULTIPART, body)
        assert result.body == b'{"sizes":[1,2],"other":"b"}'
        assert (
            call(make(), "/some", "POST", MULTIPART, body_of()).body == b'{"sizes":[],"other":null}'
        )

    def test_members(self):
        """Files are members of a dataclass or TypedDict."""
        body = body_of(part("title", "T"), part("picture", "12", "p"), part("more", "3", "m"))
        assert call(make(), "/note", "POST", MULTIPART, body).body == b'["T",2,1,3,true]'
        body = body_of(part("name", "N"), part("film", "123", "f"))
        assert call(make(), "/film", "POST", MULTIPART, body).body == b'["N",3]'

    @pytest.mark.parametrize(
        "body",
        [body_of(), body_of(part("file", "text")), body_of(part("file", "", ""))],
    )
    def test_missing(self, body):
        """A file that is not there, is a field, or was not chosen, is a fault."""
        result = call(make(), "/one", "POST", MULTIPART, body)
        assert result.code == 422
        assert b'{"in":"form","at":"file","says":"is missing"}' in result.body

    def test_urlencoded(self):
        """A form without files has none; another body is 415."""
        result = call(make(), "/one", "POST", {"Content-Type": URLENCODED}, b"file=a.txt")
        assert result.code == 422
        result = call(make(), "/one", "POST", {"Content-Type": "application/json"}, b"{}")
        assert result.code == 415

    def test_from_a_form_alone(self):
        """A file is in no query."""
        with pytest.raises(TypeError, match="form alone"):

            @App().post("/")
            def wrong(file: Annotated[Upload, Query()]) -> None:
                pass

    def test_in_json(self):
        """JSON has no files; a class that has to have one is told when the route is added."""
        app = App()

        @app.post("/")
        def sound(sound: Sound) -> str:
            return sound.title

        for body, code in ((b'{"title": "T"}', 200), (b'{"title": "T", "file": "x"}', 422)):
            result = call(app, "/", "POST", {"Content-Type": "application/json"}, body)
            assert (result.code, b"must be a file of a form" in result.body) == (code, code == 422)
        with pytest.raises(TypeError, match=r"'note' of .*note: it has a file"):

            @app.post("/note")
            def note(note: Note) -> None:
                raise AssertionError


class TestAround:
    def test_a_piece_that_looks_at_the_form(self):
        """What reads a form around an application leaves it to the application."""
        app = make()
        inner = app.wsgi_app

        def around(environ, start_response):
            request = Request(environ)
            assert request.form().files["file"].size == 4
            return inner(environ, start_response)

        app.wsgi_app = around
        result = call(app, "/one", "POST", MULTIPART, body_of(part("file", "text", "a.txt")))
        assert b'"text":"text"' in result.body

    def test_all_that_was_read_is_shared(self):
        """Body, JSON and failures are, too; another input is another body."""
        made = request_of(b"[1]", "application/json")
        other = Request(made.environ)
        assert made.json() is other.json()
        assert other.body == b"[1]"
        made = request_of(b"[1]", "application/json", CONTENT_LENGTH="9")
        other = Request(made.environ)
        for each in (made, other):
            with pytest.raises(BadRequest):
                each.json()
        made.environ.update({"wsgi.input": io.BytesIO(b"[2]"), "CONTENT_LENGTH": "3"})
        assert other.json() == [2]


class TestEnd:
    def test_closed_with_the_response(self):
        """The files are there until the response has gone, and not after."""
        kept: list[Upload] = []
        app = App()

        @app.post("/text")
        def text(file: Upload) -> str:
            kept.append(file)
            return "x"

        @app.post("/stream")
        def stream(file: Upload) -> Any:
            kept.append(file)
            yield b"<"
            yield from file.blocks()

        @app.post("/broken")
        def broken(file: Upload) -> str:
            kept.append(file)
            raise BadRequest("no")

        for size in (10, 1_000_000):
            for path in ("/text", "/stream", "/broken"):
                body = body_of(part("file", b"x" * size, "f"))
                result = call(app, path, "POST", MULTIPART, body)
                if path == "/stream":
                    assert result.body == b"<" + b"x" * size
                with pytest.raises(ValueError, match="the request is over"):
                    kept.pop().read()

    def test_limits(self):
        """A route has bounds of its own, and a call."""
        app = App(limits=Limits(file_bytes=10))

        @app.post("/small")
        def small(file: Upload) -> str:
            return str(file.size)

        @app.post("/large", limits=Limits(file_bytes=100))
        def large(file: Upload) -> str:
            return str(file.size)

        @app.post("/own")
        def own(request: Request) -> str:
            return str(request.form(Limits(file_bytes=1000)).files["file"].size)

        for path, most in (("/small", 10), ("/large", 100), ("/own", 1000)):
            body = body_of(part("file", b"x" * most, "f"))
            assert call(app, path, "POST", MULTIPART, body).body == str(most).encode()
            body = body_of(part("file", b"x" * (most + 1), "f"))
            assert call(app, path, "POST", MULTIPART, body).code == 413
