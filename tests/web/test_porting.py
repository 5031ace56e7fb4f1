"""The programs of docs/web/porting.md: each answers the same before and after it was ported."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urljoin
from wsgiref.types import WSGIApplication

import pytest
from click.testing import CliRunner
from werkzeug.http import parse_options_header

from breezeway.testing import Client, Response

pytestmark = pytest.mark.once

PAGE = Path(__file__).parents[2] / "docs/web/porting.md"
SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TEMPLATE = re.compile(
    r"`templates/([\w-]+\.html)`[^`]*```html\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
BASE_AFTER = re.compile(r"^and in Breezeway:\n\n```html\n(.*?)^```$", re.MULTILINE | re.DOTALL)

TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = {title: BLOCK.findall(text) for title, text in SECTION.findall(TEXT)}
FLASK, BREEZEWAY, FLASK_TEST, BREEZEWAY_TEST = BLOCKS["From Flask"]
WERKZEUG, AFTER_WERKZEUG = BLOCKS["From Werkzeug"]
WEBOB, AFTER_WEBOB = BLOCKS["From WebOb"]
(HALFWAY,) = BLOCKS["One route at a time"]

TEMPLATES = dict(TEMPLATE.findall(TEXT))
"""As Flask has them."""
PORTED_TEMPLATES = {**TEMPLATES, "base.html": BASE_AFTER.findall(TEXT)[0]}


class Seen(NamedTuple):
    """What of a response counts for a client."""

    request: str
    status: int
    fields: Mapping[str, Any]
    content: Any


class Ask(NamedTuple):
    """A request; `{etag}` in a field is the last tag that was seen."""

    method: str
    url: str
    options: Mapping[str, Any]


def ask(method: str, url: str, **options: Any) -> Ask:
    """Note a request."""
    return Ask(method, url, options)


# --- running the programs --------------------------------------------------------------------------------


@contextmanager
def imported(folder: Path, **sources: str) -> Iterator[list[ModuleType]]:
    """Have programs as modules of these names, in a folder of their own."""
    modules = []
    try:
        for name, source in sources.items():
            module = sys.modules[name] = ModuleType(name)
            del module.__spec__  # CPython 3.15 warns of one that is None
            module.__file__ = str(folder / f"{name}.py")
            exec(compile(source, module.__file__, "exec"), module.__dict__)
            modules.append(module)
        yield modules
    finally:
        for name in sources:
            sys.modules.pop(name, None)


def answers(application: WSGIApplication, requests: Sequence[Ask]) -> list[Seen]:
    """Send requests one after the other, with the cookies that come back."""
    found, etag = [], ""
    with Client(application, raise_errors=False) as client:
        for method, url, options in requests:
            fields = options.get("headers", {})
            given = {name: value.replace("{etag}", etag) for name, value in fields.items()}
            response = client.request(method, url, **{**options, "headers": given})
            etag = response.headers.get("ETag", etag)
            found.append(seen(f"{method} {url}", response))
    return found


ADDED = {
    "accept-post": "tells a client what would be taken, with 415",
    "allow": "stays in an error when its page is made by a handler",
    "referrer-policy": "of Security",
    "x-content-type-options": "of Security",
    "x-frame-options": "of Security",
}
"""Fields that the port may have beyond those of the original, and why."""

FREE = {
    "content-length": "JSON and HTML are the same with other white space",
    "date": "is the server's",
    "vary": "names Cookie where the session was touched, and the port touches it less often",
}
"""Fields that are not compared, and why."""


def seen(request: str, response: Response) -> Seen:
    """Take of a response what a client goes by, in the same form for all frameworks."""
    fields = {
        name: told(name, response.headers.all(name), response.url)
        for name in response.headers
        if name not in FREE
    }
    if not fields.get("cache-control"):
        fields.pop("cache-control", None)
    kind = response.headers.get("Content-Type", "")
    content: Any = response.content
    if response.is_redirect or response.status == 204:  # the page of a redirect is for nobody
        content = None
        fields.pop("content-type", None)
    elif kind == "application/json" and content:
        content = json.loads(content)
    elif kind.startswith("text/html"):
        content = content.split()
    return Seen(request, response.status, fields, content)


def told(name: str, values: list[str], url: str) -> Any:
    """Return what a field says, however it is written."""
    if name == "location":  # relative or absolute
        return urljoin(url, values[0])
    if name == "allow":  # an App answers OPTIONS as well
        return {*values[0].split(", ")} - {"OPTIONS"}
    if name in ("content-type", "content-disposition"):
        return parse_options_header(values[0])
    if name == "cache-control":  # one with a cookie is private here, or not stored at all
        return {*values[0].split(", ")} - {"private", "no-store"}
    if name == "etag":  # by another hash
        return True
    if name == "set-cookie":
        return [cookie(value) for value in values]
    return values


def cookie(value: str) -> Any:
    """Return name, value and attributes; of the session's, whether there is one."""
    pair, *attributes = value.split(";")
    name, _, content = pair.partition("=")
    if name in ("session", "sid"):
        return "session", content != ""
    lower = [each.strip().lower() for each in attributes]
    return name, content, {each for each in lower if not each.startswith("expires=")}


def assert_same(before: Sequence[Seen], after: Sequence[Seen]) -> None:
    """Hold each answer of the port against that of the original."""
    for one, other in zip(before, after, strict=True):
        beyond = {name: value for name, value in other.fields.items() if name not in one.fields}
        assert beyond.keys() <= ADDED.keys(), one.request
        shared = {name: value for name, value in other.fields.items() if name in one.fields}
        assert other._replace(fields=shared) == one


# --- from Flask ------------------------------------------------------------------------------------------

FILM = {"title": "Größe & <b>Wahn</b>", "year": "1931"}
POSTER = {"poster": ("m.png", b"\x89PNG\r\n" + bytes(range(200)))}
MALFORMED = {"content": "{", "headers": {"Content-Type": "application/json"}}

FILMS = [
    ask("GET", "/"),
    ask("GET", "/films/"),
    ask("GET", "/films?q=a%20b"),
    ask("POST", "/films/", data=FILM),
    ask("GET", "/log-in"),
    ask("POST", "/log-in", data={"name": "Ann"}),
    ask("GET", "/films/"),
    ask("POST", "/films/", data=FILM, files=POSTER),
    ask("GET", "/films/"),
    ask("GET", "/films/"),
    ask("GET", "/films/1"),
    ask("HEAD", "/films/1"),
    ask("POST", "/films/", data={"title": "M", "year": "1931"}),
    ask("POST", "/films/", data={"title": "", "year": "1931"}),
    ask("POST", "/films/", data={"title": "M", "year": "soon"}),
    ask("POST", "/films/", data={"title": "M"}),
    ask("GET", "/films/2"),
    ask("GET", "/films/", params={"q": "Wahn"}),
    ask("GET", "/films/1/poster"),
    ask("GET", "/films/1/poster", headers={"Range": "bytes=3-9"}),
    ask("GET", "/films/2/poster"),
    ask("GET", "/films/7"),
    ask("GET", "/films/x"),
    ask("PUT", "/films/1"),
    ask("GET", "/nowhere"),
    ask("GET", "/api/films"),
    ask("POST", "/api/films", json={"title": "Abend", "year": 1999}),
    ask("POST", "/api/films", json={"title": 7, "year": 1999}),
    ask("POST", "/api/films", json={"title": "Abend"}),
    ask("POST", "/api/films", **MALFORMED),
    ask("POST", "/api/films", content="{}", headers={"Content-Type": "text/plain"}),
    ask("GET", "/api/films"),
    ask("GET", "/api/films/3"),
    ask("GET", "/api/films/7"),
    ask("GET", "/api/nowhere"),
    ask("POST", "/log-out"),
    ask("POST", "/films/", data=FILM),
    ask("POST", "/log-in", data={"name": "Bob"}),
    ask("GET", "/films/"),
]

FAILING = [ask("GET", "/films/"), ask("GET", "/api/films")]
"""When the table has gone."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a folder for the programs, and tell them in their environment what they need."""
    path = tmp_path_factory.mktemp("films")
    (path / "templates").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FILMS_DATABASE", str(path / "films.db"))
        patch.setenv("FILMS_SECRET_KEY", "sixteen characters, or more")
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Tracked))
        yield path


@pytest.fixture(scope="module")
def films(folder: Path) -> tuple[list[Seen], list[Seen]]:
    """Ask the Flask application, and its port."""
    before = flask_answers(folder, FLASK, TEMPLATES)
    return before, flask_answers(folder, BREEZEWAY, PORTED_TEMPLATES)


def begin(folder: Path, templates: Mapping[str, str]) -> None:
    """Write the templates; there is no database yet."""
    for name, text in templates.items():
        (folder / "templates" / name).write_text(text, encoding="utf-8")
    (folder / "films.db").unlink(missing_ok=True)


def initialise(films: ModuleType) -> None:
    """Have the program make its table, by its command."""
    if hasattr(films, "init"):
        done = CliRunner().invoke(films.init)
    else:
        done = films.create_app().test_cli_runner().invoke(args=["init"])
    assert (done.exit_code, done.output) == (0, "The list is there.\n")


class Tracked(sqlite3.Connection):
    """A connection that is known until it is closed."""

    still_open: ClassVar[set[int]] = set()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.still_open.add(id(self))

    def close(self) -> None:
        """Close it."""
        super().close()
        self.still_open.discard(id(self))


def everything(folder: Path, application: WSGIApplication) -> list[Seen]:
    """Ask one of the applications all there is to ask, at last without the table."""
    found = answers(application, FILMS)
    with closing(sqlite3.connect(folder / "films.db")) as connection:
        connection.execute("drop table film")
    found += answers(application, FAILING)
    assert not Tracked.still_open
    return found


def flask_answers(folder: Path, source: str, templates: Mapping[str, str]) -> list[Seen]:
    """Run one of the two programs."""
    begin(folder, templates)
    with imported(folder, films=source) as (films,):
        initialise(films)
        return everything(folder, films.create_app())


def test_flask(films: tuple[list[Seen], list[Seen]]) -> None:
    """The port answers as the Flask application does."""
    assert_same(*films)
    statuses = {each.status for each in films[0]}
    assert statuses == {200, 201, 204, 206, 303, 308, 400, 404, 405, 415, 422, 500}


def test_flask_halfway(folder: Path, films: tuple[list[Seen], list[Seen]]) -> None:
    """So does the Flask application with some of its routes ported."""
    begin(folder, TEMPLATES)
    programs = {"old_films": FLASK, "films": BREEZEWAY, "halfway": HALFWAY}
    with imported(folder, **programs) as (old_films, _, halfway):
        initialise(old_films)
        assert_same(films[0], everything(folder, halfway.app))
        assert halfway.app.url_for("api.one_film", id=1) == "/api/films/1"


@pytest.mark.parametrize("ported", [False, True])
def test_tests_of_films(folder: Path, ported: bool) -> None:
    """The tests on the page pass, each for its program."""
    begin(folder, PORTED_TEMPLATES if ported else TEMPLATES)
    programs = {
        "films": BREEZEWAY if ported else FLASK,
        "test_films": BREEZEWAY_TEST if ported else FLASK_TEST,
    }
    with imported(folder, films=programs["films"]) as (films,):
        initialise(films)
        with imported(folder, test_films=programs["test_films"]) as (test_films,):
            test_films.test_add()


# --- from Werkzeug and WebOb -----------------------------------------------------------------------------

TEXTS = [
    ask("GET", "/"),
    ask("GET", "/latest"),
    ask("POST", "/", data={"text": "Hello <you>"}),
    ask("POST", "/", data={"text": "Größe"}),
    ask("POST", "/", data={}),
    ask("GET", "/"),
    ask("HEAD", "/"),
    ask("GET", "/latest"),
    ask("GET", "/all.txt"),
    ask("GET", "/1"),
    ask("GET", "/2"),
    ask("GET", "/2", headers={"If-None-Match": "{etag}"}),
    ask("GET", "/1", headers={"If-None-Match": "{etag}"}),
    ask("DELETE", "/1"),
    ask("DELETE", "/1"),
    ask("GET", "/1"),
    ask("PUT", "/2"),
    ask("GET", "/x"),
    ask("GET", "/health", params={"name": "Größe"}),
    ask("GET", "/health/"),
]

KEY = {"X-Key": "open sesame"}

LENGTHS = [
    ask("GET", "/metres?amount=2&unit=mi", headers=KEY),
    ask("HEAD", "/metres?amount=2&unit=mi", headers=KEY),
    ask("POST", "/metres", data={"amount": "1e3", "unit": "km"}, headers=KEY),
    ask("GET", "/metres?amount=2&unit=ell", headers=KEY),
    ask("GET", "/metres?amount=two&unit=km", headers=KEY),
    ask("GET", "/metres?unit=km", headers=KEY),
    ask("GET", "/units", headers=KEY),
    ask("POST", "/units", headers=KEY),
    ask("GET", "/nowhere", headers=KEY),
    ask("GET", "/units"),
    ask("GET", "/units", headers={"X-Key": "open barley"}),
]


def small_answers(folder: Path, source: str, requests: Sequence[Ask]) -> list[Seen]:
    """Run one of the small programs."""
    with imported(folder, small=source) as (small,):
        return answers(small.application, requests)


def test_werkzeug(tmp_path: Path) -> None:
    """The port answers as the application of Werkzeug does."""
    before = small_answers(tmp_path, WERKZEUG, TEXTS)
    assert_same(before, small_answers(tmp_path, AFTER_WERKZEUG, TEXTS))
    assert {each.status for each in before} == {200, 204, 303, 304, 400, 404, 405}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # WebOb imports cgi
def test_webob(tmp_path: Path) -> None:
    """The port answers as the functions of WebOb do."""
    before = small_answers(tmp_path, WEBOB, LENGTHS)
    assert_same(before, small_answers(tmp_path, AFTER_WEBOB, LENGTHS))
    assert {each.status for each in before} == {200, 403, 404, 405, 422}


# --- the comparison itself -------------------------------------------------------------------------------


# --- the comparison itself -------------------------------------------------------------------------------

FLASK_CHANGES = [
    (FLASK, 'url_for("log_in"), 303', 'url_for("log_in"), 302'),
    (FLASK, "as_attachment=True", "as_attachment=False"),
    (FLASK, "order by id", "order by title"),
    (FLASK, "is on the list", "was added"),
    (FLASK, "id=id), 201", "id=id), 200"),
    (FLASK, "if request.method", "if False and request.method"),
    (BREEZEWAY, "Length(1)", "Length(2)"),
    (BREEZEWAY, '"X-Films"] = "1"', '"X-Films"] = "2"'),
    (BREEZEWAY, "    @app.error(500)\n", ""),
    (BREEZEWAY, "None:\n        request.session.clear()", "None:\n        pass"),
    (BREEZEWAY, 'poster-{id}.png", ', 'poster.png", '),
    (BREEZEWAY, "app.include(api)", ""),
]

SMALL_CHANGES = [
    (WERKZEUG, AFTER_WERKZEUG, TEXTS, "max_age=3600", "max_age=60"),
    (WERKZEUG, AFTER_WERKZEUG, TEXTS, "        response.add_etag()\n", ""),
    (WERKZEUG, AFTER_WERKZEUG, TEXTS, "escape(text[:20])", "text[:20]"),
    (AFTER_WERKZEUG, WERKZEUG, TEXTS, ".conditional()", ""),
    (AFTER_WERKZEUG, WERKZEUG, TEXTS, "well, {", "well {"),
    (AFTER_WERKZEUG, WERKZEUG, TEXTS, 'app.delete("/{id:int}")(texts.remove)', ""),
    (WEBOB, AFTER_WEBOB, LENGTHS, "1609.344", "1609.3"),
    (WEBOB, AFTER_WEBOB, LENGTHS, "exc.HTTPMethodNotAllowed", "exc.HTTPNotFound"),
    (AFTER_WEBOB, WEBOB, LENGTHS, "        raise Forbidden", "        return None"),
    (AFTER_WEBOB, WEBOB, LENGTHS, '"error": error', '"code": error'),
]


@pytest.mark.parametrize(("changed", "old", "new"), FLASK_CHANGES)
def test_a_change_of_films_is_found(
    folder: Path, films: tuple[list[Seen], list[Seen]], changed: str, old: str, new: str
) -> None:
    """A program that does something else answers something else, and that is seen."""
    assert changed.count(old)
    before, after = films
    if changed is FLASK:
        before = flask_answers(folder, changed.replace(old, new), TEMPLATES)
    else:
        after = flask_answers(folder, changed.replace(old, new), PORTED_TEMPLATES)
    with pytest.raises(AssertionError):
        assert_same(before, after)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # WebOb imports cgi
@pytest.mark.parametrize(("changed", "other", "requests", "old", "new"), SMALL_CHANGES)
def test_a_small_change_is_found(
    tmp_path: Path, changed: str, other: str, requests: Sequence[Ask], old: str, new: str
) -> None:
    """So does a small program."""
    assert changed.count(old)
    found = small_answers(tmp_path, changed.replace(old, new), requests)
    wanted = small_answers(tmp_path, other, requests)
    with pytest.raises(AssertionError):
        assert_same(*((wanted, found) if "breezeway" in changed else (found, wanted)))
