"""`breezeway.run`: serve from a script, and start the script anew when its files change.

Code that runs cannot be taken back, so a reload is another process that imports the script. With
`reload`, this process becomes the command line (exec), which names the script's module and the
application's name in it. What the script has done before is done again by each import; the call
of `breezeway.run` that comes with it does nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from breezeway import importer, serving, terminal
from breezeway.config.kinds import SWITCH
from breezeway.config.setting import Setting
from breezeway.config.settings import TABLE, Settings
from breezeway.errors import UsageError, UserError
from breezeway.gateway.types import Application


def run(
    application: Application,
    bind: str | list[str] | tuple[str, ...],
    reload: bool,
    settings: Mapping[str, Any],
) -> None:
    """Do what `breezeway.run` says."""
    if importer.is_loading():
        return
    given = {"access_log": True, **settings, "bind": bind}
    try:
        if reload:
            _become(application, given)
        serving.serve(application, **given)
    except SystemExit:
        # The reason has been told. Leaving an interactive session over it would be rude.
        if not hasattr(sys, "ps1"):
            raise


def command(application: Application, given: Mapping[str, Any]) -> list[str]:
    """Return the command that serves the application of the script that runs, with `--reload`.

    Raises:
        UsageError: the script cannot be imported, or the application has no name in it.
        ValueError: one of the settings in `given` has a value that it cannot have.
    """
    settings = Settings.given(**given)
    module, directory = _script()
    values = {name: getattr(settings, name) for name in given}
    options = {"app_dir": directory, **values, "reload": True}
    return [
        sys.executable,
        *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]
        *("-m", "breezeway", "serve", f"{module}:{_name(application, module)}"),
        *(option for row in TABLE if row.name in options for option in _options(row, options)),
    ]


def _become(application: Application, given: Mapping[str, Any]) -> NoReturn:
    try:
        arguments = command(application, given)
    except UserError as error:
        terminal.fail(error)
    for row in TABLE:
        if row.secret and given.get(row.name) is not None:
            os.environ[row.env] = given[row.name]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(arguments[0], arguments)  # noqa: S606  # the interpreter that runs


def _script() -> tuple[str, str]:
    """Return the module of the script that runs, and the directory in which it is found."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.origin and spec.name != "__main__":  # python -m
        directory = spec.origin
        for _ in spec.name.split("."):
            directory = os.path.dirname(directory)
        return spec.name, directory
    file = getattr(main, "__file__", None)
    if file is None or not os.path.isfile(file):
        raise UsageError(
            "reload=True needs a script, and there is none: this is an interactive session.",
            "Without reload it works here too.",
        )
    module, suffix = os.path.splitext(os.path.basename(file))
    if suffix != ".py" or not module.isidentifier() or module == "__main__":
        raise UsageError(
            f"reload=True cannot import {os.path.basename(file)!r}.",
            "Give the script a name such as app.py: letters, digits and underscores.",
        )
    return module, os.path.dirname(os.path.abspath(file))


def _name(application: Application, module: str) -> str:
    """Return the name that the application has at the top level of the script."""
    found = [name for name, value in vars(sys.modules["__main__"]).items() if value is application]
    if not found:
        raise UsageError(
            f"reload=True needs a name for the application at the top level of {module}:"
            " it is imported from there at each change.",
            "Write 'app = ...' there, and then 'breezeway.run(app, reload=True)'.",
        )
    return next((name for name in importer.DEFAULT_NAMES if name in found), found[0])


def _options(row: Setting, values: Mapping[str, Any]) -> list[str]:
    """Return the options of the command line that give a setting its value; of a secret one, none."""
    if row.secret:  # other users can see a command line
        return []
    value = values[row.name]
    if row.kind is SWITCH:
        return [row.flag if value else f"--no-{row.flag.removeprefix('--')}"]
    items = value if row.repeatable else (value,)
    return [f"{row.flag}={row.kind.show(item)}" for item in items if item is not None]
