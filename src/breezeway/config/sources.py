"""Where settings come from, and which source wins.

The later wins: the defaults of the table; the file (`settings_file`); environment variables
(`environment`); the command line. `resolve` reads them all, as often as it is called: a reload asks
anew. Nothing is changed unless everything is right, not even the variables that `--env-file` sets,
so that a server whose new settings are wrong can go on with its old ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from breezeway.config import environment, settings_file
from breezeway.config.logging_table import LoggingTable
from breezeway.config.middleware_tables import MiddlewareTable
from breezeway.config.setting import SettingError
from breezeway.config.settings import TABLE, Settings
from breezeway.errors import UsageError

DEFAULT = "default"
"""The origin of a value that no source gave."""

ARGUMENT = "command line"
"""The origin of an application that is an argument."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings in force and where each comes from.

    `origins` has an entry for every setting: `default`, a flag such as `--threads`, a variable such
    as `BREEZEWAY_THREADS`, or a place such as `breezeway.toml, line 3`. `application` is the text
    that names it, None if no source does; its origin is empty then. `directory` is where relative
    paths start. `files` are those that were read, as absolute paths. `middleware` is put around the
    application, the first outermost; `logging` is put in force before that is imported.
    """

    settings: Settings
    origins: dict[str, str]
    application: str | None
    application_origin: str
    directory: str
    files: tuple[str, ...] = ()
    middleware: tuple[MiddlewareTable, ...] = ()
    logging: LoggingTable | None = None


def resolve(
    flags: Mapping[str, Any],
    environ: MutableMapping[str, str],
    directory: str,
    *,
    defaults: Mapping[str, Any] | None = None,
) -> Resolved:
    """Read all sources.

    `flags` maps names of settings to values, as the command line was read; None and () mean that
    an option was not given. It may have `application`, and `config`, the path of the file. `environ`
    gets the variables of `--env-file`. Relative paths start at `directory`, where the file is
    looked for. `defaults` takes the place of defaults of the table.

    Raises:
        UserError: something cannot be read, or says something impossible; `environ` is as it was.
    """
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    env = environment.without_file(environ)
    path = given.get("config") or env.get(environment.CONFIG) or None
    file = settings_file.find(path, directory)
    found: dict[str, tuple[Any, str]] = {}
    if file is not None:
        found = {name: (value, file.place(name)) for name, value in file.values().items()}
    env_file = given.get("env_file") or env.get(environment.ENV_FILE)
    if env_file is None and "env_file" in found:
        env_file = found["env_file"][0]
    from_file: dict[str, str] = {}
    if env_file:
        from_file = environment.add_file(os.path.join(directory, env_file), env_file, env)
    found |= environment.values(env, from_file)
    found |= _from_flags(given)
    resolved = _settle(found, defaults or {}, directory)
    middleware = file.middleware() if file is not None else ()
    _replace(environ, env)
    read = [name for name in (file.name if file is not None else None, env_file) if name]
    return replace(
        resolved,
        files=tuple(os.path.join(directory, name) for name in read),
        middleware=middleware,
        logging=file.logging() if file is not None else None,
    )


def working_directory() -> str:
    """Return the working directory as the shell names it, with its symbolic links.

    A deployment that moves the link `current` to a new release is then seen by a reload.

    Raises:
        UsageError: the directory was removed.
    """
    try:
        here = os.getcwd()
    except OSError:
        raise UsageError("the working directory is not there any more.") from None
    named = os.environ.get("PWD", "")
    if os.path.isabs(named) and os.path.isdir(named) and os.path.samefile(named, here):
        return named
    return here


def _from_flags(given: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    if "application" in given:
        found["application"] = (given["application"], ARGUMENT)
    for row in TABLE:
        if row.name not in given:
            continue
        try:
            row.check(given[row.name])
        except SettingError as error:
            raise _bad_flag(row.flag, error.reason) from None
        found[row.name] = (given[row.name], row.flag)
    return found


def _bad_flag(flag: str, reason: str) -> UsageError:
    return UsageError(f"Invalid value for '{flag}': {reason}.", "'breezeway --help' explains.")


def _settle(
    found: dict[str, tuple[Any, str]], defaults: Mapping[str, Any], directory: str
) -> Resolved:
    application, origin = found.pop("application", (None, ""))
    values = {**defaults, **{name: value for name, (value, _) in found.items()}}
    try:
        settings = Settings(**values)
    except SettingError as error:
        where = f"{found[error.name][1]}: " if error.name in found else ""
        raise UsageError(f"{where}{error}.", error.hint) from None
    origins = {row.name: found[row.name][1] if row.name in found else DEFAULT for row in TABLE}
    return Resolved(settings, origins, application, origin, directory)


def _replace(environ: MutableMapping[str, str], wanted: Mapping[str, str]) -> None:
    for name in set(environ) - set(wanted):
        del environ[name]
    for name, value in wanted.items():
        if environ.get(name) != value:
            environ[name] = value
