"""Templates: escaped, with what a page needs of its request, and errors that say where."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Any

import jinja2
import pytest

from breezeway.web import App, Form, Request, Templates, add_static, flash, redirect

from ..middleware.calling import call

HOSTILE = "<script>alert('1')</script>\""
ESCAPED = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&#34;"


@pytest.fixture
def write(tmp_path):
    """Write templates, and return them."""

    def written(files: dict[str, str], **options: Any) -> Templates:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        return Templates(tmp_path, **options)

    return written


def answered(handler: Any, path: str = "/", **more: Any) -> Any:
    """Let an application answer with a page."""
    app = App(sessions={"store": "memory"})
    app.get("/", name="home")(handler)
    return call(app, path, **more)


class TestEscaping:
    @pytest.mark.parametrize(
        "name", ["a.html", "a.xml", "a.svg", "a.html.j2", "a.jinja", "a", "a.js", "a.txt.html"]
    )
    def test_escaped(self, write, name):
        """All is escaped that a browser could take for markup."""
        assert write({name: "{{ x }}"}).render(name, x=HOSTILE) == ESCAPED

    @pytest.mark.parametrize("name", ["a.txt", "a.txt.jinja", "a.md", "a.csv", "A.TXT"])
    def test_plain(self, write, name):
        """Plain text is as it is."""
        assert write({name: "{{ x }}"}).render(name, x=HOSTILE) == HOSTILE

    def test_strings(self, write):
        """A template from a text is escaped."""
        made = write({}).environment.from_string("{{ x }}")
        assert made.render(x=HOSTILE) == ESCAPED

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("a.html", "text/html; charset=utf-8"),
            ("a.html.j2", "text/html; charset=utf-8"),
            ("a", "text/html; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.xml.jinja", "application/xml"),
            ("a.svg", "image/svg+xml"),
        ],
    )
    def test_types(self, write, name, told):
        """The type is by the name."""
        templates = write({name: "x"})
        result = answered(lambda request: templates.page(request, name))
        assert result["content-type"] == told


class TestRequest:
    def test_functions(self, write, tmp_path):
        """A page has its URLs, its token, its messages and its nonce."""
        templates = write(
            {
                "a.html": "{{ url_for('home', q='a&b') }}|{{ static_url('a.css') }}|"
                "{{ csrf_field() }}|{{ csrf_token()|length }}|{{ request.path }}|"
                "{% for each in flashes() %}{{ each.kind }}:{{ each.text }}{% endfor %}|"
                "{{ csp_nonce() }}",
                "a.css": "",
            }
        )
        policy = "script-src 'nonce-{nonce}'"
        app = App(sessions={"store": "memory"}, security={"csp": policy})

        @app.get("/")
        def home(request: Request) -> Any:
            flash(request, HOSTILE)
            return templates.page(request, "a.html")

        add_static(app, tmp_path)
        result = call(app, "/", SCRIPT_NAME="/shop")
        parts = result.body.decode().split("|")
        assert parts[:2] == ["/shop/?q=a%26b", "/shop/static/a.css"]
        assert re.fullmatch(r'<input type="hidden" name="csrf_token" value="[\w-]{86}">', parts[2])
        assert parts[3:6] == ["86", "/", f"info:{ESCAPED}"]
        assert f"'nonce-{parts[6]}'" in str(result["content-security-policy"])

    def test_macros(self, write):
        """A macro has them with its context, and says so without."""
        templates = write(
            {
                "m.html": "{% macro link() %}{{ url_for('home') }}{% endmacro %}",
                "a.html": "{% import 'm.html' as m with context %}{{ m.link() }}",
                "b.html": "{% import 'm.html' as m %}{{ m.link() }}",
            }
        )
        assert answered(lambda request: templates.page(request, "a.html")).body == b"/"
        with pytest.raises(jinja2.TemplateRuntimeError, match="with context"):
            answered(lambda request: templates.page(request, "b.html"))

    def test_without_a_request(self, write):
        """A mail has no request, and says so when it needs one."""
        templates = write({"a.txt": "{{ x }}", "b.txt": "{{ csrf_token() }}"})
        assert templates.render("a.txt", x=1) == "1"
        with pytest.raises(jinja2.TemplateRuntimeError, match="needs the request"):
            templates.render("b.txt")

    def test_own(self, write):
        """An application has filters and globals of its own, and values named like options."""
        templates = write(
            {"a.html": "{{ 'a'|twice }}{{ site }}{{ name }}{{ block }}"},
            filters={"twice": lambda text: text * 2},
            globals={"site": "S"},
        )
        page = lambda request: templates.page(request, "a.html", name="n", block="b")  # noqa: E731
        assert answered(page).body == b"aaSnb"

    def test_mistakes(self, write):
        """A request and values in wrong places are told, and not taken for something else."""
        templates = write({"a.html": "{{ x }}"})
        with pytest.raises(TypeError, match="called by its name"):
            answered(lambda request: templates.page("a.html", request))
        with pytest.raises(TypeError, match="has names"):
            templates.render("a.html", {"x": 1})

    def test_context(self, write):
        """What all pages have is there in each of a request, and what one is given goes first."""
        templates = write(
            {"a.html": "{% block x %}{{ user }}{{ at }}{% endblock %}"},
            context=lambda request: {"user": "ann", "at": request.path},
        )
        ways = {
            "ann/": lambda request: templates.page(request, "a.html"),
            "bob/": lambda request: templates.page(request, "a.html", user="bob"),
            "eve/": lambda request: templates.fragment(request, "a.html", "x", user="eve"),
            "sue/": lambda request: templates.stream(request, "a.html", user="sue"),
        }
        for said, way in ways.items():
            assert answered(way).body.decode() == said
        assert templates.render("a.html", at="mail") == "mail"


class TestFragment:
    FILES = {  # noqa: RUF012
        "base.html": "<html>{% block main %}{% endblock %}</html>",
        "a.html": "{% extends 'base.html' %}{% block main %}<ul>{% block rows %}"
        "{% for x in rows %}<li>{{ x }}</li>{% endfor %}{% endblock %}</ul>{% endblock %}",
    }

    def test_block(self, write):
        """One block alone is a response, escaped as in its page."""
        templates = write(self.FILES)
        found = answered(lambda request: templates.fragment(request, "a.html", "rows", rows=["<"]))
        assert found.body == b"<li>&lt;</li>"
        assert found["content-type"] == "text/html; charset=utf-8"
        assert templates.block("a.html", "main", rows=[]) == "<ul></ul>"

    def test_unknown(self, write):
        """One that is not there is told, with those that are."""
        with pytest.raises(ValueError, match="no block 'x'; it has main, rows"):
            write(self.FILES).block("a.html", "x")


class TestStream:
    def test_pieces(self, write):
        """A long page goes out while it is made, in pieces of some size."""
        templates = write({"a.html": "{% for x in rows %}{{ x }}\n{% endfor %}"})
        asked: list[int] = []

        def rows() -> Any:
            for number in range(5000):
                asked.append(number)
                yield "<"

        response: list[Any] = []

        def handler(request: Request) -> Any:
            response.append(templates.stream(request, "a.html", rows=rows()))
            assert not asked
            return response[0]

        found = answered(handler)
        assert found.body == b"&lt;\n" * 5000
        assert 3 < len(found.blocks) < 20


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "line"),
        [("a\n{% if %}", 2), ("\n\n{{ 1 // 0 }}", 3), ("{% nothing %}", 1), ("\n{{ x.y.z }}", 2)],
    )
    @pytest.mark.parametrize("way", ["render", "stream", "block"])
    def test_place(self, write, text, line, way):
        """Template and line stand with the error."""
        inner = f"{{% block b %}}{text}{{% endblock %}}" if way == "block" else text
        templates = write({"a.html": inner}, debug=True)
        ways = {
            "render": lambda: templates.render("a.html"),
            "block": lambda: templates.block("a.html", "b"),
            "stream": lambda: list(templates.stream(None, "a.html").content),
        }
        with pytest.raises((jinja2.TemplateError, ZeroDivisionError)) as caught:
            ways[way]()
        notes = " ".join(getattr(caught.value, "__notes__", []))
        assert "a.html" in notes
        assert notes.endswith(f"line {line}")

    def test_not_there(self, write):
        """A name that is none is told."""
        with pytest.raises(jinja2.TemplateNotFound, match=r"none\.html"):
            write({}).render("none.html")

    @pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret"])
    def test_no_way_out(self, tmp_path, name):
        """A name leads nowhere else."""
        (tmp_path / "secret").write_text("secret")
        (tmp_path / "in").mkdir()
        with pytest.raises(jinja2.TemplateNotFound):
            Templates(tmp_path / "in").render(name)

    def test_undefined(self, write):
        """In debugging a name that is not there is an error, otherwise nothing."""
        assert write({"a.html": "[{{ x }}]"}).render("a.html") == "[]"
        with pytest.raises(jinja2.UndefinedError, match="'x' is undefined"):
            write({"a.html": "[{{ x }}]"}, debug=True).render("a.html")

    def test_reload(self, write):
        """In debugging, templates are read again."""
        templates = write({"a.html": "1"}, debug=True)
        assert templates.environment.auto_reload
        assert not write({}).environment.auto_reload


class TestPlaces:
    def test_several(self, tmp_path):
        """The first directory that has one counts."""
        for name in ("own", "shared"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "a.html").write_text(name)
        (tmp_path / "shared" / "b.html").write_text("b")
        templates = Templates([tmp_path / "own", tmp_path / "shared"])
        assert (templates.render("a.html"), templates.render("b.html")) == ("own", "b")

    def test_package(self, tmp_path, monkeypatch):
        """Templates come with a package."""
        (tmp_path / "shop_of_test" / "templates").mkdir(parents=True)
        (tmp_path / "shop_of_test" / "__init__.py").touch()
        (tmp_path / "shop_of_test" / "templates" / "a.html").write_text("a")
        monkeypatch.syspath_prepend(tmp_path)
        assert Templates(package="shop_of_test").render("a.html") == "a"
        with pytest.raises(ValueError, match="has no templates"):
            Templates(package="shop_of_test:views")
        sys.modules.pop("shop_of_test", None)

    @pytest.mark.parametrize(
        "options",
        [{}, {"directory": "none"}, {"directory": ".", "package": "a"}, {"package": "zz9"}],
    )
    def test_wrong(self, options):
        """There has to be one place, and it has to be there."""
        with pytest.raises(ValueError, match=r"templates|not there"):
            Templates(**options)

    def test_without_jinja(self, monkeypatch, tmp_path):
        """It is told what to install."""
        monkeypatch.setitem(sys.modules, "jinja2", None)
        with pytest.raises(ValueError, match=r"breezeway\[templates\]"):
            Templates(tmp_path)


class TestForms:
    """A form of a page through an App with sessions and Csrf: what a site lives on."""

    @pytest.fixture
    def app(self, write) -> App:
        """Make a guest book."""
        templates = write(
            {
                "a.html": "{% for each in flashes() %}{{ each.text }}{% endfor %}"
                '<form method="post">{{ csrf_field() }}<input name="text"></form>'
            }
        )
        app = App(sessions={"store": "memory"}, csrf={"unmarked": "token"})

        @app.get("/")
        def show(request: Request) -> Any:
            return templates.page(request, "a.html")

        @app.post("/")
        def write_(request: Request, text: Annotated[str, Form()]) -> Any:
            flash(request, f"Thanks for {text}")
            return redirect("/")

        return app

    def visit(self, app: App) -> tuple[str, str]:
        """Return the cookie and the token of a page."""
        page = call(app, "/")
        cookie = str(page["set-cookie"]).partition(";")[0]
        found = re.search(rb'name="csrf_token" value="([^"]+)"', page.body)
        assert found is not None
        return cookie, found[1].decode()

    def post(self, app: App, body: str, **fields: str) -> Any:
        """Send a form."""
        kind = "application/x-www-form-urlencoded"
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        return call(app, "/", "POST", {"Content-Type": kind, **given}, body.encode())

    def test_real(self, app):
        """With its token it is taken; the next page thanks once."""
        cookie, token = self.visit(app)
        result = self.post(app, f"csrf_token={token}&text=a%3Cb", Cookie=cookie)
        assert (result.code, result["location"]) == (303, "/")
        assert b"Thanks for a&lt;b" in call(app, "/", fields={"Cookie": cookie}).body
        assert b"Thanks" not in call(app, "/", fields={"Cookie": cookie}).body

    def test_forged(self, app):
        """Without it, with another visitor's, or from another site it is 403, and nothing happens."""
        cookie, token = self.visit(app)
        _, other = self.visit(app)
        forged = [
            self.post(app, "text=x", Cookie=cookie),
            self.post(app, f"csrf_token={other}&text=x", Cookie=cookie),
            self.post(app, f"csrf_token={token}&text=x"),
            self.post(
                app, f"csrf_token={token}&text=x", Cookie=cookie, Origin="https://evil.example"
            ),
            self.post(
                app, f"csrf_token={token}&text=x", Cookie=cookie, Sec_Fetch_Site="cross-site"
            ),
        ]
        assert [result.code for result in forged] == [403] * 5
        assert b"Thanks" not in call(app, "/", fields={"Cookie": cookie}).body

    def test_default(self, write):
        """By default, too, what another site has sent is refused."""
        app = App()
        app.post("/")(lambda: "done")
        assert call(app, "/", "POST", {"Sec-Fetch-Site": "cross-site"}).code == 403
        assert call(app, "/", "POST", {"Sec-Fetch-Site": "same-origin"}).code == 200
