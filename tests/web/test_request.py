"""`Request`: what an environ says, and a body with bounds."""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import UTC, datetime

import pytest

from breezeway.web import App, BadRequest, ContentTooLarge, HTTPError, Limits, Request
from breezeway.web import UnsupportedMediaType as Unsupported
from breezeway.web.body import BodyStream

from ..middleware.calling import call, make_environ
from .forms import Dribble, request_of


def request(path="/", method="GET", fields=(), **environ) -> Request:
    """Return a request without a body."""
    return Request(make_environ(path, method, fields, **environ))


class TestURL:
    def test_parts(self):
        """The parts of a URL are decoded, the URL is encoded."""
        made = request(
            "/caf\xc3\xa9 %/x?a=1&b=\xc3\xa9", SCRIPT_NAME="/shop\xc3\xbc", HTTP_HOST="h:81"
        )
        assert made.path == "/café %/x"
        assert made.root_path == "/shopü"
        assert made.host == "h:81"
        assert made.base_url == "http://h:81/shop%C3%BC"
        assert made.url == "http://h:81/shop%C3%BC/caf%C3%A9%20%25/x?a=1&b=%C3%A9"
        assert made.query_string == "a=1&b=%C3%A9"
        assert made.query == {"a": "1", "b": "é"}
        assert (made.scheme, made.is_secure) == ("http", False)
        assert request(**{"wsgi.url_scheme": "https"}).is_secure

    def test_path_is_never_empty(self):
        """Where the application is mounted, the path is a slash; bytes that are no UTF-8 are marked."""
        assert request("", SCRIPT_NAME="/x").path == "/"
        for root in ("/", "//x/"):  # of servers that do not keep to PEP 3333
            made = request("/a", SCRIPT_NAME=root, HTTP_HOST="h")
            assert made.url == f"{made.base_url}/a" == f"http://h{made.root_path}/a"
            assert made.root_path == ("/x" if "x" in root else "")
        assert request("/\xe9").path == "/\ufffd"

    @pytest.mark.parametrize(
        ("environ", "path"),
        [
            ({"REQUEST_URI": "/a%2Fb?c"}, "/a%2Fb"),
            ({"RAW_URI": "/a%2Fb"}, "/a%2Fb"),
            ({"RAW_URI": "http://h/a%2Fb?c", "REQUEST_URI": "/x%2Fy"}, "/x%2Fy"),
            ({"RAW_URI": "HTTP://h:80/a?b"}, "/a"),
            ({"RAW_URI": "*"}, "/m/p%20q"),
            ({}, "/m/p%20q"),
        ],
    )
    def test_raw_path(self, environ, path):
        """What the client has sent, if the server tells, and else what is as good."""
        assert request("/p q", SCRIPT_NAME="/m", **environ).raw_path == path

    @pytest.mark.parametrize(
        ("environ", "host"),
        [
            ({"HTTP_HOST": "Shop.example:8000"}, "Shop.example:8000"),
            ({"HTTP_HOST": "[::1]:80"}, "[::1]:80"),
            ({"HTTP_HOST": "", "SERVER_NAME": "s", "SERVER_PORT": "80"}, "s"),
            ({"HTTP_HOST": "", "SERVER_NAME": "s", "SERVER_PORT": "81"}, "s:81"),
            ({"HTTP_HOST": "", "SERVER_NAME": "::1", "SERVER_PORT": "81"}, "[::1]:81"),
        ],
    )
    def test_host(self, environ, host):
        """The client's host, or the server's."""
        assert request(**environ).host == host

    @pytest.mark.parametrize("host", ["a b", "a/b", 'x"><script>', "a@b", "a:99999", "[::1", "a,b"])
    def test_malformed_host(self, host):
        """A Host that is none gets into no URL."""
        for name in ("host", "base_url", "url"):
            with pytest.raises(BadRequest):
                getattr(request(HTTP_HOST=host), name)

    def test_forged_fields_change_nothing(self):
        """What anybody can send says nothing about who asks, over what, and for which host."""
        forged = {
            "X-Forwarded-For": "10.0.0.1",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Prefix": "/evil",
            "X-Real-IP": "10.0.0.1",
            "Forwarded": "for=10.0.0.1;proto=https;host=evil.example",
            "X-HTTP-Method-Override": "DELETE",
            "X-Original-URL": "/evil",
            "X-Rewrite-URL": "/evil",
        }
        made, plain = request("/a", fields=forged), request("/a")
        for name in ("url", "client", "host", "scheme", "method", "path", "root_path", "raw_path"):
            assert getattr(made, name) == getattr(plain, name)

    def test_routes(self):
        """A request names the routes of its app from the root of the host."""
        app = App()

        @app.get("/notes/{id:int}")
        def note(request: Request, id: int) -> str:
            return f"{request.url_for('note', id=7)} {dict(request.path_values)}"

        assert (
            call(app, "/notes/1", SCRIPT_NAME="/caf\xc3\xa9").body
            == b"/caf%C3%A9/notes/7 {'id': 1}"
        )


FORM = "application/x-www-form-urlencoded"


class TestQuery:
    def test_several(self):
        """A name may have several values; the first is that of the mapping."""
        query = request("/?a=1&b=2&a=3&a=").query
        assert query["a"] == query.get("a") == "1"
        assert query.all("a") == ["1", "3", ""]
        assert query.all("x") == []
        assert query.get("x") is None
        assert query.get("x", "y") == "y"
        assert list(query) == ["a", "b"]
        assert len(query) == 2
        assert query.pairs == [("a", "1"), ("b", "2"), ("a", "3"), ("a", "")]
        assert query == {"a": "1", "b": "2"}
        assert query == request("/?a=1&b=2&a=3&a=").query
        assert query != request("/?a=1&b=2").query
        with pytest.raises(KeyError):
            query["x"]

    def test_missing(self):
        """What a client has not sent is the client's fault: a 400, and a KeyError for who looks for one."""
        made = request("/?a=1", fields={"Cookie": "a=1"})
        for values in (made.query, made.cookies, made.headers, request_of(b"a=1", FORM).form()):
            with pytest.raises(BadRequest, match="'page' is missing") as caught:
                values["page"]
            assert isinstance(caught.value, KeyError)
            assert values.get("page") is None
            assert "page" not in values
        with pytest.raises(KeyError, match="'0' is missing"):
            made.query[0]

    def test_bound(self):
        """More than the bound is 400; a single one is under any."""
        for text, most in (("&".join(["a=1"] * 1001), 1000), ("a&b&c", 2)):
            made = request(f"/?{text}")
            made.limits = Limits(fields=most)
            with pytest.raises(BadRequest, match=f"more than {most}"):
                made.query
        assert len(request("/?" + "&".join(f"a{n}" for n in range(1000))).query) == 1000


class TestFields:
    def test_headers(self):
        """Names in any case; Content-Type and Content-Length among them; duplicates as WSGI has them."""
        made = request(fields={"X-Token": "a, b", "Content-Type": "text/plain"}, CONTENT_LENGTH="0")
        assert made.headers["x-TOKEN"] == "a, b"
        assert made.headers["content-type"] == "text/plain"
        assert made.headers.get("X-Other") is None
        assert "X-Token" in made.headers
        assert "X-Other" not in made.headers
        assert 7 not in made.headers
        assert {"X-Token", "Content-Type", "Content-Length", "Host"} <= {*made.headers}
        assert len(made.headers) == len({*made.headers})
        assert made.headers.all("X-Token") == ["a", "b"]
        assert made.headers.all("X-Other") == []
        with pytest.raises(KeyError):
            made.headers["X-Other"]

    def test_empty_content_fields_are_not_there(self):
        """Servers in the manner of CGI have them always."""
        made = request(CONTENT_TYPE="", CONTENT_LENGTH="")
        assert "Content-Type" not in made.headers
        assert "Content-Length" not in {*made.headers}
        assert made.headers.get("Content-Type", "x") == "x"

    def test_prefixed_content_fields_are_others(self):
        """A server may pass on a second Content-Type as HTTP_CONTENT_TYPE: it does not count."""
        assert "Content-Type" not in request(HTTP_CONTENT_TYPE="text/evil", CONTENT_TYPE="").headers

    @pytest.mark.parametrize("name", ["Cookie", "Authorization", "Proxy-Authorization"])
    def test_credentials_are_not_shown(self, name):
        """In a log, or on a debugger's page, for which `repr` is called."""
        made = request(fields={name: "open sesame", "X-Other": "seen"})
        assert made.headers[name] == "open sesame"
        assert "sesame" not in repr(made.headers)
        assert f"'{name}': '***'" in repr(made.headers)
        assert "'X-Other': 'seen'" in repr(made.headers)

    def test_cookies(self):
        """By their names, as they are."""
        made = request(fields={"Cookie": 'a=1; b="2"; a=3; c'})
        assert made.cookies == {"a": "1", "b": '"2"'}

    def test_who_asks(self):
        """Address and name are the server's."""
        made = request(REMOTE_USER="caf\xc3\xa9")
        assert (made.client, made.remote_user) == ("192.0.2.1", "café")
        assert request(REMOTE_ADDR="").client == ""
        assert request().remote_user is None

    def test_authorization(self):
        """Scheme, name and password, token."""
        field = "Basic " + base64.b64encode("bob:é:x".encode()).decode()
        found = request(fields={"Authorization": field}).authorization
        assert found
        assert (found.scheme, found.basic, found.bearer) == ("basic", ("bob", "é:x"), None)
        found = request(fields={"Authorization": "Bearer a.b-c"}).authorization
        assert found
        assert (found.scheme, found.basic, found.bearer) == ("bearer", None, "a.b-c")
        assert request().authorization is None

    def test_negotiation(self):
        """Types and languages."""
        made = request(
            fields={"Accept": "text/html, a/b;q=0.5", "Accept-Language": "de-CH, en;q=0.5"}
        )
        assert made.accepts("a/b", "text/html") == "text/html"
        assert made.accepts("c/d") is None
        assert made.accepts_language("en", "de") == "de"
        assert made.accepts_language("fr") is None
        assert request().accepts("c/d", "a/b") == "c/d"
        with pytest.raises(ValueError, match="'json' is no media type"):
            request().accepts("a/b", "json")


class TestConditions:
    DATE = "Sun, 22 Nov 2026 10:00:00 GMT"
    TIME = datetime(2026, 11, 22, 10, tzinfo=UTC)

    def test_tags(self):
        """Lists of tags, or a star; None if they are not there, nothing if they are malformed."""
        made = request(fields={"If-Match": '"a", W/"b,c"', "If-None-Match": " *"})
        assert made.if_match == ['"a"', 'W/"b,c"']
        assert made.if_none_match == ["*"]
        assert request(fields={"If-Match": "a"}).if_match == []
        assert request().if_match is None

    def test_dates(self):
        """Dates in UTC."""
        made = request(fields={"If-Modified-Since": self.DATE, "If-Unmodified-Since": "yesterday"})
        assert made.if_modified_since == self.TIME
        assert made.if_unmodified_since is None
        assert request().if_modified_since is None
        last = request(fields={"If-Modified-Since": "Fri, 31 Dec 9999 23:59:60 GMT"})
        assert last.if_modified_since is None  # the leap second is in no year that there is

    @pytest.mark.parametrize(
        ("field", "found"),
        [('"a"', '"a"'), ('W/"a"', 'W/"a"'), (DATE, TIME), ('"a", "b"', None), ("x", None)],
    )
    def test_if_range(self, field, found):
        """A tag or a date."""
        assert request(fields={"If-Range": field}).if_range == found
        assert request().if_range is None

    @pytest.mark.parametrize(
        ("method", "fields", "status"),
        [
            ("GET", {}, None),
            ("GET", {"If-None-Match": '"a"'}, 304),
            ("PUT", {"If-None-Match": "*"}, 412),
            ("PUT", {"If-Match": '"b"'}, 412),
            ("PUT", {"If-Match": '"a"'}, None),
            ("GET", {"If-Modified-Since": DATE}, 304),
            ("PUT", {"If-Unmodified-Since": "Sat, 21 Nov 2026 10:00:00 GMT"}, 412),
        ],
    )
    def test_precondition(self, method, fields, status):
        """The status that answers, with a time or seconds."""
        for modified in (self.TIME, self.TIME.timestamp(), int(self.TIME.timestamp())):
            for tag in ("a", '"a"'):
                assert request("/", method, fields).precondition(tag, modified) == status
        with pytest.raises(ValueError, match="a tag is made of"):
            request("/", method, fields).precondition('"a')

    def test_ranges(self):
        """The ranges of a GET."""
        made = request(fields={"Range": "bytes=0-4,-5"})
        assert made.ranges(1000) == [(0, 5), (995, 1000)]
        assert made.ranges(0) is None
        assert request(fields={"Range": "bytes=10-"}).ranges(5) == []
        assert request(fields={"Range": "lines=1-2"}).ranges(5) is None
        assert request(method="POST", fields={"Range": "bytes=0-4"}).ranges(1000) is None
        assert request().ranges(1000) is None
        changed = request(fields={"Range": "bytes=0-4", "If-Range": '"a"'})
        assert changed.ranges(1000, '"b"') is None
        assert changed.ranges(1000, '"a"') == changed.ranges(1000, "a") == [(0, 5)]
        dated = request(fields={"Range": "bytes=0-4", "If-Range": "Sun, 22 Nov 2020 10:00:00 GMT"})
        assert dated.ranges(1000, None, datetime(2020, 11, 22, 10, tzinfo=UTC)) == [(0, 5)]


class TestBody:
    def test_read(self):
        """The whole body, which is kept."""
        made = request_of(b"caf\xc3\xa9", "text/plain")
        assert made.read() == made.body == b"caf\xc3\xa9"
        assert made.text == "café"
        assert made.content_type == "text/plain"
        assert made.content_length == 5

    def test_no_body(self):
        """Without a length there is none, and nobody waits for one."""
        made = request("/", "POST", **{"wsgi.input": None})
        assert (made.body, made.content_length) == (b"", 0)

    def test_pieces(self):
        """A server may give less than was asked for; nothing is asked for beyond the end."""
        stream = Dribble(b"x" * 1000 + b"rest", 7)
        made = request_of(b"", **{"wsgi.input": stream, "CONTENT_LENGTH": "1000"})
        assert made.body == b"x" * 1000
        assert stream.asked <= 1000

    def test_input_terminated(self):
        """A body in chunks is read to its end."""
        more = {
            "wsgi.input_terminated": True,
            "CONTENT_LENGTH": "",
            "HTTP_TRANSFER_ENCODING": "chunked",
        }
        made = request_of(b"x" * 100_000, **more)
        assert made.content_length is None
        assert len(made.body) == 100_000

    @pytest.mark.parametrize("content", [b"", b"a", b"\n", b"a=1\nb" * 1000])
    @pytest.mark.parametrize("length", [True, False])
    def test_has_body(self, content, length):
        """Whether there is one is told without taking anything of it away."""
        more = {} if length else {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        for read in (
            lambda made: made.body,
            lambda made: made.stream.read(),
            lambda made: b"".join(iter(made.stream.readline, b"")),
        ):
            made = request_of(content, **more)
            assert [made.has_body, made.has_body] == [bool(content)] * 2
            assert read(made) == content
            assert made.has_body == bool(content)

    def test_a_form_of_nothing(self):
        """Without a body there is a form without fields, whatever its type and its length say."""
        for more in ({}, {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}):
            for content_type in ("", "text/plain", "application/x-www-form-urlencoded"):
                made = request_of(b"", content_type, **more)
                assert len(made.form()) == 0
        with pytest.raises(Unsupported):
            request_of(b"a", "", **more).form()

    def test_chunks_without_an_end(self):
        """Where the server does not say that the input ends, nobody can know where."""
        made = request_of(b"abc", CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked")
        with pytest.raises(HTTPError) as caught:
            made.body
        assert caught.value.code == 411

    @pytest.mark.parametrize("length", ["x", "-1", "+1", "1_0", "1, 1", "\u0661", "9" * 5000, " 1"])
    def test_wrong_length(self, length):
        """A Content-Length that is no number is 400."""
        with pytest.raises(BadRequest):
            request_of(b"abc", CONTENT_LENGTH=length).body

    @pytest.mark.parametrize("length", ["4", "1000000"])
    def test_truncated(self, length):
        """A body that is shorter than its length is 400, again and again."""
        made = request_of(b"abc", "application/json", CONTENT_LENGTH=length)
        for _ in range(2):
            with pytest.raises(BadRequest, match="cut short"):
                made.body
        with pytest.raises(BadRequest, match="cut short"):
            made.json()

    def test_client_has_gone(self):
        """An error of the server's input is 400, too."""

        class Gone(io.BytesIO):
            def read(self, *_):
                raise ConnectionResetError

        with pytest.raises(BadRequest, match="could not be read"):
            request_of(b"abc", **{"wsgi.input": Gone()}).body

    def test_too_large(self):
        """A body that says that it is too large is not read; one that does not, to the bound."""
        stream = Dribble(b"x" * 2000, 1 << 20)
        made = request_of(b"", **{"wsgi.input": stream, "CONTENT_LENGTH": "2000"})
        with pytest.raises(ContentTooLarge, match="more than 1999 bytes"):
            made.read(1999)
        assert stream.asked == 0
        assert len(made.read(2000)) == 2000
        with pytest.raises(ContentTooLarge):
            made.read(10)
        stream = Dribble(b"x" * 2000, 1 << 20)
        more = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        made = request_of(b"", **more)
        for _ in range(2):
            with pytest.raises(ContentTooLarge):
                made.read(1000)
        assert stream.asked <= 1001

    def test_limits(self):
        """The bound is that of the call, the request, the route, the app, or what is usual."""
        app = App(limits=Limits(body_bytes=10))

        @app.post("/usual")
        def usual(request: Request) -> str:
            return str(len(request.body))

        @app.post("/large", limits=Limits(body_bytes=20))
        def large(request: Request) -> str:
            return str(len(request.body))

        @app.post("/own")
        def own(request: Request) -> str:
            request.limits = Limits(body_bytes=30)
            return str(len(request.body))

        for path, most in (("/usual", 10), ("/large", 20), ("/own", 30)):
            assert call(app, path, "POST", body=b"x" * most).body == str(most).encode()
            assert call(app, path, "POST", body=b"x" * (most + 1)).code == 413
        made = request_of(b"x" * ((1 << 20) + 1))
        with pytest.raises(ContentTooLarge):
            made.body
        assert len(made.read(1 << 21)) == (1 << 20) + 1

    @pytest.mark.parametrize(
        "name", ["body_bytes", "fields", "files", "file_bytes", "memory_bytes"]
    )
    @pytest.mark.parametrize("value", [-1, 1.5, "1", None, True])
    def test_wrong_limits(self, name, value):
        """A bound is a number."""
        with pytest.raises(ValueError, match=f"{name} must be"):
            Limits(**{name: value})

    @pytest.mark.parametrize("content_type", ["text/plain; charset=iso-8859-1", "a/b; charset=x"])
    def test_charset(self, content_type):
        """Another charset than UTF-8 is 415, what is not UTF-8 400."""
        with pytest.raises(Unsupported):
            request_of(b"abc", content_type).text
        with pytest.raises(BadRequest):
            request_of(b"\xe9", "text/plain").text

    def test_media_type(self):
        """The type with its parameters; 400 if it is malformed."""
        found = request_of(b"", 'Text/Plain; Charset="utf-8"').media_type
        assert found == ("text/plain", {"charset": "utf-8"})
        assert request(CONTENT_TYPE="").media_type is None
        with pytest.raises(BadRequest):
            request_of(b"", "text").media_type


class TestStream:
    def test_read(self):
        """Read as any file, and end where the body does."""
        made = request_of(b"one\ntwo\nthree\nrest", CONTENT_LENGTH="14")
        stream = made.stream
        assert made.stream is stream
        assert stream.readline() == b"one\n"
        assert stream.readline(2) == b"tw"
        assert stream.read(3) == b"o\nt"
        assert stream.read(0) == b""
        assert stream.read() == b"hree\n"
        assert stream.read() == stream.readline() == stream.read(5) == b""
        assert stream.taken == 14
        stream.close()
        assert not made.environ["wsgi.input"].closed

    def test_blocks(self):
        """Blocks as they come."""
        stream = Dribble(b"x" * 100, 30)
        made = request_of(b"", **{"wsgi.input": stream, "CONTENT_LENGTH": "95"})
        assert [len(block) for block in made.stream.blocks(40)] == [30, 30, 30, 5]

    def test_like_bytesio(self):
        """It reads as `io.BytesIO` does, whatever the pieces of the input."""
        text = b"a\nbb\n\n" + b"c" * 100_000 + b"\nd"
        for size in (1, 2, 7, 1 << 20):
            for length in (len(text), None):
                made, like = BodyStream(Dribble(text, size), length), io.BytesIO(text)
                for name, argument in [
                    ("readline", -1),
                    ("read", 3),
                    ("readline", 2),
                    ("readline", None),
                ]:
                    assert getattr(made, name)(argument) == getattr(like, name)(argument)
                assert made.readlines() == like.readlines()

    def test_as_text(self):
        """The modules of the library can read it."""
        made = request_of("name,x\ncafé,1\n".encode(), "text/csv")
        rows = csv.reader(io.TextIOWrapper(made.stream, "utf-8", newline=""))
        assert [*rows] == [["name", "x"], ["café", "1"]]

    def test_truncated(self):
        """A half is never taken for all."""
        for read in (lambda stream: stream.read(), list, lambda stream: [*stream.blocks()]):
            with pytest.raises(BadRequest, match="cut short"):
                read(request_of(b"abc", CONTENT_LENGTH="4").stream)

    def test_not_both(self):
        """What was read in pieces is not there as a whole."""
        made = request_of(b"abc")
        made.stream.read(1)
        with pytest.raises(RuntimeError, match="has been read already"):
            made.body


class TestJSON:
    @pytest.mark.parametrize(
        "content_type", ["application/json", "application/vnd.x+json; charset=UTF-8"]
    )
    def test_read(self, content_type):
        """JSON of its types, read once."""
        made = request_of('{"a": [1, 2.5, "é", null, true]}'.encode(), content_type)
        assert made.json() == {"a": [1, 2.5, "é", None, True]}
        assert made.json() is made.json()

    @pytest.mark.parametrize("content_type", ["", "text/plain", "text/json", "application/jsonx"])
    def test_type(self, content_type):
        """Another type is 415, which says what there should be."""
        with pytest.raises(Unsupported) as caught:
            request_of(b"{}", content_type).json()
        assert caught.value.headers == [("Accept-Post", "application/json")]

    def test_charset(self):
        """JSON is UTF-8 (RFC 8259 section 8.1)."""
        with pytest.raises(Unsupported):
            request_of(b"{}", "application/json; charset=utf-16").json()
        for body in ("{}".encode("utf-16"), b'"\xe9"', b"\xef\xbb\xbf{}", b'"\xed\xa0\x80"'):
            with pytest.raises(BadRequest):
                request_of(body, "application/json").json()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"{'a': 1}",
            b"[1,]",
            b"NaN",
            b"-Infinity",
            b"[1e999]",
            b"[-1e999]",
            b"9" * 5000,
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b'"\\ud800"',
            b'{"\\uDFFF": 1}',
            b'["a", {"b": "\\ud83d"}]',
            b"1 2",
            b'"a\nb"',
        ],
    )
    def test_malformed(self, body):
        """What is not JSON, or nothing can be made of, is 400."""
        made = request_of(body, "application/json")
        for _ in range(2):
            with pytest.raises(BadRequest):
                made.json()

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (b"[" * 100_000, "the body is JSON that is nested too deeply"),
            (b"9" * 5000, "Exceeds the limit (4300 digits) for integer string conversion"),
            (b"[1,]", "line 1 column"),
        ],
    )
    def test_malformed_is_told(self, body, says):
        """A client is told what is wrong with its body, and nothing of this program."""
        with pytest.raises(BadRequest) as caught:
            request_of(body, "application/json").json()
        assert says in caught.value.detail
        assert "sys." not in caught.value.detail
        assert "recursion" not in caught.value.detail

    def test_whole_characters(self):
        """Pairs of surrogates are characters; an escaped backslash before `ud800` is none."""
        assert request_of(b'"\\ud83d\\ude00"', "application/json").json() == "\U0001f600"
        assert request_of(b'"\\\\ud800"', "application/json").json() == "\\ud800"

    def test_too_large(self):
        """The bound of the call, or that of bodies."""
        with pytest.raises(ContentTooLarge):
            request_of(b"[1,2]", "application/json").json(4)
        with pytest.raises(ContentTooLarge):
            request_of(b"[" + b"1," * 600_000 + b"1]", "application/json").json()
        large = json.dumps([1] * 600_000).encode()
        assert len(request_of(large, "application/json").json(1 << 21)) == 600_000
