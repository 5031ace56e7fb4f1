"""Settings in environment variables, and a file of such variables (`--env-file`).

A setting's variable is BREEZEWAY_ and its name in capitals; its text is what the option takes.
BREEZEWAY_APPLICATION names the application, BREEZEWAY_CONFIG the file of settings. Another name
that begins so is a slip, and an error, but for those that Kubernetes makes for a service called
`breezeway`.

The file is for development, and for an application that wants its own variables from it. A
variable that the process was started with wins. What the file set is noted in a variable too: when
the settings are read again, by this process or by the one that takes its place, it is taken back
first, so that a line that was changed or removed counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from breezeway.config.setting import ENV_PREFIX, Setting
from breezeway.config.settings import TABLE
from breezeway.config.settings_file import nearest
from breezeway.errors import UsageError

APPLICATION = ENV_PREFIX + "APPLICATION"
CONFIG = ENV_PREFIX + "CONFIG"
ENV_FILE = ENV_PREFIX + "ENV_FILE"

NOTE = "_BREEZEWAY_FROM_ENV_FILE"
"""The variable with the names of those that a file has set."""

ROWS = {row.env: row for row in TABLE}

_KUBERNETES = re.compile(
    rf"{ENV_PREFIX}(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_\d+_[A-Z]+(?:_(?:PROTO|PORT|ADDR))?)"
)
_LINK = re.compile(r"(?:tcp|udp|sctp)://")
"""The value of BREEZEWAY_PORT if Kubernetes made it."""


def values(environ: Mapping[str, str], from_file: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Return what the variables set: name -> (value, origin); raise `UsageError`.

    `from_file` maps the names of variables that a file has set to the file's name.
    """
    found: dict[str, tuple[Any, str]] = {}
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX) or name == CONFIG or _is_foreign(name, environ[name]):
            continue
        origin = f"{name} in {from_file[name]}" if name in from_file else name
        if name == APPLICATION:
            if environ[name]:
                found["application"] = (environ[name], origin)
        elif name in ROWS:
            found[ROWS[name].name] = (_read(ROWS[name], environ[name], origin), origin)
        else:
            raise UsageError(f"there is no setting {origin}.", _nearest(name))
    return found


def _is_foreign(name: str, value: str) -> bool:
    if name == ENV_PREFIX + "PORT":
        return bool(_LINK.match(value))
    return bool(_KUBERNETES.fullmatch(name))


def _read(row: Setting, text: str, origin: str) -> Any:
    try:
        value = row.from_text(text)
        row.check(value)
    except ValueError as error:
        raise UsageError(f"{origin}: {error}.") from None
    return value


def _nearest(name: str) -> str:
    hint = nearest(name.removeprefix(ENV_PREFIX).lower())
    # The hint has the settings' names in quotes; a variable's name is the same in capitals.
    return re.sub(r"'(\w+)'", lambda match: f"'{ENV_PREFIX}{match[1].upper()}'", hint)


def without_file(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those that an earlier reading of a file has set."""
    noted = {NOTE, *environ.get(NOTE, "").split()}
    return {name: value for name, value in environ.items() if name not in noted}


def add_file(path: str, name: str, environ: dict[str, str]) -> dict[str, str]:
    """Add the variables of the file at `path` to `environ`; those that are there already stay.

    Returns the names of those that were added, each with `name`, what messages call the file.

    Raises:
        UsageError: the file cannot be read, or python-dotenv is not installed.
    """
    added: dict[str, str] = {}
    for key, value in _variables(path, name, environ):
        if key in (CONFIG, ENV_FILE):
            raise UsageError(f"{name}: {key} cannot be set there: it is needed before.")
        if key not in environ or key in added:
            environ[key] = value
            added[key] = name
    if added:
        environ[NOTE] = " ".join(sorted(added))
    return added


def _variables(path: str, name: str, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Read the file; `${NAME}` in a value is what the variable is at that point."""
    try:
        from dotenv.parser import parse_stream
        from dotenv.variables import parse_variables
    except ImportError:
        raise UsageError(
            f"reading {name} (--env-file) needs python-dotenv, which is not installed.",
            "Install it: pip install 'breezeway[dotenv]'",
        ) from None
    seen: dict[str, str | None] = {}
    found: list[tuple[str, str]] = []
    try:
        with open(path, encoding="utf-8-sig") as file:
            bindings = list(parse_stream(file))
    except UnicodeDecodeError:
        raise UsageError(f"{name} (--env-file) is not UTF-8 text.") from None
    except OSError as error:
        raise UsageError(f"cannot read {name} (--env-file): {error.strerror}.") from None
    for binding in bindings:
        key, text = binding.key or "", binding.value or ""
        if binding.error or "=" in key or "\0" in key + text:
            hint = "A line is NAME=value, a comment, or empty."
            raise UsageError(f"{name}, line {binding.original.line}: cannot be read.", hint)
        if not key or binding.value is None:
            continue
        atoms = parse_variables(text)
        value = "".join(atom.resolve({**seen, **environ}) for atom in atoms)
        seen[key] = value
        found.append((key, value))
    return found
