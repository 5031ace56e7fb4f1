"""Response: content, status, fields, cookies, validators, and its end on every path."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import gc
import http
import io
import json
import uuid
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from wsgiref.util import FileWrapper

import pytest

from breezeway.web import Response, json_response, text_response, use_json
from breezeway.web.json_encoding import LIBRARIES, dumps
from breezeway.web.response import STATUS

from ..middleware.calling import call, make_environ, run

NOW = datetime.datetime(2026, 11, 22, 10, 0, tzinfo=datetime.UTC)


class Closing:
    """Blocks that count their ends."""

    def __init__(self, *blocks: Any) -> None:
        self.blocks = blocks
        self.closed = 0

    def __iter__(self) -> Any:
        return iter(self.blocks)

    def close(self) -> None:
        self.closed += 1


class TestContent:
    @pytest.mark.parametrize(
        ("content", "body", "length"),
        [
            ("höher", "höher".encode(), "6"),
            (b"\0", b"\0", "1"),
            (bytearray(b"ab"), b"ab", "2"),
            (memoryview(b"ab"), b"ab", "2"),
            ("", b"", "0"),
            (["a", b"b", "ü"], "abü".encode(), "4"),
            (("a",), b"a", "1"),
            ((each for each in ["ä", b"b", bytearray(b"c")]), "äbc".encode(), None),
            (iter([]), b"", None),
            (io.StringIO("a\nb"), b"a\nb", None),
        ],
    )
    def test_kinds(self, content, body, length):
        """A text is UTF-8; an iterable of texts and bytes is sent; the length is told if it is known."""
        result = call(Response(content))
        assert (result.code, result.body, result["content-length"]) == (200, body, length)
        assert result["content-type"] == "text/html; charset=utf-8"

    @pytest.mark.parametrize("content", [{"a": 1}, None, 5, object()])
    def test_no_content(self, content):
        """What is none is refused where it is made."""
        with pytest.raises(TypeError):
            Response(content)

    def test_async(self):
        """An async generator is refused."""

        async def blocks():
            yield "a"

        with pytest.raises(TypeError, match="async"):
            Response(blocks())

    @pytest.mark.parametrize("block", [None, 5, ["a"]])
    def test_wrong_blocks(self, block):
        """A block that is neither a text nor bytes is an error, and the rest is closed."""
        blocks = Closing("a", block)
        with pytest.raises(TypeError, match="a block of a response"):
            call(Response(blocks))
        assert blocks.closed == 1
        with pytest.raises(TypeError, match="a block of a response"):
            call(Response([block]))

    @pytest.mark.parametrize(
        "content", ["abc", ["a", "bc"], (each for each in "abc"), Closing("abc")]
    )
    def test_head(self, content):
        """HEAD has the fields and no content."""
        result = call(Response(content), method="HEAD")
        assert (result.code, result.body) == (200, b"")

    @pytest.mark.parametrize("status", [204, 304])
    @pytest.mark.parametrize("content", ["abc", (each for each in "abc")])
    def test_without_content(self, status, content):
        """What has no content has no type and no length, also when it became so later."""
        response = Response(content)
        response.status = status
        result = call(response)
        assert (result.code, result.body, result.headers) == (status, b"", [])

    def test_reset_content(self):
        """A 205 has no content, and says so by its length."""
        result = call(Response("abc", 205))
        assert (result.code, result.body) == (205, b"")
        assert result["content-length"] == "0"

    def test_sent_twice(self):
        """A response with bytes can be sent again."""
        response = Response("a")
        assert call(response) == call(response)
        assert call(response)["content-length"] == "1"

    def test_length_of_ones_own(self):
        """The length is that of the content, whatever a header says; for a stream it is the header's."""
        assert call(Response("abc", headers={"Content-Length": "9"})).all("content-length") == ["3"]
        alone = Response("abc", headers={"Content-Length": "9"}, content_type="")
        sent: list[Any] = []
        alone(make_environ(), lambda _, fields: sent.extend(fields))
        assert sent == [("Content-Length", "3")]
        streamed = Response(iter("abc"), headers={"Content-Length": "3"})
        assert call(streamed)["content-length"] == "3"

    def test_file_wrapper_stays(self):
        """The server's own file wrapper reaches it as it is."""
        environ = make_environ()
        wrapped = FileWrapper(io.BytesIO(b"x"))
        assert Response(wrapped)(environ, lambda *_: None) is wrapped


class TestType:
    @pytest.mark.parametrize(
        ("content", "given", "told"),
        [
            ("a", "text/css", "text/css; charset=utf-8"),
            ("a", "text/csv; header=present", "text/csv; header=present; charset=utf-8"),
            ("a", "text/plain; charset=us-ascii", "text/plain; charset=us-ascii"),
            (b"a", "text/css", "text/css"),
            (b"a", "image/png", "image/png"),
        ],
    )
    def test_charset(self, content, given, told):
        """A text says that it is UTF-8; of bytes nobody knows."""
        assert call(Response(content, content_type=given))["content-type"] == told

    def test_of_headers(self):
        """A Content-Type among the headers counts."""
        result = call(Response("a", headers=[("content-type", "text/x")]))
        assert result.all("content-type") == ["text/x"]

    def test_none(self):
        """There may be none."""
        fields = []
        Response(b"", content_type="")(make_environ(), lambda _, given: fields.extend(given))
        assert fields == [("Content-Length", "0")]

    @pytest.mark.parametrize("given", ["text/html\r\nX: y", "text/html\n", "text/ü\u2028"])
    def test_no_injection(self, given):
        """It cannot begin another field."""
        with pytest.raises(ValueError, match="Content-Type"):
            Response("a", content_type=given)


class TestStatus:
    @pytest.mark.parametrize(
        ("given", "line"),
        [
            (200, "200 OK"),
            (299, "299 Unknown"),
            (422, "422 Unprocessable Content"),
            (http.HTTPStatus.NOT_FOUND, "404 Not Found"),
            ("404", "404 Not Found"),
            ("404 Gone Fishing", "404 Gone Fishing"),
            ("500 Zurück", "500 Zurück"),
        ],
    )
    def test_lines(self, given, line):
        """A number has its phrase; a text may have its own."""
        response = Response("a", given)
        assert call(response).status == line
        assert response.status == int(line[:3])
        assert line in repr(response)

    @pytest.mark.parametrize(
        "given",
        [
            0,
            100,
            199,
            600,
            True,
            "OK",
            "20",
            "2000",
            "200 A\r\nX: y",
            "\uff12\uff10\uff10",
            None,
            200.5,
        ],
    )
    def test_refused(self, given):
        """A status is final, and its phrase begins no field."""
        with pytest.raises(ValueError, match="tatus"):
            Response("a", given)

    def test_changed(self):
        """A status that is set later is held to the same."""
        response = Response("a")
        response.status = "404 No Such Page"
        assert (response.status, call(response).status) == (404, "404 No Such Page")
        other = Response("b")
        other.status = response.status
        assert call(other).status == "404 No Such Page"
        response.status = http.HTTPStatus.GONE
        assert call(response).status == "410 Gone"
        for wrong in (700, "OK", None):
            with pytest.raises(ValueError, match="status"):
                response.status = wrong

    def test_all(self):
        """Every code from 200 to 599 has a line."""
        assert len(STATUS) == 400


class TestHeaders:
    @pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x=1", "a\n", "a\0", "a\x7f", "\u2028"])
    def test_no_injection(self, value):
        """A value stays one, at construction and after."""
        with pytest.raises(ValueError, match="must not have"):
            Response("a", headers={"X-A": value})
        response = Response("a")
        with pytest.raises(ValueError, match="must not have"):
            response.headers["X-A"] = value

    @pytest.mark.parametrize("name", ["A\r\nSet-Cookie: x=1", "a b", ""])
    def test_vary(self, name):
        """Vary names fields, none of which begins another line."""
        response = Response("a")
        response.headers.vary("Accept", "*")
        assert response.headers["Vary"] == "Accept, *"
        with pytest.raises(ValueError, match="not the name of a header"):
            response.headers.vary(name)

    def test_several(self):
        """Lines of one name stay apart."""
        result = call(Response("a", headers=[("X-A", "1"), ("X-A", "2")]))
        assert result.all("x-a") == ["1", "2"]

    def test_defaults(self):
        """Fields that are sent along count where the response has none of their name."""
        environ = make_environ()
        for response in (Response("a"), Response("a", headers={"x-a": "own"}), Response(iter("a"))):
            sent: list[Any] = []
            response.send(environ, lambda _, fields, sent=sent: sent.extend(fields), [("X-A", "d")])
            values = [value for name, value in sent if name.lower() == "x-a"]
            assert values == (["own"] if "x-a" in response.headers else ["d"])


class TestCookies:
    @pytest.mark.parametrize(
        ("said", "sent"),
        [
            ("max-age=60", "private, max-age=60"),
            ("public, s-maxage=9", "private"),
            ("no-store", "no-store"),
            ("private", "private"),
        ],
    )
    def test_cache_control_after_a_cookie(self, said, sent):
        """In whichever order they are set, no shared cache stores a cookie (RFC 9111 section 7.3)."""
        response = Response("x")
        response.set_cookie("a", "b")
        response.headers["Cache-Control"] = said
        assert response.headers.all("cache-control") == [sent]
        assert response.headers["Set-Cookie"].startswith("a=b")

    def test_attributes(self):
        """Every attribute is there, and no shared cache keeps the response."""
        response = Response("a")
        response.set_cookie(
            "a",
            "1",
            max_age=60,
            expires=NOW,
            path="/x",
            domain="example.org",
            secure=True,
            same_site="None",
            partitioned=True,
        )
        result = call(response)
        assert result["set-cookie"] == (
            "a=1; Max-Age=60; Expires=Sun, 22 Nov 2026 10:00:00 GMT; Domain=example.org; Path=/x;"
            " SameSite=None; Secure; HttpOnly; Partitioned"
        )
        assert result["cache-control"] == "no-store"

    def test_several(self):
        """Each has a line."""
        response = Response("a")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2", http_only=False, same_site=None, path=None)
        assert call(response).all("set-cookie") == [
            "a=1; Path=/; SameSite=Lax; HttpOnly",
            "b=2",
        ]

    @pytest.mark.parametrize("name", ["__Host-a", "__Secure-a", "__HOST-a"])
    def test_prefixes(self, name):
        """A name with a prefix has what it demands, set and taken back."""
        response = Response("a")
        response.set_cookie(name, "1")
        response.delete_cookie(name)
        first, second = call(response).all("set-cookie")
        assert "Secure" in first
        assert "Secure" in second
        assert "Max-Age=0" in second
        with pytest.raises(ValueError, match="prefix"):
            response.set_cookie(name, "1", secure=False)

    @pytest.mark.parametrize("value", ["a;b", "a b", "ü", "a\r\n", '"', "x" * 5000])
    def test_values(self, value):
        """What no browser would keep, or what would be two fields, is refused."""
        with pytest.raises(ValueError, match="cookie"):
            Response("a").set_cookie("a", value)

    def test_expires_has_a_zone(self):
        """A time without a zone is refused."""
        with pytest.raises(ValueError, match="time zone"):
            Response("a").set_cookie("a", "1", expires=datetime.datetime(2026, 1, 1))


class TestEnd:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("status", [200, 204])
    def test_closed_once(self, method, status):
        """The content is closed once, then the functions are called in order."""
        order: list[str] = []
        blocks = Closing("a", "b")
        response = Response(blocks, status)
        response.on_close(lambda: order.append(f"first, {blocks.closed} closed"))
        response.on_close(lambda: order.append("second"))
        call(response, method=method)
        assert (blocks.closed, order) == (1, ["first, 1 closed", "second"])

    def test_a_client_that_leaves(self):
        """A generator that is half done runs its finally."""
        ended = []

        def blocks():
            try:
                yield "a"
                yield "b"
            finally:
                ended.append(True)

        found = Response(blocks())(make_environ(), lambda *_: None)
        assert next(iter(found)) == b"a"
        assert not ended
        found.close()
        found.close()
        assert ended == [True]

    def test_the_iterator_of_an_iterable(self):
        """What an iterable has begun is ended, too."""
        ended = []

        class Table:
            def __iter__(self):
                try:
                    yield "a"
                    yield "b"
                finally:
                    ended.append(True)

        found = Response(Table())(make_environ(), lambda *_: None)
        iterator = iter(found)
        assert next(iterator) == b"a"
        found.close()
        assert ended == [True]

    def test_start_response_fails(self):
        """The content is closed, and the functions are called."""
        order = []
        blocks = Closing("a")
        response = Response(blocks)
        response.on_close(lambda: order.append(1))

        def start(*_):
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            response(make_environ(), start)
        assert (blocks.closed, order) == (1, [1])

    def test_never_sent(self):
        """A response that is given up can be closed; once is enough."""
        order = []
        blocks = Closing("a")
        response = Response(blocks)
        response.on_close(lambda: order.append(1))
        response.close()
        response.close()
        assert order == [1]

    def test_failing_functions(self):
        """One that fails keeps no other from being called."""
        order = []
        response = Response("a")
        response.on_close(lambda: 1 // 0)
        response.on_close(lambda: order.append(1))
        with pytest.raises(ZeroDivisionError):
            call(response)
        assert order == [1]

    def test_no_circles(self):
        """A response goes when nobody has it, without the collector."""
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                response = Response(iter("abc"))
                response.on_close(lambda: None)
                call(response)
                del response
            assert not [each for each in gc.get_objects() if isinstance(each, Response)]
        finally:
            gc.enable()


class TestConditional:
    def test_tag_that_is_there(self):
        """A tag that the application has told already stays, also for content that is not known yet."""
        for content in ("a", iter("a")):
            made = Response(content, headers={"ETag": '"7"'}).conditional()
            assert call(made, fields={"If-None-Match": '"7"'}).code == 304
        assert Response("a", headers={"ETag": '"7"'}).conditional("8").headers["ETag"] == '"8"'

    def test_tag_of_the_content(self):
        """Without a text the tag is made of the content; a client that has it gets 304."""
        first = call(Response("a").conditional())
        tag = first["etag"]
        assert tag is not None
        again = call(Response("a").conditional(), fields={"If-None-Match": f'"x", {tag}'})
        assert (again.code, again.body, again["etag"]) == (304, b"", tag)
        assert again["content-type"] is None
        assert call(Response("b").conditional(), fields={"If-None-Match": tag}).code == 200

    def test_weak(self):
        """A weak tag is told as one, and compares."""
        response = Response(iter("a")).conditional("v1", weak=True)
        assert call(response, fields={"If-None-Match": '"v1"'}).code == 304

    @pytest.mark.parametrize(
        ("text", "tag", "weak"),
        [("v1", '"v1"', 'W/"v1"'), ('"v1"', '"v1"', 'W/"v1"'), ('W/"v1"', 'W/"v1"', 'W/"v1"')],
    )
    def test_quotes(self, text, tag, weak):
        """A tag may have its quotes already, as it stands in the field."""
        assert Response("a").conditional(text).headers["ETag"] == tag
        assert Response("a").conditional(text, weak=True).headers["ETag"] == weak

    def test_date(self):
        """A date counts where there is no tag."""
        fields = {"If-Modified-Since": "Sun, 22 Nov 2026 10:00:00 GMT"}
        past = NOW - datetime.timedelta(days=400)
        assert call(Response("a").conditional(modified=past), fields=fields).code == 304
        result = call(Response("a").conditional(modified=past))
        assert (result.code, result["last-modified"]) == (200, "Sat, 18 Oct 2025 10:00:00 GMT")
        assert result["etag"] is None

    def test_never_later_than_now(self):
        """A date of tomorrow is one of now."""
        far = datetime.datetime(2999, 1, 1, tzinfo=datetime.UTC)
        told = call(Response("a").conditional(modified=far))["last-modified"]
        assert told is not None
        assert "2999" not in told

    def test_precondition_failed(self):
        """If-Match with another tag is 412."""
        response = Response(Closing("a")).conditional("v2")
        response.headers["X-Request-Id"] = "7"
        failed = call(response, fields={"If-Match": '"v1"'})
        assert (failed.code, failed["x-request-id"], failed["etag"]) == (412, "7", None)
        assert response.content.closed == 1

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_other_methods(self, method):
        """What was done is done: the result of another method is sent."""
        response = Response("a").conditional("v1")
        assert call(response, method=method, fields={"If-None-Match": '"v1"'}).code == 200

    def test_other_statuses(self):
        """An error has no versions."""
        response = Response("a", 404).conditional("v1")
        assert call(response, fields={"If-None-Match": '"v1"'}).code == 404

    def test_functions_are_called(self):
        """They are after a 304, too."""
        order = []
        response = Response("a").conditional("v1")
        response.on_close(lambda: order.append(1))
        assert call(response, fields={"If-None-Match": "*"}).code == 304
        assert order == [1]

    @pytest.mark.parametrize("tag", ['a"b', '"a', '""', "a b", "ü", "a\r\n"])
    def test_malformed(self, tag):
        """A text that can be no tag is refused."""
        with pytest.raises(ValueError, match="a tag is made of ASCII"):
            Response("a").conditional(tag)

    def test_nothing_to_tell_by(self):
        """Of a stream nobody knows its version."""
        with pytest.raises(ValueError, match="give one"):
            Response(iter("a")).conditional()
        with pytest.raises(ValueError, match="time zone"):
            Response("a").conditional(modified=datetime.datetime(2026, 1, 1))


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    a: int
    b: int


@dataclasses.dataclass
class Point:
    x: int
    _hidden: int = 2


PLAIN = [
    {"a": [1, 2.5, None, True, "ü\u2028</script>"]},
    [],
    "text",
    2**53,
    Point(1),
    [Point(1), {"at": NOW, "day": NOW.date(), "time": NOW.time()}],
    uuid.UUID(int=5),
    Colour.RED,
    {"path": PurePosixPath("/a")},
    Pair(1, 2),
    {"s": {1}},
    decimal.Decimal("1.50"),
]


class TestJson:
    def test_text(self):
        """It is UTF-8 without white space."""
        result = call(json_response({"a": "ü", "b": [1, 2]}, 201))
        assert (result.code, result.body) == (201, '{"a":"ü","b":[1,2]}'.encode())
        assert result["content-type"] == "application/json"

    @pytest.mark.parametrize("library", ["orjson", "msgspec"])
    @pytest.mark.parametrize("value", PLAIN, ids=repr)
    def test_libraries_agree(self, library, value):
        """Each library writes the same."""
        pytest.importorskip(library)
        expected = json.loads(dumps(value))
        use_json(library)
        try:
            found = json.loads(dumps(value).replace(b"Z", b"+00:00"))
            assert found == expected
        finally:
            use_json("json")

    @pytest.mark.parametrize("value", [{1: 2, None: 3, 1.5: 4}, 2**80, [{2.5: 1}]])
    def test_what_orjson_cannot(self, value):
        """The standard library does what it leaves."""
        pytest.importorskip("orjson")
        expected = dumps(value)
        use_json("orjson")
        try:
            assert dumps(value) == expected
        finally:
            use_json("json")

    @pytest.mark.parametrize("library", ["json", "orjson", "msgspec"])
    def test_what_has_no_form(self, library):
        """What JSON has no form for is a TypeError."""
        pytest.importorskip(library)
        use_json(library)
        try:
            with pytest.raises(TypeError, match="object cannot be written as JSON"):
                dumps([object()])
        finally:
            use_json("json")

    @pytest.mark.parametrize(
        ("value", "by_json", "by_orjson", "by_msgspec"),
        [
            (float("nan"), ValueError, b"null", b"null"),
            (float("inf"), ValueError, b"null", b"null"),
            (1e22, b"1e+22", b"1e+22", b"1e22"),
            (1e-07, b"1e-07", b"1e-7", b"1e-7"),
            (NOW, *(b'"2026-11-22T10:00:00+00:00"',) * 2, b'"2026-11-22T10:00:00Z"'),
            (datetime.timedelta(seconds=1), b"1.0", b"1.0", b'"PT1S"'),
            (b"a", TypeError, TypeError, b'"YQ=="'),
            ({True: 1}, b'{"true":1}', b'{"true":1}', TypeError),
            ({None: 1}, b'{"null":1}', b'{"null":1}', TypeError),
        ],
        ids=repr,
    )
    def test_where_libraries_differ(self, value, by_json, by_orjson, by_msgspec):
        """The table of docs/web/responses.md is right."""
        for library, expected in zip(LIBRARIES, (by_json, by_orjson, by_msgspec), strict=True):
            pytest.importorskip(library)
            use_json(library)
            try:
                if isinstance(expected, bytes):
                    assert dumps(value) == expected, library
                else:
                    with pytest.raises(expected):
                        dumps(value)
            finally:
                use_json("json")

    def test_not_finite(self):
        """There is no NaN in JSON."""
        with pytest.raises(ValueError, match="not JSON compliant"):
            dumps(float("nan"))

    def test_a_circle(self):
        """What contains itself is an error."""
        value: list[Any] = []
        value.append(value)
        with pytest.raises(RecursionError):
            dumps(value)

    def test_default(self):
        """Who has other types says how they are written."""
        assert dumps({"a": 1j}, default=str) == b'{"a":"1j"}'

    def test_unknown_library(self):
        """Only these are there."""
        with pytest.raises(ValueError, match="one of json, orjson, msgspec, not 'ujson'"):
            use_json("ujson")


def test_text_response():
    """Plain text is not run by a browser."""
    assert call(text_response("<b>"))["content-type"] == "text/plain; charset=utf-8"


def test_by_itself():
    """A response is a WSGI application."""

    def application(environ, start_response):
        return Response("hi")(environ, start_response)

    assert run(application, make_environ()).body == b"hi"
