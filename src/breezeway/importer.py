"""From `MODULE:NAME` on the command line (`breezeway.target`) to the WSGI application.

Whatever is wrong with the target or the code behind it is the user's to put right, so that each
failure is a `UserError`. Where the user's code raised, the error carries its traceback, without the
frames of this directory and of importlib: they say nothing about the user's code.
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from breezeway import suggest, tracebacks
from breezeway.errors import ApplicationFailedError, ApplicationNotFoundError, UserError
from breezeway.target import parse

DEFAULT_NAMES = ("application", "app")
"""What `MODULE` alone stands for: PEP 3333's own name first, as mod_wsgi and uWSGI have it."""

_MISSING = object()
_loading = False
_HERE = os.path.dirname(__file__)
_IMPORTLIB = ("<frozen importlib", os.path.join(os.path.dirname(os.__file__), "importlib", ""))


def load(target: str, app_dir: str) -> Callable[..., Any]:
    """Import the application that `target` names, with `app_dir` first on `sys.path`.

    Raises `UsageError` if `target` is none of the forms, `ApplicationNotFoundError` if it leads to
    no WSGI application, `ApplicationFailedError` if the user's code raises on the way.
    """
    wanted = parse(target)
    module = _import(wanted.module, enter(app_dir))
    attribute = wanted.attribute or _default_attribute(module)
    found = _attribute(module, attribute)
    if wanted.call is not None:
        found = _call(target, found, *wanted.call)
    elif not callable(found):
        reason = f"'{module.__name__}:{attribute}' is {_article(found)}, not a WSGI application."
        hint = suggest.every("Callables", suggest.callables(module))
        raise ApplicationNotFoundError(reason, hint)
    _check_signature(target, found, is_factory_likely=wanted.call is None)
    return found  # type: ignore[no-any-return]


def call_hook(target: str, app_dir: str) -> None:
    """Call the function that `target` (MODULE:NAME) names, without arguments.

    Raises as `load` does.
    """
    hook = find_hook(target, app_dir)
    with users_code(f"the hook {target!r}"):
        hook()


def find_hook(target: str, app_dir: str) -> Callable[[], object]:
    """Import the function that `target` (MODULE:NAME) names; raise as `load` does."""
    return find(target, app_dir, "the hook")


def find(target: str, app_dir: str, what: str = "the middleware") -> Callable[..., Any]:
    """Import what `target` (MODULE:NAME) names, which is called later; raise as `load` does."""
    wanted = parse(target)
    module = _import(wanted.module, enter(app_dir))
    found = _attribute(module, wanted.attribute or _default_attribute(module))
    if not callable(found):
        reason = f"{what} {target!r} is {_article(found)}, not a function."
        raise ApplicationNotFoundError(reason)
    return found  # type: ignore[no-any-return]


def is_loading() -> bool:
    """Tell whether the user's code is just being imported or called here, so that it is served."""
    return _loading


def enter(app_dir: str) -> str:
    """Put a directory first on `sys.path`; return its absolute path."""
    directory = os.path.abspath(app_dir)
    if not os.path.isdir(directory):
        hint = "It is where --app-dir points to."
        raise ApplicationNotFoundError(f"there is no directory {directory}.", hint)
    if sys.path[:1] != [directory]:
        sys.path.insert(0, directory)
    return directory


@contextmanager
def users_code(doing: str) -> Iterator[None]:
    """Turn what the user's code raises while `doing` into an `ApplicationFailedError`."""
    global _loading
    before, _loading = _loading, True
    try:
        yield
    except UserError:
        raise
    except KeyboardInterrupt as error:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            raise  # somebody has pressed Ctrl-C
        raise _failed(doing, error) from None
    except SystemExit as error:
        raise ApplicationFailedError(
            f"{doing} ended the program (SystemExit: {error.code}).",
            'A script that does its work when imported needs `if __name__ == "__main__":`.',
            detail=_traceback(error),
        ) from None
    except BaseException as error:
        raise _failed(doing, error) from None
    finally:
        _loading = before


def _failed(doing: str, error: BaseException) -> ApplicationFailedError:
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = f"Is {error.name!r} installed in {sys.prefix}?"
    message = f"{doing} failed with {type(error).__name__}."
    return ApplicationFailedError(message, hint, detail=_traceback(error))


def _traceback(error: BaseException) -> str:
    return tracebacks.whole(error, error.__traceback__, _is_noise)


def _is_noise(filename: str) -> bool:
    return os.path.dirname(filename) == _HERE or filename.startswith(_IMPORTLIB)


def _import(name: str, directory: str) -> ModuleType:
    with users_code(f"importing {name!r}"):
        try:
            __import__(name)
        except ModuleNotFoundError as error:
            if not _is_target(error, name):
                raise
            missing = error.name or name
        else:
            return sys.modules[name]
    raise _no_module(missing, directory)


def _is_target(error: ModuleNotFoundError, name: str) -> bool:
    """Tell a target that is not there from an import inside of it that fails."""
    tb = error.__traceback__
    while tb is not None:
        if not _is_noise(tb.tb_frame.f_code.co_filename):
            return False
        tb = tb.tb_next
    return error.name is not None and f"{name}.".startswith(f"{error.name}.")


def _no_module(missing: str, directory: str) -> ApplicationNotFoundError:
    package, _, name = missing.rpartition(".")
    if not package:
        hint = suggest.near(name, suggest.modules([directory]))
        return ApplicationNotFoundError(
            f"there is no module {name!r} in {directory}, nor among the installed packages.",
            hint
            or "Is the directory right? --app-dir chooses another. 'breezeway --help' lists commands.",
        )
    parent = sys.modules[package]
    if hasattr(parent, "__path__"):
        return ApplicationNotFoundError(
            f"there is no module {name!r} in the package {package!r} ({parent.__path__[0]}).",
            suggest.near_or_all(name, "Modules", suggest.modules(parent.__path__)),
        )
    if hasattr(parent, name):
        hint = f"Try: {package}:{name}"
    else:
        hint = suggest.near_or_all(name, "Callables", suggest.callables(parent))
    return ApplicationNotFoundError(f"{package!r} is a module, not a package.", hint)


def _default_attribute(module: ModuleType) -> str:
    for name in DEFAULT_NAMES:
        if callable(getattr(module, name, None)):
            return name
    names = " or ".join(map(repr, DEFAULT_NAMES))
    raise ApplicationNotFoundError(
        f"the module {module.__name__!r} has no callable {names}.",
        suggest.every("Callables", suggest.callables(module)) or "Write MODULE:NAME.",
    )


def _attribute(module: ModuleType, path: str) -> Any:
    found: Any = module
    walked = module.__name__
    for name in path.split("."):
        with users_code(f"reading {name!r} of {walked!r}"):
            found = getattr(found, name, _MISSING)
        if found is _MISSING:
            hint = suggest.near_or_all(name, "Callables", suggest.callables(module))
            if path in suggest.modules(getattr(module, "__path__", ())):
                hint = f"Try: {module.__name__}.{path}"
            raise ApplicationNotFoundError(f"{walked!r} has no attribute {name!r}.", hint)
        walked = f"{walked}.{name}"
    return found


def _call(target: str, factory: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not callable(factory):
        raise ApplicationNotFoundError(f"{target!r} calls {_article(factory)}, not a factory.")
    try:
        _signature(factory).bind(*args, **kwargs)
    except TypeError as error:
        raise ApplicationNotFoundError(
            f"{target!r} calls the factory wrongly: {error}.",
            "Arguments are literals: MODULE:make_app('production', debug=False)",
        ) from None
    with users_code(f"the factory {target!r}"):
        made = factory(*args, **kwargs)
    if not callable(made):
        raise ApplicationNotFoundError(
            f"the factory {target!r} returned {_article(made)}, not a WSGI application."
        )
    return made


def _check_signature(target: str, application: Any, *, is_factory_likely: bool) -> None:
    signature = _signature(application)
    if _takes(signature, 2):
        return
    if is_factory_likely and _takes(signature, 0):
        hint = f"If it is a factory, call it: '{target}()'"
    elif _takes(signature, 3):
        hint = "It looks like an ASGI application; Breezeway serves WSGI."
    else:
        hint = "A WSGI application takes two: environ and start_response."
    raise ApplicationNotFoundError(f"{target!r} takes the arguments {signature}.", hint)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return what `function` takes; if nobody can tell, as with C code, anything.

    What a decorator wrapped is not asked: the decorator may have changed what it takes.
    """
    try:
        return inspect.signature(function, follow_wrapped=False)
    except Exception:  # ValueError as a rule, but from Python 3.14 on annotations are code
        return inspect.signature(lambda *args, **kwargs: None)


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _article(value: object) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
