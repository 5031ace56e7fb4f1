"""`breezeway shell`: a Python console with an application at hand."""

from __future__ import annotations

import code
import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any, Final

from breezeway import tracebacks
from breezeway.errors import UserError
from breezeway.project.finding import find_app

FAILED: Final = 1
"""Exit status of a script that raised, as that of Python is."""

SCRIPT: Final = "<stdin>"


def names(application: Callable[..., Any], wrapped: Callable[..., Any]) -> dict[str, Any]:
    """Return what the console has: `wrapped` is the application within the middleware of settings."""
    from breezeway.testing import Client

    found: dict[str, Any] = {"app": application, "client": Client(wrapped)}
    app = find_app(application)
    if app is not None:
        found["url_for"] = app.url_for
    return found


def banner(target: str, namespace: dict[str, Any]) -> str:
    """Say what there is."""
    version = ".".join(map(str, sys.version_info[:3]))
    lines = [
        f"Python {version}, with {target}:",
        f"  app      {type(namespace['app']).__name__}",
        '  client   asks it: client.get("/").text',
    ]
    if "url_for" in namespace:
        lines.append('  url_for  a path by the name of its route: url_for("name", id=1)')
    return "\n".join(lines)


def run(namespace: dict[str, Any], banner: str, *, plain: bool) -> int:
    """Open a console; return the exit status.

    It is IPython or ptpython where one of them is installed, unless it shall be `plain`. What comes
    from a pipe or a file is run as a script.

    Raises:
        UserError: there is no standard input.
    """
    namespace = {"__name__": "__main__", "__builtins__": __builtins__, **namespace}
    if sys.stdin is None:
        raise UserError("the standard input is closed, and a console has nothing else to read.")
    if not sys.stdin.isatty():
        return _run_script(sys.stdin.buffer.read(), namespace)
    for module, embed in () if plain else _EMBEDDED:
        if importlib.util.find_spec(module) is not None:
            embed(namespace, banner)
            return 0
    _complete(namespace)
    code.interact(banner, local=namespace, exitmsg="")
    return 0


def _run_script(text: bytes, namespace: dict[str, Any]) -> int:
    try:
        exec(compile(text, SCRIPT, "exec"), namespace)  # noqa: S102  # whose stdin it is
    except Exception as error:
        inner = error.__traceback__.tb_next if error.__traceback__ is not None else None
        sys.stderr.write(tracebacks.whole(error, inner))
        return FAILED
    return 0


def _complete(namespace: dict[str, Any]) -> None:
    """Complete names with the tabulator key, where Python has readline."""
    try:
        import readline
        import rlcompleter
    except ImportError:
        return
    readline.set_completer(rlcompleter.Completer(namespace).complete)
    readline.parse_and_bind("tab: complete")


def _ipython(namespace: dict[str, Any], banner: str) -> None:
    config = importlib.import_module("traitlets.config").Config()
    config.TerminalInteractiveShell.banner1 = f"{banner}\n\n"
    ipython: Any = importlib.import_module("IPython")
    ipython.start_ipython(argv=[], user_ns=namespace, config=config)


def _ptpython(namespace: dict[str, Any], banner: str) -> None:
    repl: Any = importlib.import_module("ptpython.repl")
    sys.stdout.write(f"{banner}\n")
    repl.embed(globals=namespace, locals=namespace)


_EMBEDDED: Final[tuple[tuple[str, Callable[[dict[str, Any], str], None]], ...]] = (
    ("IPython", _ipython),
    ("ptpython", _ptpython),
)
