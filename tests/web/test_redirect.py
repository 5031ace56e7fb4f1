"""Redirects: to this site, and nowhere else that nobody has named."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeway.web import App, OpenRedirect, Request, local_path, redirect
from breezeway.web.redirect import below, is_local

from ..middleware.calling import call

HOSTILE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/a\\b",
    "https:/\\evil.example",
    "https:\\\\evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "http://",
    "https://",
    "https://?x",
    "https://test@evil.example/",
    "https://test:443@evil.example/",
    "https://evil.example\\@test/",
    "https://evil.example\t/",
    "https://ev\nil.example/",
    "javascript:alert(1)",
    "java\nscript:alert(1)",
    "JavaScript://%0aalert(1)",
    "data:text/html,x",
    "vbscript:x",
    "ftp://evil.example/",
    "mailto:a@example.org",
    "evil.example",
    "@evil.example",
    ":80",
    ".evil",
    "",
    "#a",
    "/a\0b",
    "/\x7f",
    "/\ud800",
    "/a\r\nSet-Cookie: x=1",
]

ELSEWHERE = ["https://evil.example", "http://evil.example/a?b#c", "HTTPS://EVIL.example:8443/"]


class TestLocal:
    @pytest.mark.parametrize(
        ("url", "location"),
        [
            ("/", "/"),
            ("/a/b?c=d&e=%20#f", "/a/b?c=d&e=%20#f"),
            ("/a b", "/a%20b"),
            ("/grüße", "/gr%C3%BC%C3%9Fe"),
            ("?page=2", "?page=2"),
            ("/a//b", "/a//b"),
            ("/https://evil.example", "/https://evil.example"),
            ('/"<>', "/%22%3C%3E"),
        ],
    )
    def test_paths(self, url, location):
        """A path of this site is led to, percent-encoded where it has to be."""
        result = call(redirect(url))
        assert (result.status, result["location"]) == ("303 See Other", location)

    @pytest.mark.parametrize("url", HOSTILE)
    @pytest.mark.parametrize("external", [False, True])
    def test_hostile(self, url, external):
        """What can be read in two ways is refused, whatever is allowed."""
        with pytest.raises(OpenRedirect):
            redirect(url, external=external, allow=["https://test"])

    @pytest.mark.parametrize("url", ELSEWHERE)
    def test_elsewhere(self, url, caplog):
        """Other sites are refused, unless they are said; the log says how."""
        with pytest.raises(OpenRedirect, match="another site"):
            redirect(url)
        assert "allow=" in caplog.text
        assert "external=True" in caplog.text
        assert repr(url) in caplog.text
        assert call(redirect(url, external=True))["location"] == url

    @given(st.text(alphabet="/\\:?#@.\t\n ae%hpst", max_size=12))
    def test_any(self, url):
        """What is taken leads to this host, as the standard library resolves it."""
        if is_local(url):
            found = urlsplit(urljoin("https://test/", redirect(url).headers["Location"]))
            assert (found.scheme, found.netloc) == ("https", "test")

    @pytest.mark.parametrize(
        ("url", "path"),
        [("/a?b", "/a?b"), (None, "/home"), ("", "/home"), *((url, "/home") for url in HOSTILE)],
    )
    def test_local_path(self, url, path):
        """What came with a request is taken if it is of this site."""
        assert local_path(url, "/home") == path


class TestAllow:
    @pytest.mark.parametrize(
        "url",
        [
            "https://pay.example.org",
            "https://PAY.example.org:443/a",
            "https://a.b.example.net/x?y",
        ],
    )
    def test_allowed(self, url):
        """An origin of the list may be led to."""
        allow = ["https://pay.example.org", "https://*.example.net"]
        assert call(redirect(url, allow=allow))["location"] == url

    @pytest.mark.parametrize(
        "url",
        [
            "http://pay.example.org",
            "https://pay.example.org:8443",
            "https://pay.example.org.evil.example",
            "https://evil.example/pay.example.org",
            "https://evil.example#pay.example.org",
            "https://pay.example.org@evil.example",
            "https://xexample.org",
        ],
    )
    def test_not_allowed(self, url):
        """What only looks like it may not."""
        with pytest.raises(OpenRedirect):
            redirect(url, allow=["https://pay.example.org", "https://*.example.org"])

    def test_malformed(self):
        """A list that is none is told."""
        with pytest.raises(ValueError, match="is not an origin"):
            redirect("https://a.example", allow=["a.example"])


class TestMounted:
    @pytest.mark.parametrize(
        ("root", "url", "location"),
        [
            ("/shop", "/cart", "/shop/cart"),
            ("/shop", "/", "/shop/"),
            ("/shop", "/shop/cart", "/shop/cart"),
            ("/shop", "/shop", "/shop"),
            ("/shop", "/shop?a", "/shop?a"),
            ("/shop", "/shopping", "/shop/shopping"),
            ("/shop", "?page=2", "?page=2"),
            ("/sh öp".encode().decode("latin-1"), "/a", "/sh%20%C3%B6p/a"),
            ("//evil.example", "/a", "/evil.example/a"),
        ],
    )
    def test_below(self, root, url, location):
        """A path counts from where the application is, and is never another host."""
        assert call(redirect(url), SCRIPT_NAME=root)["location"] == location

    def test_a_slash_alone(self):
        """Some servers have a SCRIPT_NAME that is none: it must not make two slashes."""
        assert below({"SCRIPT_NAME": "/"}, "/a") == "/a"

    def test_from_root(self):
        """Or from the root of the host."""
        assert call(redirect("/other", from_root=True), SCRIPT_NAME="/a")["location"] == "/other"

    def test_other_hosts_stay(self):
        """Another site is where it is."""
        response = redirect("https://a.example/b", external=True)
        assert call(response, SCRIPT_NAME="/shop")["location"] == "https://a.example/b"

    def test_routes(self):
        """What `url_for` makes is led to, by the app and by the request."""
        app = App()

        @app.get("/notes/{id:int}")
        def note(id: int) -> str:
            return str(id)

        @app.get("/first")
        def first(request: Request):
            return redirect(app.url_for("note", id=1))

        @app.get("/second")
        def second(request: Request):
            return redirect(request.url_for("note", id=2))

        assert call(app, "/first", SCRIPT_NAME="/shop")["location"] == "/shop/notes/1"
        assert call(app, "/second", SCRIPT_NAME="/shop")["location"] == "/shop/notes/2"


class TestResponse:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_statuses(self, status):
        """Any status of a redirect can be asked for."""
        assert call(redirect("/", status)).code == status

    @pytest.mark.parametrize("status", [200, 300, 304, 404])
    def test_no_redirect(self, status):
        """Another one is none."""
        with pytest.raises(ValueError, match="a redirect has a status"):
            redirect("/", status)

    def test_more(self):
        """Headers and cookies go along; a HEAD has no content."""
        response = redirect("/", headers={"X-A": "1"})
        response.set_cookie("a", "1")
        result = call(response, method="HEAD", SCRIPT_NAME="/s")
        assert (result["x-a"], result["location"], result.body) == ("1", "/s/", b"")
        assert result["set-cookie"] == "a=1; Path=/; SameSite=Lax; HttpOnly"

    def test_what_a_request_says(self):
        """In an application a hostile URL is a 400."""
        app = App()

        @app.get("/go")
        def go(to: str):
            return redirect(to)

        assert call(app, "/go?to=/a")["location"] == "/a"
        assert call(app, "/go?to=//evil.example").code == 400

    def test_no_text(self):
        """None is no URL."""
        with pytest.raises(TypeError, match="a URL is a text"):
            redirect(None)
