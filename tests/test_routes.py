"""breezeway routes: the routes of an App, also below middleware and mounted ones, and of nothing else."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from breezeway import cli
from breezeway.middleware import Compress, Security, stack
from breezeway.project import finding, routes
from breezeway.web import App, Group

DEADLINE_SECONDS = 30.0

SHOP = """
from breezeway.middleware import Compress, RequestId, stack
from breezeway.web import App, Group

app = App()
admin = Group("/admin", name="admin", host="admin.example")

@app.get("/")
def home(): ...

@app.route("/orders/{id:int}", "GET", "POST", name="order")
def show_order(id): ...

@admin.delete("/users/{name}")
def remove(name): ...

app.include(admin)
wrapped = stack(app, RequestId(), Compress())
"""


class Command:
    """The command line, in this process."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Run `breezeway routes`; return its exit status and what it prints."""
        with pytest.raises(SystemExit) as caught:
            cli.main(["routes", *arguments])
        assert isinstance(caught.value.code, int)
        return caught.value.code, *self._capsys.readouterr()

    def write(self, source: str, name: str = "shop_routes") -> None:
        """Write a module."""
        (self.directory / f"{name}.py").write_text(source)


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Give the command, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Command(tmp_path, capsys)


@pytest.mark.parametrize("name", ["app", "wrapped"])
def test_table(run: Command, name: str) -> None:
    """Methods, host, path, name, handler and where that stands; middleware around changes nothing."""
    run.write(SHOP)
    status, out, _ = run(f"shop_routes:{name}")
    assert status == 0
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "METHOD HOST PATH NAME HANDLER",
        "GET any / home home shop_routes.py:8",
        "GET, POST any /orders/{id:int} order show_order shop_routes.py:11",
        "DELETE admin.example /admin/users/{name} admin.remove remove shop_routes.py:14",
    ]


def test_json(run: Command) -> None:
    """For programs, all of it, with whole paths of files."""
    run.write(SHOP)
    status, out, _ = run("shop_routes:app", "--json")
    assert status == 0
    *_, last = json.loads(out)
    assert last == {
        "host": "admin.example",
        "path": "/admin/users/{name}",
        "methods": ["DELETE"],
        "name": "admin.remove",
        "handler": "remove",
        "file": str(run.directory / "shop_routes.py"),
        "line": 14,
        "groups": ["admin"],
    }


def test_application_of_the_settings(run: Command) -> None:
    """Without an argument it is that of breezeway.toml; no host, no column of hosts."""
    run.write(SHOP.replace(', host="admin.example"', ""))
    (run.directory / "breezeway.toml").write_text('application = "shop_routes:app"\n')
    status, out, _ = run()
    assert status == 0
    assert "HOST" not in out


def test_nothing_to_list(run: Command) -> None:
    """An App without routes says so."""
    run.write("from breezeway.web import App\napp = App()\n")
    assert run("shop_routes")[:2] == (0, "There are no routes.\n")


def test_forgotten_group(run: Command) -> None:
    """A group that is in no App is told, with its first route; one in it is not."""
    lost = "films = Group('/films')\n@films.post('/{id}')\ndef show(id): ...\n"
    run.write(f"{SHOP}\ninner = Group()\ninner.get('/')(home)\n{lost}films.include(inner)\n")
    status, out, error = run("shop_routes:app")
    assert (status, "/films" in out) == (0, False)
    told = [line for line in error.splitlines() if "shop_routes" in line]  # not of other tests
    assert told == [
        "breezeway: POST /films/{id} (shop_routes.py:23) is of a group that is in no App:"
        " app.include(group) adds it."
    ]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import flask\napp = flask.Flask('shop')", "'shop_routes:app' is a Flask application"),
        (
            "import flask\nfrom breezeway.middleware import Compress\n"
            "app = Compress(flask.Flask('shop'))",
            "flask --app shop_routes:app routes",
        ),
        ("import bottle\napp = bottle.Bottle()", "is a Bottle application"),
        ("import falcon\napp = falcon.App()", "falcon-inspect-app shop_routes:app"),
        (
            "from django.core.handlers.wsgi import WSGIHandler\n"
            "app = WSGIHandler.__new__(WSGIHandler)",
            "is a Django application",
        ),
        ("def app(environ, start_response): ...", "it is no App of breezeway.web"),
    ],
)
def test_other_applications(run: Command, source: str, told: str) -> None:
    """What has other routes, or none, is told in a sentence, and where to ask, if there is such a place."""
    run.write(source)
    command = [sys.executable, "-m", "breezeway", "routes", "shop_routes:app"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_mistakes(run: Command) -> None:
    """A module that is not there is told as by the other commands."""
    assert run("nowhere:app")[0] == 3
    status, _, error = run()
    assert status == 2
    assert "which application" in error


# --- what is behind an application ----------------------------------------------------------------


def by_class(app: Any) -> Any:
    """Wrap as Werkzeug does."""

    class Wrapper:
        def __init__(self) -> None:
            self.app = app

        def __call__(self, environ: Any, start_response: Any) -> Any: ...

    return Wrapper()


def by_closure(app: Any) -> Any:
    """Wrap with a plain function."""

    def inner(environ: Any, start_response: Any) -> Any:
        return app(environ, start_response)

    return inner


def by_decorator(app: Any) -> Any:
    """Wrap with `functools.wraps`."""

    @functools.wraps(app, updated=())
    def inner(environ: Any, start_response: Any) -> Any: ...

    return inner


@pytest.mark.parametrize(
    "around",
    [
        by_class,
        by_closure,
        by_decorator,
        Compress,
        lambda app: app.answer,
        lambda app: app.wsgi_app,
    ],
)
def test_finds_the_app(around: Callable[[Any], Any]) -> None:
    """Behind every usual way of wrapping, and several of them."""
    app = App()
    assert finding.find_app(around(app)) is app
    assert finding.find_app(stack(around(app), Security(), Compress())) is app


def test_ends() -> None:
    """What leads around in a circle, or on for ever, or raises, has no App."""

    class Endless:
        def __call__(self, environ: Any, start_response: Any) -> Any: ...

        def __getattr__(self, name: str) -> Any:
            return Endless()

    class Broken:
        def __call__(self, environ: Any, start_response: Any) -> Any: ...

        @property
        def application(self) -> Any:
            raise RuntimeError("working outside of a context")

    circle: Any = Compress(Broken())
    circle.application = Security(circle)
    for application in (Endless(), Broken(), circle):
        assert finding.find_app(application) is None


def test_mounted() -> None:
    """The routes of a mounted App are below its prefix; of another application there is its place."""
    inner = App()
    inner.get("/x", name="x")(by_class)
    app = App()
    app.mount("/inner", stack(inner, Compress()))
    app.mount("/other", by_class(None), host="shop.example")
    app.mount("", by_closure(None))
    found = {row.path: row for row in routes.rows(app)}
    assert found["/inner/x"].name == "x"
    assert found["/"].handler == "by_closure.<locals>.inner"
    assert (found["/other"].methods, found["/other"].host) == (["any"], "shop.example")
    assert found["/other"].place.endswith(f"test_routes.py:{by_class.__code__.co_firstlineno + 3}")


def test_layers_have_what_is_mounted() -> None:
    """What is mounted comes after the App, with all that it is around."""
    inner, app = by_closure(None), App()
    app.mount("/inner", Compress(inner))
    found = [*finding.layers(stack(app, Security()))]
    assert found.index(app) < found.index(inner)


def test_handlers_of_any_kind() -> None:
    """A partial function is its function, an object its class, what C has made has no place."""

    class Page:
        def __call__(self) -> str: ...  # type: ignore[empty-body]

        def method(self) -> str: ...  # type: ignore[empty-body]

    app = App()
    for path, handler in {
        "/partial": functools.partial(by_class, app=1),
        "/object": Page(),
        "/method": Page().method,
    }.items():
        app.get(path, name=path)(handler)
    found = {row.path: (row.handler.rpartition(".")[2], bool(row.line)) for row in routes.rows(app)}
    assert found == {
        "/partial": ("by_class", True),
        "/object": ("Page", True),
        "/method": ("method", True),
    }
    assert routes._origin(len) == ("len", "", 0)


def test_places(run: Command) -> None:
    """Installed code is told by its path among the packages, also below the working directory."""
    row = routes.Row("", "/", ["GET"], "x", "x", "", 7, [])
    here = str(run.directory)
    for file, place in {
        f"{here}/shop/pages.py": "shop/pages.py:7",
        f"{here}/.venv/lib/python3/site-packages/blog/pages.py": "blog/pages.py:7",
        "/elsewhere/site-packages/blog.py": "blog.py:7",
        "/elsewhere/pages.py": "/elsewhere/pages.py:7",
        "": "",
    }.items():
        assert replace(row, file=file).place == place


def test_nested_groups() -> None:
    """A row names its groups, the outermost first."""
    app, outer, inner = App(), Group("/a"), Group("/b", name="b")
    inner.get("/c", name="c")(by_class)
    outer.include(inner)
    app.include(outer)
    (row,) = routes.rows(app)
    assert (row.path, row.groups) == ("/a/b/c", ["/a", "b"])
