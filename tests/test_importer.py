"""From `MODULE:NAME` to the application, and every mistake on the way."""

import importlib
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from breezeway import importer
from breezeway.errors import ApplicationFailedError, ApplicationNotFoundError, UsageError

GOOD = """
from functools import wraps
from os.path import join
from typing import TYPE_CHECKING

def application(environ, start_response):
    return "application"

def app(environ, start_response):
    return "app"

def make_app(config="default", *, debug=False):
    def made(environ, start_response):
        return config, debug
    return made

def needs_config(config):
    return application

def makes_nothing():
    return None

def breaks():
    raise RuntimeError("no database")

def leaves():
    raise SystemExit("no database")

async def asgi(scope, receive, send):
    pass

def decorated(function):
    @wraps(function)
    def wrapper(environ, start_response):
        return function(environ)
    return wrapper

@decorated
def one_argument(environ):
    return "decorated"

class Application:
    def __init__(self, environ, start_response):
        pass

class Site:
    class wsgi:
        application = staticmethod(application)

class Proxy:
    def __call__(self, *args):
        pass

    @property
    def __class__(self):
        raise RuntimeError("outside of a request")

site = Site()
proxy = Proxy()
number = 3
"""


@pytest.fixture
def app_dir(tmp_path, monkeypatch):
    """Give a directory with the module `shop`; what is imported from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    (tmp_path / "shop.py").write_text(GOOD)
    importlib.invalidate_caches()
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(app_dir: Path, **modules: str) -> None:
    """Add modules to the directory."""
    for name, text in modules.items():
        path = app_dir / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    importlib.invalidate_caches()


def load(target, app_dir):
    """Load the target and call it as a WSGI application."""
    return importer.load(target, str(app_dir))({}, None)


class TestTargets:
    @pytest.mark.parametrize(
        ("target", "result"),
        [
            ("shop", "application"),
            ("shop:application", "application"),
            ("shop:app", "app"),
            ("shop:site.wsgi.application", "application"),
            ("shop:make_app()", ("default", False)),
            ("shop:make_app('production')", ("production", False)),
            ("shop:make_app({'a': [1, -2.5, None]}, debug=True)", ({"a": [1, -2.5, None]}, True)),
            ("shop:one_argument", "decorated"),
        ],
    )
    def test_target_is_loaded(self, app_dir, target, result):
        """Each form leads to its application."""
        assert load(target, app_dir) == result

    def test_app_is_the_second_choice(self, app_dir):
        """A module without `application` has `app`."""
        write(app_dir, small="application = None\ndef app(environ, start_response): return 'app'")
        assert load("small", app_dir) == "app"

    def test_module_in_a_package(self, app_dir):
        """The module may be in a package."""
        wsgi = "def app(environ, start_response): return 'pkg'"
        write(app_dir, **{"pkg/__init__": "", "pkg/wsgi": wsgi})
        assert load("pkg.wsgi", app_dir) == "pkg"

    @pytest.mark.parametrize("name", ["Application", "proxy", "site.wsgi.application"])
    def test_any_callable_that_takes_two(self, app_dir, name):
        """A class, an instance and a proxy are applications too."""
        assert callable(importer.load(f"shop:{name}", str(app_dir)))

    def test_app_dir_comes_first(self, app_dir, monkeypatch):
        """app_dir is the first entry of sys.path, as an absolute path, and once."""
        monkeypatch.chdir(app_dir)
        load("shop", ".")
        load("shop", ".")
        assert sys.path[0] == str(app_dir)
        assert sys.path.count(str(app_dir)) == 1

    @pytest.mark.parametrize(
        "target",
        [
            "",
            ":",
            ":app",
            "shop:",
            "shop.:app",
            "a b",
            "shop:1",
            "shop:a+b",
            "shop:a[0]",
            "shop:a b",
            "shop:make()()",
            "shop:make().app",
            "shop:app; x",
            "shop:app:app",
            "sh-op",
            "shop:(a)(b)(",
        ],
    )
    def test_what_is_no_target_is_a_usage_error(self, app_dir, target):
        """Anything else is a usage error that shows the forms."""
        with pytest.raises(UsageError, match="does not name an application") as caught:
            load(target, app_dir)
        assert "MODULE:NAME" in caught.value.hint
        assert caught.value.exit_code == 2

    @pytest.mark.parametrize(
        "call", ["(x)", "(print())", "(a=b)", "(*[1])", "({[]: 1})", "(f'{x}')"]
    )
    def test_arguments_are_literals(self, app_dir, call):
        """A factory's arguments are literals; nothing is evaluated."""
        with pytest.raises(UsageError, match="not all literals"):
            load(f"shop:make_app{call}", app_dir)

    @pytest.mark.parametrize(
        ("target", "hint"),
        [
            ("shop.py", "Try: shop"),
            ("shop.py:app", "Try: shop:app"),
            ("./src/shop.py:app", "Try: shop:app --app-dir ./src"),
            ("src/shop:app", "Try: shop:app --app-dir src"),
            ("my src/shop", "Try: shop --app-dir 'my src'"),
            ("src/shop/", "Try: shop --app-dir src"),
            ("shop/", "Try: shop"),
            ("../", ""),
            ("/", ""),
        ],
    )
    def test_path_instead_of_a_module(self, app_dir, target, hint):
        """A path is answered with the module it probably means."""
        with pytest.raises(UsageError, match="is a path") as caught:
            load(target, app_dir)
        assert caught.value.hint == hint

    def test_path_into_a_package(self, app_dir, monkeypatch):
        """A module of a package keeps the package's name, without which it could not import from it."""
        (app_dir / "site").mkdir()
        (app_dir / "site" / "__init__.py").touch()
        monkeypatch.chdir(app_dir)
        (app_dir / "a b").symlink_to(app_dir)
        for target, hint in (
            ("site/wsgi.py", "Try: site.wsgi"),
            ("a b/site/wsgi.py:app", "Try: site.wsgi:app --app-dir 'a b'"),
        ):
            with pytest.raises(UsageError, match="is a path") as caught:
                load(target, app_dir)
            assert caught.value.hint == hint


class TestNotFound:
    def missed(self, target, app_dir):
        """Load in vain; return the error."""
        with pytest.raises(ApplicationNotFoundError) as caught:
            importer.load(target, str(app_dir))
        assert caught.value.exit_code == 3
        assert not caught.value.detail
        return caught.value

    def test_no_such_directory(self, app_dir):
        """app_dir has to be there."""
        error = self.missed("shop", app_dir / "src")
        assert error.message == f"there is no directory {app_dir}/src."
        assert "--app-dir" in error.hint

    def test_no_such_module(self, app_dir):
        """A module that is not there: where it was looked for, and whether that is right."""
        error = self.missed("qqqqq", app_dir)
        assert error.message.startswith(f"there is no module 'qqqqq' in {app_dir}")
        assert "Is the directory right?" in error.hint

    def test_near_module(self, app_dir):
        """A module that is nearly there is suggested."""
        assert self.missed("shpo:app", app_dir).hint == "Did you mean 'shop'?"

    def test_no_such_module_in_a_package(self, app_dir):
        """In a package, the message names it, and the hint what is in it."""
        write(app_dir, **{"pkg/__init__": "", "pkg/wsgi": "", "pkg/models": ""})
        error = self.missed("pkg.wsgy", app_dir)
        assert error.message == f"there is no module 'wsgy' in the package 'pkg' ({app_dir}/pkg)."
        assert error.hint == "Did you mean 'wsgi'?"
        assert self.missed("pkg.qqq", app_dir).hint == "Modules there: models, wsgi"

    def test_dot_instead_of_a_colon(self, app_dir):
        """A dot where the colon should be is noticed."""
        error = self.missed("shop.application", app_dir)
        assert error.message == "'shop' is a module, not a package."
        assert error.hint == "Try: shop:application"

    def test_module_is_no_package(self, app_dir):
        """A module has no modules in it; its callables are listed."""
        assert "Callables there: application" in self.missed("shop.qqq", app_dir).hint

    def test_near_attribute(self, app_dir):
        """An attribute that is nearly there is suggested."""
        error = self.missed("shop:aplication", app_dir)
        assert error.message == "'shop' has no attribute 'aplication'."
        assert error.hint == "Did you mean 'application' or 'Application'?"

    def test_colon_instead_of_a_dot(self, app_dir):
        """A module where an attribute should be is noticed."""
        write(app_dir, **{"pkg/__init__": "", "pkg/wsgi": ""})
        assert self.missed("pkg:wsgi", app_dir).hint == "Try: pkg.wsgi"

    def test_callables_are_listed(self, app_dir):
        """Otherwise the module's own callables are listed, not its imports; no proxy is hurt."""
        error = self.missed("shop:qqq", app_dir)
        assert error.hint == (
            "Callables there: application, app, make_app, needs_config, makes_nothing, ..."
        )

    def test_no_such_attribute_further_down(self, app_dir):
        """Of a dotted name, the part that is missing is named."""
        error = self.missed("shop:site.wsgi.qqq", app_dir)
        assert error.message == "'shop.site.wsgi' has no attribute 'qqq'."

    def test_module_without_application(self, app_dir):
        """A module alone has to have one of the two names."""
        write(app_dir, other="def serve(environ, start_response): pass")
        error = self.missed("other", app_dir)
        assert error.message == "the module 'other' has no callable 'application' or 'app'."
        assert error.hint == "Callables there: serve"

    def test_module_without_any_callable(self, app_dir):
        """With nothing to list, the hint shows the form."""
        write(app_dir, other="")
        assert self.missed("other", app_dir).hint == "Write MODULE:NAME."

    def test_not_callable(self, app_dir):
        """What cannot be called is said to be what it is."""
        error = self.missed("shop:number", app_dir)
        assert error.message == "'shop:number' is an int, not a WSGI application."
        assert "Callables there" in error.hint

    def test_factory_is_not_callable(self, app_dir):
        """Neither is it a factory."""
        assert "calls an int, not a factory" in self.missed("shop:number()", app_dir).message

    def test_factory_returns_nothing(self, app_dir):
        """A factory that forgot its return is found out."""
        error = self.missed("shop:makes_nothing()", app_dir)
        assert "returned None, not a WSGI application" in error.message

    def test_factory_needs_arguments(self, app_dir):
        """A factory that is called wrongly is not called at all."""
        error = self.missed("shop:needs_config()", app_dir)
        assert "missing a required argument: 'config'" in error.message
        assert "literals" in error.hint

    def test_factory_without_parentheses(self, app_dir):
        """A factory in the application's place would fail at each request."""
        error = self.missed("shop:make_app", app_dir)
        assert error.message.startswith("'shop:make_app' takes the arguments (config=")
        assert error.hint == "If it is a factory, call it: 'shop:make_app()'"

    def test_asgi_application(self, app_dir):
        """An ASGI application is recognized by its three arguments."""
        assert "ASGI" in self.missed("shop:asgi", app_dir).hint

    def test_something_else_with_arguments(self, app_dir):
        """Whatever else does not take two arguments is no WSGI application."""
        assert "environ and start_response" in self.missed("shop:needs_config", app_dir).hint


class TestFailures:
    def failed(self, target, app_dir):
        """Load what breaks; return the error."""
        with pytest.raises(ApplicationFailedError) as caught:
            importer.load(target, str(app_dir))
        assert caught.value.exit_code == 3
        assert importer.__file__ not in caught.value.detail
        assert "importlib/" not in caught.value.detail
        assert "<frozen importlib" not in caught.value.detail
        return caught.value

    def test_import_raises(self, app_dir):
        """An exception at import is shown with the user's own frames alone."""
        write(app_dir, broken="import broken_too", broken_too="def f():\n    1 / 0\nf()\n")
        error = self.failed("broken", app_dir)
        assert error.message == "importing 'broken' failed with ZeroDivisionError."
        assert error.detail.startswith("Traceback (most recent call last):\n")
        assert error.detail.endswith("ZeroDivisionError: division by zero\n")
        assert [line.split('"')[1] for line in error.detail.splitlines() if '  File "' in line] == [
            f"{app_dir}/broken.py",
            f"{app_dir}/broken_too.py",
            f"{app_dir}/broken_too.py",
        ]

    def test_import_in_the_module_fails(self, app_dir):
        """A missing dependency of the application is not a missing application."""
        write(app_dir, broken="import no_such_dependency")
        error = self.failed("broken", app_dir)
        assert "No module named 'no_such_dependency'" in error.detail
        assert error.hint == f"Is 'no_such_dependency' installed in {sys.prefix}?"

    def test_package_imports_itself_wrongly(self, app_dir):
        """Nor is a package that fails to import the very module that was asked for."""
        write(app_dir, **{"pkg/__init__": "import pkg.wsgi"})
        assert "pkg/__init__.py" in self.failed("pkg.wsgi", app_dir).detail

    def test_syntax_error(self, app_dir):
        """A syntax error shows its line."""
        write(app_dir, broken="def f(:\n")
        error = self.failed("broken", app_dir)
        assert f'File "{app_dir}/broken.py", line 1' in error.detail
        assert error.message.endswith("failed with SyntaxError.")

    def test_chained_exceptions(self, app_dir):
        """Of chained exceptions each is shown, and each without importlib's frames."""
        text = """
            import importlib
            try:
                importlib.import_module("broken_too")
            except ZeroDivisionError as error:
                raise RuntimeError("cannot start") from error
        """
        write(app_dir, broken=text, broken_too="1 / 0")
        detail = self.failed("broken", app_dir).detail
        assert detail.index("ZeroDivisionError") < detail.index("RuntimeError: cannot start")

    def test_exit_at_import(self, app_dir):
        """A script that exits when imported is told apart from one that fails."""
        write(app_dir, script="import sys\nsys.exit(7)\n")
        error = self.failed("script", app_dir)
        assert error.message == "importing 'script' ended the program (SystemExit: 7)."
        assert "__main__" in error.hint
        assert "sys.exit(7)" in error.detail

    @pytest.mark.parametrize("error", ["KeyboardInterrupt", "GeneratorExit"])
    def test_what_is_no_exception(self, app_dir, error):
        """What is raised at import is the user's, whatever it is; but Ctrl-C is Ctrl-C."""
        write(app_dir, script=f"raise {error}\n")
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            assert f"failed with {error}." in self.failed("script", app_dir).message
        finally:
            signal.signal(signal.SIGINT, before)

    def test_interrupted(self, app_dir):
        write(app_dir, script="raise KeyboardInterrupt\n")
        with pytest.raises(KeyboardInterrupt):
            load("script", str(app_dir))

    def test_factory_raises(self, app_dir):
        """A factory that raises is shown with the user's own frames."""
        error = self.failed("shop:breaks()", app_dir)
        assert error.message == "the factory 'shop:breaks()' failed with RuntimeError."
        assert error.detail.endswith("RuntimeError: no database\n")
        assert error.detail.count("  File ") == 1

    def test_factory_exits(self, app_dir):
        """A factory that exits is reported too."""
        error = self.failed("shop:leaves()", app_dir)
        assert "ended the program (SystemExit: no database)" in error.message

    def test_attribute_raises(self, app_dir):
        """A property that raises is the user's code, too."""
        write(app_dir, lazy="def __getattr__(name):\n    raise RuntimeError(name)\n")
        assert "RuntimeError: wsgi" in self.failed("lazy:wsgi", app_dir).detail

    def test_interrupt_is_not_swallowed(self, app_dir):
        """Ctrl-C while the application is imported goes through."""
        write(app_dir, slow="raise KeyboardInterrupt")
        with pytest.raises(KeyboardInterrupt):
            importer.load("slow", str(app_dir))
